"""Drives an app in memory: a loop per test, waits that end when nothing is on its way or when something is true."""

from __future__ import annotations

import asyncio
import time
import unicodedata
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from textual import events
from textual.keys import REPLACED_KEYS, _character_to_key, _get_unicode_name_from_key

from console.client import Client
from console.tui.app import FootplateApp
from console.tui.courier import Courier, Feed
from console.tui.eight_bit import EightBit
from console.tui.terminal import TerminalProfile
from tests.tui.stand_in import Box, StandIn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from textual.app import App
    from textual.message_pump import MessagePump
    from textual.pilot import Pilot
    from textual.timer import Timer

    from console.tui.courier import ClientFactory, Request

WAIT_S = 30.0
POLL_S = 0.02
SOON_S = 0.4
"""A timer that fires once and within this time belongs to what was asked for; a later one is a notice that fades."""
CALM_PASSES = 5
"""Passes of the event loop in which nothing must be on its way."""
QUICK = TerminalProfile(change_interval_s=0.02, chart_interval_s=0.05, log_interval_s=0.02)
"""The paces of a terminal, shortened for tests that wait for what comes last."""


class Clock:
    """A time that passes when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class WatchedCourier(Courier):
    """Knows whether an answer is still to come."""

    _carrying = False

    def _take(self) -> Request | None:
        # The lock is given back while the call below waits.
        with self._wake:
            self._carrying = False
            request = super()._take()
            self._carrying = request is not None
            return request

    @property
    def busy(self) -> bool:
        """Some request has no answer yet that was posted."""
        with self._wake:
            by_express = isinstance(self._express, WatchedCourier) and self._express.busy
            return self._carrying or bool(self._waiting) or by_express


class WatchedApp(FootplateApp):
    """The app, with eyes on what it waits for."""

    CSS_PATH = FootplateApp.CSS_PATH

    def __init__(
        self,
        box: Box | None = None,
        *,
        client_factory: ClientFactory = Client,
        profile: TerminalProfile = QUICK,
        monotonic: Callable[[], float] = time.monotonic,
        opens_runs: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(
            client_factory=client_factory, profile=profile, monotonic=monotonic, opens_runs=opens_runs, **options
        )
        self.box = box
        self.seconds_counted = 0
        self.courier = WatchedCourier(client_factory)
        self.session.courier = self.courier

    def _count_seconds(self) -> None:
        super()._count_seconds()
        self.seconds_counted += 1

    def waits_for_the_daemon(self) -> bool:
        """A request or news of the box are on their way."""
        return (
            self.courier.busy
            or self.session.acts.busy
            or (self.box is not None and not self.box.away and not self._has_heard(self.box))
        )

    def _has_heard(self, box: Box) -> bool:
        feeds = [feed for pump in (self, *self.screen_stack) if isinstance(feed := getattr(pump, "_feed", None), Feed)]
        return all(box.heard.get(feed.view) == box.position for feed in feeds if not feed._stopped.is_set())


@asynccontextmanager
async def opened(
    box: Box,
    *,
    size: tuple[int, int] = (120, 40),
    profile: TerminalProfile = QUICK,
    monotonic: Callable[[], float] = time.monotonic,
    client: type[StandIn] = StandIn,
    opens_runs: bool = True,
    **options: Any,
) -> AsyncIterator[tuple[WatchedApp, Pilot[int]]]:
    """The app on a box, once its first data are shown, or its first failure to get any; `options` are the app's."""
    app = WatchedApp(
        box, client_factory=lambda: client(box), profile=profile, monotonic=monotonic, opens_runs=opens_runs, **options
    )
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.session.link.facts().link != "connecting")
        await until(pilot, lambda: box.away or app.session.link.status is not None)
        await settle(pilot)
        yield app, pilot


async def until(pilot: Pilot[Any], holds: Callable[[], object]) -> None:
    """Wait until something is true; fails after a while."""
    deadline_s = time.monotonic() + WAIT_S
    while not holds():
        if time.monotonic() > deadline_s:
            raise AssertionError("waited in vain:\n" + screen_text(pilot.app))
        await asyncio.sleep(POLL_S)


