"""What readers of foreign trackers hand on: runs as their tracker tells of them. Standard library only.

A reader is a module with

    TRACKER                                   its name in `ForeignRun.tracker`
    found_in(folder, files, folders)          paths that it reads as one source each, by the names in one folder
    Source(path)                              reads one of them and keeps where it is

and reads files of strangers: it writes nothing, takes no lock that a trainer could meet, bounds every length before it
allocates, and takes a record that is cut at the end of a file for one that is still being written.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

TEXT_MAX_CHARACTERS: Final = 8192
"""Longer values of params and tags are cut, with an ellipsis."""
KEYS_MAX: Final = 100_000
"""Metrics, params or tags of one run; what is beyond is counted in `problems`."""
PROBLEMS_MAX: Final = 20
SAID: Final = ("", "scheduled", "running", "finished", "failed", "killed")
STEP_LIMIT: Final = 2**63 - 1


class UnreadableSourceError(OSError):
    """A source that cannot be read at all now; the message says which, why and what was expected."""


class Column(NamedTuple):
    """Points of one metric in the order in which they were written; all lists have one entry a point."""

    steps: list[int]
    at_us: list[int]
    """Unix time in microseconds."""
    values: list[float]


class MetricFinal(NamedTuple):
    """Where one metric stands."""

    last: float
    """The newest value; NaN and infinities are values."""
    last_step: int
    last_at_us: int
    minimum: float | None
    """Of the finite values; None when there is none, or when only the newest value is known (`point_count` 0)."""
    maximum: float | None
    point_count: int
    """0: not known, because the points were not read."""


class Artifact(NamedTuple):
    """A file that a run left behind."""

    path: str
    """Relative to the folder of artifacts, or as the tracker names it."""
    size_bytes: int
    kind: str
    """`image`, `table`, `model`, `text`, `audio`, `video` or `file`."""


@dataclass(slots=True)
class ForeignRun:
    """A run as one tracker tells of it, whole: what an earlier look said of it is replaced."""

    key: str
    """What it is known by within its source, the same at every look: the tracker's id, or a relative path."""
    tracker: str
    path: str
    """The file or folder that it was read from."""
    signature: str
    """Changes when its files do; equal means: nothing to read."""
    name: str = ""
    group: str = ""
    """What the tracker sorts it under: experiment, project."""
    said: str = ""
    """How it stands, as the tracker says, one of `SAID`; empty where it does not say."""
    started_at_s: float | None = None
    ended_at_s: float | None = None
    exit_code: int | None = None
    written_at_s: float = 0.0
    """When the newest of its files was last written."""
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    note: str = ""
    command: str = ""
    host: str = ""
    pid: int | None = None
    """Of the process that wrote, where the tracker tells."""
    working_dir: str = ""
    metrics: dict[str, MetricFinal] = field(default_factory=dict)
    points: dict[str, Column] = field(default_factory=dict)
    """Of a run that is followed: what is new since the last look."""
    from_start: bool = False
    """`points` are all there are, and what was said before is void (a file was replaced, or this is the first look)."""
    artifacts: list[Artifact] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What could not be read, in words with the file's name; the rest of the run counts."""
    is_deleted: bool = False
    """Deleted in the tracker: not shown unless asked for."""

    def trouble(self, words: str) -> None:
        """Note what could not be read."""
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(words)


class Source(Protocol):
    """One source of a tracker. Not for several threads."""

    path: str

    def look(self, known: Mapping[str, str], followed: Collection[str]) -> Iterator[ForeignRun]:
        """Runs that are new or changed since the last look, newest first where that costs nothing.

        `known` are signatures by key from an earlier life of the reader: a run that still has its own is passed over,
        unless it is in `followed`, the keys of runs whose points are wanted. Reads only what has been added where the
        format allows it. Raises UnreadableSourceError.
        """


class Tally:
    """Sums up columns of one metric as they come."""

    __slots__ = ("count", "last", "last_at_us", "last_step", "maximum", "minimum")

    def __init__(self) -> None:
        self.count = 0
        self.last, self.last_step, self.last_at_us = 0.0, 0, 0
        self.minimum, self.maximum = math.inf, -math.inf

    def add(self, column: Column) -> None:
        """More points. The newest value is that of the highest step; among equal steps the last one written."""
        steps, at_us, values = column
        if not steps:
            return
        top = max(steps)
        if not self.count or top >= self.last_step:
            position = len(steps) - 1 - steps[::-1].index(top)
            self.last, self.last_step, self.last_at_us = values[position], top, at_us[position]
        self.count += len(steps)
        finite = values if all(map(math.isfinite, values)) else list(filter(math.isfinite, values))
        if finite:
            low, high = min(finite), max(finite)
            self.minimum, self.maximum = min(self.minimum, low), max(self.maximum, high)

    def final(self) -> MetricFinal:
        """What they come to."""
        known = self.minimum <= self.maximum
        return MetricFinal(
            self.last,
            self.last_step,
            self.last_at_us,
            self.minimum if known else None,
            self.maximum if known else None,
            self.count,
        )


def signature_of(facts: os.stat_result) -> str:
    """What tells a file from what it was."""
    return f"{facts.st_ino}:{facts.st_size}:{facts.st_mtime_ns}"


def cut(text: str) -> str:
    """A text that a run may carry."""
    return text if len(text) <= TEXT_MAX_CHARACTERS else text[: TEXT_MAX_CHARACTERS - 1] + "…"


KINDS: Final = {
    "image": (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".svg"),
    "table": (".csv", ".tsv", ".parquet", ".arrow", ".table.json"),
    "model": (".pt", ".pth", ".ckpt", ".safetensors", ".onnx", ".pkl", ".joblib", ".h5", ".keras", ".bin", ".gguf"),
    "text": (".txt", ".log", ".md", ".json", ".yaml", ".yml", ".html", ".py"),
    "audio": (".wav", ".mp3", ".ogg", ".flac"),
    "video": (".mp4", ".webm", ".avi", ".mov"),
}


def kind_of(name: str) -> str:
    """What a file is, by its name."""
    lowered = name.lower()
    return next((kind for kind, endings in KINDS.items() if lowered.endswith(endings)), "file")


def files_below(folder: str, most: int = 1000) -> list[Artifact]:
    """Regular files in a folder and below, at most so many; links are not followed. What cannot be read is left out."""
    found: list[Artifact] = []
    waiting: list[str] = [""]
    while waiting and len(found) < most:
        inner = waiting.pop()
        try:
            entries = sorted(os.scandir(os.path.join(folder, inner)), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            path = os.path.join(inner, entry.name)
            try:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                elif entry.is_file(follow_symlinks=False):
                    found.append(Artifact(path, entry.stat(follow_symlinks=False).st_size, kind_of(entry.name)))
            except OSError:
                continue
    return found[:most]
