"""The run table: the runs that fit a query, sorted by any field of them, a window at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from store.queries.run_table import RunEntry, runs_by_no
from store.query_language.conditions import condition_of
from store.query_language.errors import QueryError
from store.query_language.fields import ordering
from store.query_language.names import Names
from store.query_language.parser import parse, parse_field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.database import Cursor


@dataclass(frozen=True, slots=True)
class RunTable:
    """A window of the filtered and sorted runs."""

    total_count: int
    matched_count: int
    entries: tuple[RunEntry, ...]


def run_page(
    cursor: Cursor,
    *,
    text: str,
    states: Sequence[str],
    sort: str,
    descending: bool,
    offset: int,
    limit: int,
    now_s: float,
) -> RunTable:
    """A page of runs that fit the query `text` and whose state is one of `states` (none: any), by the field `sort`.

    Runs without a value to sort by come last either way; ties go to the newer run. Raises QueryError for a query that
    cannot be answered and for a field that cannot be sorted by (its `of` says which of the two); duckdb.Error.
    """
    names = Names(cursor)
    condition, parameters = condition_of(parse(text), names, now_s)
    try:
        order = ordering(parse_field(sort), names)
    except QueryError as error:
        error.of = "sort"
        raise
    if states:
        condition += " and list_contains($states::varchar[], run.state)"
        parameters["states"] = list(states)
    if any("$now_s" in term for term in order.terms):
        parameters["now_s"] = now_s
    direction = "desc" if descending else "asc"
    columns = "".join(f", {term} as term_{place}" for place, term in enumerate(order.terms))
    terms = "".join(f"term_{place} {direction} nulls last, " for place in range(len(order.terms)))
    total = _count(cursor, "select count(*) from run", {})
    window = parameters | {"limit": limit, "offset": offset}
    if condition == "true":
        page = f"""
            select no from (select run.no{columns} from run {order.joins})
            order by {terms} no desc limit $limit offset $offset
        """
        numbers, matched = [no for (no,) in cursor.execute(page, window).fetchall()], total
    else:
        page = f"""
            with matched as materialized (select run.no{columns} from run {order.joins} where {condition})
            select no, (select count(*) from matched)
            from matched order by {terms} no desc limit $limit offset $offset
        """
        found = cursor.execute(page, window).fetchall()
        numbers = [no for no, _ in found]
        if found:
            matched = found[0][1]
        else:
            given = {name: value for name, value in parameters.items() if f"${name}" in condition}
            matched = _count(cursor, f"select count(*) from run where {condition}", given)
    entries = runs_by_no(cursor, numbers, are_all=len(numbers) == total)
    return RunTable(total, matched, tuple(entries))


def numbers_of(cursor: Cursor, text: str, states: Sequence[str], now_s: float) -> list[int]:
    """The numbers of all runs that fit the query `text` and whose state is one of `states` (none: any), in order.

    Raises QueryError, duckdb.Error.
    """
    condition, parameters = condition_of(parse(text), Names(cursor), now_s)
    if states:
        condition += " and list_contains($states::varchar[], run.state)"
        parameters["states"] = list(states)
    rows = cursor.execute(f"select run.no from run where {condition} order by run.no", parameters).fetchall()
    return [no for (no,) in rows]


def _count(cursor: Cursor, sql: str, parameters: dict[str, object]) -> int:
    row = cursor.execute(sql, parameters).fetchone()
    return int(row[0]) if row else 0
