"""Sends what changes something to the daemon, each on a thread and a connection of its own.

The courier may drop what waits, and a look at data must not wait for a run to be packed: so acts do not go with it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from console.tui.courier import Request, answer, deliver
from console.tui.messages import ActFailed, RequestFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.message_pump import MessagePump

    from console.tui.courier import Call, ClientFactory

UNDER_WAY_MAX: Final = 8
REPEAT_S: Final = 0.3
"""The same act again within this time after its end was a key that was pressed twice."""


class Acts:
    """`send` belongs to the event loop; the threads speak by message."""

    def __init__(self, client_factory: ClientFactory, monotonic: Callable[[], float]) -> None:
        self._client_factory = client_factory
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._under_way: set[str] = set()
        self._last = ("", -REPEAT_S)
        """The act that went well last, and when."""

    @property
    def busy(self) -> bool:
        """An answer is still to come."""
        with self._lock:
            return bool(self._under_way)

    def send(
        self, kind: str, failing: str, reply_to: MessagePump, call: Call, *, form: MessagePump | None = None
    ) -> str:
        """Begin; returns why not, or an empty text.

        What `call` makes, or ActFailed, goes to `form` while that is open, else to `reply_to`; `failing` completes
        "could not ...".
        """
        with self._lock:
            kind_ended, ended_at_s = self._last
            if kind in self._under_way:
                return "that is under way"
            if kind == kind_ended and self._monotonic() - ended_at_s < REPEAT_S:
                return "that was done just now: press the key again to do it once more"
            if len(self._under_way) >= UNDER_WAY_MAX:
                return f"{UNDER_WAY_MAX} things are under way already: wait until one has ended"
            self._under_way.add(kind)

        def do() -> None:
            client = self._client_factory()
            message = answer(client, Request(kind, reply_to, call))
            client.close()
            if isinstance(message, RequestFailed):
                message = ActFailed(kind, failing, message.reason, message.hint)
            if form is None or not deliver(form, message):
                deliver(reply_to, message)
            with self._lock:
                self._under_way.discard(kind)
                if not isinstance(message, ActFailed):
                    self._last = (kind, self._monotonic())

        threading.Thread(target=do, name="footplate-act", daemon=True).start()
        return ""
