"""How long runs of a kind took, as a guess for those to come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from store.database import Cursor

RECENT_RUNS: Final = 20
"""The last ones of a kind count."""
METHOD: Final = f"median of the last {RECENT_RUNS} finished runs of that name in the project, at most"


def typical_durations(cursor: Cursor, names: Collection[str] | None = None) -> dict[tuple[str, str], float]:
    """Median seconds of the last finished runs, by project and name; kinds that never finished are left out.

    With `names` those of runs that are called so.
    """
    if names is None:
        rows = cursor.execute(SQL.format(named=""), [RECENT_RUNS]).fetchall()
    else:
        named = "and name in (select unnest(?::varchar[]))"
        rows = cursor.execute(SQL.format(named=named), [list(names), RECENT_RUNS]).fetchall() if names else []
    return {(project, name): float(seconds) for project, name, seconds in rows}


SQL: Final = """
    with recent as (
        select project, name, ended_at_s - started_at_s as seconds,
            row_number() over (partition by project, name order by no desc) as place
        from run
        where state = 'finished' and started_at_s is not null and ended_at_s >= started_at_s {named}
    )
    select project, name, median(seconds) from recent where place <= ? group by project, name
"""
