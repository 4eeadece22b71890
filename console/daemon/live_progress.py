"""How far the live runs are: what their logs say now, and the marks of earlier looks that tell their pace."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from console.daemon import progress
from console.daemon.progress import REASON, TAIL_BYTES, Left, Mark
from store import derive, paths

if TYPE_CHECKING:
    from console.triage import Progress
    from store.queries.run_table import RunEntry

MARKS_MAX: Final = 200
MARK_EVERY_S: Final = 2.0
RUNS_MAX: Final = 200


class Look(NamedTuple):
    """What is known of one run."""

    attempt: int
    log_size_bytes: int
    progress: Progress | None
    marks: deque[Mark]


class Known(NamedTuple):
    """How far a run is, and how long it still takes."""

    progress: Progress | None
    reason: str
    left: Left


class LiveProgress:
    """For any thread."""

    def __init__(self, home: str) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._looks: dict[str, Look] = {}

    def look(self, entry: RunEntry, now_s: float, typical_s: float | None) -> Known:
        """Read the end of the log when it has grown."""
        elapsed_s = max(0.0, now_s - (entry.started_at_s or now_s))
        if entry.tracker:
            return Known(None, "n/a: an imported run has no log here", progress.time_left((), elapsed_s, typical_s))
        with self._lock:
            found = self._look_at(entry, now_s)
            return Known(
                found.progress,
                "" if found.progress is not None else f"n/a: {REASON}",
                progress.time_left(tuple(found.marks), elapsed_s, typical_s),
            )

    def _look_at(self, entry: RunEntry, now_s: float) -> Look:
        before = self._looks.get(entry.id)
        if before is None or before.attempt != entry.attempt:
            before = Look(entry.attempt, -1, None, deque(maxlen=MARKS_MAX))
        size, tail = end_of(derive.log_path(paths.run_dir(self._home, entry.id)), before.log_size_bytes)
        if tail is None:
            return before
        said = progress.progress_of(tail) or before.progress
        found = Look(entry.attempt, size, said, before.marks)
        self._looks.pop(entry.id, None)
        self._looks[entry.id] = found
        if len(self._looks) > RUNS_MAX:
            del self._looks[next(iter(self._looks))]
        if said is not None:
            put_mark(found.marks, Mark(now_s, said.done / said.total))
        return found


def put_mark(marks: deque[Mark], mark: Mark) -> None:
    """Add a mark; a fraction that went back begins anew, as the run has begun something else, and so does a clock."""
    if marks and (mark.fraction < marks[-1].fraction or mark.at_s < marks[-1].at_s):
        marks.clear()
    if not marks or (mark.fraction > marks[-1].fraction and mark.at_s - marks[-1].at_s >= MARK_EVERY_S):
        marks.append(mark)


def end_of(path: str, known_size: int) -> tuple[int, bytes | None]:
    """Size and end of a log; no bytes when it is as large as is known, or cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return known_size, None
    try:
        size = os.fstat(descriptor).st_size
        if size == known_size:
            return size, None
        return size, os.pread(descriptor, TAIL_BYTES, max(0, size - TAIL_BYTES))
    except OSError:
        return known_size, None
    finally:
        os.close(descriptor)
