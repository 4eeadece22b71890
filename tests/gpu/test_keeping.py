"""A sampler that hangs, dies or is not wanted any more: what is said, and that it comes back."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from console.daemon import sampler_keeping
from console.daemon.sampler_keeping import HUNG, STARTING, SamplerKeeping
from store import identity
from tests.support import WAIT_S

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.gpu.driver import Driver


class Kept:
    """A sampler under the hand of the test, and what came of it."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.reports: list[str] = []
        self.keeping = SamplerKeeping(self.lines.append, self.reports.append)

    async def until(self, look: Callable[[], Any], *, wanted: bool = True) -> None:
        """Tick until something is so."""
        deadline_s = time.monotonic() + WAIT_S
        while not look():
            assert time.monotonic() < deadline_s, (self.keeping.reason, self.reports)
            self.keeping.tick(wanted=wanted)
            await asyncio.sleep(0.02)


def kept(scene: Callable[[Kept], Coroutine[Any, Any, None]]) -> None:
    """Play a scene on an event loop of its own."""

    async def play() -> None:
        here = Kept()
        try:
            await scene(here)
        finally:
            here.keeping.close()

    asyncio.run(play())


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds and minutes of patience as tenths."""
    monkeypatch.setattr(sampler_keeping, "STALLED_AFTER_S", 2.5)
    monkeypatch.setattr(sampler_keeping, "OPENING_S", 1.0)
    monkeypatch.setattr(sampler_keeping, "KILL_AFTER_S", 0.3)
    monkeypatch.setattr(sampler_keeping, "FIRST_PAUSE_S", 0.1)
    monkeypatch.setattr(sampler_keeping, "REFUSED_PAUSE_S", 0.1)


def test_one_that_is_killed_is_started_again(driver: Driver) -> None:
    driver.fill(1)

    async def scene(here: Kept) -> None:
        await here.until(lambda: here.lines)
        first = here.keeping.pid
        assert here.keeping.reason == ""
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await here.until(lambda: here.keeping.reason)
        assert here.keeping.reason == "the sampler ended (signal SIGKILL) and is started again"
        here.lines.clear()
        await here.until(lambda: here.lines)
        assert here.keeping.pid != first
        assert here.keeping.reason == ""
        assert len(here.reports) == 1

    kept(scene)


def test_one_that_hangs_is_said_to_be_stalled_then_killed_then_replaced(driver: Driver) -> None:
    driver.fill(1)

    async def scene(here: Kept) -> None:
        await here.until(lambda: here.lines)
        first = here.keeping.pid
        assert first is not None
        assert here.keeping.stalled_s is None
        os.kill(first, signal.SIGSTOP)
        await here.until(lambda: here.keeping.stalled_s)
        assert here.keeping.pid == first
        await here.until(lambda: here.keeping.reason == HUNG)
        here.lines.clear()
        await here.until(lambda: here.lines)
        assert here.keeping.pid != first
        assert here.keeping.reason == ""
        assert here.keeping.stalled_s is None

    kept(scene)


def test_a_driver_that_does_not_open_is_said_to_be_stalled(driver: Driver) -> None:
    driver.fill(1)
    driver.say(-1, opening=60)

    async def scene(here: Kept) -> None:
        await here.until(lambda: here.keeping.stalled_s)
        assert here.keeping.reason == STARTING
        await here.until(lambda: here.keeping.reason == HUNG)
        driver.say(-1, opening=0)
        await here.until(lambda: here.lines)

    kept(scene)


def test_a_driver_that_refuses_is_tried_again_and_its_reason_stays(driver: Driver) -> None:
    driver.say(-1, init=9)

    async def scene(here: Kept) -> None:
        await here.until(here.keeping.heard.is_set)
        assert "not loaded" in here.keeping.reason
        await here.until(lambda: here.keeping.pid is None)
        await here.until(lambda: here.keeping.pid is not None)
        assert "not loaded" in here.keeping.reason
        assert here.reports == []
        driver.say(-1, init=0)
        driver.fill(1)
        await here.until(lambda: here.lines)
        assert here.keeping.reason == ""

    kept(scene)


def test_one_that_nobody_wants_ends_and_is_there_again_when_somebody_does(driver: Driver) -> None:
    driver.fill(1)

    async def scene(here: Kept) -> None:
        await here.until(lambda: here.lines)
        pid = here.keeping.pid
        await here.until(lambda: here.keeping.pid is None, wanted=False)
        assert pid is not None
        assert identity.identify(pid) is None
        here.lines.clear()
        await here.until(lambda: here.lines)
        assert here.reports == []

    kept(scene)


def test_without_a_driver_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.gpu.presence.reason_for_none", lambda *_: "no driver here")

    async def scene(here: Kept) -> None:
        await here.until(here.keeping.heard.is_set)
        assert (here.keeping.pid, here.keeping.reason) == (None, "no driver here")

    kept(scene)
