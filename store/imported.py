"""Imported runs in the index: from the journal of an import to rows, metrics and points, with the offset in it.

Everything of a chunk is in one transaction with how far the journal was read, so nothing is lost and nothing is twice.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from store import import_journal, metric_pins, twins
from store.imported_points import clear_log, insert_finals, put_points
from store.ingest import TABLES_BY_RUN_NO
from store.points import FOREIGN_SOURCE
from store.primary_metric import choose_primary, guess_goal
from store.run_rows import insert_runs, update_runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from store.database import Cursor
    from store.ingest import Index
    from store.readers.foreign import ForeignRun

RECORDS_AT_ONCE: Final = 2000
POINTS_AT_ONCE: Final = 1_000_000
SEARCH_MAX_CHARACTERS: Final = 20_000


class Taken(NamedTuple):
    """A run as it stands in the journal."""

    id: str
    no: int
    import_id: str
    place: str
    project: str
    state: str
    cause: str
    run: ForeignRun


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
    *,
    passing: bool = False,
) -> int:
    """Take records of a journal in that end at byte `end`; returns how many runs they touch. Raises duckdb.Error.

    `passing`: of live runs that are here already; how they stand and where their metrics stand is all that counts.
    """
    runs: dict[str, Taken] = {}
    points: list[Mapping[str, Any]] = []
    joined: dict[str, Mapping[str, Any]] = {}
    for record in records:
        kind = record["kind"]
        if kind == "run":
            run = import_journal.run_of(record["facts"])
            place, project, state, cause = record["place"], record["project"], record["state"], record["cause"]
            runs[record["id"]] = Taken(record["id"], record["no"], import_id, place, project, state, cause, run)
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
    cursor.execute("begin")
    try:
        for record in gone:
            forget(cursor, record["id"])
            cursor.execute("insert into import_forgotten values (?, ?, ?)", [import_id, record["place"], record["key"]])
        if runs:
            (_refresh_runs if passing else _put_runs)(cursor, index, list(runs.values()))
        for record in joined.values():
            _join(cursor, index, import_id, record)
        for record in (each for each in records if each["kind"] == "twin"):
            _put_twin(cursor, import_id, record)
        for record in states.values():
            cursor.execute(SET_STATE, [record["state"], record["cause"], record["id"]])
        if points:
            put_points(cursor, index, points)
        cursor.execute("insert or replace into import_cursor values (?, ?)", [import_id, end])
        cursor.execute("commit")
    except BaseException:
        cursor.execute("rollback")
        index.reload()
        raise
    for taken in runs.values():
        index.forget(taken.id, taken.no)
    for record in (*joined.values(), *points):
        index.forget(record.get("of") or record["id"], record["no"])
    return len(runs.keys() | states.keys() | {record["id"] for record in points})


def _put_twin(cursor: Cursor, import_id: str, record: Mapping[str, Any]) -> None:
    row = cursor.execute("select params from run where id = ?", [record["id"]]).fetchone()
    twins.put(cursor, import_id, record, json.loads(row[0]) if row else {})
    forget(cursor, record["id"])


def _join(cursor: Cursor, index: Index, import_id: str, record: Mapping[str, Any]) -> None:
    """Put where the metrics of a tracker stand under the run of our own that wrote them."""
    run, no = import_journal.run_of(record["facts"]), record["no"]
    twins.put(cursor, import_id, record, run.params)
    clear_log(cursor, index, no, list(run.metrics))
    cursor.execute("delete from metric_latest where source = ? and run_no = ?", [FOREIGN_SOURCE, no])
    insert_finals(cursor, index, [(no, key, final) for key, final in run.metrics.items()])
    keys = cursor.execute(
        "select name from metric_latest latest join metric_key key on key.id = latest.key_id where run_no = ?", [no]
    ).fetchall()
    primary = _primary_of(index, frozenset(key for (key,) in keys))
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


def columns_of(taken: Taken) -> dict[str, Any]:
    """The columns of a run that its tracker tells."""
    run = taken.run
    ended_at_s = run.ended_at_s
    if ended_at_s is None and taken.state != "running":
        ended_at_s = run.written_at_s or None
    started_at_s = run.started_at_s
    name = run.name or os.path.basename(run.path.rstrip("/")) or run.key
    texts = [name, taken.project, run.group, run.tracker, run.command, run.key]
    texts += [f"{key}={value}" for key, value in run.params.items()]
    return {
        "id": taken.id,
        "no": taken.no,
        "name": name,
        "project": taken.project,
        "state": taken.state,
        "cause": taken.cause,
        "evidence": "\n".join(run.problems),
        "command": run.command,
        "argv": "[]",
        "working_dir": run.working_dir,
        "host": run.host,
        "params": json.dumps(run.params),
        "created_at_s": started_at_s if started_at_s is not None else run.written_at_s,
        "started_at_s": started_at_s,
        "ended_at_s": max(ended_at_s, started_at_s or 0.0) if ended_at_s is not None else None,
        "exit_code": run.exit_code,
        "search_text": "\n".join(texts).lower()[:SEARCH_MAX_CHARACTERS],
        "tracker": run.tracker,
        "source_path": run.path,
        "source_group": run.group,
        "written_at_s": run.written_at_s,
        "import_id": taken.import_id,
        "import_place": taken.place,
        "import_key": run.key,
        "import_signature": run.signature,
        "import_state": run.said,
    }


def _put_runs(cursor: Cursor, index: Index, runs: Sequence[Taken]) -> None:
    ids = [each.id for each in runs]
    there = {
        row[0]
        for row in cursor.execute(
            "select id from run where id in (select unnest($ids::varchar[]))", {"ids": ids}
        ).fetchall()
    }
    primaries: dict[frozenset[str], dict[str, Any]] = {}
    rows = []
    for taken in runs:
        keys = frozenset(taken.run.metrics)
        if keys not in primaries:
            primaries[keys] = _primary_of(index, keys)
        rows.append(columns_of(taken) | primaries[keys])
    new = [row for row in rows if row["id"] not in there]
    if new:
        insert_runs(cursor, new)
    if there:
        # Columns that people set (pin, archive) stay.
        update_runs(cursor, [(row.pop("id"), row) for row in rows if row["id"] in there])
    _put_finals(cursor, index, runs)
    _replace(cursor, "artifact", ids, [[each.id, *artifact] for each in runs for artifact in each.run.artifacts])
    _put_words(cursor, runs)
    twins.merge_params(cursor, ids)
    metric_pins.apply_to_runs(cursor, ids)


def _refresh_runs(cursor: Cursor, index: Index, runs: Sequence[Taken]) -> None:
    rows = []
    for taken in runs:
        columns = columns_of(taken)
        primary = _primary_of(index, frozenset(taken.run.metrics))
        rows.append((taken.id, {name: columns[name] for name in PASSING_COLUMNS} | primary))
    update_runs(cursor, rows)
    _put_finals(cursor, index, runs)
    metric_pins.apply_to_runs(cursor, [each.id for each in runs])


PASSING_COLUMNS: Final = ("state", "cause", "ended_at_s", "written_at_s", "import_signature")


def _primary_of(index: Index, keys: frozenset[str]) -> dict[str, Any]:
    primary = choose_primary(sorted(keys))
    if primary is None:
        return {"primary_key_id": None, "primary_goal": "", "guessed_key_id": None, "guessed_goal": ""}
    key_id, goal = index.ids_of([primary])[0], guess_goal(primary)
    return {"primary_key_id": key_id, "primary_goal": goal, "guessed_key_id": key_id, "guessed_goal": goal}


def _put_finals(cursor: Cursor, index: Index, runs: Sequence[Taken]) -> None:
    numbers = [each.no for each in runs]
    cursor.execute(
        f"delete from metric_latest where source = {FOREIGN_SOURCE} and run_no in (select unnest($numbers::integer[]))",
        {"numbers": numbers},
    )
    insert_finals(cursor, index, [(each.no, key, final) for each in runs for key, final in each.run.metrics.items()])


def _put_words(cursor: Cursor, runs: Sequence[Taken]) -> None:
    """Tags and notes as the trackers have them; those of people stay."""
    for table in ("tag", "note"):
        cursor.execute(
            f"delete from {table} where actor in (select unnest($actors::varchar[]))"
            " and run_id in (select unnest($ids::varchar[]))",
            {"actors": sorted({each.run.tracker for each in runs}), "ids": [each.id for each in runs]},
        )
    for each in runs:
        run = each.run
        at_s = run.started_at_s or run.written_at_s
        for key, value in run.tags.items():
            word = f"{key}={value}" if value else key
            cursor.execute("insert or ignore into tag values (?, ?, ?, ?)", [each.id, word[:100], at_s, run.tracker])
        if run.note:
            cursor.execute(
                "insert into note values (?, ?, ?, ?, ?)", [f"{each.id}-note", each.id, at_s, run.tracker, run.note]
            )


def _replace(cursor: Cursor, table: str, ids: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    cursor.execute(f"delete from {table} where run_id in (select unnest($ids::varchar[]))", {"ids": list(ids)})
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        places = ", ".join(f"unnest(${position})" for position in range(1, len(columns) + 1))
        cursor.execute(f"insert into {table} select {places}", columns)
