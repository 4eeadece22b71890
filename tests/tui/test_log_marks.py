"""Keys that go to errors and warnings in the log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from console.tui.widgets.log_pane import LogPane
from tests.tui.pilots import opened, press, screen_text, until
from tests.tui.stand_in import example_box

if TYPE_CHECKING:
    from console.tui.app import FootplateApp

TO_R218 = ("down", "down", "down", "enter")
LOG = b"".join(
    b"step %d\n" % n
    + (b"ValueError: first\n" if n == 100 else b"UserWarning: careful\n" if n == 150 else b"")
    + (b"ERROR second\n" if n == 300 else b"")
    for n in range(400)
)


def hit(app: FootplateApp) -> int | None:
    return app.screen.query_one(LogPane).view._hit_bytes


def test_errors_and_warnings_are_gone_to_one_by_one_and_round_the_ends() -> None:
    async def drive() -> None:
        box = example_box()
        box.logs[box.details[0].row.id] = LOG
        async with opened(box) as (app, pilot):
            await press(pilot, *TO_R218, "e")
            await until(pilot, lambda: "ValueError: first" in screen_text(app))
            assert "went on at the top" in screen_text(app), "the end was in view"
            await press(pilot, "e")
            await until(pilot, lambda: "ERROR second" in screen_text(app))
            await press(pilot, "E")
            await until(pilot, lambda: hit(app) == LOG.index(b"ValueError"))
            await press(pilot, "w")
            await until(pilot, lambda: hit(app) == LOG.index(b"UserWarning"))
            await press(pilot, "E", "E")
            await until(pilot, lambda: hit(app) == LOG.index(b"ERROR second"))
            await press(pilot, "f", "E")
            await until(pilot, lambda: hit(app) == LOG.index(b"ERROR second"))

    asyncio.run(drive())


def test_that_there_is_none_is_said() -> None:
    async def drive() -> None:
        box = example_box()
        box.logs[box.details[0].row.id] = b"all is well\n"
        async with opened(box) as (app, pilot):
            await press(pilot, *TO_R218, "e")
            await until(pilot, lambda: "no line tells of an error" in screen_text(app))
            await press(pilot, "W")
            await until(pilot, lambda: "no line tells of a warning" in screen_text(app))

    asyncio.run(drive())
