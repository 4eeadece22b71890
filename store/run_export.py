"""The run table as a file: one line a run, in CSV, JSON, Markdown or Parquet.

Columns have the names of `mlflow.search_runs`: facts of the run, `params.NAME`, `metrics.KEY` for the newest value
and `metrics.KEY.best`, `.min`, `.max` or `.step`. Times are Unix seconds; what is not known is empty.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from store.params import NUMBER_PATTERN
from store.primary_metric import guess_goal
from store.queries import run_table
from store.query_language.fields import FOLD_BESTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import polars

    from store.database import Cursor
    from store.queries.run_table import RunEntry

RUNS_AT_ONCE: Final = 1000
NAMES_MAX: Final = 256
"""Params, and metrics, that become columns unless columns are named: those of most runs."""


def best_of(entry: RunEntry) -> float | None:
    """The best value of the metric that stands for a run; the mean of the folds' bests where there are folds."""
    metric = entry.metric
    if metric is None:
        return None
    highest = entry.primary_goal == "maximize"
    if metric.folds:
        bests = [fold.maximum if highest else fold.minimum for fold in metric.folds]
        known = [best for best in bests if best is not None]
        return sum(known) / len(known) if known else None
    return metric.maximum if highest else metric.minimum


FACTS: Final[dict[str, Callable[[RunEntry], Any]]] = {
    "run": lambda run: f"r{run.no}",
    "id": lambda run: run.id,
    "name": lambda run: run.name,
    "project": lambda run: run.project,
    "state": lambda run: run.state,
    "cause": lambda run: run.cause,
    "exit_code": lambda run: run.exit_code,
    "tags": lambda run: " ".join(run.tags),
    "source": lambda run: run.tracker or "footplate",
    "host": lambda run: run.host,
    "command": lambda run: run.command,
    "job": lambda run: run.job,
    "sweep": lambda run: run.sweep,
    "attempt": lambda run: run.attempt,
    "created_at_s": lambda run: run.created_at_s,
    "started_at_s": lambda run: run.started_at_s,
    "ended_at_s": lambda run: run.ended_at_s,
    "duration_s": lambda run: run.ended_at_s - run.started_at_s if run.ended_at_s and run.started_at_s else None,
    "metric": lambda run: run.metric.key if run.metric else None,
    "goal": lambda run: run.primary_goal if run.metric else None,
    "last": lambda run: run.metric.last if run.metric else None,
    "best": best_of,
    "step": lambda run: run.metric.last_step if run.metric else None,
}
"""What is known of every run, by column."""
SHORT: Final = ("run", "name", "project", "state", "metric", "last", "best", "step", "duration_s")
"""The facts of a table for people."""
OF_METRIC: Final = ("last", "best", "min", "max", "step")


class ColumnError(ValueError):
    """A column that no run has."""


class Column(NamedTuple):
    """One column: a fact, a param, or something of a metric."""

    name: str
    kind: str
    """`fact`, `param`, or one of OF_METRIC."""
    key: str


class Plan(NamedTuple):
    """What is exported."""

    numbers: list[int]
    """Of the runs, in their order."""
    columns: list[Column]
    left_out: int
    """Params and metrics that became no columns because there are too many."""


def plan(cursor: Cursor, numbers: list[int], names: Sequence[str], *, short: bool) -> Plan:
    """Which columns these runs are given; `short`: those that people compare. Raises ColumnError, duckdb.Error."""
    if names:
        return Plan(numbers, [column(cursor, name) for name in dict.fromkeys(names)], 0)
    facts = [Column(name, "fact", name) for name in (SHORT if short else FACTS)]
    params, more_params = keys_of(cursor, numbers, "param", differing=short)
    metrics, more_metrics = ([], 0) if short else keys_of(cursor, numbers, "metric_latest", differing=False)
    columns = [*facts, *(Column(f"params.{key}", "param", key) for key in params)]
    columns += [Column(f"metrics.{key}", "last", key) for key in metrics]
    return Plan(numbers, columns, more_params + more_metrics)


def column(cursor: Cursor, name: str) -> Column:
    """The column of a name. Raises ColumnError when no run has it."""
    if name in FACTS:
        return Column(name, "fact", name)
    table, _, key = name.partition(".")
    kind = "last"
    if table == "params" and is_known(cursor, "param_key", key):
        return Column(name, "param", key)
    if table == "metrics":
        bare, _, end = key.rpartition(".")
        if not is_known(cursor, "metric_key", key) and end in OF_METRIC:
            key, kind = bare, end
        if is_known(cursor, "metric_key", key):
            return Column(name, kind, key)
    raise ColumnError(f"no run has {name!r}")


def is_known(cursor: Cursor, table: str, name: str) -> bool:
    """Whether the index knows a key."""
    return cursor.execute(f"select 1 from {table} where name = $1", [name]).fetchone() is not None


def keys_of(cursor: Cursor, numbers: Sequence[int], table: str, *, differing: bool) -> tuple[list[str], int]:
    """Names of params or metrics of these runs, those of most runs first, and how many more there are.

    `differing`: only params whose values are not the same in all of them.
    """
    names = {"param": "param_key", "metric_latest": "metric_key"}[table]
    having = "having count(distinct text) > 1 or count(*) < len($numbers)" if differing else ""
    rows = cursor.execute(
        f"select name from {table} key join {names} on {names}.id = key.key_id "
        f"where run_no in (select unnest($numbers::integer[])) group by name {having} order by count(*) desc, name",
        {"numbers": list(numbers)},
    ).fetchall()
    return [name for (name,) in rows[:NAMES_MAX]], max(0, len(rows) - NAMES_MAX)


