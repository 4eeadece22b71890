"""What is dear to work out is worked out only so often that it takes a small part of one processor."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

REST_RATIO: Final = 20.0
"""After it was worked out, it rests for so many times as long as that took: at most a twentieth of the time is work."""
REST_MAX_S: Final = 10.0
"""A machine that is busy with something else makes no picture older than this."""
KEYS_MAX: Final = 100
Value = TypeVar("Value")


class Known(NamedTuple, Generic[Value]):
    """What was worked out."""

    value: Value
    version: int
    """Of what it was worked out from."""
    until_s: float
    """Until then it is not worked out anew, whatever changes."""


class Paced(Generic[Value]):
    """Keeps the last value by a key; for any thread.

    A value that was worked out from the present version counts for `least_s`, and from an older one for as long as it
    rests; then whoever got it is to be told when it pays to ask again.
    """

    def __init__(
        self,
        least_s: float,
        version: Callable[[], int],
        tell_later: Callable[[float], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._least_s = least_s
        self._version = version
        self._tell_later = tell_later
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: dict[object, Known[Value]] = {}

    def get(self, make: Callable[[], Value], key: object = None) -> Value:
        """The last value, or a new one."""
        began_s, version = self._monotonic(), self._version()
        with self._lock:
            known = self._known.get(key)
        if known is not None and began_s < known.until_s:
            if known.version != version:
                self._tell_later(known.until_s - began_s)
            return known.value
        value = make()
        ended_s = self._monotonic()
        until_s = ended_s + max(self._least_s, min(REST_MAX_S, REST_RATIO * (ended_s - began_s)))
        with self._lock:
            self._known.pop(key, None)
            while len(self._known) >= KEYS_MAX:
                del self._known[next(iter(self._known))]
            self._known[key] = Known(value, version, until_s)
        return value

    def forget(self) -> None:
        """What was worked out counts no more."""
        with self._lock:
            self._known.clear()
