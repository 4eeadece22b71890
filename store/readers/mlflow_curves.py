"""Metric files of MLflow's file store: a line a point, only ever added to. Standard library only.

    milliseconds SPACE value [SPACE step [SPACE dataset SPACE digest]] LF         no LF yet: still being written

Long files are not read whole to learn where a metric stands: their newest points are at the end, unless steps were
logged backwards.
"""

from __future__ import annotations

import os
from math import isfinite
from typing import TYPE_CHECKING, Final, NamedTuple

from store.readers.foreign import STEP_LIMIT, Column, MetricFinal, Tally
from store.readers.mlflow_facts import TIME_LIMIT_MS

if TYPE_CHECKING:
    from store.readers.foreign import ForeignRun

WHOLE_MAX_BYTES: Final = 64 << 10
TAIL_BYTES: Final = 16 << 10
PIECE_BYTES: Final = 1 << 20
"""A line longer than this is none, and what is behind it is not looked for."""


class CurveFile(NamedTuple):
    """A metric file as it was when its folder was listed."""

    path: str
    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: str, facts: os.stat_result) -> CurveFile:
        """A file that `stat` told of."""
        return cls(path, facts.st_ino, facts.st_size, facts.st_mtime_ns)

    @property
    def signature(self) -> str:
        """Tells it from what it was."""
        return f"{self.inode}:{self.size}:{self.modified_ns}"

    def read(self, start: int, most: int) -> bytes:
        """Bytes from `start`. Raises OSError."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            return os.pread(descriptor, most, start)
        finally:
            os.close(descriptor)


class Curve:
    """One metric file that is read to its end, piece by piece."""

    __slots__ = ("inode", "is_damaged", "offset", "tally", "top")

    def __init__(self, inode: int) -> None:
        self.inode = inode
        self.offset = 0
        self.tally = Tally()
        self.top: tuple[int, int, float] | None = None
        self.is_damaged = False

    def continues(self, file: CurveFile) -> bool:
        """Whether the file is the one that was read, or that with more at its end."""
        return file.inode == self.inode and file.size >= self.offset

    def read(self, file: CurveFile, run: ForeignRun, column: Column) -> int:
        """Put the next points into the column; how many bytes that were, 0 at the end."""
        if self.is_damaged or self.offset >= file.size:
            return 0
        try:
            data = file.read(self.offset, PIECE_BYTES)
        except OSError as error:
            run.trouble(f"{_name(file, run)} cannot be read: {error.strerror}")
            return 0
        end = data.rfind(b"\n") + 1
        if not end:
            if len(data) == PIECE_BYTES:
                self.is_damaged = True
                run.trouble(f"{_name(file, run)}: at byte {self.offset} begins a line that does not end")
            return 0
        self.offset += end
        points, bad = parse(data[:end])
        if bad:
            run.trouble(f"{_name(file, run)}: {bad} lines are not `milliseconds value step`")
        if points.steps:
            self.tally.add(points)
            newest = max(zip(*points, strict=True))
            self.top = newest if self.top is None else max(self.top, newest)
            column.steps.extend(points.steps)
            column.at_us.extend(points.at_us)
            column.values.extend(points.values)
        return end

    def final(self) -> MetricFinal:
        """Where it stands; there must be a point."""
        assert self.top is not None
        step, at_us, value = self.top
        return self.tally.final()._replace(last=value, last_step=step, last_at_us=at_us)


def no_points() -> Column:
    """An empty column."""
    return Column([], [], [])


def final_of(file: CurveFile, run: ForeignRun) -> MetricFinal | None:
    """Where a metric stands by its file alone; None when there is no point yet.

    As MLflow says it: the highest step, of those the latest date, of those the highest value.
    """
    is_whole = file.size <= WHOLE_MAX_BYTES
    try:
        data = file.read(0, WHOLE_MAX_BYTES) if is_whole else file.read(file.size - TAIL_BYTES, TAIL_BYTES)
    except OSError as error:
        run.trouble(f"{_name(file, run)} cannot be read: {error.strerror}")
        return None
    begin = 0 if is_whole else data.find(b"\n") + 1
    points, bad = parse(data[begin : data.rfind(b"\n") + 1])
    if bad or (not is_whole and not points.steps):
        run.trouble(f"{_name(file, run)}: {bad or 'its last'} lines are not `milliseconds value step`")
    if not points.steps:
        return None
    steps, at_us, values = points
    top = max(steps)
    if steps.count(top) == 1:
        place = steps.index(top)
        last = MetricFinal(values[place], top, at_us[place], None, None, 0)
    else:
        step, at, value = max(zip(*points, strict=True))
        last = MetricFinal(value, step, at, None, None, 0)
    if not is_whole:
        return last
    finite = values if all(map(isfinite, values)) else list(filter(isfinite, values))
    if not finite:
        return last._replace(point_count=len(values))
    return MetricFinal(last.last, top, last.last_at_us, min(finite), max(finite), len(values))


def parse(data: bytes) -> tuple[Column, int]:
    """The points of whole lines, and how many lines are none."""
    words = data.split()
    lines = data.count(b"\n")
    if len(words) == 3 * lines:
        try:
            times, values, steps = (
                list(map(int, words[::3])),
                list(map(float, words[1::3])),
                list(map(int, words[2::3])),
            )
        except ValueError:
            pass
        else:
            if not lines or (_all_below(times, TIME_LIMIT_MS) and _all_below(steps, STEP_LIMIT)):
                return Column(steps, [at_ms * 1000 for at_ms in times], values), 0
    column, bad = no_points(), 0
    for line in data.split(b"\n")[:-1]:
        parts = line.split()
        try:
            at_ms, value, step = int(parts[0]), float(parts[1]), int(parts[2]) if len(parts) > 2 else 0
        except (ValueError, IndexError):
            bad += 1
            continue
        if abs(at_ms) >= TIME_LIMIT_MS or abs(step) >= STEP_LIMIT:
            bad += 1
            continue
        column.steps.append(step)
        column.at_us.append(at_ms * 1000)
        column.values.append(value)
    return column, bad


def _all_below(numbers: list[int], limit: int) -> bool:
    return -limit < min(numbers) and max(numbers) < limit


def _name(file: CurveFile, run: ForeignRun) -> str:
    return os.path.relpath(file.path, run.path)
