"""Drives the app in memory: a loop per test, waits that end when something is true."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from console.tui.app import FootplateApp
from console.tui.terminal import TerminalProfile
from tests.tui.stand_in import Box, StandIn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from textual.pilot import Pilot

WAIT_S = 15.0
QUICK = TerminalProfile(change_interval_s=0.02, chart_interval_s=0.05, log_interval_s=0.02)
"""The paces of a terminal, shortened for tests that wait for what comes last."""


@asynccontextmanager
async def opened(
    box: Box,
    *,
    size: tuple[int, int] = (120, 40),
    profile: TerminalProfile | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> AsyncIterator[tuple[FootplateApp, Pilot[int]]]:
    """The app on a box, once its first data are shown, or its first failure to get any."""
    app = FootplateApp(client_factory=lambda: StandIn(box), profile=profile or QUICK, monotonic=monotonic)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.session.link.facts().link != "connecting")
        await until(pilot, lambda: box.away or app.session.link.status is not None)
        await settle(pilot)
        yield app, pilot


async def until(pilot: Pilot[int], holds: Callable[[], object]) -> None:
    """Wait until something is true; fails after a while."""
    deadline_s = time.monotonic() + WAIT_S
    while not holds():
        if time.monotonic() > deadline_s:
            raise AssertionError("waited in vain:\n" + screen_text(pilot.app))
        await pilot.pause(0.02)


async def settle(pilot: Pilot[int]) -> None:
    """Wait until the picture has not changed for a while."""
    before, same = "", 0
    for _ in range(100):
        await pilot.pause(0.04)
        now = screen_text(pilot.app)
        same = same + 1 if now == before else 0
        before = now
        if same >= 5:
            return


async def press(pilot: Pilot[int], *keys: str) -> None:
    """Press keys one after the other, then wait until the picture stands still."""
    for key in keys:
        await pilot.press(key)
        await pilot.pause()
    await settle(pilot)


def run(test: Callable[[], Coroutine[None, None, None]]) -> None:
    """A test is a coroutine; pytest has no loop of its own."""
    asyncio.run(test())


def screen_lines(app: object) -> list[list[tuple[str, str]]]:
    """The screen as painted: per line, pieces of text with their style."""
    assert isinstance(app, FootplateApp)
    lines = []
    for strip in app.screen._compositor.render_strips():
        pieces: list[tuple[str, str]] = []
        for segment in strip:
            style = segment.style.without_color + segment.style if segment.style else None
            pieces.append((segment.text, str(style) if style else ""))
        lines.append(pieces)
    return lines


def screen_text(app: object) -> str:
    """The screen as painted, without styles."""
    return "\n".join("".join(text for text, _ in line).rstrip() for line in screen_lines(app))
