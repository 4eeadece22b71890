"""The curves of the daemon in memory: those of its series, over any axis, smoothed as the daemon smooths."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from store.curve_bins import Curve
from store.curves import MetricCurves

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from console.protocol import Json, RunRow, Series

SECONDS_A_STEP = 0.5


def answer(row: RunRow, series_of: Callable[[str, int], Series], query: Mapping[str, Json]) -> dict[str, Json]:
    """What the route answers."""
    metrics = [curves(row, key, series_of(key, query["bins"]), query) for key in json.loads(query["keys"])]
    return {"no": row.no, "started_at_s": row.started_at_s, "metrics": metrics}


def curves(row: RunRow, key: str, series: Series, query: Mapping[str, Json]) -> dict[str, Any] | None:
    """One metric; None where the run has not a point of it."""
    axis, weight = query["axis"], float(query["smooth"] or 0)
    low, high = (None if query[name] is None else float(query[name]) for name in ("from", "to"))
    if not series.steps:
        return MetricCurves(key, axis, [], None, 1, None, None, "")._asdict()
    if axis == "epoch":
        reason = "n/a: the run reports no metric 'epoch' beside its steps"
        return MetricCurves(key, axis, [], None, 1, None, None, reason)._asdict()
    origin = (row.started_at_s or 0.0) if axis == "wall" else 0.0
    all_xs = [origin + step * (1.0 if axis == "step" else SECONDS_A_STEP) for step in series.steps]
    smoothed, last, count = [], 0.0, 0
    for value in series.means:
        last, count = weight * last + (1 - weight) * value, count + 1
        smoothed.append(last / (1 - weight**count) if weight else math.nan)
    kept = [n for n, x in enumerate(all_xs) if (low is None or x >= low) and (high is None or x <= high)]

    def chosen(values: Any) -> list[Any]:
        return [values[n] for n in kept]

    xs = chosen(all_xs)
    curve = Curve(
        1,
        series.point_count,
        series.not_finite_count,
        0,
        xs,
        xs,
        chosen(series.steps),
        chosen(series.means),
        chosen(series.minimums),
        chosen(series.maximums),
        chosen(series.means),
        chosen(series.lasts),
        chosen(smoothed) if weight else [],
        [],
    )
    found = MetricCurves(key, axis, [curve], None, 1, all_xs[0], all_xs[-1], "")
    return found._asdict() | {"curves": [curve._asdict()]}
