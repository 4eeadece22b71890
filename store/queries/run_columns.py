"""What can be a column of the run table: params and metrics with how many runs have them; metric cells of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from store.queries.latest_metrics import latest_of_runs
from store.query_language.conditions import condition_of
from store.query_language.names import Names
from store.query_language.parser import parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from store.database import Cursor
    from store.series import LatestMetric


class ParamCount(NamedTuple):
    """A param among some runs."""

    key: str
    run_count: int
    distinct_count: int
    """Different values."""
    is_long: bool
    """Its values are mostly too long for a column of a few cells."""


class MetricCount(NamedTuple):
    """A metric among some runs."""

    key: str
    run_count: int


LONG_CHARACTERS: Final = 20
PARAM_COUNTS: Final = f"""
    select name, run_count, distinct_count, is_long from (
        select key_id, count(*) as run_count, count(distinct hash(text)) as distinct_count,
            avg(length(text)) > {LONG_CHARACTERS} as is_long
        from param {{matching}} group by key_id
    ) join param_key on param_key.id = key_id
"""
METRIC_COUNTS: Final = """
    select name, run_count from (
        select key_id, count(*) as run_count from metric_latest {matching} group by key_id
    ) join metric_key on metric_key.id = key_id
"""
MATCHING: Final = "where run_no in (select run.no from run where {condition})"


def matching(cursor: Cursor, text: str, now_s: float) -> tuple[str, dict[str, Any]]:
    """The condition on `run` that a query is, with its parameters; empty for one that lets all through.

    Raises QueryError, duckdb.Error.
    """
    query = parse(text)
    return condition_of(query, Names(cursor), now_s) if query.root is not None else ("", {})


def param_counts(cursor: Cursor, condition: str, given: Mapping[str, Any]) -> list[ParamCount]:
    """The params of the runs that a condition on `run` lets through (none: all runs), by key. Raises duckdb.Error."""
    return [ParamCount(*row) for row in _counted(cursor, PARAM_COUNTS, condition, given)]


def metric_counts(cursor: Cursor, condition: str, given: Mapping[str, Any]) -> list[MetricCount]:
    """The metrics of the runs that a condition on `run` lets through (none: all runs), by key. Raises duckdb.Error."""
    return [MetricCount(*row) for row in _counted(cursor, METRIC_COUNTS, condition, given)]


def _counted(cursor: Cursor, sql: str, condition: str, given: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    matching = MATCHING.format(condition=condition) if condition else ""
    return cursor.execute(sql.format(matching=matching) + " order by name", dict(given) if condition else {}).fetchall()


def count_runs(cursor: Cursor, condition: str, given: Mapping[str, Any]) -> int:
    """How many runs a condition on `run` lets through. Raises duckdb.Error."""
    where = f"where {condition}" if condition else ""
    row = cursor.execute(f"select count(*) from run {where}", dict(given) if condition else {}).fetchone()
    return int(row[0]) if row else 0


def metrics_of_runs(cursor: Cursor, numbers: Sequence[int], keys: Sequence[str]) -> dict[tuple[int, str], LatestMetric]:
    """Where these metrics of these runs stand, by number and key; what a run does not have is left out."""
    if not numbers or not keys:
        return {}
    known = cursor.execute(
        "select id, name from metric_key where name in (select unnest($keys::varchar[]))", {"keys": list(keys)}
    ).fetchall()
    if not known:
        return {}
    names = dict(known)
    return {(no, names[key_id]): found for (no, key_id), found in latest_of_runs(cursor, numbers, names).items()}
