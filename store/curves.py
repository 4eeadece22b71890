"""One metric of a run as a chart shows it: over steps, epochs or time, whole or a stretch of it, smoothed or not.

Over steps and not smoothed the bins are made in SQL or come from a roll-up; everything else reads every point once, see
`curve_bins` for what is made of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from store.curve_bins import (
    MICROSECONDS,
    Ask,
    Axis,
    Curve,
    clamped,
    curve,
    mean_of,
    name_of,
    number,
    thinned,
    unit_of,
    with_epochs,
)
from store.series import FIND_SQL, LATEST_ATTEMPT_SQL, binned

if TYPE_CHECKING:
    import polars as pl

    from store.database import Cursor
    from store.series import Bins

POINTS_MAX: Final = 5_000_000
"""Of one fold. More are not read at once: smoothing and other axes need every point, 24 bytes each."""
FOLDS_MAX: Final = 20
"""Curves of one chart that can still be told apart as a bundle."""
EPOCH_KEYS: Final = ("epoch", "train/epoch", "trainer/epoch", "train_epoch")
"""Metrics that say which epoch a step belongs to, the most usual name first."""
STEP_MIN: Final = -(2**63)
STEP_MAX: Final = 2**63 - 1


class MetricCurves(NamedTuple):
    """One metric of a run, in one curve for each fold."""

    key: str
    axis: Axis
    curves: list[Curve]
    mean: Curve | None
    """Of several folds; None for one."""
    fold_count: int
    low: float | None
    """The first x of all points of the metric, whatever stretch was asked for; None when there is none."""
    high: float | None
    unavailable: str
    """Why this axis or smoothing cannot be had; the curves are empty then."""


def curves_of(cursor: Cursor, run_no: int, key: str, ask: Ask) -> MetricCurves | None:
    """One metric of a run; None when the run has no such metric. The cursor must be in no transaction."""
    found = cursor.execute(FIND_SQL, [run_no, key]).fetchone()
    if found is None:
        return None
    key_id, _, fold_count = found
    folds = range(max(1, fold_count - FOLDS_MAX + 1), fold_count + 1)
    if len(folds) == 1 and ask.axis == "step" and not ask.smoothing and not ask.log_x:
        return plain(cursor, run_no, key_id, key, ask)
    return drawn(cursor, run_no, key_id, key, ask, folds, fold_count)


def plain(cursor: Cursor, run_no: int, key_id: int, key: str, ask: Ask) -> MetricCurves | None:
    """Over steps and not smoothed: M4 in SQL, from the roll-up where there is one and all of it is wanted."""
    stretch = None
    if ask.low is not None or ask.high is not None:
        stretch = (step_of(ask.low, STEP_MIN, math.ceil), step_of(ask.high, STEP_MAX, math.floor))
    found = binned(cursor, run_no, key, ask.bins, None, stretch)
    if found is None:
        return None
    low, high = (
        (found.first_steps[0], found.steps[-1]) if stretch is None and found.steps else extent(cursor, run_no, key_id)
    )
    marks: list[tuple[float, str]] = []
    if found.not_finite_count:
        first, last = stretch or (STEP_MIN, STEP_MAX)
        rows = cursor.execute(MARKS_SQL, [run_no, key_id, first, last]).fetchall()
        marks = thinned([(float(step), name_of(value)) for step, value in rows], clamped(ask.bins))
    return MetricCurves(key, "step", [from_bins(found, marks)], None, 1, low, high, "")


def step_of(x: float | None, default: int, rounding: Any) -> int:
    """A border of a stretch as a step."""
    return default if x is None or not math.isfinite(x) else max(STEP_MIN, min(STEP_MAX, int(rounding(x))))


def from_bins(found: Bins, marks: list[tuple[float, str]]) -> Curve:
    """A curve over steps from the bins of a metric."""
    return Curve(
        found.fold,
        found.point_count,
        found.not_finite_count,
        0,
        [float(step) for step in found.steps],
        [float(step) for step in found.first_steps],
        found.steps,
        found.means,
        found.minimums,
        found.maximums,
        found.firsts,
        found.lasts,
        [],
        marks,
    )


def extent(cursor: Cursor, run_no: int, key_id: int) -> tuple[float | None, float | None]:
    """First and last step of a metric."""
    row = cursor.execute(
        "select min(step), max(step) from metric where run_no = ? and key_id = ? and isfinite(value)", [run_no, key_id]
    ).fetchone()
    return (row[0], row[1]) if row else (None, None)


def drawn(
    cursor: Cursor, run_no: int, key_id: int, key: str, ask: Ask, folds: range, fold_count: int
) -> MetricCurves | None:
    """Whatever needs every point: read them, smooth, cut, put into bins."""
    import polars as pl

    def without(reason: str) -> MetricCurves:
        return MetricCurves(key, ask.axis, [], None, fold_count, None, None, reason)

    count = cursor.execute(COUNT_SQL, [run_no, key_id, folds[0]]).fetchall()[0][0]
    if count > POINTS_MAX:
        return without(f"n/a: {count} points, and no more than {POINTS_MAX} are read at once for this")
    points = points_of(cursor, run_no, key_id, folds)
    if ask.axis == "epoch":
        epochs = epochs_of(cursor, run_no, folds)
        if epochs is None:
            return without(f"n/a: the run reports no metric {EPOCH_KEYS[0]!r} beside its steps")
        points = with_epochs(points, epochs)
    elif ask.axis == "step":
        points = points.with_columns(x=pl.col("step"))
    else:
        if len(points) > 1 and points["at_us"].min() == points["at_us"].max():
            return without("n/a: all its points bear one time, so nothing is known of when they came")
        origin_us = 0 if ask.axis == "wall" else origin_of(points, ask.started_at_s)
        points = points.with_columns(x=pl.col("at_us") - origin_us)
    parts = [points.filter(pl.col("fold") == fold) for fold in folds]
    mean = None
    if len(folds) > 1:
        mean = curve(mean_of(parts, len(folds), ask.axis), 0, ask)
    curves = [curve(part, fold, ask) for fold, part in zip(folds, parts, strict=True)]
    placed = points.filter(pl.col("x").is_not_null() & pl.col("value").is_finite())["x"]
    unit = unit_of(ask.axis)
    low, high = (number(placed.min()) / unit, number(placed.max()) / unit) if len(placed) else (None, None)
    return MetricCurves(key, ask.axis, curves, mean, fold_count, low, high, "")


def points_of(cursor: Cursor, run_no: int, key_id: int, folds: range) -> pl.DataFrame:
    """The points that count, with fold, step, time and value; by fold, then by step, then by arrival."""
    import polars as pl

    place = {"run_no": run_no, "key_id": key_id, "fold": folds[0]}
    tried = cursor.execute(
        "select min(attempt) <> max(attempt) from metric where run_no = $run_no and key_id = $key_id and fold >= $fold",
        place,
    ).fetchall()[0][0]
    counted = LATEST_ATTEMPT_SQL.replace("group by step", "group by fold, step").replace(
        "select step, max", "select fold, step, max"
    )
    source = counted.replace("using (step", "using (fold, step") if tried else "point"
    # A frame made straight from the cursor has DuckDB's bindings complain of leaks when the process ends.
    return pl.DataFrame(cursor.execute(POINTS_SQL.format(counted=source), place).fetchnumpy())


def origin_of(points: pl.DataFrame, started_at_s: float | None) -> int:
    """Where relative time begins, in microseconds."""
    if started_at_s is not None:
        return round(started_at_s * MICROSECONDS)
    return int(number(points["at_us"].min())) if len(points) else 0


def epochs_of(cursor: Cursor, run_no: int, folds: range) -> pl.DataFrame | None:
    """Which epoch began at which step, by fold and step; None when the run does not say."""
    for key in EPOCH_KEYS:
        found = cursor.execute(FIND_SQL, [run_no, key]).fetchone()
        if found is not None:
            return points_of(cursor, run_no, found[0], folds)
    return None


COUNT_SQL: Final = "select count(*) from metric where run_no = ? and key_id = ? and fold >= ?"
POINTS_SQL: Final = """
    with point as (
        select fold, step, at_us, value, attempt, rowid as arrival
        from metric where run_no = $run_no and key_id = $key_id and fold >= $fold
    )
    select fold, step, at_us, value from {counted} order by fold, step, arrival
"""
MARKS_SQL: Final = """
    select step, arg_max(value, rowid) from metric
    where run_no = ? and key_id = ? and not isfinite(value) and step between ? and ?
    group by step order by step
"""
