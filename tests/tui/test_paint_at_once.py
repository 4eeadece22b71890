"""What a key brings is painted when it is there, without waiting for the next frame."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from textual._compositor import LayoutUpdate

from console.tui.screens import base
from console.tui.screens.base import FootplateScreen
from tests.tui.pilots import QUICK, opened, press, send, until
from tests.tui.stand_in import example_box

if TYPE_CHECKING:
    from console.tui.app import FootplateApp
    from console.tui.terminal import TerminalProfile

OVER_A_LINE = QUICK._replace(frames_per_second=15)


def record(app: FootplateApp, monkeypatch: pytest.MonkeyPatch) -> tuple[FootplateScreen, list[Any]]:
    """The screen, and what is sent to the terminal from now on."""
    screen = app.screen
    assert isinstance(screen, FootplateScreen)
    sent: list[Any] = []
    display = app._display

    def send_and_note(*arguments: Any) -> None:
        sent.append(arguments)
        display(*arguments)

    monkeypatch.setattr(app, "_display", send_and_note)
    return screen, sent


def stop_the_clock(app: FootplateApp, monkeypatch: pytest.MonkeyPatch) -> tuple[FootplateScreen, list[Any]]:
    """The same; no frame is due from now on."""
    screen, sent = record(app, monkeypatch)
    screen._update_timer.pause()
    monkeypatch.setattr(screen._update_timer, "resume", lambda: None)
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


def test_what_a_key_changes_besides_is_painted_with_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drive() -> None:
        async with opened(example_box()) as (app, pilot):
            screen, sent = record(app, monkeypatch)
            screen._held_until_s = time.monotonic() + 3600
            send(pilot, "j")
            await asyncio.sleep(0.3)
            assert not sent
            await screen.release()
            await until(pilot, lambda: sent)

    asyncio.run(drive())


@pytest.mark.parametrize("query", ["state:failed", "lr <"])
def test_an_answer_good_or_bad_ends_the_wait(query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "HOLD_S", 3600.0)

    async def drive() -> None:
        async with opened(example_box()) as (app, pilot):
            screen: Any = app.screen
            await press(pilot, "slash", *query)
            held: list[float] = []
            hold = screen.hold

            def recorded() -> None:
                hold()
                held.append(screen._held_until_s)

            monkeypatch.setattr(screen, "hold", recorded)
            send(pilot, "enter")
            await until(pilot, lambda: held and screen._held_until_s == 0.0)

    asyncio.run(drive())


def test_a_focus_that_moves_does_not_send_the_whole_screen_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drive() -> None:
        async with opened(example_box()) as (app, pilot):
            await press(pilot, "enter")
            _, sent = record(app, monkeypatch)
            before = app.focused
            await press(pilot, "tab")
            assert app.focused is not before
            assert sent
            assert not [renderable for _, renderable in sent if isinstance(renderable, LayoutUpdate)]

    asyncio.run(drive())