def lines(cursor: Cursor, planned: Plan) -> Iterator[list[list[Any]]]:
    """The cells of the runs, some runs at a time. Raises duckdb.Error."""
    wanted = sorted({each.key for each in planned.columns if each.kind in OF_METRIC})
    for start in range(0, len(planned.numbers), RUNS_AT_ONCE):
        numbers = planned.numbers[start : start + RUNS_AT_ONCE]
        listed = ", ".join(map(str, numbers))
        rows = cursor.execute(f"{run_table.SELECT} where run.no in ({listed})").fetchall()
        entries = {entry.no: entry for entry in map(run_table.entry, rows)}
        values: dict[tuple[int, str], tuple[Any, ...]] = {}
        if wanted:
            found = cursor.execute(
                "select latest.run_no, name, value, latest.minimum, latest.maximum, step, "
                "coalesce(fold.minimum, latest.minimum), coalesce(fold.maximum, latest.maximum) "
                f"from metric_latest latest join metric_key key on key.id = latest.key_id {FOLD_BESTS} "
                f"where latest.run_no in ({listed}) and name in (select unnest($names))",
                {"names": wanted},
            ).fetchall()
            values = {(no, key): tuple(rest) for no, key, *rest in found}
        yield [
            [cell(entries[no], each, values.get((no, each.key))) for each in planned.columns]
            for no in numbers
            if no in entries
        ]


def cell(entry: RunEntry, of: Column, values: tuple[Any, ...] | None) -> Any:
    """What stands in one column of a run; None for nothing."""
    if of.kind == "fact":
        return FACTS[of.key](entry)
    if of.kind == "param":
        return entry.params.get(of.key)
    if values is None:
        return None
    last, minimum, maximum, step, lowest_best, highest_best = values
    is_primary = entry.metric is not None and entry.metric.key == of.key
    goal = entry.primary_goal if is_primary else guess_goal(of.key)
    best = highest_best if goal == "maximize" else lowest_best
    return {"last": last, "best": best, "min": minimum, "max": maximum, "step": step}[of.kind]


def as_csv(cursor: Cursor, planned: Plan) -> Iterator[bytes]:
    """With a header line; empty cells for what is not known."""
    header = [[each.name for each in planned.columns]]
    for rows in itertools.chain([header], lines(cursor, planned)):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        yield text.getvalue().encode("utf-8", "surrogateescape")


def as_json(cursor: Cursor, planned: Plan) -> Iterator[bytes]:
    """An array of objects, one a line; what is not finite as "NaN", "Infinity" or "-Infinity"."""
    names = [each.name for each in planned.columns]
    opening = b"[\n"
    for rows in lines(cursor, planned):
        for row in rows:
            yield opening + orjson.dumps(dict(zip(names, map(plain, row), strict=True)))
            opening = b",\n"
    yield b"[]\n" if opening == b"[\n" else b"\n]\n"


def plain(value: Any) -> Any:
    """A value that JSON can carry."""
    if isinstance(value, float) and value - value != 0:
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return value


def as_markdown(cursor: Cursor, planned: Plan) -> Iterator[bytes]:
    """A table for a README or an issue."""
    header = [[each.name for each in planned.columns], ["---"] * len(planned.columns)]
    for rows in itertools.chain([header], lines(cursor, planned)):
        yield "".join(f"| {' | '.join(map(markdown_cell, row))} |\n" for row in rows).encode("utf-8", "surrogateescape")


def markdown_cell(value: Any) -> str:
    """A value in a table: in one line, and no part of the markup."""
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "\\`")


def as_frame(cursor: Cursor, planned: Plan) -> polars.DataFrame:
    """A frame whose columns have the same types whatever the runs are; params that are all numbers are numbers."""
    import polars

    columns: list[list[Any]] = [[] for _ in planned.columns]
    for rows in lines(cursor, planned):
        for row in rows:
            for position, value in enumerate(row):
                columns[position].append(value)
    made = []
    for each, values in zip(planned.columns, columns, strict=True):
        if each.kind == "param":
            made.append(polars.Series(each.name, as_numbers(values)))
        else:
            name = each.kind if each.kind in OF_METRIC else each.key
            kind = polars.Int64 if name in WHOLE else polars.Float64 if name in REAL else polars.String
            made.append(polars.Series(each.name, values, dtype=kind))
    return polars.DataFrame(made)


def as_numbers(values: list[str | None]) -> list[Any]:
    """Texts as numbers where all of them are written as numbers are; else the texts."""
    given = [value for value in values if value is not None]
    if not all(NUMBER.fullmatch(value) for value in given):
        return values
    if all(re.fullmatch(r"[+-]?\d{1,18}", value) for value in given):
        return [None if value is None else int(value) for value in values]
    return [None if value is None else float(value) for value in values]


NUMBER: Final = re.compile(rf"(?!0\d){NUMBER_PATTERN}", re.IGNORECASE | re.ASCII)
"""Not one with leading zeros, which is a name."""
WHOLE: Final = frozenset({"exit_code", "attempt", "step"})
REAL: Final = frozenset({"created_at_s", "started_at_s", "ended_at_s", "duration_s", "last", "best", "min", "max"})
