"""Curves for charts: smoothing is its plain formula whatever the bins, stretches and axes say what the points say."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from unittest import mock

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store import curves
from store.curve_bins import Ask, curve, width_of
from store.curves import curves_of
from store.ingest import Batch, Index, JournalCursor
from store.points import FILE_SOURCE
from tests.store.samples import empty

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.database import Cursor

VALUES = st.floats(-1e6, 1e6, width=32) | st.sampled_from([math.nan, math.inf, -math.inf])
FRAMES = st.lists(st.tuples(st.integers(-50, 5000), VALUES), max_size=60)


def fill(cursor: Cursor, lines: Sequence[tuple[int, dict[str, float]]], attempts: Sequence[int] = ()) -> None:
    """One run; each line comes a second after the one before, the first at second 1,000."""
    empty(cursor)
    batch = Batch("run", 1, JournalCursor())
    for place, (step, values) in enumerate(lines):
        batch.points.add(step, (1000 + place) * 1_000_000, values, FILE_SOURCE, attempts[place] if attempts else 1)
    Index(cursor).commit([batch], {})


def smoothed(values: Sequence[float], weight: float) -> list[float]:
    """TensorBoard's running mean, divided by what it lacks at the beginning."""
    last, count, found = 0.0, 0, []
    for value in values:
        if math.isfinite(value):
            last, count = weight * last + (1 - weight) * value, count + 1
            found.append(last / (1 - weight**count))
        else:
            found.append(found[-1] if found else math.nan)
    return found


def frame(points: Sequence[tuple[int, float]]) -> pl.DataFrame:
    ordered = sorted(points, key=lambda point: point[0])
    steps, values = [step for step, _ in ordered], [value for _, value in ordered]
    return pl.DataFrame(
        {"step": steps, "x": steps, "value": values},
        schema={"step": pl.Int64, "x": pl.Int64, "value": pl.Float64},
    )


@settings(deadline=None)
@given(points=FRAMES, weight=st.sampled_from([0.3, 0.6, 0.9, 0.97]), bins=st.integers(2, 40))
def test_a_smoothed_value_is_that_of_the_formula_however_many_bins_there_are(
    points: list[tuple[int, float]], weight: float, bins: int
) -> None:
    ordered = sorted(points, key=lambda point: point[0])
    formula = smoothed([value for _, value in ordered], weight)
    last_of_step = {
        step: wanted for (step, value), wanted in zip(ordered, formula, strict=True) if math.isfinite(value)
    }
    found = curve(frame(points), 1, Ask(bins, smoothing=weight))
    for x, value in zip(found.xs, found.smoothed, strict=True):
        assert value == pytest.approx(last_of_step[int(x)], rel=1e-6, abs=1e-6)
    assert len(found.xs) <= bins
    if found.xs:
        assert found.xs[-1] == max(last_of_step)


@settings(deadline=None)
@given(points=FRAMES, low=st.integers(-60, 5000), size=st.integers(0, 3000), log_x=st.booleans())
def test_a_stretch_smooths_nothing_anew_and_counts_what_it_leaves_out(
    points: list[tuple[int, float]], low: int, size: int, log_x: bool
) -> None:
    whole = curve(frame(points), 1, Ask(2000, smoothing=0.9, log_x=log_x))
    part = curve(frame(points), 1, Ask(2000, low=low, high=low + size, smoothing=0.9, log_x=log_x))
    inside = [step for step, _ in points if low <= step <= low + size and (step > 0 or not log_x)]
    assert part.point_count == len(inside)
    assert whole.left_out_count == (sum(step <= 0 for step, _ in points) if log_x else 0)
    of_whole = dict(zip(whole.xs, whole.smoothed, strict=True))
    # With so many bins each holds one step at most, except those of a logarithm that is coarser at its end.
    for x, value in zip(part.xs, part.smoothed, strict=True):
        assert low <= x <= low + size
        if x in of_whole:
            assert value == pytest.approx(of_whole[x])
    assert all(a <= b <= c for a, b, c in zip(part.minimums, part.means, part.maximums, strict=True))


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=50), st.integers(2, 500))
def test_bins_of_any_places_are_no_more_than_asked_for(places: list[float], bins: int) -> None:
    width = width_of(pl.Series(places, dtype=pl.Float64), bins)
    assert len({math.floor(place / width) for place in places}) <= bins


def test_a_plain_curve_comes_from_sql_and_says_the_same_as_the_points(cursor: Cursor) -> None:
    fill(cursor, [(step, {"loss": math.nan if step == 7 else 1 / (1 + step)}) for step in range(1000)])
    for low, high in ((None, None), (100.0, 300.5)):
        ask = Ask(50, low=low, high=high)
        plain = curves_of(cursor, 1, "loss", ask)
        with mock.patch.object(curves, "plain", side_effect=AssertionError):
            read = curves_of(cursor, 1, "loss", ask._replace(smoothing=1e-9))
        assert plain is not None
        assert read is not None
        assert (plain.low, plain.high) == (read.low, read.high) == (0, 999)
        [one], [other] = plain.curves, read.curves
        assert one.means == pytest.approx(other.means)
        assert one._replace(means=[]) == other._replace(means=[], smoothed=[])
    whole = curves_of(cursor, 1, "loss", Ask(50))
    assert whole is not None
    assert whole.curves[0].marks == [(7.0, "nan")]


