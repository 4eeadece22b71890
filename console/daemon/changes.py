"""Who must look again: positions that grow whenever what a view shows has changed."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from console.protocol import Change

if TYPE_CHECKING:
    from collections.abc import Iterable

ANSWER_AFTER_S: Final = 5.0
"""A call is answered after this long even when nothing changed: clients see by it that the daemon lives."""
SPACING_S: Final = 0.25
"""Changes are told at most four times a second."""


class Changes:
    """Positions by view. Lives on the event loop; only what says so may be called from other threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # Positions of a later daemon are above those of this one, unless the clock was set back: see `wait`.
        self._position = self._first = time.time_ns() // 1000
        self._views: dict[str, int] = {}
        self._pending: set[str] = set()
        self._flush_at_s = 0.0
        self._scheduled = False
        self._told = asyncio.Event()
        self._armed: set[str] = set()
        """Views that will be told by themselves."""

    @property
    def position(self) -> int:
        """Where every view is now at the latest."""
        return self._position

    def tell(self, views: Iterable[str]) -> None:
        """What these views show has changed; from any thread."""
        named = set(views)
        if named:
            self._loop.call_soon_threadsafe(self._collect, named)

    def position_of(self, view: str) -> int:
        """Where a view is now; from any thread."""
        return self._views.get(view, self._first)

    def tell_later(self, view: str, after_s: float) -> None:
        """Tell a view after a while, once however often that was asked for meanwhile; from any thread."""
        self._loop.call_soon_threadsafe(self._arm, view, after_s)

    def _arm(self, view: str, after_s: float) -> None:
        if view not in self._armed:
            self._armed.add(view)
            self._loop.call_later(max(0.0, after_s), self._fire, view)

    def _fire(self, view: str) -> None:
        self._armed.discard(view)
        self._collect({view})

    def wake_all(self) -> None:
        """Answer every waiting call now; for the end of the daemon."""
        self._told.set()

    async def wait(self, view: str, since: int) -> Change:
        """Answer once `view` is past `since`."""
        deadline_s = self._loop.time() + ANSWER_AFTER_S
        while True:
            # A position that we never gave came from another daemon: what it showed may be anything.
            if since > self._position or since < self._views.get(view, self._first):
                return Change(self._position, changed=True)
            left_s = deadline_s - self._loop.time()
            if left_s <= 0:
                return Change(self._position, changed=False)
            told = self._told
            try:
                async with asyncio.timeout(left_s):
                    await told.wait()
            except TimeoutError:
                return Change(self._position, changed=False)
            if told.is_set() and told is self._told:
                return Change(self._position, changed=False)

    def _collect(self, views: set[str]) -> None:
        self._pending |= views
        if self._scheduled:
            return
        self._scheduled = True
        self._loop.call_at(max(self._flush_at_s, self._loop.time()), self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        self._flush_at_s = self._loop.time() + SPACING_S
        self._position += 1
        self._views.update(dict.fromkeys(self._pending, self._position))
        self._pending = set()
        told, self._told = self._told, asyncio.Event()
        told.set()

    def forget(self, view: str) -> None:
        """Drop a view that nobody will ask for, such as that of a removed run."""
        self._views.pop(view, None)
