"""Imported runs in the index: from the journal of an import to rows, metrics and points, with the offset in it.

Everything of a chunk is in one transaction with how far the journal was read, so nothing is lost and nothing is twice.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from store import import_journal, metric_pins, twins
from store.imported_points import KEEP, clear_log, delete_finals, insert_finals, put_points
from store.imported_rows import Taken, primary_of, put_runs, refresh_runs
from store.ingest import TABLES_BY_RUN_NO
from store.run_rows import update_runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from store.database import Cursor
    from store.ingest import Index

RECORDS_AT_ONCE: Final = 2000
POINTS_AT_ONCE: Final = 1_000_000


class Known(NamedTuple):
    """What an earlier life of the daemon took in of a run."""

    id: str
    no: int
    place: str
    key: str
    signature: str
    state: str
    said: str
    tracker: str
    source_path: str
    written_at_s: float
    is_followed: bool


def known_runs(cursor: Cursor, import_id: str) -> list[Known]:
    """The runs of an import, by number. Raises duckdb.Error."""
    rows = cursor.execute(
        "select id, no, import_place, import_key, import_signature, state, import_state, tracker, source_path,"
        " written_at_s, is_followed from run where import_id = ? order by no",
        [import_id],
    ).fetchall()
    restored = import_journal.restored
    return [Known(run_id, no, restored(place), restored(key), *rest) for run_id, no, place, key, *rest in rows]


def offset_of(cursor: Cursor, import_id: str) -> int:
    """How far the journal of an import is in the index. Raises duckdb.Error."""
    row = cursor.execute("select offset_bytes from import_cursor where import_id = ?", [import_id]).fetchone()
    return int(row[0]) if row else 0


def catch_up(cursor: Cursor, index: Index, home: str, import_id: str) -> int:
    """Bring the index up to the end of an import's journal; returns how many runs that touched.

    Raises OSError, duckdb.Error.
    """
    path = import_journal.path_of(home, import_id)
    end = offset_of(cursor, import_id)
    count = 0
    waiting: list[dict[str, Any]] = []
    point_count = 0
    for record, after in import_journal.records(path, end):
        end = after
        if record is None:
            continue
        waiting.append(record)
        if record["kind"] == "points":
            point_count += sum(len(column[0]) for column in record["columns"].values())
        if len(waiting) >= RECORDS_AT_ONCE or point_count >= POINTS_AT_ONCE:
            count += put(cursor, index, import_id, waiting, end)
            waiting, point_count = [], 0
    if waiting:
        count += put(cursor, index, import_id, waiting, end)
    return count


def put(
    cursor: Cursor,
    index: Index,
    import_id: str,
    records: Sequence[Mapping[str, Any]],
    end: int,
    passing: Sequence[Mapping[str, Any]] = (),
) -> int:
    """Take records of a journal in that end at byte `end`; returns how many runs they touch. Raises duckdb.Error.

    `passing` are not in the journal, and newer than what is: how live runs stand that are here already, and where their
    metrics do.
    """
    runs: dict[str, Taken] = {}
    points: list[Mapping[str, Any]] = []
    joined: dict[str, Mapping[str, Any]] = {}
    for record in records:
        kind = record["kind"]
        if kind == "run":
            runs[record["id"]] = _taken(import_id, record)
        elif kind == "points":
            points.append(record)
        elif kind == "joined":
            joined[record["id"]] = record
        elif kind == "forgotten":
            runs.pop(record["id"], None)
            points = [each for each in points if each["id"] != record["id"]]
    gone = [record for record in records if record["kind"] == "forgotten"]
    # Of what was said of a run after its state, the state is part.
    states = {record["id"]: record for record in records if record["kind"] == "state" and record["id"] not in runs}
    refreshed = {record["id"]: _taken(import_id, record) for record in passing if record["kind"] == "run"}
    joined |= {record["id"]: record for record in passing if record["kind"] == "joined"}
    cursor.execute("begin")
    try:
        for record in gone:
            forget(cursor, record["id"])
            cursor.execute("insert into import_forgotten values (?, ?, ?)", [import_id, record["place"], record["key"]])
        if runs:
            put_runs(cursor, index, list(runs.values()))
        for record in joined.values():
            _join(cursor, index, import_id, record)
        for record in (each for each in records if each["kind"] == "twin"):
            _put_twin(cursor, import_id, record)
        for record in states.values():
            cursor.execute(SET_STATE, [record["state"], record["cause"], record["id"]])
        if points:
            put_points(cursor, index, points)
        if refreshed:
            refresh_runs(cursor, index, list(refreshed.values()))
        if records:
            _write_offset(cursor, import_id, end)
        cursor.execute("commit")
    except BaseException:
        cursor.execute("rollback")
        index.reload()
        raise
    for taken in (*runs.values(), *refreshed.values()):
        index.forget(taken.id, taken.no)
    for record in (*joined.values(), *points):
        index.forget(record.get("of") or record["id"], record["no"])
    return len(runs.keys() | states.keys() | refreshed.keys() | {record["id"] for record in points})


def _taken(import_id: str, record: Mapping[str, Any]) -> Taken:
    facts = import_journal.checked_facts(record["facts"])
    place, project, state, cause = record["place"], record["project"], record["state"], record["cause"]
    return Taken(record["id"], record["no"], import_id, place, project, state, cause, facts)


def _write_offset(cursor: Cursor, import_id: str, end: int) -> None:
    # An update costs DuckDB a fifth of a replacement.
    changed = cursor.execute(
        "update import_cursor set offset_bytes = ? where import_id = ?", [end, import_id]
    ).fetchone()
    if changed is None or not changed[0]:
        cursor.execute("insert into import_cursor values (?, ?)", [import_id, end])


def _put_twin(cursor: Cursor, import_id: str, record: Mapping[str, Any]) -> None:
    row = cursor.execute("select params from run where id = ?", [record["id"]]).fetchone()
    twins.put(cursor, import_id, record, json.loads(row[0]) if row else {})
    forget(cursor, record["id"])


def _join(cursor: Cursor, index: Index, import_id: str, record: Mapping[str, Any]) -> None:
    """Put where the metrics of a tracker stand under the run of our own that wrote them."""
    facts, no = import_journal.checked_facts(record["facts"]), record["no"]
    twins.put(cursor, import_id, record, facts["params"])
    clear_log(cursor, index, no, list(facts["metrics"]))
    delete_finals(cursor, [no])
    insert_finals(cursor, index, [(no, facts["metrics"])], KEEP)
    keys = cursor.execute(
        "select name from metric_latest latest join metric_key key on key.id = latest.key_id where run_no = ?", [no]
    ).fetchall()
    primary = primary_of(index, frozenset(key for (key,) in keys))
    if primary["primary_key_id"] is not None:
        update_runs(cursor, [(record["of"], primary | {"primary_source": "guessed"})])
        metric_pins.apply_to_runs(cursor, [record["of"]])


def forget(cursor: Cursor, run_id: str) -> None:
    """Take an imported run out of the index."""
    row = cursor.execute("select no from run where id = ?", [run_id]).fetchone()
    for table in (*TABLES_BY_RUN_NO, "param") if row else ():
        cursor.execute(f"delete from {table} where run_no = ?", list(row or ()))
    for table in ("artifact", "tag", "note", "hand_point"):
        cursor.execute(f"delete from {table} where run_id = ?", [run_id])
    cursor.execute("delete from run where id = ?", [run_id])


def twins_of(cursor: Cursor, import_id: str) -> list[tuple[str, str, str, str]]:
    """Place, key, id and the id of what it is a twin of, of each twin of an import. Raises duckdb.Error."""
    rows = cursor.execute(
        "select place, key, run_id, of_id from import_twin where import_id = ?", [import_id]
    ).fetchall()
    return [(import_journal.restored(place), import_journal.restored(key), *rest) for place, key, *rest in rows]


def forgotten(cursor: Cursor, import_id: str) -> set[tuple[str, str]]:
    """Place and key of the runs of an import that a person deleted. Raises duckdb.Error."""
    rows = cursor.execute("select place, key from import_forgotten where import_id = ?", [import_id]).fetchall()
    return {(import_journal.restored(place), import_journal.restored(key)) for place, key in rows}


SET_STATE: Final = """
    update run set state = ?, cause = ?, ended_at_s = coalesce(ended_at_s, greatest(written_at_s, started_at_s))
    where id = ?
"""
