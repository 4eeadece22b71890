"""When the garbage collector looks through everything: while nobody types, as it takes longer than a key may."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

THRESHOLDS: Final = (10_000, 20, 10_000)
"""See gc.set_threshold: young objects as ever; a look at the oldest comes from here."""
REST_S: Final = 5.0
"""Without a key for so long, nobody types."""
EVERY_S: Final = 60.0
AT_THE_LATEST_S: Final = 600.0
"""Somebody who never rests is disturbed once in so long, lest memory grows."""


class Collecting:
    """One for the life of the app."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._pressed_at_s = self._collected_at_s = monotonic()

    def begin(self) -> None:
        """The first frame is painted: what was made for it stays, so the collector need not look at it again."""
        gc.freeze()
        gc.set_threshold(*THRESHOLDS)
        gc.enable()

    def pressed(self) -> None:
        """Somebody types."""
        self._pressed_at_s = self._monotonic()

    def tick(self) -> bool:
        """Collect if this is a good moment; returns whether it was."""
        now_s = self._monotonic()
        since_s, rests = now_s - self._collected_at_s, now_s - self._pressed_at_s >= REST_S
        if since_s < (EVERY_S if rests else AT_THE_LATEST_S):
            return False
        self._collected_at_s = now_s
        gc.collect()
        return True
