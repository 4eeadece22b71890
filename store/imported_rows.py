"""Rows of imported runs in the index, their words and artifacts. Within the transaction of the caller."""

from __future__ import annotations

import os
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from store import metric_pins, twins
from store.database import insert_frame
from store.imported_points import KEEP, MOVE_ON, delete_finals, insert_finals
from store.params import put_new_params
from store.primary_metric import choose_primary, guess_goal
from store.run_rows import update_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.database import Cursor
    from store.import_journal import Facts
    from store.ingest import Index

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
    facts: Facts


def columns_of(taken: Taken, primary: dict[str, Any]) -> dict[str, Any]:
    """The columns of a run that its tracker tells, and those that name its primary metric."""
    facts = taken.facts
    started_at_s, ended_at_s, written_at_s = facts["started_at_s"], facts["ended_at_s"], facts["written_at_s"]
    if ended_at_s is None and taken.state != "running":
        ended_at_s = written_at_s or None
    key, params, path, group, command = (facts[name] for name in ("key", "params", "path", "group", "command"))
    name = facts["name"] or os.path.basename(path.rstrip("/")) or key
    texts = [name, taken.project, group, facts["tracker"], command, key]
    texts += map("=".join, params.items())
    return {
        "id": taken.id,
        "no": taken.no,
        "name": name,
        "project": taken.project,
        "state": taken.state,
        "cause": taken.cause,
        "evidence": "\n".join(facts["problems"]),
        "command": command,
        "argv": "[]",
        "working_dir": facts["working_dir"],
        "host": facts["host"],
        "params": orjson.dumps(params).decode(),
        "created_at_s": started_at_s if started_at_s is not None else written_at_s,
        "started_at_s": started_at_s,
        "ended_at_s": max(ended_at_s, started_at_s or 0.0) if ended_at_s is not None else None,
        "exit_code": facts["exit_code"],
        "search_text": "\n".join(texts).lower()[:SEARCH_MAX_CHARACTERS],
        "tracker": facts["tracker"],
        "source_path": path,
        "source_group": group,
        "written_at_s": written_at_s,
        "import_id": taken.import_id,
        "import_place": taken.place,
        "import_key": key,
        "import_signature": facts["signature"],
        "import_state": facts["said"],
        **primary,
    }


NUMBERS: Final = {
    "no": "Int32",
    "exit_code": "Int32",
    "primary_key_id": "Int32",
    "guessed_key_id": "Int32",
    "created_at_s": "Float64",
    "started_at_s": "Float64",
    "ended_at_s": "Float64",
    "written_at_s": "Float64",
}
"""Columns of a run that are not texts, by their types in Polars."""
PASSING_COLUMNS: Final = ("state", "cause", "ended_at_s", "written_at_s", "import_signature")


def put_runs(cursor: Cursor, index: Index, runs: Sequence[Taken]) -> None:
    """What trackers say of runs, new ones or known ones. Raises duckdb.Error."""
    ids = [each.id for each in runs]
    found = cursor.execute("select id from run where id in (select unnest($ids::varchar[]))", {"ids": ids}).fetchall()
    there = {run_id for (run_id,) in found}
    rows = list(map(columns_of, runs, _primaries(index, runs)))
    new = [row for row in rows if row["id"] not in there]
    if new:
        _insert(cursor, new)
        put_new_params(cursor, [(each.no, each.facts["params"]) for each in runs if each.id not in there])
    if there:
        # Columns that people set (pin, archive) stay.
        update_runs(cursor, [(row.pop("id"), row) for row in rows if row["id"] in there])
        known = [each for each in runs if each.id in there]
        delete_finals(cursor, [each.no for each in known])
        _delete_words(cursor, known)
    conflict = KEEP if there else ""
    insert_finals(cursor, index, [(each.no, each.facts["metrics"]) for each in runs], conflict)
    _put_words(cursor, runs)
    _fill(cursor, "artifact", [[each.id, *artifact] for each in runs for artifact in each.facts["artifacts"]])
    twins.merge_params(cursor, ids)
    metric_pins.apply_to_runs(cursor, ids)


