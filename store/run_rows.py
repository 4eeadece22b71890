"""Rows of the table `run`, written many at once, with the rows of their params."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from store.params import put_params

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from store.database import Cursor


def insert_runs(cursor: Cursor, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert runs that have the same columns by one statement; one by one, ten thousand take a minute."""
    names = list(rows[0])
    columns = {
        name: [json.dumps(row[name]) if isinstance(row[name], list | dict) else row[name] for row in rows]
        for name in names
    }
    unnested = ", ".join(f"unnest(${name})" for name in names)
    cursor.execute(f"insert into run ({', '.join(names)}) select {unnested}", columns)
    if any(params not in ({}, "{}") for params in columns.get("params", ())):
        put_params(cursor, [row["id"] for row in rows], new=True)


def update_runs(cursor: Cursor, updates: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Set columns of runs, by id; those that set the same columns by one statement."""
    groups: dict[tuple[str, ...], dict[str, Mapping[str, Any]]] = {}
    for run_id, columns in updates:
        groups.setdefault(tuple(columns), {})[run_id] = columns
    for names, group in groups.items():
        assignments = ", ".join(f"{name} = given.{name}" for name in names)
        given = ", ".join(f"unnest(${name}) as {name}" for name in ("id", *names))
        values = {name: [columns[name] for columns in group.values()] for name in names}
        cursor.execute(
            f"update run set {assignments} from (select {given}) given where run.id = given.id",
            {"id": list(group), **values},
        )
        if "params" in names:
            put_params(cursor, list(group))
