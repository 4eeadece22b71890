"""From what a run writes to its `derived.jsonl`: which metrics were seen when, and points read from the log.

`derived.jsonl` is the one ordered record of what was ingested when, so the index can be built anew from it, to the same
values and times, without parsing a log again. Its records (journal lines):

    {"kind": "header", "format": 1, "run": id, "parser": p}                a parser, perhaps a "pattern"
    {"kind": "metrics", "at_us": t, "end": n, "generation": g}             metrics.jsonl was read up to byte n
    {"kind": "log", "at_us": t, "end": n, "step": s, "values": {...}}      points in the log line that ends at byte n
    {"kind": "log", "at_us": t, "end": n}                                  nothing in the log up to byte n

    {"kind": "log_restart", "at_us": t, "parser": p, "pattern": x}         void is what came of the log above

Records of a second or further attempt of the run carry `"attempt": a`; without it they are the first's.

The generation grows when the run cuts or replaces its metrics file: what earlier records speak of is then gone.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from store import journal, journal_json
from store.readers import stdout_grammar
from store.readers.carry import Carry
from store.readers.rank_prefix import split_rank
from store.run_files import read_stretch, size_bytes
from store.soundness import has_sound_carry, is_sound

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT: Final = 1
PARSER: Final = 1
"""Grows with each change of what is read from log lines."""
STRETCH_BYTES: Final = 4 << 20
"""How much of one file is looked at in one round."""
LOG_STRETCH_BYTES: Final = 1 << 20
"""The same for a log, where the grammar takes half a second for as much of nothing but metric lines."""
LOG_LINE_MAX_BYTES: Final = 16384
"""Longer log lines are passed over: no metric line is that long."""
METRIC_LINE_MAX_BYTES: Final = 1 << 20
"""Longer lines of a metrics file are counted as unreadable."""
TAIL_BYTES: Final = 65536
QUIET_MARK_BYTES: Final = 1 << 20
"""How far a log without metrics may grow before a record says so; bounds what a restart reads again."""


class LinePattern(Protocol):
    """What takes the place of the grammar: `readers.pinned_pattern`, as a rule."""

    text: str

    def point(self, line: str, carry: Carry) -> tuple[int, dict[str, float]] | None:
        """The step and the metrics of a printed line, or None; `carry` is brought up to date."""


class FileFacts(NamedTuple):
    """What tells a file from what it was; zeros where there is no regular file."""

    inode: int
    size_bytes: int


@dataclass(slots=True)
class Derivation:
    """Where the derivation of one live run stands; can be rebuilt from its journal at any time."""

    run_id: str
    run_dir: str
    metrics_end: int = 0
    metrics_inode: int = 0
    """Of the metrics file at the last look; 0 before the first."""
    generation: int = 0
    log_end: int = 0
    """Up to here the journal says what the log holds."""
    log_looked: int = 0
    """Up to here the log was looked at, at or past `log_end`."""
    seen: tuple[FileFacts, FileFacts] | None = None
    """Metrics file and log as they were when everything in them had been looked at; None before that."""
    carry: Carry = field(default_factory=Carry)
    output: journal.Journal | None = None
    many_processes: bool = False
    """The command is started several times at once: of what its ranks print, rank 0's counts."""
    pattern: LinePattern | None = None
    """What reads the lines of the log; None for the grammar."""

    def close(self) -> None:
        """Close the journal; the derivation can be opened again from the files."""
        if self.output is not None:
            self.output.close()
            self.output = None


def open_derivation(
    run_id: str, run_dir: str, *, many_processes: bool = False, pattern: LinePattern | None = None
) -> Derivation:
    """Take up the derivation of a run where its journal ends."""
    state = Derivation(run_id, run_dir, many_processes=many_processes, pattern=pattern)
    path = derived_path(run_dir)
    size = size_bytes(path)
    window = TAIL_BYTES
    # Only the last record of each kind matters, and in a long run both are near the end.
    while True:
        start = max(0, size - window)
        last = last_records(path, start)
        if start == 0 or {"metrics", "log"} <= last.keys():
            break
        window *= 8
    if "metrics" in last:
        state.metrics_end, state.generation = last["metrics"]["end"], last["metrics"]["generation"]
    if "log" in last:
        state.log_end = state.log_looked = last["log"]["end"]
        state.carry = Carry.from_json(last["log"]["carry"])
    state.output = journal.Journal(path)
    if not last:
        named = {} if pattern is None else {"pattern": pattern.text}
        state.output.append([{"kind": "header", "format": FORMAT, "run": run_id, "parser": PARSER, **named}])
    return state


def last_records(path: str, start: int) -> dict[str, dict[str, Any]]:
    """The last record of each kind from a byte on; where the log is told anew, nothing of it was said before."""
    last: dict[str, dict[str, Any]] = {}
    for record in records(path, start):
        last[record["kind"]] = record
        if record["kind"] == "log_restart":
            last["log"] = {"end": 0, "carry": Carry().to_json()}
    return last


def derived_path(run_dir: str) -> str:
    """The journal of what was derived from a run's files."""
    return os.path.join(run_dir, "derived.jsonl")


def metrics_path(run_dir: str) -> str:
    """The file that FOOTPLATE_METRICS names."""
    return os.path.join(run_dir, "metrics.jsonl")


def log_path(run_dir: str) -> str:
    """Where the command's output goes."""
    return os.path.join(run_dir, "output.log")


