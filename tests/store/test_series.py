"""Curves in bins: M4 over the points that count, the same from points and from roll-ups."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store import folds, rollups, series
from store.ingest import Batch, Index, JournalCursor
from store.points import FILE_SOURCE
from store.readers.metric_columns import Block, Column
from store.series import Bins, binned, roll_up_key, width_log2_of
from tests.store.samples import empty

if TYPE_CHECKING:
    from store.database import Cursor

STEP_MIN, STEP_MAX = -(2**63), 2**63 - 1
STEPS = st.integers(-5, 40) | st.integers(-(10**6), 10**6) | st.sampled_from([STEP_MIN, STEP_MIN + 1, STEP_MAX, 0, -1])
VALUES = st.floats(-10, 10, width=32) | st.sampled_from([math.nan, math.inf, -math.inf, 1.7e308, -1.7e308])
POINTS = st.lists(st.tuples(STEPS, VALUES, st.integers(1, 3)), max_size=40)


def fill(cursor: Cursor, points: list[tuple[int, float, int]]) -> None:
    """One run with one metric, points given by step, value and attempt."""
    empty(cursor)
    batch = Batch("run", 1, JournalCursor())
    for step, value, attempt in points:
        batch.points.add(step, 0, {"loss": value}, FILE_SOURCE, attempt)
    Index(cursor).commit([batch], {})


def key_id_of(cursor: Cursor) -> int:
    row = cursor.execute("select id from metric_key where name = 'loss'").fetchone()
    assert row is not None
    found: int = row[0]
    return found


def expected(points: list[tuple[int, float, int]], bins: int) -> tuple[int, int, list[Any]]:
    """What the bins say, in plain Python, means left out."""
    latest: dict[int, int] = {}
    for step, _, attempt in points:
        latest[step] = max(attempt, latest.get(step, attempt))
    counted = [(step, value) for step, value, attempt in points if attempt == latest[step]]
    finite = sorted(((s, v) for s, v in counted if math.isfinite(v)), key=lambda point: point[0])
    if not finite:
        return len(counted), len(counted), []
    width_log2 = width_log2_of(finite[0][0], finite[-1][0], bins)
    parts: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for step, value in finite:
        parts[step >> width_log2].append((step, value))
    rows = [
        (part[-1][0], min(v for _, v in part), max(v for _, v in part), part[-1][1], *part[0])
        for _, part in sorted(parts.items())
    ]
    return len(counted), len(counted) - len(finite), rows


def rows_of(found: Bins) -> list[Any]:
    columns = (found.steps, found.minimums, found.maximums, found.lasts, found.first_steps, found.firsts)
    return list(zip(*columns, strict=True))


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(points=POINTS, bins=st.sampled_from([1, 2, 3, 10, 500, 5000]))
def test_bins_say_what_the_points_say_and_roll_ups_say_the_same(
    cursor: Cursor, points: list[tuple[int, float, int]], bins: int
) -> None:
    with mock.patch.object(folds, "FOLDS_MAX", 1):
        fill(cursor, points)
    raw = binned(cursor, 1, "loss", bins)
    if not points:
        assert raw is None
        return
    assert raw is not None
    wanted = expected(points, max(2, min(bins, series.BINS_MAX)))
    assert (raw.point_count, raw.not_finite_count, rows_of(raw)) == wanted
    assert len(raw.steps) <= max(2, min(bins, series.BINS_MAX))
    assert all(low <= mean <= high for low, mean, high in zip(raw.minimums, raw.means, raw.maximums, strict=True))
    roll_up_key(cursor, 1, key_id_of(cursor))
    rolled = binned(cursor, 1, "loss", bins)
    assert rolled is not None
    assert rolled._replace(means=[]) == raw._replace(means=[])
    # Sums depend on their order, and sums of the largest values may overflow in one order only.
    if all(abs(value) < 1e300 for _, value, _ in points if math.isfinite(value)):
        assert rolled.means == pytest.approx(raw.means, abs=1e-12)


@given(st.integers(STEP_MIN, STEP_MAX), st.integers(STEP_MIN, STEP_MAX), st.integers(2, 3000))
def test_the_width_is_the_narrowest_that_needs_no_more_bins(one: int, other: int, bins: int) -> None:
    first, last = sorted((one, other))
    width_log2 = width_log2_of(first, last, bins)
    assert width_log2 <= 63
    assert (last >> width_log2) - (first >> width_log2) < bins
    assert width_log2 == 0 or (last >> width_log2 - 1) - (first >> width_log2 - 1) >= bins


@given(st.integers(STEP_MIN, STEP_MAX), st.integers(STEP_MIN, STEP_MAX))
def test_bins_of_a_roll_up_are_never_wider_than_those_asked_for(one: int, other: int) -> None:
    first, last = sorted((one, other))
    assert width_log2_of(first, last, series.ROLLUP_BINS_MAX) <= width_log2_of(first, last, series.BINS_MAX)


def test_a_resumed_run_shows_its_latest_attempt_where_both_were(cursor: Cursor) -> None:
    first = [(step, 1.0, 1) for step in range(10)]
    second = [(step, 2.0, 2) for step in range(5, 15)]
    fill(cursor, first + second)
    found = binned(cursor, 1, "loss", 100)
    assert found is not None
    assert found.lasts == [1.0] * 5 + [2.0] * 10
    assert found.point_count == 15
    assert found.not_finite_count == 0


def test_within_an_attempt_every_point_of_a_step_counts_and_the_latest_is_its_last(cursor: Cursor) -> None:
    fill(cursor, [(1, 5.0, 1), (1, 9.0, 1), (1, 7.0, 1)])
    assert binned(cursor, 1, "loss", 10) == Bins(3, 0, [1], [7.0], [5.0], [9.0], [7.0], [1], [5.0])


def test_means_of_large_values_are_numbers(cursor: Cursor) -> None:
    fill(cursor, [(0, 1.7e308, 1), (1, 1.7e308, 1), (1000, 0.0, 1)])
    found = binned(cursor, 1, "loss", 2)
    assert found is not None
    assert found.means == [1.7e308, 0.0]


def long_run(cursor: Cursor, keys: int, count: int) -> None:
    fill(cursor, [])
    cursor.execute("delete from run")
    batch = Batch("run", 1, JournalCursor())
    values = [float(value % 1000) for value in range(count)]
    batch.points.add_block(Block([Column(f"m{n}", range(count), None, values) for n in range(keys)], 0), 0, 1)
    Index(cursor).commit([batch], {})


def test_long_metrics_are_rolled_up_one_at_a_time_and_short_ones_never(cursor: Cursor) -> None:
    long_run(cursor, 3, rollups.POINTS_MIN)
    batch = Batch("run", 1, JournalCursor())
    batch.points.add(0, 0, {"short": 1.0}, FILE_SOURCE, 1)
    Index(cursor).commit([batch], {})
    before = [binned(cursor, 1, f"m{n}", 400) for n in range(3)]
    assert [rollups.roll_up(cursor, 1) for _ in range(4)] == [2, 1, 0, 0]
    assert [binned(cursor, 1, f"m{n}", 400) for n in range(3)] == before
    counts = cursor.execute("select count(*) from metric_rollup group by key_id").fetchall()
    assert len(counts) == 3
    assert all(count <= series.ROLLUP_BINS_MAX for (count,) in counts)


def test_runs_that_wait_for_their_roll_ups_are_found_again(cursor: Cursor) -> None:
    long_run(cursor, 2, rollups.POINTS_MIN)
    row = {"id": "run", "no": 1, "name": "a", "project": "p", "state": "running", "command": "a", "argv": ["a"]}
    row |= {"working_dir": "/", "host": "h", "params": {}, "created_at_s": 1.0, "search_text": "a"}
    index = Index(cursor)
    index.add_runs([row])
    assert rollups.runs_to_roll_up(cursor, ["finished", "failed"]) == []
    index.commit([], {"run": {"state": "failed"}})
    assert rollups.runs_to_roll_up(cursor, ["finished", "failed"]) == [1]
    while rollups.roll_up(cursor, 1):
        pass
    assert rollups.runs_to_roll_up(cursor, ["finished", "failed"]) == []


def test_points_that_come_after_all_take_the_roll_up_away(cursor: Cursor) -> None:
    long_run(cursor, 1, rollups.POINTS_MIN)
    assert rollups.roll_up(cursor, 1) == 0
    batch = Batch("run", 1, JournalCursor())
    batch.points.add(rollups.POINTS_MIN, 0, {"m0": 5000.0}, FILE_SOURCE, 1)
    Index(cursor).commit([batch], {})
    found = binned(cursor, 1, "m0", 400)
    assert found is not None
    assert (found.point_count, max(found.maximums)) == (rollups.POINTS_MIN + 1, 5000.0)