def refresh_runs(cursor: Cursor, index: Index, runs: Sequence[Taken]) -> None:
    """How live runs that are here already stand, and where their metrics do. Raises duckdb.Error."""
    rows = []
    for taken, primary in zip(runs, _primaries(index, runs), strict=True):
        columns = columns_of(taken, primary)
        rows.append((taken.id, {name: columns[name] for name in (*PASSING_COLUMNS, *primary)}))
    update_runs(cursor, rows)
    # A metric that is told no more, because its file was replaced, goes with the next entry of the journal.
    insert_finals(cursor, index, [(each.no, each.facts["metrics"]) for each in runs], MOVE_ON)
    metric_pins.apply_to_runs(cursor, [each.id for each in runs])


def primary_of(index: Index, keys: frozenset[str]) -> dict[str, Any]:
    """The columns that name the primary metric of a run with these metrics. Raises duckdb.Error."""
    primary = choose_primary(sorted(keys))
    if primary is None:
        return {"primary_key_id": None, "primary_goal": "", "guessed_key_id": None, "guessed_goal": ""}
    key_id, goal = index.ids_of([primary])[0], guess_goal(primary)
    return {"primary_key_id": key_id, "primary_goal": goal, "guessed_key_id": key_id, "guessed_goal": goal}


def _primaries(index: Index, runs: Sequence[Taken]) -> list[dict[str, Any]]:
    """Of each run; thousands of a sweep have the same metrics."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    named = [tuple(each.facts["metrics"]) for each in runs]
    for keys in named:
        if keys not in found:
            found[keys] = primary_of(index, frozenset(keys))
    return [found[keys] for keys in named]


def _insert(cursor: Cursor, rows: Sequence[dict[str, Any]]) -> None:
    """As a frame: DuckDB takes ten times as long over lists of Python."""
    import polars as pl

    names = list(rows[0])
    frame = pl.DataFrame(
        [pl.Series(name, map(itemgetter(name), rows), getattr(pl, NUMBERS.get(name, "String"))) for name in names]
    )
    listed = ", ".join(names)
    insert_frame(cursor, frame, f"insert into run ({listed}) select {listed} from frame")


def _delete_words(cursor: Cursor, runs: Sequence[Taken]) -> None:
    """Tags, notes and artifacts as the trackers had them; those of people stay."""
    ids = [each.id for each in runs]
    for table in ("tag", "note"):
        cursor.execute(
            f"delete from {table} where actor in (select unnest($actors::varchar[]))"
            " and run_id in (select unnest($ids::varchar[]))",
            {"actors": sorted({each.facts["tracker"] for each in runs}), "ids": ids},
        )
    cursor.execute("delete from artifact where run_id in (select unnest($ids::varchar[]))", {"ids": ids})


def _put_words(cursor: Cursor, runs: Sequence[Taken]) -> None:
    """Tags and notes as the trackers have them."""
    tags, notes = [], []
    for run_id, facts in ((each.id, each.facts) for each in runs):
        at_s = facts["started_at_s"] or facts["written_at_s"]
        words = (f"{key}={value}" if value else key for key, value in facts["tags"].items())
        tags += [[run_id, word, at_s, facts["tracker"]] for word in dict.fromkeys(word[:100] for word in words)]
        if facts["note"]:
            notes.append([f"{run_id}-note", run_id, at_s, facts["tracker"], facts["note"]])
    # A person may have put the same tag.
    _fill(cursor, "tag", tags, "insert or ignore")
    _fill(cursor, "note", notes)


def _fill(cursor: Cursor, table: str, rows: Sequence[Sequence[Any]], insert: str = "insert") -> None:
    """More rows of a table."""
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        places = ", ".join(f"unnest(${position})" for position in range(1, len(columns) + 1))
        cursor.execute(f"{insert} into {table} select {places}", columns)