async def settle(pilot: Pilot[Any], *, timers: bool = True) -> None:
    """Wait until all that was asked for has been answered, handled and painted; without `timers`, do not wait for
    what comes after a pause."""
    app = pilot.app
    deadline_s = time.monotonic() + WAIT_S
    calm = 0
    while calm < CALM_PASSES and not app._exit:
        if time.monotonic() > deadline_s:
            raise AssertionError(f"never settled ({on_the_way(app, timers=timers)}):\n" + screen_text(app))
        what = on_the_way(app, timers=timers)
        calm = 0 if what else calm + 1
        if what == "a picture":
            # Paint now; the timer of the screen would do so within a sixtieth of a second.
            app.screen._on_timer_update()
        await asyncio.sleep(0.002 if what else 0)


def on_the_way(app: App[Any], *, timers: bool) -> str:
    """What is yet to be done; nothing when the picture will stay."""
    pumps: list[MessagePump] = [app, *app._registry]
    if any(works(pump) for pump in pumps):
        return "a message"
    screen = app.screen
    if screen._layout_required or screen._scroll_required or screen._repaint_required or screen._dirty_widgets:
        return "a picture"
    if screen._recompose_required or any(each._callbacks for each in app.screen_stack):
        return "a picture"
    if any(not worker.is_finished for worker in app.workers):
        return "a worker"
    animations_end: Any = app.animator._complete_event
    if not animations_end.is_set():
        return "a timer"
    if isinstance(app, WatchedApp) and app.waits_for_the_daemon():
        return "the daemon"
    if timers and any(is_due(timer) for pump in pumps for timer in pump._timers):
        return "a timer"
    return ""


def works(pump: MessagePump) -> bool:
    """It is on its way in or out, or does anything but wait for its next message."""
    more: Any = pump._message_queue.ready_event
    waits_for_more = bool(more._waiters) and not more.is_set()
    return not pump._closed and not (pump._is_mounted and waits_for_more and not pump._next_callbacks)


def is_due(timer: Timer) -> bool:
    """It fires once and soon."""
    task = timer._task
    return timer._repeat == 0 and timer._interval <= SOON_S and task is not None and not task.done()


async def press(pilot: Pilot[Any], *keys: str) -> None:
    """Press keys one after the other, each when the one before has been handled, then wait for what comes last."""
    for key in keys:
        send(pilot, key)
        await settle(pilot, timers=False)
    await settle(pilot)


def send(pilot: Pilot[Any], *keys: str) -> None:
    """Press keys without a wait, for screens that never stand still."""
    for key in keys:
        pilot.app.post_message(key_event(key))


def key_event(key: str) -> events.Key:
    """What a terminal's driver makes of a key, without the fixed wait of Textual's pilot."""
    name = _character_to_key(key) if len(key) == 1 and not key.isalnum() else key
    try:
        character = unicodedata.lookup(_get_unicode_name_from_key(REPLACED_KEYS.get(name, name)))
    except KeyError:
        character = name if len(name) == 1 else ""
    return events.Key(name, character or None)


def run(test: Callable[[], Coroutine[None, None, None]]) -> None:
    """A test is a coroutine; pytest has no loop of its own."""
    asyncio.run(test())


def screen_lines(app: App[Any]) -> list[list[tuple[str, str]]]:
    """The screen as painted: per line, pieces of text with their style."""
    lines = []
    for strip in app.screen._compositor.render_strips():
        pieces: list[tuple[str, str]] = []
        for segment in strip:
            style = segment.style.without_color + segment.style if segment.style else None
            pieces.append((segment.text, str(style) if style else ""))
        lines.append(pieces)
    return lines


def screen_text(app: App[Any]) -> str:
    """The screen as painted, without styles."""
    return "\n".join(strip.text.rstrip() for strip in app.screen._compositor.render_strips())


async def paint_in_256_colours(app: FootplateApp, pilot: Pilot[Any], *, on: bool = True) -> None:
    """Go on as on a terminal that has no more colours, or as on one that has."""
    app._in_256_colours = EightBit() if on else None
    for screen in app.screen_stack:
        for widget in screen.walk_children(with_self=True):
            widget.refresh()
    await settle(pilot)
