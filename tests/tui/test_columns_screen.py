"""The picker of columns: search, toggle, order, back to automatic; with ten thousand keys."""

from __future__ import annotations

import asyncio

from console.run_columns import COLUMNS_MAX
from console.tui.screens.columns import ColumnsScreen
from console.tui.screens.runs import RunsScreen
from console.tui.widgets.virtual_table import VirtualTable
from tests.tui.pilots import opened, press, screen_text
from tests.tui.stand_in import Box, example_box
from tests.tui.stand_in_runs import make_run, summary


def header_of(text: str) -> str:
    """The titles of the run table."""
    return text.splitlines()[3]


def test_columns_are_chosen_by_search_and_stand_in_that_order() -> None:
    async def drive() -> None:
        async with opened(example_box(), size=(200, 60)) as (app, pilot):
            await press(pilot, "c", "slash", *"val/loss", "enter")
            assert isinstance(app.screen, ColumnsScreen)
            shown = screen_text(app)
            assert "val/loss last" in shown
            assert "valid_0/auc" not in shown.partition("Columns")[2]
            await press(pilot, "down", "space", "escape")
            assert "chosen" in screen_text(app)
            await press(pilot, "escape")
            front = app.front
            assert isinstance(front, RunsScreen)
            assert "val/loss best" not in header_of(screen_text(app)), "it is the last, and has no room"
            await press(pilot, *(["right"] * 9))
            assert header_of(screen_text(app)).split()[-2:] == ["val/loss", "best"]
            assert "0.69960" in screen_text(app), "the best value of the one run that has it"

    asyncio.run(drive())


def test_the_order_of_the_chosen_changes_and_automatic_takes_it_back() -> None:
    async def drive() -> None:
        async with opened(example_box(), size=(160, 48)) as (app, pilot):
            before = header_of(screen_text(app))
            await press(pilot, "c", "g")
            screen = app.screen
            assert isinstance(screen, ColumnsScreen)
            table = screen.query_one(VirtualTable)
            first = table.cursor_key
            await press(pilot, "J", "J")
            assert table.cursor_key == first, "the cursor goes with the column"
            assert table.cursor_row == 2
            await press(pilot, "K", "escape")
            changed = header_of(screen_text(app))
            assert changed != before
            assert sorted(changed.split()) == sorted(before.replace("›", " ").split())
            await press(pilot, "c", "a", "escape")
            assert header_of(screen_text(app)) == before

    asyncio.run(drive())


def test_a_column_that_is_toggled_twice_is_gone() -> None:
    async def drive() -> None:
        async with opened(example_box(), size=(160, 48)) as (app, pilot):
            await press(pilot, "c", "g", "space", "escape")
            front = app.front
            assert isinstance(front, RunsScreen)
            await press(pilot, "c", "slash", *"sweep", "enter", "enter", "escape", "escape")
            assert "sweep" in header_of(screen_text(app))
            await press(pilot, "c", "slash", *"sweep", "enter", "enter", "escape", "escape")
            assert "sweep" not in header_of(screen_text(app))

    asyncio.run(drive())


def test_ten_thousand_metrics_are_a_list_that_is_read_in_windows() -> None:
    async def drive() -> None:
        metrics = tuple(summary(f"layer/{number:05d}/grad", 0.5, 10) for number in range(10_000))
        box = Box([make_run(1, "wide", metrics=metrics, params={f"p{n}": "1" for n in range(2000)})])
        async with opened(box, size=(120, 40)) as (app, pilot):
            await press(pilot, "c")
            shown = screen_text(app)
            assert "that can be" in shown
            await press(pilot, "G")
            assert "p1999" in screen_text(app)
            await press(pilot, "slash", *"09999 best", "enter")
            assert "layer/09999/grad best" in screen_text(app)
            await press(pilot, "space", "escape", "escape")
            assert "9999/grad best" in header_of(screen_text(app)) or "›" in header_of(screen_text(app))

    asyncio.run(drive())


def test_no_more_columns_than_a_table_may_have() -> None:
    async def drive() -> None:
        params = {f"p{number:03d}": str(number) for number in range(COLUMNS_MAX + 9)}
        async with opened(Box([make_run(1, "wide", params=params)]), size=(120, 40)) as (app, pilot):
            await press(pilot, "c", "slash", *"param:p", "enter", *(["space", "down"] * (COLUMNS_MAX + 2)))
            assert f"at most {COLUMNS_MAX}" in screen_text(app)
            await press(pilot, "escape", "escape")
            front = app.front
            assert isinstance(front, RunsScreen)

    asyncio.run(drive())