def records(path: str, position: int = 0) -> Iterator[dict[str, Any]]:
    """Every record of a derived journal from a byte on that reading can go on from; one cut by that byte is none."""
    while True:
        lines, end = journal.read_from(path, position, STRETCH_BYTES)
        if end == position:
            return
        position = end
        for line in lines:
            record = decode(line)
            if record is not None and has_sound_carry(record):
                yield record


def decode(line: bytes) -> dict[str, Any] | None:
    """The record in a journal line; None for a line that is torn, not ours, or lacks what its kind must hold."""
    record = journal_json.decoded(line)
    return record if is_sound(record) else None


def derive(state: Derivation, now_us: int, attempt: int = 1, *, final: bool) -> bool:
    """One round over both files; True when there may be more to read at once.

    `final` says that nothing will be appended any more: then a last line counts without its LF. Raises OSError when the
    journal cannot be written (full disk): nothing is lost, the next round reads the same bytes again.
    """
    if state.output is None:
        raise ValueError("the derivation is closed")
    path, start, generation = metrics_path(state.run_dir), state.metrics_end, state.generation
    # Two calls of the system for a quiet run: there may be hundreds, four times a second.
    found = facts, _ = facts_of(path), facts_of(log_path(state.run_dir))
    if found == state.seen and not final:
        return False
    additions: list[dict[str, Any]] = []
    if facts.size_bytes < start or (start and facts.inode != state.metrics_inode != 0):
        start, generation = 0, generation + 1
        additions.append({"kind": "metrics", "at_us": now_us, "end": 0, "generation": generation})
    metrics_end, more_metrics = metrics_boundary(path, start, final=final)
    if metrics_end != start:
        additions.append({"kind": "metrics", "at_us": now_us, "end": metrics_end, "generation": generation})
    carry = replace(state.carry)
    looked, points, reached_end = log_points(
        log_path(state.run_dir),
        state.log_looked,
        carry,
        final=final,
        many_processes=state.many_processes,
        pattern=state.pattern,
    )
    additions += [{"kind": "log", "at_us": now_us, **point} for point in points]
    log_end = points[-1]["end"] if points else state.log_end
    if looked - log_end > QUIET_MARK_BYTES or (final and looked > log_end):
        additions.append({"kind": "log", "at_us": now_us, "end": looked, "carry": carry.to_json()})
        log_end = looked
    if additions:
        state.output.append(additions if attempt == 1 else [{**each, "attempt": attempt} for each in additions])
    more = more_metrics or not reached_end
    state.metrics_end, state.metrics_inode, state.generation = metrics_end, facts.inode, generation
    state.log_end, state.log_looked, state.carry = log_end, looked, carry
    # The facts are older than what was read: had the files grown meanwhile, they differ at the next look.
    state.seen = None if more else found
    return more


def facts_of(path: str) -> FileFacts:
    """Size and inode of a regular file, without opening it."""
    try:
        facts = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return FileFacts(0, 0)
    return FileFacts(facts.st_ino, facts.st_size) if stat.S_ISREG(facts.st_mode) else FileFacts(0, 0)


def metrics_boundary(path: str, start: int, *, final: bool) -> tuple[int, bool]:
    """The end of the last whole line after `start`, at most one stretch further, and whether there may be more.

    The end is inside a line only where that is too long anyway.
    """
    stretch, size, _ = read_stretch(path, start, STRETCH_BYTES)
    whole = len(stretch) == STRETCH_BYTES
    end = stretch.rfind(b"\n") + 1
    # Without a LF in a whole stretch the line is too long: its pieces are passed over one by one.
    if not end and (whole or (final and start + len(stretch) == size)):
        end = len(stretch)
    return start + end, whole


def log_points(
    path: str,
    start: int,
    carry: Carry,
    *,
    final: bool,
    many_processes: bool = False,
    pattern: LinePattern | None = None,
) -> tuple[int, list[dict[str, Any]], bool]:
    """Points in whole lines of a log from `start`: the offset looked up to, the points, and whether that is the end.

    With a pattern, a line that it does not match has none, whatever the grammar would make of it.
    """
    parse = stdout_grammar.parse_log_line if pattern is None else pattern.point
    before, size, _ = read_stretch(path, max(0, start - 1), LOG_STRETCH_BYTES + 1)
    inside_line = start > 0 and before[:1] not in (b"\n", b"")
    stretch = before[1:] if start > 0 else before
    at_end = start + len(stretch) >= size
    length = stretch.rfind(b"\n") + 1
    if (final and at_end) or (not length and len(stretch) >= LOG_STRETCH_BYTES):
        length = len(stretch)
    points: list[dict[str, Any]] = []
    position = 0
    for line in stretch[:length].split(b"\n"):
        position += len(line) + 1
        continued, inside_line = inside_line, False
        text = line.rstrip(b"\r").rpartition(b"\r")[2]
        if continued or not text or len(text) > LOG_LINE_MAX_BYTES:
            continue
        printed = text.decode("utf-8", "replace")
        if many_processes:
            rank, printed = split_rank(printed)
            if rank:
                continue
        parsed = parse(printed, carry)
        if parsed is not None:
            step, values = parsed
            carried = {key: encode(value) for key, value in values.items()}
            end = start + min(position, length)
            points.append({"end": end, "step": step, "values": carried, "carry": carry.to_json()})
    return start + length, points, at_end


def encode(value: float) -> float | str:
    """NaN and infinities as strings that float() reads back."""
    return value if value - value == 0 else str(value)
