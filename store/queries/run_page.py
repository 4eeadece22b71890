"""The run table: the runs that fit a query, sorted by any field of them, a window at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from store.queries.run_table import RunEntry, runs_by_no
from store.query_language.conditions import condition_of
from store.query_language.errors import QueryError
from store.query_language.fields import ordering
from store.query_language.names import Names
from store.query_language.parser import parse, parse_field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.database import Cursor
    from store.query_language.fields import Ordering

NEWEST_RUNS: Final = 4000
KEPT: Final = f"""
    where (term_0 >= (
        select term_0 from matched where no > (select max(no) from run) - {NEWEST_RUNS}
        order by term_0 desc nulls last limit 1 offset $last
    )) is not false
"""
"""What rises with the rows costs DuckDB's heap of the highest the most: each row enters it. So what is below the last
row of the page that the newest runs alone would make is passed over. Without such a row, all is kept."""

ROWS_MAX: Final = 1000
TOP_OF_ROWS: Final = """
    with top as materialized (
        select run_no as no, {sign}value as term from ({rows}) where value is not null
        order by term, no desc limit $most
    )
    select no, (select count(*) from run where no in (select no from top) and {holds})
    from top order by term, no desc offset $offset
"""
"""Negated, the highest numbers come first, and nan last all the same: DuckDB has it above everything."""


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
    total = _count(cursor, "select count(*) from run", {})
    numbers = _top_of_rows(cursor, order, offset, limit, descending=descending) if condition == "true" else None
    if numbers is not None:
        return RunTable(total, total, tuple(runs_by_no(cursor, numbers, are_all=len(numbers) == total)))
    columns, terms = _terms(order, descending=descending)
    kept, count = "", ""
    if order.rises and descending and offset + limit <= NEWEST_RUNS // 4:
        kept = KEPT
        parameters["last"] = offset + limit - 1
    if condition != "true":
        count = ", (select count(*) from matched)"
    page = f"""
        with matched as {"" if count else "not "}materialized (
            select run.no{columns} from run {order.joins} where {condition}
        )
        select no{count} from matched {kept} order by {terms} no desc limit $limit offset $offset
    """
    found = cursor.execute(page, parameters | {"limit": limit, "offset": offset}).fetchall()
    numbers = [no for no, *_ in found]
    if not count:
        matched = total
    elif found:
        matched = found[0][1]
    else:
        given = {name: value for name, value in parameters.items() if f"${name}" in condition}
        matched = _count(cursor, f"select count(*) from run where {condition}", given)
    entries = runs_by_no(cursor, numbers, are_all=len(numbers) == total)
    return RunTable(total, matched, tuple(entries))


def _top_of_rows(cursor: Cursor, order: Ordering, offset: int, limit: int, *, descending: bool) -> list[int] | None:
    """A page of all runs from the rows that have what it is sorted by, in half the time that it takes to join them all.

    None where these do not fill the page, or are not all of runs that they count for.
    """
    most = offset + limit
    if not order.rows or most > ROWS_MAX:
        return None
    sign = "-" if descending else ""
    sql = TOP_OF_ROWS.format(sign=sign, rows=order.rows, holds=order.holds)
    found = cursor.execute(sql, {"most": most, "offset": offset}).fetchall()
    return [no for no, _ in found] if found and found[0][1] == most else None


def _terms(order: Ordering, *, descending: bool) -> tuple[str, str]:
    """The terms as columns to select, and how to sort by these."""
    direction = "desc" if descending else "asc"
    terms = order.terms
    if order.may_be_nan and descending:
        # DuckDB has nan above everything, so rising it comes after the numbers.
        terms, direction = tuple(f"-({term})" for term in terms), "asc"
    columns = "".join(f", {term} as term_{place}" for place, term in enumerate(terms))
    return columns, "".join(f"term_{place} {direction} nulls last, " for place in range(len(terms)))


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
