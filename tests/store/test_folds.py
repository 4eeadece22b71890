"""Folds: what restarts is another curve, wherever the batches were cut and whatever was forgotten in between."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store import folds, rollups
from store.folds import KeyState, Stretch, spread
from store.ingest import Batch, Index, JournalCursor
from store.points import FILE_SOURCE, LOG_SOURCE, falls_of
from store.readers.metric_columns import Block, Column
from store.series import binned, latest_metrics
from tests.store.samples import empty

if TYPE_CHECKING:
    from store.database import Cursor

EPOCHS = st.none() | st.integers(0, 3).map(float)
LINES = st.lists(st.tuples(st.integers(-2, 5), EPOCHS), min_size=1, max_size=30)


def numbered(steps: list[int], attempts: list[int] | None = None, epochs: list[float] | None = None) -> list[int]:
    state = KeyState(FILE_SOURCE)
    return [
        state.take(step, epochs[place] if epochs else None, attempts[place] if attempts else 1)
        for place, step in enumerate(steps)
    ]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([0, 1, 2, 0, 1, 2, 0, 1], [1, 1, 1, 2, 2, 2, 3, 3]),
        ([100, 200, 300, 100, 200], [1, 1, 1, 2, 2]),
        ([5, 6, 7, 3, 4], [1, 1, 1, 2, 2]),
        ([0, 1, 2, 3, 2, 3, 4], [1] * 7),
        ([1, 1, 1, 1], [1] * 4),
        ([9, 8, 7, 6], [1] * 4),
        ([0, 0, 1, 1, 0, 0, 1], [1, 1, 1, 1, 2, 2, 2]),
    ],
    ids=["from zero", "every hundredth", "before the first", "checkpoint", "one step", "backwards", "twice a step"],
)
def test_a_restart_returns_to_the_first_step_or_before(steps: list[int], expected: list[int]) -> None:
    assert numbered(steps) == expected


def test_a_further_attempt_begins_in_the_first_fold() -> None:
    assert numbered([0, 1, 0, 1, 0, 1, 0, 1], [1, 1, 1, 1, 2, 2, 2, 2]) == [1, 1, 2, 2, 1, 1, 2, 2]
    # Resumed in the middle, then back to a checkpoint of the attempt before.
    assert numbered([0, 5, 9, 8, 9, 4, 5], [1, 1, 1, 2, 2, 2, 2]) == [1] * 7


def test_steps_within_epochs_are_no_folds_but_epochs_that_restart_are() -> None:
    steps, epochs = [0, 1, 0, 1, 0, 1, 0, 1], [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0]
    assert numbered(steps, epochs=epochs) == [1, 1, 1, 1, 2, 2, 2, 2]


def test_a_metric_that_alternates_has_so_many_folds_and_no_more() -> None:
    assert max(numbered([0, 1] * (folds.FOLDS_MAX + 50))) == folds.FOLDS_MAX


@settings(deadline=None)
@given(found=LINES, cuts=st.lists(st.integers(1, 29), max_size=4))
def test_many_points_at_once_have_the_folds_that_they_have_one_by_one(found: list[Any], cuts: list[int]) -> None:
    one, many = KeyState(FILE_SOURCE), KeyState(FILE_SOURCE)
    expected = [one.take(step, epoch, 1) for step, epoch in found]
    numbers: list[int] = []
    places = sorted({0, *(cut for cut in cuts if cut < len(found)), len(found)})
    for begin, end in pairwise(places):
        steps, epochs = [list(column) for column in zip(*found[begin:end], strict=True)]
        known = epochs if any(epoch is not None for epoch in epochs) else None
        stretch = Stretch(len(steps), steps[0], steps[-1], falls_of(pl.Series(steps, dtype=pl.Int64)), steps, known)
        numbers += [fold for fold, count in many.take_stretch(stretch, 1) for _ in range(count)]
    assert numbers == expected
    assert many == one


def points_of(cursor: Cursor) -> list[Any]:
    return cursor.execute(
        "select name, attempt, step, value, fold from metric join metric_key on id = key_id order by metric.rowid"
    ).fetchall()


POINT = st.tuples(st.integers(0, 4), st.sampled_from([0.5, -1.0, math.nan]), st.booleans(), st.booleans())


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.lists(POINT, min_size=1, max_size=20))
def test_folds_do_not_depend_on_batches_nor_on_what_a_daemon_remembers(cursor: Cursor, found: list[Any]) -> None:
    """One batch, against a batch for each point and an index that is opened anew now and then."""
    kept = []
    for pieces in (False, True):
        empty(cursor)
        index, batch = Index(cursor), Batch("run", 1, JournalCursor())
        for step, value, plain, forgets in found:
            if plain:
                batch.points.add_block(Block([Column("loss", [step], None, [value])], 0), 0, 1)
            else:
                batch.points.add(step, 0, {"loss": value}, FILE_SOURCE, 1)
            if pieces:
                index.commit([batch], {})
                batch = Batch("run", 1, JournalCursor())
                index = Index(cursor) if forgets else index
        if not pieces:
            index.commit([batch], {})
        of_folds = cursor.execute("select * from metric_fold order by all").fetchall()
        latest = cursor.execute("select * from metric_latest order by all").fetchall()
        kept.append(repr((points_of(cursor), of_folds, latest)))
    assert kept[0] == kept[1]
    recomputed = cursor.execute(
        "select fold, min(value) filter (isfinite(value)), max(value) filter (isfinite(value)), count(*) "
        "from metric group by fold order by fold"
    ).fetchall()
    of_folds = cursor.execute("select fold, minimum, maximum, point_count from metric_fold order by fold").fetchall()
    assert repr(of_folds) == repr(recomputed if len(recomputed) > 1 else [])


def test_curves_and_roll_ups_keep_folds_apart(cursor: Cursor) -> None:
    count = rollups.POINTS_MIN // 2
    steps, values = list(range(count)), [1.0] * count
    batch = Batch("run", 1, JournalCursor())
    for fold in (1, 2):
        batch.points.add_block(Block([Column("auc", steps, None, [value * fold for value in values])], 0), 0, 1)
    Index(cursor).commit([batch], {})
    raw = [binned(cursor, 1, "auc", 100, fold) for fold in (1, 2, None)]
    assert [(found.fold, found.fold_count, set(found.means), found.point_count) for found in raw if found] == [
        (1, 2, {1.0}, count),
        (2, 2, {2.0}, count),
        (2, 2, {2.0}, count),
    ]
    assert binned(cursor, 1, "auc", 100, 3) is None
    assert binned(cursor, 1, "auc", 100, 0) is None
    assert rollups.roll_up(cursor, 1) == 0
    assert [binned(cursor, 1, "auc", 100, fold) for fold in (1, 2, None)] == raw
    (metric,) = latest_metrics(cursor, 1)
    assert [tuple(fold) for fold in metric.folds] == [(1, 1.0, 1.0), (2, 2.0, 2.0)]


def test_what_several_processes_say_counts_once(cursor: Cursor) -> None:
    index = Index(cursor)
    for round_ in range(2):
        batch = Batch("run", 1, JournalCursor(), many_writers=True)
        for step in range(3 * round_, 3 * round_ + 3):
            for rank in range(4):
                batch.points.add(step, 0, {"loss": step + rank / 10}, FILE_SOURCE, 1)
        steps = [step for step in range(3 * round_ + 3) for _ in range(2)]
        batch.points.add_block(Block([Column("acc", steps, None, [float(step) for step in steps])], 0), 0, 1)
        index.commit([batch], {})
        index = Index(cursor)
    found = {metric.key: metric for metric in latest_metrics(cursor, 1)}
    assert {key: (metric.point_count, metric.last, metric.folds) for key, metric in found.items()} == {
        "loss": (6, 5.0, ()),
        "acc": (6, 5.0, ()),
    }
    assert [value for name, _, _, value, _ in points_of(cursor) if name == "loss"] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_metric_that_the_file_takes_over_from_the_log_begins_anew(cursor: Cursor) -> None:
    index = Index(cursor)
    for source, steps in ((LOG_SOURCE, (0, 1, 0, 1)), (FILE_SOURCE, (0, 1))):
        batch = Batch("run", 1, JournalCursor())
        for step in steps:
            batch.points.add(step, 0, {"loss": 1.0}, source, 1)
        index.commit([batch], {})
    (metric,) = latest_metrics(cursor, 1)
    assert (metric.point_count, metric.folds) == (2, ())


def test_the_spread_is_that_of_a_sample() -> None:
    assert spread([1.0, 2.0, 3.0]) == (2.0, 1.0)
    assert spread([1.0, None]) == (1.0, None)
    assert spread([None]) == (None, None)