def test_time_is_that_of_the_points_and_relative_time_that_since_the_start(cursor: Cursor) -> None:
    fill(cursor, [(10 * no, {"loss": float(no)}) for no in range(5)])
    wall = curves_of(cursor, 1, "loss", Ask(100, "wall"))
    since = curves_of(cursor, 1, "loss", Ask(100, "relative", started_at_s=990.0))
    first = curves_of(cursor, 1, "loss", Ask(100, "relative", low=1.0, high=3.0))
    assert wall is not None
    assert since is not None
    assert first is not None
    assert wall.curves[0].xs == [1000, 1001, 1002, 1003, 1004]
    assert wall.curves[0].steps == [0, 10, 20, 30, 40]
    assert since.curves[0].xs == [10, 11, 12, 13, 14]
    assert first.curves[0].xs == [1, 2, 3]
    assert (first.low, first.high) == (0, 4)


def test_epochs_come_from_the_metric_of_that_name_and_their_lack_is_said(cursor: Cursor) -> None:
    lines: list[tuple[int, dict[str, float]]] = [(step, {"loss": float(step)}) for step in range(10)]
    lines[2][1]["epoch"] = 0.5
    lines[6][1]["epoch"] = 1.0
    fill(cursor, lines)
    found = curves_of(cursor, 1, "loss", Ask(100, "epoch"))
    assert found is not None
    assert found.curves[0].xs == [0.5, 1.0]
    assert found.curves[0].lasts == [5.0, 9.0]
    assert found.curves[0].left_out_count == 2
    fill(cursor, [(1, {"loss": 1.0})])
    lacking = curves_of(cursor, 1, "loss", Ask(100, "epoch"))
    assert lacking is not None
    assert lacking.curves == []
    assert lacking.unavailable.startswith("n/a: the run reports no metric 'epoch'")


def test_points_that_bear_one_time_have_no_place_in_time(cursor: Cursor) -> None:
    fill(cursor, [(1, {"loss": 1.0}), (2, {"loss": 2.0})])
    cursor.execute("update metric set at_us = 5")
    found = curves_of(cursor, 1, "loss", Ask(100, "wall"))
    assert found is not None
    assert "bear one time" in found.unavailable


def test_folds_are_curves_of_their_own_with_a_mean_as_far_as_all_of_them_go(cursor: Cursor) -> None:
    fill(cursor, [(step, {"auc": float(fold)}) for fold, last in ((1, 6), (2, 4), (3, 9)) for step in range(1, last)])
    found = curves_of(cursor, 1, "auc", Ask(100))
    assert found is not None
    assert [each.fold for each in found.curves] == [1, 2, 3]
    assert [each.steps[-1] for each in found.curves] == [5, 3, 8]
    assert found.mean is not None
    assert found.mean.steps == [1, 2, 3]
    assert found.mean.means == [2.0, 2.0, 2.0]
    assert (found.low, found.high) == (1, 8)


def test_the_latest_attempt_counts_where_both_were(cursor: Cursor) -> None:
    lines = [(step, {"loss": 1.0}) for step in range(6)] + [(step, {"loss": 3.0}) for step in range(3, 9)]
    fill(cursor, lines, [1] * 6 + [2] * 6)
    found = curves_of(cursor, 1, "loss", Ask(100, smoothing=0.5))
    assert found is not None
    assert found.curves[0].lasts == [1.0] * 3 + [3.0] * 6
    assert found.curves[0].smoothed == pytest.approx(smoothed([1.0] * 3 + [3.0] * 6, 0.5))


def test_too_many_points_for_one_look_are_said(cursor: Cursor) -> None:
    fill(cursor, [(step, {"loss": 1.0}) for step in range(20)])
    with mock.patch.object(curves, "POINTS_MAX", 10):
        found = curves_of(cursor, 1, "loss", Ask(100, smoothing=0.9))
        plain = curves_of(cursor, 1, "loss", Ask(100))
    assert found is not None
    assert plain is not None
    assert found.unavailable == "n/a: 20 points, and no more than 10 are read at once for this"
    assert len(plain.curves[0].xs) == 20


def test_no_such_metric_and_no_finite_value(cursor: Cursor) -> None:
    fill(cursor, [(1, {"loss": math.nan}), (2, {"loss": math.inf}), (3, {"loss": -math.inf})])
    assert curves_of(cursor, 1, "auc", Ask()) is None
    for ask in (Ask(), Ask(smoothing=0.9), Ask(low=2.0)):
        found = curves_of(cursor, 1, "loss", ask)
        assert found is not None
        assert found.low is None
        wanted = [(1.0, "nan"), (2.0, "inf"), (3.0, "-inf")]
        assert found.curves[0].marks == [mark for mark in wanted if ask.low is None or mark[0] >= ask.low]


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(values=st.lists(VALUES, min_size=1, max_size=30))
def test_smoothing_of_what_the_index_holds_is_that_of_the_formula(cursor: Cursor, values: list[float]) -> None:
    fill(cursor, [(step, {"loss": value}) for step, value in enumerate(values)])
    found = curves_of(cursor, 1, "loss", Ask(2000, smoothing=0.9))
    assert found is not None
    wanted = [s for s, value in zip(smoothed(values, 0.9), values, strict=True) if math.isfinite(value)]
    assert found.curves[0].smoothed == pytest.approx(wanted, rel=1e-6, abs=1e-6)
