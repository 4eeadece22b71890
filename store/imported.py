"""Imported runs in the index: from the journal of an import to rows, metrics and points, with the offset in it.

Everything of a chunk is in one transaction with how far the journal was read, so nothing is lost and nothing is twice.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from store import import_journal, metric_pins
from store.database import ArrowStream
from store.ingest import TABLES_BY_RUN_NO, insert_runs, update_runs
from store.points import FOREIGN_SOURCE
from store.primary_metric import choose_primary, guess_goal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from store.database import Cursor
    from store.ingest import Index
    from store.readers.foreign import Column, ForeignRun

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


def put(cursor: Cursor, index: Index, import_id: str, records: Sequence[Mapping[str, Any]], end: int) -> int:
    """Take records of a journal in that end at byte `end`; returns how many runs they touch. Raises duckdb.Error."""
    runs: dict[str, Taken] = {}
    points: list[Mapping[str, Any]] = []
    for record in records:
        kind = record["kind"]
        if kind == "run":
            run = import_journal.run_of(record["facts"])
            place, project, state, cause = record["place"], record["project"], record["state"], record["cause"]
            runs[record["id"]] = Taken(record["id"], record["no"], import_id, place, project, state, cause, run)
        elif kind == "points":
            points.append(record)
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
            _put_runs(cursor, index, list(runs.values()))
        for record in states.values():
            cursor.execute(SET_STATE, [record["state"], record["cause"], record["id"]])
        if points:
            _put_points(cursor, index, points)
        cursor.execute("insert or replace into import_cursor values (?, ?)", [import_id, end])
        cursor.execute("commit")
    except BaseException:
        cursor.execute("rollback")
        index.reload()
        raise
    for taken in runs.values():
        index.forget(taken.id, taken.no)
    return len(runs.keys() | states.keys() | {record["id"] for record in points})


def forget(cursor: Cursor, run_id: str) -> None:
    """Take an imported run out of the index."""
    row = cursor.execute("select no from run where id = ?", [run_id]).fetchone()
    for table in TABLES_BY_RUN_NO if row else ():
        cursor.execute(f"delete from {table} where run_no = ?", list(row or ()))
    for table in ("artifact", "tag", "note", "hand_point"):
        cursor.execute(f"delete from {table} where run_id = ?", [run_id])
    cursor.execute("delete from run where id = ?", [run_id])


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
    metric_pins.apply_to_runs(cursor, ids)


def _primary_of(index: Index, keys: frozenset[str]) -> dict[str, Any]:
    primary = choose_primary(sorted(keys))
    if primary is None:
        return {"primary_key_id": None, "primary_goal": "", "guessed_key_id": None, "guessed_goal": ""}
    key_id, goal = index.ids_of([primary])[0], guess_goal(primary)
    return {"primary_key_id": key_id, "primary_goal": goal, "guessed_key_id": key_id, "guessed_goal": goal}


def _put_finals(cursor: Cursor, index: Index, runs: Sequence[Taken]) -> None:
    import polars as pl

    numbers = [each.no for each in runs]
    cursor.execute(
        f"delete from metric_latest where source = {FOREIGN_SOURCE} and run_no in (select unnest($numbers::integer[]))",
        {"numbers": numbers},
    )
    names = list(dict.fromkeys(key for each in runs for key in each.run.metrics))
    if not names:
        return
    id_of = dict(zip(names, index.ids_of(names), strict=True))
    finals = [(each.no, id_of[key], final) for each in runs for key, final in each.run.metrics.items()]
    columns = list(zip(*(final for _, _, final in finals), strict=True))
    frame = pl.DataFrame(
        {
            "run_no": pl.Series([no for no, _, _ in finals], dtype=pl.Int32),
            "key_id": pl.Series([key_id for _, key_id, _ in finals], dtype=pl.Int32),
            "step": pl.Series(columns[1], dtype=pl.Int64),
            "at_us": pl.Series(columns[2], dtype=pl.Int64),
            "value": pl.Series(columns[0], dtype=pl.Float64),
            "minimum": pl.Series(columns[3], dtype=pl.Float64),
            "maximum": pl.Series(columns[4], dtype=pl.Float64),
            "point_count": pl.Series(columns[5], dtype=pl.Int64),
        }
    )
    _insert_frame(
        cursor,
        frame,
        "insert or ignore into metric_latest"
        f" select run_no, key_id, step, at_us, value, minimum, maximum, point_count, {FOREIGN_SOURCE}, 1, 1, null, null"
        " from frame",
    )


def _put_points(cursor: Cursor, index: Index, records: Iterable[Mapping[str, Any]]) -> None:
    import polars as pl

    ids = set()
    for record in records:
        no = record["no"]
        ids.add(record["id"])
        points: dict[str, Column] = import_journal.points_of(record["columns"])
        if record["from_start"]:
            for table in ("metric", "metric_rollup"):
                cursor.execute(f"delete from {table} where run_no = ?", [no])
        key_ids = index.ids_of(list(points))
        frames = [
            pl.DataFrame(
                {
                    "key_id": pl.repeat(key_id, len(column.steps), dtype=pl.Int32, eager=True),
                    "step": pl.Series(column.steps, dtype=pl.Int64),
                    "at_us": pl.Series(column.at_us, dtype=pl.Int64),
                    "value": pl.Series(column.values, dtype=pl.Float64),
                }
            )
            for key_id, column in zip(key_ids, points.values(), strict=True)
            if column.steps
        ]
        if frames:
            _insert_frame(
                cursor,
                pl.concat(frames),
                f"insert into metric select {int(no)}, key_id, step, at_us, value, {FOREIGN_SOURCE}, 1, 1 from frame",
            )
    cursor.execute(
        "update run set is_followed = true where id in (select unnest($ids::varchar[]))", {"ids": sorted(ids)}
    )


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


def _insert_frame(cursor: Cursor, frame: Any, sql: str) -> None:
    cursor.register("frame", ArrowStream(frame))
    try:
        cursor.execute(sql)
    finally:
        cursor.unregister("frame")
