"""Reading the log of a run that has ended once more, into a new `derived.jsonl` that takes the place of the old one.

The new journal is the old one and what follows a record that makes its log points void:

    {"kind": "log_restart", "at_us": t, "parser": p, "pattern": ""}     from here on the log is told from its start

It is written beside the run and gets its name when it is whole, so that nobody ever sees a half of it. Times and
attempts of the lines are those at which they were first seen, as far as the old journal tells.
"""

from __future__ import annotations

import os
import shutil
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from store import derive, holes, journal, removal
from store.readers.carry import Carry
from store.run_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable

POINTS_SHOWN: Final = 20
"""Of how many metrics the names are told."""


class ReadAnew(NamedTuple):
    """What a log was found to hold."""

    point_count: int
    keys: tuple[str, ...]
    """The first of its metrics, by name."""
    key_count: int
    old_bytes: int
    """Length of the journal that was read: another one means that somebody has written to it."""


class Seen(NamedTuple):
    """When the log was first seen to reach each of these offsets, in their order."""

    ends: list[int]
    facts: list[tuple[int, int]]
    """Time and attempt."""

    def at(self, end: int, otherwise: tuple[int, int]) -> tuple[int, int]:
        """Of the line that ends at this offset."""
        position = min(bisect_left(self.ends, end), len(self.facts) - 1)
        return self.facts[position] if self.facts else otherwise


def has_lost_parts(path: str) -> bool:
    """Whether the middle of a log was given up: its points would be lost for good. Raises OSError."""
    descriptor = open_regular(path)
    try:
        size = os.fstat(descriptor).st_size
        return size > 0 and holes.data_segments(descriptor, size) != [(0, size)]
    finally:
        os.close(descriptor)


def first_seen(path: str) -> Seen:
    """What a journal says of the first reading of the log."""
    seen = Seen([], [])
    for record in derive.records(path):
        if record["kind"] == "log_restart":
            break
        if record["kind"] == "log" and (not seen.ends or record["end"] > seen.ends[-1]):
            seen.ends.append(record["end"])
            seen.facts.append((record["at_us"], record.get("attempt", 1)))
    return seen


def read_anew(
    run_dir: str,
    fresh: str,
    pattern: derive.LinePattern | None,
    now_us: int,
    *,
    many_processes: bool,
    ending: Callable[[], bool],
    tell: Callable[[int], None],
) -> ReadAnew:
    """Write a new journal to the path `fresh`, durably; `tell` is told how many bytes of the log are read.

    Raises OSError, InterruptedRemoval; then there is a file that nobody needs.
    """
    old, log = derive.derived_path(run_dir), derive.log_path(run_dir)
    if os.path.lexists(old):
        shutil.copyfile(old, fresh, follow_symlinks=False)
        os.chmod(fresh, 0o600)
    seen, old_bytes = first_seen(old), os.path.getsize(fresh) if os.path.exists(fresh) else 0
    output = journal.Journal(fresh)
    try:
        restart = {"at_us": now_us, "parser": derive.PARSER, "pattern": pattern.text if pattern is not None else ""}
        output.append([{"kind": "log_restart", **restart}])
        carry, end, at_end, count = Carry(), 0, False, 0
        keys: set[str] = set()
        while not at_end:
            if ending():
                raise removal.InterruptedRemoval
            end, points, at_end = derive.log_points(
                log, end, carry, final=True, many_processes=many_processes, pattern=pattern
            )
            output.append(log_record(point, seen, now_us) for point in points)
            keys.update(key for point in points for key in point["values"])
            count += sum(len(point["values"]) for point in points)
            tell(end)
        output.append([log_record({"end": end, "carry": carry.to_json()}, seen, now_us)])
        output.sync()
    finally:
        output.close()
    return ReadAnew(count, tuple(sorted(keys)[:POINTS_SHOWN]), len(keys), old_bytes)


def log_record(content: dict[str, Any], seen: Seen, now_us: int) -> dict[str, Any]:
    """A record of the log as the first reading would have written it."""
    at_us, attempt = seen.at(content["end"], (now_us, 1))
    record = {"kind": "log", "at_us": at_us, **content}
    return record if attempt == 1 else {**record, "attempt": attempt}
