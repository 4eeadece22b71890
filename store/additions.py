"""What people add: from the command journal into the index, in one transaction with how far it was read.

The journal is the truth. A command is written there first, and what stands there is brought in from the cursor on, the
same way after each command, at the next start of a daemon that was killed in between, and from the first line into a
new index. What a stretch of lines adds up to is worked out before anything is written, because DuckDB refuses to delete
and insert the same key in one transaction.
"""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from store import journal
from store.database import Error
from store.metric_pins import PINNED, Pin, apply_to_project, put
from store.run_files import size_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from store.database import Cursor
    from store.primary_metric import Goal

READ_BYTES: Final = 8 << 20
"""How much of the journal goes into one transaction."""
TIME_MAX_S: Final = 1e12


class UnusableError(ValueError):
    """A record lacks what its action needs."""


class Note(NamedTuple):
    """A note as the index has it."""

    run_id: str
    at_s: float
    actor: str
    text: str


class Tag(NamedTuple):
    """Who put a tag on a run, and when."""

    at_s: float
    actor: str
    replaces: bool
    """The tag was taken off before: time and actor of the index count no more."""


class HandPoint(NamedTuple):
    """A metric that a person added."""

    run_id: str
    step: int
    at_s: float
    value: float
    actor: str


class CaughtUp(NamedTuple):
    """What bringing the journal in came to."""

    passed_over_count: int
    """Lines that are torn, damaged, or lack what their action needs."""
    first_passed_over: str
    """Where the first of them stands; empty when there is none."""


@dataclass(slots=True)
class Changes:
    """What a stretch of the journal adds up to."""

    notes: dict[str, Note | None] = field(default_factory=dict)
    """By id; None: removed."""
    tags: dict[tuple[str, str], Tag | None] = field(default_factory=dict)
    """By run id and name; None: taken off."""
    pins: dict[str, bool] = field(default_factory=dict)
    """By run id."""
    metric_pins: dict[str, Pin | None] = field(default_factory=dict)
    """By project; None: taken off."""
    hand_points: dict[tuple[str, str], HandPoint] = field(default_factory=dict)
    """By the id of the request and the key."""

    def add(self, record: Any) -> None:
        """Take in one record; unknown actions are passed over. Raises ValueError when it lacks what it needs."""
        if not isinstance(record, dict):
            raise UnusableError("no JSON object")
        match record.get("action"):
            case "note":
                note = Note(text_of(record, "run"), time_of(record), text_of(record, "actor"), text_of(record, "text"))
                self.notes.setdefault(text_of(record, "note"), note)
            case "note-remove":
                self.notes[text_of(record, "note")] = None
            case "tag":
                at_s, actor = time_of(record), text_of(record, "actor")
                added, removed = texts_of(record, "add"), texts_of(record, "remove")
                for run_id in texts_of(record, "runs"):
                    self.tags.update(((run_id, name), None) for name in removed)
                    for name in added:
                        self._tag(run_id, name, at_s, actor)
            case "pin" | "unpin":
                self.pins.update((run_id, record["action"] == "pin") for run_id in texts_of(record, "runs"))
            case "metric-pin":
                project, key, goal = text_of(record, "project"), text_of(record, "key"), goal_of(record)
                pin = Pin(project, PINNED, key, goal, time_of(record), text_of(record, "actor"))
                self.metric_pins[project] = pin
            case "metric-unpin":
                self.metric_pins[text_of(record, "project")] = None
            case "metric":
                facts = (text_of(record, "run"), time_of(record), text_of(record, "actor"))
                for key, (step, value) in points_of(record).items():
                    point = HandPoint(facts[0], step, facts[1], value, facts[2])
                    self.hand_points.setdefault((text_of(record, "request"), key), point)

    def _tag(self, run_id: str, name: str, at_s: float, actor: str) -> None:
        key = (run_id, name)
        if self.tags.get(key) is None:
            self.tags[key] = Tag(at_s, actor, replaces=key in self.tags)


def catch_up(cursor: Cursor, path: str) -> CaughtUp:
    """Bring what the index lacks of the journal into it. Raises OSError, duckdb.Error: the next call goes on."""
    position = position_of(cursor)
    if position > size_bytes(path):
        # Cut or replaced by hand: bringing a line in twice changes nothing.
        position = 0
    return bring_in(cursor, path, position, None)


def catch_up_runs(cursor: Cursor, path: str, run_ids: Collection[str]) -> None:
    """Bring in what the journal says of runs that came into the index after it had been read.

    Raises OSError, duckdb.Error.
    """
    bring_in(cursor, path, 0, frozenset(run_ids))


def bring_in(cursor: Cursor, path: str, position: int, only: Collection[str] | None) -> CaughtUp:
    """Bring in the lines from byte `position` on, `only` those of certain runs, or else all and the cursor."""
    passed_over, first = 0, ""
    while True:
        lines, end = journal.read_from(path, position, READ_BYTES)
        if end == position:
            return CaughtUp(passed_over, first)
        changes = Changes()
        for line in lines:
            problem = take_in(changes, line)
            if problem:
                passed_over += 1
                first = first or f"byte {position}: {problem}"
            position += len(line) + 1
        write(cursor, changes, only, end)


