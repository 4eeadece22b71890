"""Spreads what happens often over time: at most one call in an interval, and always one after the last wish."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.message_pump import MessagePump
    from textual.timer import Timer


class Pace:
    """Calls at once when the last call is long enough ago, else once when it will be."""

    def __init__(
        self, owner: MessagePump, interval_s: float, call: Callable[[], None], monotonic: Callable[[], float]
    ) -> None:
        self._owner = owner
        self._interval_s = interval_s
        self._call = call
        self._monotonic = monotonic
        self._last_s = -float("inf")
        self._timer: Timer | None = None

    def soon(self) -> None:
        """Wish for a call."""
        wait_s = self._last_s + self._interval_s - self._monotonic()
        if wait_s <= 0:
            if self._timer is not None:
                self._timer.stop()  # it is late
            self._run()
        elif self._timer is None:
            self._timer = self._owner.set_timer(wait_s, self._run)

    def forget(self, wait_s: float = 0.0) -> None:
        """The next wish is of another kind and need not wait, or not longer than that."""
        self._last_s = self._monotonic() + wait_s - self._interval_s if wait_s else -float("inf")
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _run(self) -> None:
        self._timer = None
        self._last_s = self._monotonic()
        self._call()


class Pause:
    """Calls once when a person has paused: each wish starts the wait anew."""

    def __init__(self, owner: MessagePump, wait_s: float, call: Callable[[], None]) -> None:
        self._owner = owner
        self._wait_s = wait_s
        self._call = call
        self._timer: Timer | None = None

    def soon(self) -> None:
        """Wish for a call."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._owner.set_timer(self._wait_s, self._run)

    def cancel(self) -> None:
        """Wish for nothing."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _run(self) -> None:
        self._timer = None
        self._call()
