"""The first screen: what wants a person, what runs, what has ended, what waits; and the keys that act on a row."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from textual.color import Color

from console.tui.screens.run import RunScreen
from console.tui.screens.runs import RunsScreen
from console.tui.screens.triage import TriageScreen
from console.tui.sections import width_of
from console.tui.theme import theme_colour
from console.tui.triage_cells import rough
from console.tui.widgets.facts import Facts
from console.tui.widgets.section_list import SectionList
from tests.recorded import compare_screen
from tests.tui.pilots import QUICK, Clock, opened, press, run, screen_lines, screen_text, settle, until
from tests.tui.stand_in import Box, example_box
from tests.tui.test_snapshots import SIZES, compare_both, picture
from tests.tui.triage_boxes import triage_box

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("in_utc")


@pytest.mark.parametrize("size", SIZES)
def test_triage(size: tuple[int, int]) -> None:
    async def look() -> None:
        async with opened(triage_box(), size=size, monotonic=Clock(), opens_runs=False) as (app, pilot):
            await compare_both("triage", app, pilot)

    asyncio.run(look())


def test_triage_without_runs() -> None:
    async def look() -> None:
        async with opened(Box(), size=(80, 24), monotonic=Clock(), opens_runs=False) as (app, _):
            compare_screen("triage_empty_80x24", picture(app))

    asyncio.run(look())


def test_triage_without_a_daemon() -> None:
    async def look() -> None:
        async with opened(Box(away=True), size=(80, 24), monotonic=Clock(), opens_runs=False) as (app, pilot):
            app.clear_notifications()
            await settle(pilot)
            compare_screen("triage_away_80x24", picture(app))

    asyncio.run(look())


def test_what_is_under_the_cursor_stands_below_short_lists_and_beside_long_ones_keeps_its_height() -> None:
    async def look() -> None:
        async with opened(triage_box(), size=(200, 60), monotonic=Clock(), opens_runs=False) as (app, pilot):
            lists, facts = app.screen.query_one(SectionList), app.screen.query_one(Facts)
            rows = len(lists.keys)
            assert lists.size.height == rows + 2 * 4
            assert facts.region.y == lists.region.bottom + 1
            assert facts.region.bottom == 59
            await pilot.resize_terminal(200, 36)
            await settle(pilot)
            assert facts.size.height == 9
            assert lists.size.height < rows + 2 * 4
            await pilot.resize_terminal(200, 60)
            await settle(pilot)
            assert lists.size.height == rows + 2 * 4

    asyncio.run(look())


def test_a_run_that_diverged_does_not_look_well() -> None:
    box = triage_box()
    ended: Any = box.triage["ended"]
    ended[0]["row"] |= {"cause_kind": "diverged", "cause": "finished, but loss is nan since step 28"}

    async def look() -> None:
        async with opened(box, monotonic=Clock(), opens_runs=False) as (app, _):
            line = next(line for line in screen_lines(app) if "loss is nan" in "".join(text for text, _ in line))
            styles = {text.strip(): style for text, style in line}
            shown = theme_colour("warning", app.theme_variables, Color.parse("#101418"), Color.parse("#D8DEE9"))
            assert shown.hex.lower() in styles["!"]
            assert any("loss is nan" in text and shown.hex.lower() in style for text, style in styles.items())

    asyncio.run(look())


@pytest.mark.parametrize(
    ("per_s", "shown"), [(5.89463, "5.89"), (4.26, "4.26"), (11.2, "11.2"), (1234.5, "1230"), (0.0123456, "0.0123")]
)
def test_a_rate_has_three_digits(per_s: float, shown: str) -> None:
    assert rough(per_s) == shown


def on_triage(test: Callable[..., Any], box: Box | None = None, size: tuple[int, int] = (120, 40)) -> None:
    """Run a test on the first screen."""

    async def body() -> None:
        shown = box or triage_box()
        clock = Clock()
        async with opened(shown, size=size, monotonic=clock, opens_runs=False) as (app, pilot):
            await test(shown, app, pilot, clock)

    run(body)


def row_at_cursor(app: Any) -> str:
    """The line with the cursor."""
    return next(line for line in screen_text(app).splitlines() if line.startswith(">"))


def test_one_cursor_goes_through_all_lists_and_enter_opens_what_the_row_is_about() -> None:
    async def test(box: Box, app: Any, pilot: Any, clock: Clock) -> None:  # noqa: ARG001
        assert "r221 vit-l" in row_at_cursor(app)
        assert "R retry" in row_at_cursor(app)
        await press(pilot, *("j",) * 6)
        assert "r218" in row_at_cursor(app)
        await press(pilot, "G")
        assert "r224" in row_at_cursor(app)
        await press(pilot, "k", "k", "k", "enter")
        assert isinstance(app.screen, RunScreen)
        assert "r215" in screen_text(app)
        await press(pilot, "escape")
        assert isinstance(app.screen, TriageScreen)
        assert "r215" in row_at_cursor(app)

    on_triage(test)


def test_a_key_that_is_promised_acts_on_the_row() -> None:
    async def test(box: Box, app: Any, pilot: Any, clock: Clock) -> None:
        await press(pilot, "R")
        assert box.posted[-1][0] == "/retry"
        await press(pilot, "a")
        path, body = box.posted[-1]
        assert (path, body["keys"], body["actor"]) == ("/triage/seen", ["run:221:1"], "ana")
        clock.now_s += 5
        await press(pilot, "j", "j", "j", "j")
        assert "L resume" in row_at_cursor(app)
        await press(pilot, "L")
        assert (box.posted[-1][0], box.posted[-1][1]["scope"]) == ("/queue/resume", "project:ops")
        clock.now_s += 5
        await press(pilot, "c")
        assert box.posted[-1] == ("/triage/clear", {"actor": "ana"})
        await press(pilot, "g", *("j",) * 6, "x")
        assert "Stop r218?" in screen_text(app)

    on_triage(test)


def test_a_row_that_goes_leaves_the_cursor_in_its_place() -> None:
    async def test(box: Box, app: Any, pilot: Any, clock: Clock) -> None:
        await press(pilot, "j")
        assert "r214" in row_at_cursor(app)
        box.triage["needs"] = box.triage["needs"][:1] + box.triage["needs"][2:]
        box.triage["need_count"] = 5
        clock.now_s += 5
        box.tell()
        await until(pilot, lambda: "Needs you 5" in screen_text(app))
        assert "disk /home/ana" in row_at_cursor(app)

    on_triage(test)


def test_what_does_not_fit_is_counted_and_can_be_reached() -> None:
    async def test(box: Box, app: Any, pilot: Any, clock: Clock) -> None:
        box.triage["needs"] = [
            each | {"key": f"{number}", "subject": f"r{number} one of many"}
            for number, each in enumerate(box.triage["needs"] * 5)
        ]
        box.triage["need_count"] = 35
        clock.now_s += 5
        box.tell()
        await until(pilot, lambda: "Needs you 35" in screen_text(app))
        text = screen_text(app)
        assert "more" in next(line for line in text.splitlines() if "Needs you" in line)
        assert all(title in text for title in ("─ Running 3", "─ Since you left", "─ Queue 3"))
        await press(pilot, *("j",) * 29)
        assert "r29 one of many" in row_at_cursor(app)
        assert "r0 one of many" not in screen_text(app)

    on_triage(test, size=(80, 24))


def test_projects_lead_to_their_screen_and_the_others_say_which_command_helps() -> None:
    async def test(box: Box, app: Any, pilot: Any, clock: Clock) -> None:  # noqa: ARG001
        await press(pilot, "j", "j", "enter")
        assert "footplate du tells more" in screen_text(app)
        await press(pilot, "j", "j", "j", "enter")
        assert "─ Projects" in screen_text(app)

    on_triage(test)


def test_the_table_of_runs_is_as_it_was_left() -> None:
    async def test(box: Box, app: Any, pilot: Any, clock: Clock) -> None:  # noqa: ARG001
        await press(pilot, "2", "slash", *"vit", "enter", "j", "j", "space")
        assert "1 marked" in screen_text(app)
        await press(pilot, "1")
        assert isinstance(app.screen, TriageScreen)
        await press(pilot, "9", "1", "2")
        assert isinstance(app.screen, RunsScreen)
        text = screen_text(app)
        assert "/vit" in text
        assert "1 marked" in text
        assert len(app.screen_stack) == 2

    on_triage(test)


def test_only_what_differs_is_sent_again() -> None:
    async def test(box: Box, app: Any, pilot: Any, clock: Clock) -> None:
        asked: list[Any] = []
        listed = app.screen.query_one(SectionList)
        refresh = listed.refresh

        def noted(*regions: Any, **options: Any) -> Any:
            asked.extend(regions)
            return refresh(*regions, **options)

        listed.refresh = noted
        clock.now_s += 5
        app.screen.refresh_live_cells()
        await settle(pilot)
        assert {region.height for region in asked} == {1}
        assert max(region.width for region in asked) <= 6, "only the seconds of live runs"
        asked.clear()
        box.triage["live"], box.triage["live_count"] = [], 0
        clock.now_s += 5
        box.tell()
        await until(pilot, lambda: "nothing runs" in screen_text(app))
        asked.clear()
        for _ in range(3):
            clock.now_s += 5
            box.tell()
            app.screen.refresh_live_cells()
            await settle(pilot)
        assert asked == [], "nothing changed"

    on_triage(test)


def test_keys_tell_the_daemon_that_somebody_is_there_at_most_once_a_minute() -> None:
    async def test(box: Box, app: Any, pilot: Any, clock: Clock) -> None:  # noqa: ARG001
        assert box.presences == ["ana"]
        await press(pilot, "j", "k", "j")
        assert box.presences == ["ana"]
        clock.now_s += 61
        await press(pilot, "j")
        assert box.presences == ["ana", "ana"]

    on_triage(test)


def test_keys_on_nothing_say_so() -> None:
    async def test(box: Box, app: Any, pilot: Any, clock: Clock) -> None:  # noqa: ARG001
        assert "nothing does" in screen_text(app)
        await press(pilot, "enter", "a", "x", "R", "L", "y", "j", "G")
        assert "nothing here can be marked as seen" in screen_text(app)
        assert "there is no run under the cursor" in screen_text(app)
        assert box.posted == []

    on_triage(test, example_box())


HOSTILE = "[/red] \x1b[31mname\r\n\t日本語 👩‍👩‍👧 \u202eאבג " + "long " * 2000


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (131, 37), (220, 50)])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_whatever_runs_are_called_every_line_has_its_width_and_shows_its_key(
    size: tuple[int, int], ascii_only: bool
) -> None:
    async def look() -> None:
        box = triage_box()
        for each in box.triage["needs"]:
            each |= {"subject": HOSTILE[:60], "cause": HOSTILE[:300], "evidence": HOSTILE}
        for kind in ("live", "ended"):
            for each in box.triage[kind]:
                each["row"] |= {"name": HOSTILE, "project": HOSTILE, "cause": HOSTILE, "params": {HOSTILE: HOSTILE}}
        box.triage["live"][0]["progress"]["text"] = HOSTILE
        box.triage["live"][1]["devices"] = [HOSTILE]
        for each in box.triage["waiting"]:
            each |= {"name": HOSTILE, "reason": HOSTILE, "params": {HOSTILE: HOSTILE}}
        profile = QUICK._replace(glyphs="ascii" if ascii_only else "braille")
        async with opened(box, size=size, profile=profile, monotonic=Clock(), opens_runs=False) as (app, pilot):
            await press(pilot, *("j",) * 9, "g")
            shown = screen_text(app)
            assert "R retry" in shown
            assert "\x1b" not in shown
            assert "\u202e" not in shown
            listed = app.screen.query_one(SectionList)
            width = listed.size.width
            for y in range(listed.size.height):
                assert listed.render_line(y).cell_length == width
            for section in listed._sections:
                for row in section.rows:
                    assert width_of(row.pieces) <= width - 1, row

    asyncio.run(look())


def test_a_resize_storm_ends_in_the_picture_of_the_last_size() -> None:
    async def test(box: Box, app: Any, pilot: Any, clock: Clock) -> None:  # noqa: ARG001
        for width, height in [(200, 60), (61, 16), (110, 35), (40, 10), (80, 24), (159, 34), (80, 24)]:
            await pilot.resize_terminal(width, height)
        await settle(pilot)
        lines = screen_text(app).splitlines()
        assert len(lines) == 24
        assert "R retry" in row_at_cursor(app)

    on_triage(test)
