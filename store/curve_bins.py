"""Points of a metric as the lines of a chart: smoothed, cut to a stretch, put into bins. Pure functions on frames.

Smoothing is the debiased exponential moving average of TensorBoard and W&B, index-weighted: every point counts alike
however far apart two are. With weight w and the finite values v_1 ... v_n in the order of their steps

    s_n = sum(w^(n-i) v_i) / sum(w^(n-i)),  i = 1 ... n

which is their running mean `w * last + (1 - w) * v` divided by `1 - w^n`. It is computed over every point of the fold
before anything is cut or put into bins, and a bin carries the value at its last point: what is drawn depends neither on
the width of the terminal nor on the stretch that is looked at. Values that are not finite are passed over.

Bins are 2^n wide (steps, microseconds, epochs; on a logarithmic axis powers of two of the logarithm) and begin at
multiples of their width, so that the picture of a live run does not shift with every point.

Of several folds the mean is taken step by step, over the steps that every fold has reached, and smoothed after that.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, get_args

from store.series import BINS_MAX, BINS_MIN

if TYPE_CHECKING:
    import polars as pl

Axis: TypeAlias = Literal["step", "epoch", "wall", "relative"]
AXES: Final[tuple[Axis, ...]] = get_args(Axis)
SMOOTHING_MAX: Final = 0.999
"""The weight must stay below 1, or nothing but the first value would count."""
MICROSECONDS: Final = 1e6


class Ask(NamedTuple):
    """What a chart wants of a metric."""

    bins: int = 200
    """At most so many, 2 to 2000."""
    axis: Axis = "step"
    low: float | None = None
    """First x that is wanted, in units of the axis: steps, epochs, Unix seconds, seconds; None: from the first on."""
    high: float | None = None
    smoothing: float = 0.0
    """Weight of the running mean, 0 for none, less than 1."""
    log_x: bool = False
    """Bins of equal width in the logarithm of x; what is not above 0 is left out and counted."""
    started_at_s: float | None = None
    """Where relative time begins; None: at the first point."""


class Curve(NamedTuple):
    """One line of a chart; columns have one entry per bin with a finite value, in order of x."""

    fold: int
    """0 for the mean of several folds."""
    point_count: int
    """In the stretch that was asked for, those that are not finite included."""
    not_finite_count: int
    left_out_count: int
    """Points that have no place on this axis: before the first epoch, or not above 0 on a logarithmic one."""
    xs: list[float]
    """Of the last point of each bin, in units of the axis."""
    first_xs: list[float]
    steps: list[int]
    """The last step of each bin."""
    means: list[float]
    minimums: list[float]
    maximums: list[float]
    firsts: list[float]
    lasts: list[float]
    smoothed: list[float]
    """The smoothed value at the last point of each bin; empty when no smoothing was asked for."""
    marks: list[tuple[float, str]]
    """Where values were not finite, one per bin: x and `nan`, `inf` or `-inf`."""


def unit_of(axis: Axis) -> float:
    """How much of what is stored makes one unit of an axis."""
    return MICROSECONDS if axis in ("wall", "relative") else 1.0


def clamped(bins: int) -> int:
    """A number of bins that can be made."""
    return max(BINS_MIN, min(bins, BINS_MAX))


def with_epochs(points: pl.DataFrame, epochs: pl.DataFrame) -> pl.DataFrame:
    """x is the epoch that the newest report at or before a step named; null before the first one."""
    import polars as pl

    reported = epochs.filter(pl.col("value").is_finite()).group_by("fold", "step", maintain_order=True).last()
    reported = reported.select("fold", "step", x="value").sort("step")
    ordered = points.with_row_index("order").sort("step")
    joined = ordered.join_asof(reported, on="step", by="fold", check_sortedness=False)
    return joined.sort("order").drop("order")


def mean_of(parts: list[pl.DataFrame], fold_count: int, axis: Axis) -> pl.DataFrame:
    """The mean of the folds at each step that all of them have a finite value at; of a step the last value counts."""
    import polars as pl

    lasts = [part.filter(pl.col("value").is_finite()).group_by("step", maintain_order=True).last() for part in parts]
    together = pl.concat(lasts).group_by("step").agg(pl.col("value").mean(), pl.col("x", "at_us").mean(), n=pl.len())
    kept = together.filter(pl.col("n") == fold_count).sort("step")
    return kept.with_columns(pl.col("x").cast(pl.Float64 if axis == "epoch" else pl.Int64))


def curve(points: pl.DataFrame, fold: int, ask: Ask) -> Curve:
    """One line from the points of one fold in the order of their steps; x may be null."""
    import polars as pl

    finite = pl.col("value").is_finite()
    if ask.smoothing:
        weight = min(ask.smoothing, SMOOTHING_MAX)
        values = pl.when(finite).then(pl.col("value"))
        points = points.with_columns(s=values.ewm_mean(alpha=1 - weight, adjust=True, ignore_nulls=True))
    else:
        points = points.with_columns(s=pl.lit(None, pl.Float64))
    unit = unit_of(ask.axis)
    placeable = pl.col("x").is_not_null() & ((pl.col("x") > 0) if ask.log_x else pl.lit(value=True))
    left_out = points.select((~placeable).sum()).item() if len(points) else 0
    inside = placeable
    if ask.low is not None:
        inside &= pl.col("x") >= ask.low * unit
    if ask.high is not None:
        inside &= pl.col("x") <= ask.high * unit
    points = points.filter(inside)
    points = points.with_columns(u=pl.col("x").cast(pl.Float64).log(2) if ask.log_x else pl.col("x"))
    bad, good = points.filter(~finite), points.filter(finite)
    empty: Curve = Curve(fold, len(points), len(bad), left_out, [], [], [], [], [], [], [], [], [], [])
    width = width_of(good["u"], clamped(ask.bins)) if len(good) else 1.0
    marks = [(number(x) / unit, name_of(value)) for x, value in bad.sort("x").select("x", "value").rows()]
    marks = thinned(marks, clamped(ask.bins))
    if not len(good):
        return empty._replace(marks=marks)
    place = pl.col("u") // int(width) if good["u"].dtype == pl.Int64 else (pl.col("u") / width).floor()
    bins = (
        # Stable, so that points at one x keep the order of their steps.
        good.sort("u", maintain_order=True)
        .group_by(place.alias("place"), maintain_order=True)
        .agg(
            pl.col("x").last(),
            pl.col("x").first().alias("first_x"),
            pl.col("step").last(),
            # A sum of large values may overflow, and a rounded mean may lie outside of the values it is made of.
            pl.col("value").mean().alias("mean"),
            pl.col("value").min().alias("minimum"),
            pl.col("value").max().alias("maximum"),
            pl.col("value").first().alias("first"),
            pl.col("value").last().alias("last"),
            pl.col("s").last(),
        )
        .with_columns(
            mean=pl.when(pl.col("mean").is_finite())
            .then(pl.col("mean"))
            .otherwise(pl.col("minimum") / 2 + pl.col("maximum") / 2)
            .clip(pl.col("minimum"), pl.col("maximum"))
        )
    )
    return empty._replace(
        xs=[number(x) / unit for x in bins["x"]],
        first_xs=[number(x) / unit for x in bins["first_x"]],
        steps=bins["step"].to_list(),
        means=bins["mean"].to_list(),
        minimums=bins["minimum"].to_list(),
        maximums=bins["maximum"].to_list(),
        firsts=bins["first"].to_list(),
        lasts=bins["last"].to_list(),
        smoothed=bins["s"].to_list() if ask.smoothing else [],
        marks=marks,
    )


def width_of(places: pl.Series, bins: int) -> float:
    """The narrowest power of two of which no more than `bins` cover these places; at least 1 for whole numbers."""
    low, high = number(places.min()), number(places.max())
    whole = places.dtype.is_integer()
    exponent = 0 if whole else -40
    if not whole and high > low:
        exponent = max(exponent, math.floor(math.log2((high - low) / bins)) - 1)
    while math.floor(high / 2.0**exponent) - math.floor(low / 2.0**exponent) >= bins:
        exponent += 1
    return 2.0**exponent


def thinned(marks: list[tuple[float, str]], most: int) -> list[tuple[float, str]]:
    """At most `most` of them, evenly chosen, the first always."""
    stride = -(-len(marks) // most) if marks else 1
    return marks[::stride]


def name_of(value: float) -> str:
    """What a value that is not finite is called."""
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def number(value: Any) -> float:
    """What an aggregate of polars gives, whose type says nothing of the column's."""
    return float(value)
