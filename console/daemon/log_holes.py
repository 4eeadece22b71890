"""Holes in a log: stretches without disk space, which the log limit leaves behind. They are found, never read."""

from __future__ import annotations

import os
from bisect import bisect_right
from typing import Final, NamedTuple

HOLES_MAX: Final = 1000
"""A log limit makes one hole; what a program that writes sparse files makes of its log is not counted for ever."""
LIMIT_HOLE_START: Final = 1 << 20
"""Where the hole of a log limit begins, see `console.jobs.log_limit`."""


class Hole(NamedTuple):
    """One hole, from `start` to before `end`."""

    start: int
    end: int

    @property
    def text(self) -> str:
        """What is shown in its place, as one line."""
        size = self.end - self.start
        amount = f"{size / (1 << 20):.1f} MiB" if size >= 1 << 20 else f"{size / 1024:.1f} KiB"
        if self.start == LIMIT_HOLE_START:
            return f"… {amount} cut out here (log limit) …"
        return f"… {amount} of nothing here (a hole in the file) …"


class Holes:
    """The holes of one open file, as they were when this was made."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._holes = find(descriptor, size)
        self._starts = [hole.start for hole in self._holes]

    def at(self, offset: int) -> Hole | None:
        """The hole that this byte lies in."""
        index = bisect_right(self._starts, offset) - 1
        return self._holes[index] if index >= 0 and offset < self._holes[index].end else None

    def floor(self, offset: int) -> int:
        """Where the data that ends at or holds `offset` begins: the end of the last hole before it."""
        index = bisect_right(self._starts, max(0, offset - 1)) - 1
        return self._holes[index].end if index >= 0 else 0

    def ceiling(self, offset: int, size: int) -> int:
        """Where the data at `offset` ends: the start of the next hole, at most `size`."""
        index = bisect_right(self._starts, offset)
        return min(self._starts[index], size) if index < len(self._starts) else size


def find(descriptor: int, size: int) -> list[Hole]:
    """The holes of a file up to `size` (lseek(2), SEEK_HOLE); none where the file system cannot tell."""
    holes: list[Hole] = []
    position = 0
    while position < size and len(holes) < HOLES_MAX:
        try:
            start = os.lseek(descriptor, position, os.SEEK_HOLE)
            if start >= size:
                break
            try:
                end = min(size, os.lseek(descriptor, start, os.SEEK_DATA))
            except OSError:  # ENXIO: no data behind it
                end = size
        except OSError:
            break
        holes.append(Hole(start, end))
        position = end
    return holes
