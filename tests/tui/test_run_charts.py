"""The charts of the run screen under keys: axes, smoothing, stretches, the cursor, the grid."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from console.tui.screens.run import RunScreen
from console.tui.screens.runs import RunsScreen
from console.tui.text_format import number
from console.tui.widgets.chart_pane import ChartPane
from tests.tui.pilots import QUICK, opened, press, screen_text, until
from tests.tui.stand_in import StandIn, example_box
from tests.tui.stand_in_runs import make_run, summary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.protocol import Json
    from console.tui.app import FootplateApp

TO_R218 = ("down", "down", "down", "enter")


class Listening(StandIn):
    """Remembers what was asked of the curves."""

    asked: list[dict[str, Any]] = []  # noqa: RUF012 - emptied by each test

    def get(self, path: str, query: Mapping[str, Json] | None = None) -> dict[str, Json]:
        if path.endswith("/curves"):
            self.asked.append(dict(query or {}))
        return super().get(path, query)


@pytest.fixture(autouse=True)
def nothing_asked() -> None:
    Listening.asked.clear()


def pane(app: FootplateApp) -> ChartPane:
    return app.screen.query_one(ChartPane)


def test_smoothing_and_axis_go_round_and_are_asked_of_the_daemon() -> None:
    async def drive() -> None:
        async with opened(example_box(), client=Listening) as (app, pilot):
            await press(pilot, *TO_R218, "s")
            assert "EMA 0.6" in screen_text(app)
            assert "raw 0.823" in screen_text(app)
            await press(pilot, "s", "s", "s")
            assert "EMA" not in screen_text(app)
            assert [each["smooth"] for each in Listening.asked] == [None, 0.6, 0.9, 0.97, None]
            await press(pilot, "t")
            assert "the run reports no metric 'epoch'" in screen_text(app)
            await press(pilot, "t")
            assert "x: time of day" in screen_text(app)
            await press(pilot, "l", "l", "t")
            assert "x: time since start" in screen_text(app)
            assert [each["axis"] for each in Listening.asked[-3:]] == ["epoch", "wall", "relative"]
            await press(pilot, "t", "l")
            assert "log y" in screen_text(app)
            await press(pilot, "l")
            assert "log x" in screen_text(app)
            await press(pilot, "l")
            assert "log x y" in screen_text(app)
            assert Listening.asked[-1]["log_x"] == 1

    asyncio.run(drive())


def test_a_stretch_is_asked_of_the_daemon_and_esc_gives_it_up_before_the_run() -> None:
    async def drive() -> None:
        async with opened(example_box(), client=Listening) as (app, pilot):
            await press(pilot, *TO_R218, "plus", "plus")
            first, last = float(Listening.asked[-1]["from"]), float(Listening.asked[-1]["to"])
            assert 0 < first < last < 41_000
            assert "zoomed" in screen_text(app)
            await press(pilot, "greater_than_sign")
            assert float(Listening.asked[-1]["from"]) > first
            await press(pilot, "less_than_sign", "less_than_sign")
            assert float(Listening.asked[-1]["from"]) < first
            await press(pilot, "minus", "minus", "minus")
            assert "zoomed" not in screen_text(app)
            await press(pilot, "less_than_sign")
            assert "all of it is in view" in screen_text(app)
            await press(pilot, "plus", "0")
            assert not pane(app).view.zoomed
            await press(pilot, "plus", "left", "escape")
            assert pane(app).view.cursor is None
            assert pane(app).view.zoomed
            await press(pilot, "escape")
            assert not pane(app).view.zoomed
            assert isinstance(app.screen, RunScreen)
            await press(pilot, "escape")
            assert isinstance(app.screen, RunsScreen)

    asyncio.run(drive())


def test_the_cursor_reads_step_and_value_in_the_title_line() -> None:
    async def drive() -> None:
        async with opened(example_box()) as (app, pilot):
            await press(pilot, *TO_R218, "left")
            assert "step 41000  ━ 0.82" in screen_text(app)
            await press(pilot, "left", "left", "right")
            found = pane(app)._found["val/acc"]
            assert found is not None
            x, value = found.curves[0].xs[-2], found.curves[0].lasts[-2]
            assert f"step {x:.0f}  ━ {number(value)}" in screen_text(app)
            await press(pilot, "right_square_bracket")
            assert f"step {x:.0f}" in screen_text(app), "it stays when another metric is charted"

    asyncio.run(drive())


def test_the_grid_pages_through_all_metrics() -> None:
    async def drive() -> None:
        box = example_box()
        many = tuple(summary(f"m{n:02d}", 0.5 + n, 1000) for n in range(30))
        box.details.insert(0, make_run(300, "many", metrics=many, started_ago_s=1.0))
        async with opened(box, client=Listening) as (app, pilot):
            await press(pilot, "down", "enter", "v", "z")
            text = screen_text(app)
            assert "1-15 of 30" in text
            assert "m14 ↑" in text
            assert "m15 ↑" not in text
            assert len(Listening.asked[-1]["keys"].split(",")) == 15
            await press(pilot, "left_square_bracket")
            assert "16-30 of 30" in screen_text(app)
            assert "m15 ↑" in screen_text(app)
            await press(pilot, "v")
            assert "m29 ↑" in screen_text(app)
            assert "m15 ↑" not in screen_text(app)

    asyncio.run(drive())


def test_in_a_small_terminal_with_ascii_only_everything_is_ascii_below_the_header() -> None:
    async def drive() -> None:
        profile = QUICK._replace(glyphs="ascii")
        async with opened(example_box(), size=(80, 24), profile=profile) as (app, pilot):
            await press(pilot, *TO_R218, "z", "v", "s", "left")
            chart = app.screen.query_one("#run-chart")
            assert all(chart.render_line(y).text.isascii() for y in range(chart.size.height))
            await press(pilot, "z")
            await until(pilot, lambda: "Metrics" in screen_text(app))

    asyncio.run(drive())
