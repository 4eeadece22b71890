"""Which metrics and params the index has, for those who resolve the names of a query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from store.query_language.facts import FACTS, FLAGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.database import Cursor

SIMILAR: Final = 0.82
"""Jaro-Winkler similarity from which on a name counts as a near miss."""
PRIMARIES_MAX: Final = 50
GOALS: Final = ("maximize", "minimize")
NEAR_SQL: Final = """
    select name from (
        select name, max(jaro_winkler_similarity(lower(name), lower($name))
            + 0.2 * contains(lower(name), lower($name))::int) as likeness
        from (
            select name from param_key where $of <> 'metric'
            union all select name from metric_key where $of <> 'param'
            union all select unnest($facts::varchar[])
        ) where length(name) between 1 and 100 group by name
    ) where likeness >= $similar order by likeness desc, name limit 3
"""


class Names:
    """Looks keys up in the index; for one query. Raises duckdb.Error."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def metric(self, name: str) -> int | None:
        """The number of the key of a metric."""
        return self._id("metric_key", name)

    def param(self, name: str) -> int | None:
        """The number of the key of a param."""
        return self._id("param_key", name)

    def near(self, name: str, of: Literal["", "metric", "param"]) -> list[str]:
        """Names that somebody may have meant, the likeliest first."""
        facts = [] if of else [*FACTS, *FLAGS]
        given = {"name": name[:200], "of": of, "facts": facts, "similar": SIMILAR}
        return [found for (found,) in self._cursor.execute(NEAR_SQL, given).fetchall()]

    def other_goals(self, key_id: int, goal: str) -> bool:
        """Whether for some run, whose primary metric this is, something else than `goal` is better."""
        sql = "select 1 from run where primary_key_id = $id and primary_goal <> $goal limit 1"
        return self._cursor.execute(sql, {"id": key_id, "goal": goal}).fetchone() is not None

    def primary_keys(self) -> list[int]:
        """The keys of the metrics that stand for runs; empty when there are too many of them to name."""
        sql = f"select distinct primary_key_id from run where primary_key_id is not null limit {PRIMARIES_MAX + 1}"
        found = [key_id for (key_id,) in self._cursor.execute(sql).fetchall()]
        return found if len(found) <= PRIMARIES_MAX else []

    def primary_goal(self, alias: str) -> str:
        """The goal of runs that have a primary metric, as SQL: written out when all have the same, else a column."""
        sql = "select min(primary_goal), max(primary_goal) from run where primary_key_id is not null"
        row = self._cursor.execute(sql).fetchone()
        least, most = row or (None, None)
        return f"'{least}'" if least == most and least in GOALS else f"{alias}.primary_goal"

    def has_folds(self, keys: Sequence[int]) -> bool:
        """Whether one of these metrics (none: any metric) restarted in some run."""
        return self._holds("metric_fold", keys, "true")

    def has_unread(self, keys: Sequence[int]) -> bool:
        """Whether the points of one of these metrics (none: any metric) were not yet asked for in some run."""
        return self._holds("metric_latest", keys, "point_count = 0")

    def problem_of_pattern(self, pattern: str) -> str:
        """What RE2 has against a pattern; empty for nothing."""
        from store.database import Error

        try:
            self._cursor.execute("select regexp_matches('', $pattern, 'i')", {"pattern": pattern}).fetchone()
        except Error as error:
            return str(error).splitlines()[0].partition(": ")[2]
        return ""

    def _holds(self, table: str, keys: Sequence[int], condition: str) -> bool:
        if keys:
            condition += f" and key_id in ({', '.join(map(str, keys))})"
        return self._cursor.execute(f"select 1 from {table} where {condition} limit 1").fetchone() is not None

    def _id(self, table: str, name: str) -> int | None:
        row = self._cursor.execute(f"select id from {table} where name = $name limit 1", {"name": name}).fetchone()
        return int(row[0]) if row else None
