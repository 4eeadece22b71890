"""Literals of scripts: what differs between runs of one script whose params do not.

They are stored whole and compared when somebody looks, so that the order in which runs came does not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from store.database import Cursor


class ChangedLiteral(NamedTuple):
    """A literal that other runs of the script have otherwise."""

    value: str
    line: int


def put_literals(cursor: Cursor, literals: Mapping[str, Mapping[str, tuple[str, int]]]) -> None:
    """Add the literals of runs, by run id, in one statement; those that are known stay. Raises duckdb.Error."""
    rows = [(run_id, name, *each) for run_id, found in literals.items() for name, each in found.items()]
    if rows:
        columns = dict(zip("abcd", map(list, zip(*rows, strict=True)), strict=True))
        cursor.execute(
            "insert into literal select unnest($a), unnest($b), unnest($c), unnest($d) on conflict do nothing", columns
        )


def changed_literals(cursor: Cursor, run_ids: Sequence[str]) -> dict[str, dict[str, ChangedLiteral]]:
    """By run and name, for those of these runs whose project and script have runs of one set of params only."""
    ids = {"ids": list(run_ids)}
    if cursor.execute(ANY_SQL, ids).fetchone() is None:
        return {}
    rows = cursor.execute(CHANGED_SQL, ids).fetchall()
    found: dict[str, dict[str, ChangedLiteral]] = {}
    for run_id, name, value, line in rows:
        found.setdefault(run_id, {})[name] = ChangedLiteral(value, line)
    return found


ANY_SQL: Final = "select 1 from literal where run_id in (select unnest($ids::varchar[])) limit 1"
CHANGED_SQL: Final = """
    with asked as (select id, project, script from run where id in (select unnest($ids::varchar[])) and script <> ''),
    peer as (
        select run.id, run.project, run.script, run.params
        from run semi join asked on run.project = asked.project and run.script = asked.script
        where run.id in (select run_id from literal)
    ),
    alike as (
        select project, script, count(*) as run_count from peer
        group by all having count(*) > 1 and count(distinct params) = 1
    ),
    varying as (
        select peer.project, peer.script, literal.name
        from peer join alike using (project, script) join literal on literal.run_id = peer.id
        group by all having count(distinct literal.value) > 1 or count(*) < any_value(alike.run_count)
    )
    select literal.run_id, literal.name, literal.value, literal.line
    from asked join varying using (project, script)
    join literal on literal.run_id = asked.id and literal.name = varying.name
    order by literal.run_id, literal.line, literal.name
"""
