"""What the daemon in memory says about columns of the run table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.protocol import encode_number
from console.run_columns import FACTS, parse_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from console.client import Client
    from console.protocol import Json, MetricSummary, RunDetail, RunRow

PARAMS_MAX = 32


def metric_json(metric: MetricSummary | None) -> dict[str, Any] | None:
    """A metric as the daemon sends it."""
    if metric is None:
        return None
    numbers = {name: encode_number(getattr(metric, name)) for name in ("last", "minimum", "maximum")}
    return {**metric._asdict(), **numbers, "folds": metric.folds._asdict() if metric.folds else None}


def row_json(row: RunRow) -> dict[str, Any]:
    """A line of the run table as the daemon sends it."""
    params = dict(list(row.params.items())[:PARAMS_MAX])
    return {**row._asdict(), "metric": metric_json(row.metric), "params": params}


def table_page(client: Client, details: Sequence[RunDetail], query: Mapping[str, Json]) -> dict[str, Json]:
    """A page with chosen columns."""
    page = client.runs(
        text=query["text"],
        states=query["states"],
        sort=query["sort"],
        descending=bool(query["descending"]),
        offset=query["offset"],
        limit=query["limit"],
    )
    by_id = {detail.row.id: detail for detail in details}
    cells = {
        column.name: [value(by_id[row.id], column.kind, column.key, column.aggregate) for row in page.rows]
        for column in parse_columns(query["columns"])
    }
    more = [max(0, len(row.params) - PARAMS_MAX) for row in page.rows]
    return {**page._asdict(), "rows": list(map(row_json, page.rows)), "cells": cells, "more_params": more}


def value(detail: RunDetail, kind: str, key: str, aggregate: str) -> Any:
    """One cell."""
    if kind == "param":
        return detail.row.params.get(key)
    metric = next((each for each in detail.metrics if each.key == key), None)
    if metric is None:
        return None
    found = {
        "last": metric.last,
        "best": metric.best,
        "min": metric.minimum,
        "max": metric.maximum,
        "step": metric.last_step,
    }
    return encode_number(found[aggregate])


def columns(details: Sequence[RunDetail], query: Mapping[str, Json]) -> dict[str, Json]:
    """What can be a column."""
    rows = [each for each in details if query["text"].lower() in f"{each.row.label} {each.row.name} {each.row.command}"]
    values: dict[str, list[str]] = {}
    metrics: dict[str, int] = {}
    for detail in rows:
        for key, text in detail.row.params.items():
            values.setdefault(key, []).append(text)
        for metric in detail.metrics:
            metrics[metric.key] = metrics.get(metric.key, 0) + 1
    params = [[f"param:{key}", "param", len(texts), len(set(texts))] for key, texts in values.items()]
    differing = [each for each in params if each[3] > 1 or each[2] < len(rows)]  # type: ignore[operator]
    found: list[list[Any]] = sorted(differing, key=lambda each: (-int(each[2]), each[0]))
    if not query["differing"]:
        found += [[name, "fact", None, None] for name in FACTS]
        found += [
            [f"metric:{key}:{aggregate}", "metric", count, None]
            for key, count in metrics.items()
            for aggregate in ("last", "best")
        ]
        found += [each for each in params if each not in differing]
    found = [each for each in found if all(word in each[0].lower() for word in query["search"].lower().split())]
    window = found[query["offset"] : query["offset"] + query["limit"]]
    return {"total_count": len(found), "run_count": len(rows), "columns": window}
