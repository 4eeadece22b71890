"""Which metric stands for the runs of a project, as a person or a manifest says; the rest is guessed from names.

A pin holds for every run of its project that has the metric, those that come later too; other runs keep the guess.
What a person pinned goes before what the manifest says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.database import Cursor
    from store.primary_metric import Goal

PINNED: Final = "pinned"
"""The origin of what a person said."""
MANIFEST: Final = "manifest"
"""The origin of what footplate.toml says."""


class Pin(NamedTuple):
    """The metric that was chosen for a project."""

    project: str
    origin: str
    key: str
    goal: Goal
    at_s: float
    actor: str


def pins_of(cursor: Cursor, project: str) -> list[Pin]:
    """The pins of a project, the one that counts first. Raises duckdb.Error."""
    rows = cursor.execute(
        "select project, origin, key, goal, at_s, actor from metric_pin where project = ? order by origin = ? desc",
        [project, PINNED],
    ).fetchall()
    return [Pin(*row) for row in rows]


def set_by_manifest(cursor: Cursor, project: str, key: str | None, goal: Goal | None, at_s: float) -> None:
    """Take over what the manifest of a project says of its primary metric, None when it says nothing (any more).

    Without a goal it is guessed from the key. In one transaction; raises duckdb.Error.
    """
    from store.primary_metric import guess_goal

    cursor.execute("begin")
    try:
        if key is None:
            cursor.execute("delete from metric_pin where project = ? and origin = ?", [project, MANIFEST])
        else:
            put(cursor, [Pin(project, MANIFEST, key, goal or guess_goal(key), at_s, "manifest")])
        apply_to_project(cursor, project)
        cursor.execute("commit")
    except BaseException:
        cursor.execute("rollback")
        raise


def put(cursor: Cursor, pins: Sequence[Pin]) -> None:
    """Pin metrics in place of what was pinned before. Raises duckdb.Error."""
    if pins:
        cursor.executemany("insert or replace into metric_pin values (?, ?, ?, ?, ?, ?)", list(map(list, pins)))


def apply_to_runs(cursor: Cursor, run_ids: Sequence[str]) -> None:
    """Have the pins count for runs whose metrics have changed. Raises duckdb.Error."""
    if cursor.execute("select 1 from metric_pin limit 1").fetchone() is not None:
        cursor.execute(APPLY_SQL.format(which="run.id in (select unnest($which::varchar[]))"), {"which": run_ids})


def apply_to_project(cursor: Cursor, project: str) -> None:
    """Have changed pins count for the runs of a project. Raises duckdb.Error."""
    cursor.execute(APPLY_SQL.format(which="run.project = $which"), {"which": project})


APPLY_SQL: Final = f"""
    update run set
        primary_key_id = coalesce(found.key_id, guessed_key_id),
        primary_goal = coalesce(found.goal, guessed_goal),
        primary_source = coalesce(found.origin, 'guessed')
    from (
        select run.id, pinned.key_id, pinned.goal, pinned.origin
        from run left join (
            select run.id, arg_min(key.id, place) as key_id, arg_min(pin.goal, place) as goal,
                arg_min(pin.origin, place) as origin
            from run
            join (select *, if(origin = '{PINNED}', 1, 2) as place from metric_pin) pin on pin.project = run.project
            join metric_key key on key.name = pin.key
            join metric_latest latest on latest.run_no = run.no and latest.key_id = key.id
            where {{which}}
            group by run.id
        ) pinned on pinned.id = run.id
        where {{which}}
    ) found
    where run.id = found.id
"""
