"""Columns of the run table: the route that lists what can be one, and the cells of the chosen ones."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from starlette.routing import Route

from console.daemon import translate
from console.daemon.http import RefusedError, answer, guarded, integer
from console.protocol import encode_number
from console.run_columns import FACTS, Column, ColumnError, ColumnInfo, parse_columns
from store.queries import run_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from console.daemon.changes import Changes
    from store.database import Cursor, Database
    from store.queries.run_columns import ParamCount
    from store.queries.run_table import RunEntry
    from store.series import LatestMetric

PARAMS_MAX: Final = 32
"""Of a run, in the rows of a table; the run itself has them all."""
KEPT_MAX: Final = 8
"""Filters whose columns are remembered."""
FRESH_S: Final = 5.0
"""Live runs change the index four times a second, their params hardly ever."""
ANSWER_MAX: Final = 1000
UNIQUE_MIN: Final = 8
"""With fewer runs than that, values that are all different say little about a param."""


class Catalogue(NamedTuple):
    """Everything that can be a column for the runs of a filter."""

    position: int
    at_s: float
    run_count: int
    columns: tuple[ColumnInfo, ...]
    differing_count: int
    """The first ones, which are params that do not have one value in all of the runs."""


class ColumnRoutes:
    """What the route needs, and what it has counted."""

    def __init__(self, opened: Database, changes: Changes) -> None:
        self._database = opened
        self._changes = changes
        self._kept: dict[str, Catalogue] = {}
        self._counting = asyncio.Lock()

    def table(self) -> list[Route]:
        """Path and handler."""
        return [Route("/runs/columns", self.columns)]

    @guarded
    async def columns(self, request: Request) -> Response:
        """What can be a column, in windows."""
        query = request.query_params
        found = await self._catalogue(query.get("text", ""))
        columns = found.columns[: found.differing_count] if query.get("differing") == "1" else found.columns
        if words := query.get("search", "").lower().split():
            columns = tuple(each for each in columns if all(word in each.name.lower() for word in words))
        offset, limit = integer(request, "offset", 0), min(integer(request, "limit", 100), ANSWER_MAX)
        window = list(map(list, columns[offset : offset + limit]))
        return answer({"total_count": len(columns), "run_count": found.run_count, "columns": window})

    async def _catalogue(self, text: str) -> Catalogue:
        async with self._counting:
            kept = self._kept.pop(text, None)
            if kept is not None:
                self._kept[text] = kept
                if kept.position == self._changes.position or time.monotonic() - kept.at_s < FRESH_S:
                    return kept
            position = self._changes.position
            self._kept[text] = found = await asyncio.to_thread(self._count, text, position)
            while len(self._kept) > KEPT_MAX:
                del self._kept[next(iter(self._kept))]
            return found

    def _count(self, text: str, position: int) -> Catalogue:
        with self._database.reading() as cursor:
            condition, given = run_columns.matching(cursor, text, time.time())
            run_count = run_columns.count_runs(cursor, condition, given)
            params = sorted(run_columns.param_counts(cursor, condition, given), key=lambda each: rank(each, run_count))
            metrics = run_columns.metric_counts(cursor, condition, given)
        differing_count = sum(differs(each, run_count) for each in params)
        infos = [ColumnInfo(f"param:{each.key}", "param", each.run_count, each.distinct_count) for each in params]
        facts = [ColumnInfo(name, "fact", None, None) for name in FACTS]
        values = [
            ColumnInfo(f"metric:{each.key}:{aggregate}", "metric", each.run_count, None)
            for each in sorted(metrics, key=lambda each: (-each.run_count, each.key))
            for aggregate in ("last", "best")
        ]
        columns = (*infos[:differing_count], *facts, *values, *infos[differing_count:])
        return Catalogue(position, time.monotonic(), run_count, columns, differing_count)


def differs(param: ParamCount, run_count: int) -> bool:
    """Whether a param does not have one value in all of the runs."""
    return param.distinct_count > 1 or param.run_count < run_count


def rank(param: ParamCount, run_count: int) -> tuple[bool, bool, bool, int, str]:
    """Sorts params by how well they tell runs apart: short ones that many share before names of single runs."""
    is_unique = param.run_count > UNIQUE_MIN and param.distinct_count == param.run_count
    return (not differs(param, run_count), param.is_long, is_unique, -param.run_count, param.key)


def asked_columns(text: str | None) -> tuple[Column, ...] | None:
    """The columns that a client asks for; None when it speaks of none."""
    if text is None:
        return None
    try:
        return parse_columns(text)
    except ColumnError as error:
        raise RefusedError(400, str(error), "`GET /runs/columns` lists what there is") from error


def with_cells(
    cursor: Cursor, rows: list[dict[str, Any]], entries: Sequence[RunEntry], columns: Sequence[Column]
) -> dict[str, Any]:
    """The cells of the columns; cuts what `rows` say of params down to a few."""
    keys = list(dict.fromkeys(column.key for column in columns if column.kind == "metric"))
    metrics = run_columns.metrics_of_runs(cursor, [entry.no for entry in entries], keys)
    cells: dict[str, list[Any]] = {}
    for column in columns:
        if column.kind == "param":
            cells[column.name] = [row["params"].get(column.key) for row in rows]
        elif column.kind == "metric":
            cells[column.name] = [
                metric_cell(entry, metrics.get((entry.no, column.key)), column.aggregate) for entry in entries
            ]
    more = [max(0, len(row["params"]) - PARAMS_MAX) for row in rows]
    for row, count in zip(rows, more, strict=True):
        if count:
            row["params"] = dict(list(row["params"].items())[:PARAMS_MAX])
            sources = row["param_sources"]
            row["param_sources"] = {key: sources[key] for key in row["params"] if key in sources}
    return {"cells": cells, "more_params": more}


def metric_cell(entry: RunEntry, latest: LatestMetric | None, aggregate: str) -> float | str | None:
    """One number of a metric of a run, as JSON can carry it."""
    if latest is None:
        return None
    found = translate.metric_of(entry, latest)
    if aggregate == "best":
        if found["folds"] is not None:
            return encode_number(found["folds"]["mean"])
        return encode_number(found["maximum" if found["goal"] == "maximize" else "minimum"])
    name = {"last": "last", "min": "minimum", "max": "maximum", "step": "last_step"}[aggregate]
    value = found[name]
    return value if isinstance(value, str) else encode_number(value)
