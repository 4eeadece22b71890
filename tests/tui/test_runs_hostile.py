"""The table of runs against what it may meet: names of 10 KB, other scripts, storms of sizes, many ends at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from console.tui.screens.too_small import TooSmallScreen
from tests.tui.pilots import QUICK, opened, press, screen_text, settle, until
from tests.tui.stand_in import Box
from tests.tui.stand_in_runs import make_run, summary

if TYPE_CHECKING:
    from console.protocol import RunDetail

LONG = "x" * 10_240
STRANGE = ("\u202emoc.live\u202c", "\U0001f680\U0001f468\u200d\U0001f469 emoji", "שלום עולם", "مرحبا", "模型", LONG)


def strange_box() -> Box:
    """Runs whose names, params and metrics are strange."""
    return Box(
        [
            make_run(
                no,
                text,
                params={text: text, "lr": str(no)},
                metrics=(summary(text, 0.5, 10),),
                started_ago_s=1000.0 - no,
            )
            for no, text in enumerate(STRANGE, 1)
        ]
    )


def test_strange_names_fill_their_cells_and_no_more() -> None:
    async def drive() -> None:
        async with opened(strange_box(), size=(160, 48)) as (app, pilot):
            for keys in ((), ("right",) * 6, ("left",) * 6, ("c",), ("escape",), ("space", "space", "b")):
                await press(pilot, *keys)
                shown = screen_text(app)
                assert "\u202e" not in shown
                assert "\u200d" not in shown
                strips = app.screen._compositor.render_strips()
                assert {strip.cell_length for strip in strips} == {160}

    asyncio.run(drive())


def test_a_storm_of_sizes_ends_in_the_right_picture() -> None:
    async def drive() -> None:
        async with opened(strange_box(), size=(120, 40)) as (app, pilot):
            before = screen_text(app)
            for width, height in [(80, 24), (40, 10), (200, 60), (61, 15), (40, 10), (160, 48)] * 2:
                await pilot.resize_terminal(width, height)
            await pilot.resize_terminal(40, 10)
            await settle(pilot)
            assert isinstance(app.screen, TooSmallScreen)
            await pilot.resize_terminal(120, 40)
            await settle(pilot)
            assert screen_text(app) == before

    asyncio.run(drive())


def test_a_hundred_runs_that_end_in_a_second_cost_few_requests_and_show_no_gap() -> None:
    async def drive() -> None:
        runs = [make_run(no, f"n{no}", state="running", started_ago_s=float(no)) for no in range(1, 101)]
        box = Box(runs)
        profile = QUICK._replace(change_interval_s=0.25)
        async with opened(box, size=(120, 40), profile=profile) as (app, pilot):
            asked = len(box.run_queries)
            for no in range(1, 101):
                box.replace_run(ended(runs[no - 1]))
                await asyncio.sleep(0.01)
                rows = screen_text(app).splitlines()[4:38]
                assert all(" n" in row for row in rows), "no row is ever empty or a placeholder"
            await until(pilot, lambda: "running" not in screen_text(app))
            assert len(box.run_queries) - asked <= 20, "asked at most a few times a second"

    asyncio.run(drive())


def ended(detail: RunDetail) -> RunDetail:
    """The same run, finished."""
    return detail._replace(row=detail.row._replace(state="finished", ended_at_s=detail.now_s, exit_code=0))
