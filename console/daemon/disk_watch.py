"""How full the disk is and when it will be, from samples that are taken while somebody looks."""

from __future__ import annotations

import shutil
import threading
from collections import deque
from itertools import pairwise
from typing import Final, NamedTuple

from console.daemon.needs import Disk

SAMPLE_EVERY_S: Final = 60.0
SAMPLES_MAX: Final = 24 * 60
MEASURED_MIN_S: Final = 600.0
"""A shorter stretch tells nothing about the hours to come."""
FALLS_MIN: Final = 0.8
"""The free space must fall in so large a part of the stretch: one large file is no trend."""


class Sample(NamedTuple):
    """What was free at a moment (monotonic seconds)."""

    at_s: float
    free_bytes: int


class DiskWatch:
    """For any thread."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._samples: deque[Sample] = deque(maxlen=SAMPLES_MAX)

    def look(self, now_s: float) -> Disk | None:
        """As it is now; None when it could not be read. `now_s` is monotonic."""
        try:
            usage = shutil.disk_usage(self._path)
        except OSError:
            return None
        # As df counts: what is reserved for root is neither used nor free for us.
        reachable = usage.used + usage.free
        if not reachable:
            return None
        with self._lock:
            if not self._samples or now_s - self._samples[-1].at_s >= SAMPLE_EVERY_S:
                self._samples.append(Sample(now_s, usage.free))
            samples = list(self._samples)
        measured_s = now_s - samples[0].at_s
        return Disk(self._path, 100.0 * usage.used / reachable, usage.free, full_in_s(samples), measured_s)


def full_in_s(samples: list[Sample]) -> float | None:
    """When the free space comes to its end if it goes on as in the second half of the samples. Pure.

    None while it does not fall, falls only by a jump, or was not measured for long enough.
    """
    if not samples or samples[-1].at_s - samples[0].at_s < MEASURED_MIN_S:
        return None
    half_s = (samples[0].at_s + samples[-1].at_s) / 2
    recent = [sample for sample in samples if sample.at_s >= half_s]
    first, last = recent[0], recent[-1]
    fallen, took_s = first.free_bytes - last.free_bytes, last.at_s - first.at_s
    pairs = list(pairwise(recent))
    falls = sum(later.free_bytes < before.free_bytes for before, later in pairs)
    if fallen <= 0 or took_s <= 0 or len(pairs) < 3 or falls < FALLS_MIN * len(pairs):
        return None
    return last.free_bytes * took_s / fallen
