"""What a key brings is painted when it is there, without waiting for the next frame."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from console.tui.screens.base import FootplateScreen
from tests.tui.pilots import QUICK, opened, send, until
from tests.tui.stand_in import example_box

if TYPE_CHECKING:
    from console.tui.app import FootplateApp
    from console.tui.terminal import TerminalProfile

OVER_A_LINE = replace(QUICK, frames_per_second=15)


def stop_the_clock(app: FootplateApp, monkeypatch: pytest.MonkeyPatch) -> tuple[FootplateScreen, list[Any]]:
    """No frame is due from now on; returns the screen and what is sent to the terminal nevertheless."""
    screen = app.screen
    assert isinstance(screen, FootplateScreen)
    screen._update_timer.pause()
    monkeypatch.setattr(screen._update_timer, "resume", lambda: None)
    sent: list[Any] = []
    display = app._display

    def record(*arguments: Any) -> None:
        sent.append(arguments)
        display(*arguments)

    monkeypatch.setattr(app, "_display", record)
    return screen, sent


@pytest.mark.parametrize("profile", [QUICK, OVER_A_LINE], ids=["local", "over a line"])
def test_a_key_is_answered_between_two_frames(profile: TerminalProfile, monkeypatch: pytest.MonkeyPatch) -> None:
    async def drive() -> None:
        async with opened(example_box(), profile=profile) as (app, pilot):
            screen, sent = stop_the_clock(app, monkeypatch)
            screen._painted_at_s = 0.0
            send(pilot, "j")
            await until(pilot, lambda: sent)

    asyncio.run(drive())


def test_what_nobody_waits_for_keeps_to_the_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drive() -> None:
        async with opened(example_box()) as (app, _):
            screen, sent = stop_the_clock(app, monkeypatch)
            screen._answers_until_s = time.monotonic() - 1
            screen.refresh()
            await asyncio.sleep(0.3)
            assert not sent

    asyncio.run(drive())


def test_keys_that_are_held_down_keep_to_the_frames_of_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drive() -> None:
        async with opened(example_box(), profile=OVER_A_LINE) as (app, pilot):
            screen, sent = stop_the_clock(app, monkeypatch)
            screen._painted_at_s = time.monotonic() + 3600
            send(pilot, "j")
            await asyncio.sleep(0.3)
            assert not sent

    asyncio.run(drive())


def test_facts_are_not_painted_for_rows_that_are_only_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drive() -> None:
        async with opened(example_box()) as (app, pilot):
            shown: list[str | None] = []
            screen: Any = app.screen
            monkeypatch.setattr(screen._glance, "_call", lambda: shown.append(screen._table.cursor_key))
            monkeypatch.setattr(screen._glance, "_wait_s", 0.5)
            send(pilot, "j", "j", "j", "k")
            await until(pilot, lambda: shown)
            assert shown == [screen._table.cursor_key]

    asyncio.run(drive())