def take_in(changes: Changes, line: bytes) -> str:
    """Add one line of the journal; returns what is wrong with it, empty when nothing is."""
    if not line:
        return ""
    body = journal.checked_body(line)
    if body is None:
        return "its checksum does not fit"
    try:
        changes.add(json.loads(body))
    except (ValueError, RecursionError) as error:
        return str(error)
    return ""


def write(cursor: Cursor, changes: Changes, only: Collection[str] | None, end: int) -> None:
    """One transaction: notes, tags and pins of runs that the index has, and the cursor. Raises duckdb.Error."""

    def wanted(run_id: str) -> bool:
        return only is None or run_id in only

    notes = [(note_id, *note) for note_id, note in changes.notes.items() if note is not None and wanted(note.run_id)]
    removed = [(note_id,) for note_id, note in changes.notes.items() if note is None]
    tags = [(*key, tag) for key, tag in changes.tags.items() if wanted(key[0])]
    cursor.execute("begin")
    try:
        for pinned in (True, False):
            ids = [(run_id,) for run_id, is_pinned in changes.pins.items() if is_pinned == pinned and wanted(run_id)]
            execute(cursor, f"update run set pinned = {pinned} where id in (select a from given)", ids)
        execute(cursor, "delete from note where id in (select a from given)", removed)
        execute(cursor, "insert into note from given where b in (select id from run) on conflict do nothing", notes)
        taken_off = [(run_id, name) for run_id, name, tag in tags if tag is None]
        execute(cursor, "delete from tag where (run_id, name) in (select a, b from given)", taken_off)
        for replaces, words, otherwise in (
            (False, "insert into", "on conflict do nothing"),
            (True, "insert or replace into", ""),
        ):
            put_on = [(run_id, name, *tag[:2]) for run_id, name, tag in tags if tag and tag.replaces == replaces]
            execute(cursor, f"{words} tag from given where a in (select id from run) {otherwise}", put_on)
        given = [(*place, *point, False) for place, point in changes.hand_points.items() if wanted(point.run_id)]
        execute(
            cursor, "insert into hand_point from given where c in (select id from run) on conflict do nothing", given
        )
        if only is None:
            put(cursor, [pin for pin in changes.metric_pins.values() if pin is not None])
            for project, pin in changes.metric_pins.items():
                if pin is None:
                    cursor.execute("delete from metric_pin where project = ? and origin = ?", [project, PINNED])
                apply_to_project(cursor, project)
            cursor.execute("insert or replace into command_cursor values (1, ?)", [end])
        cursor.execute("commit")
    except BaseException:
        # A commit that failed has ended the transaction already.
        with contextlib.suppress(Error):
            cursor.execute("rollback")
        raise


def execute(cursor: Cursor, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """One statement over all rows at once, which it finds in the table `given` with the columns a, b, c, ..."""
    if rows:
        parameters = {name: list(values) for name, values in zip("abcdefgh", zip(*rows, strict=True), strict=False)}
        columns = ", ".join(f"unnest(${name}) as {name}" for name in parameters)
        cursor.execute(f"with given as (select {columns}) {sql}", parameters)


def position_of(cursor: Cursor) -> int:
    """Up to which byte the journal is in the index."""
    row = cursor.execute("select offset_bytes from command_cursor where id = 1").fetchone()
    return int(row[0]) if row else 0


def text_of(record: dict[str, Any], name: str) -> str:
    """A text of a record that the index can hold. Raises ValueError."""
    value = record.get(name)
    if not isinstance(value, str):
        raise UnusableError(f"{name} is no text")
    value.encode()
    return value


def texts_of(record: dict[str, Any], name: str) -> list[str]:
    """A list of texts of a record; one that is not there is empty. Raises ValueError."""
    values = record.get(name, [])
    if not isinstance(values, list):
        raise UnusableError(f"{name} is no list")
    return [text_of({name: value}, name) for value in values]


def goal_of(record: dict[str, Any]) -> Goal:
    """What is better of a metric. Raises ValueError."""
    match record.get("goal"):
        case "minimize":
            return "minimize"
        case "maximize":
            return "maximize"
    raise UnusableError("goal is neither minimize nor maximize")


def points_of(record: dict[str, Any]) -> dict[str, tuple[int, float]]:
    """Step and value of each key. Raises ValueError."""
    values = record.get("values")
    if not isinstance(values, dict):
        raise UnusableError("values is no object")
    found: dict[str, tuple[int, float]] = {}
    for key, pair in values.items():
        match pair:
            case [int() as step, float() | int() as value] if -(2**63) <= step < 2**63 and math.isfinite(value):
                found[text_of({"key": key}, "key")] = (step, float(value))
            case _:
                raise UnusableError(f"values: {key[:80]!r} is no pair of step and number")
    return found


def time_of(record: dict[str, Any]) -> float:
    """When a command was given, in Unix seconds. Raises ValueError."""
    value = record.get("at_s")
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < TIME_MAX_S:
        raise UnusableError("at_s is no time")
    return float(value)
