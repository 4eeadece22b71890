"""What is committed is what was read, in its order; `metric_latest` says what a recomputation from the points says."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store import database
from store.ingest import TABLES_BY_RUN_NO, Batch, Index, JournalCursor
from store.points import FILE_SOURCE, LOG_SOURCE
from store.readers.metric_columns import Block, Column
from tests.store.samples import empty

LATEST = "select * exclude (fold, attempt, first_step, epoch) from metric_latest"
RECOMPUTED = """
    select run_no, key_id, arg_max(step, rowid), arg_max(at_us, rowid), arg_max(value, rowid),
        min(value) filter (isfinite(value)), max(value) filter (isfinite(value)), count(*), arg_max(source, rowid)
    from metric group by all order by all
"""
KEYS = st.sampled_from(["loss", "acc", "lr"])
VALUES = st.sampled_from([0.0, -1.5, 2.25, math.nan, math.inf, -math.inf, 1e308])
LINE = st.tuples(
    st.integers(-3, 9), st.dictionaries(KEYS, VALUES, max_size=3), st.sampled_from([FILE_SOURCE, LOG_SOURCE])
)
BLOCK = st.tuples(KEYS, st.lists(st.tuples(st.integers(-3, 9), VALUES), min_size=1, max_size=5))
PART = st.tuples(st.just("line"), LINE) | st.tuples(st.just("block"), BLOCK)
ROUND = st.tuples(
    st.dictionaries(st.integers(1, 3), st.lists(PART, max_size=5), min_size=1), st.sampled_from(["commit", "kill"])
)

Point = tuple[int, float, int]


def batch_of(run_no: int, parts: list[Any], offset: int) -> Batch:
    batch = Batch(f"run{run_no}", run_no, JournalCursor(offset_bytes=offset))
    for at_us, (kind, content) in enumerate(parts):
        if kind == "line":
            step, values, source = content
            batch.points.add(step, at_us, values, source, 1)
        else:
            key, points = content
            steps, values = zip(*points, strict=True)
            batch.points.add_block(Block([Column(key, steps, None, list(values))], 0), at_us, 1)
    return batch


def expect(model: dict[tuple[int, str], list[Point]], run_no: int, parts: list[Any]) -> None:
    """The rule in a few lines: of a key that the file has, the log does not count, neither before nor later."""
    added: list[tuple[str, Point]] = []
    for kind, content in parts:
        if kind == "line":
            step, values, source = content
            added += [(key, (step, value, source)) for key, value in values.items()]
        else:
            added += [(content[0], (step, value, FILE_SOURCE)) for step, value in content[1]]
    for key in dict.fromkeys(key for key, _ in added):
        points = model.get((run_no, key), []) + [point for name, point in added if name == key]
        owned = any(source == FILE_SOURCE for _, _, source in points)
        model[run_no, key] = [point for point in points if not owned or point[2] == FILE_SOURCE]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(rounds=st.lists(ROUND, max_size=5))
def test_the_index_holds_what_was_committed_and_nothing_of_what_was_not(
    opened: database.Database, rounds: list[Any]
) -> None:
    cursor = opened.cursor()
    empty(cursor)
    index = Index(cursor)
    model: dict[tuple[int, str], list[Point]] = {}
    offsets: dict[str, int] = {}
    for number, (runs, end) in enumerate(rounds, 1):
        batches = [batch_of(run_no, parts, number) for run_no, parts in runs.items()]
        if end == "kill":
            with pytest.raises(database.Error):
                index.commit(batches, {"run1": {"no_such_column": 1}})
            index = Index(cursor)
            continue
        index.commit(batches, {})
        for run_no, parts in runs.items():
            expect(model, run_no, parts)
            offsets[f"run{run_no}"] = number
    found: dict[tuple[int, str], list[Point]] = {}
    for run_no, key, *point in cursor.execute(
        "select run_no, name, step, value, source from metric join metric_key on id = key_id order by metric.rowid"
    ).fetchall():
        found.setdefault((run_no, key), []).append((point[0], point[1], point[2]))
    assert repr(sorted(found.items())) == repr(sorted(model.items()))
    kept = cursor.execute(
        "select * exclude (fold, attempt, first_step, epoch) from metric_latest order by all"
    ).fetchall()
    assert repr(kept) == repr(cursor.execute(RECOMPUTED).fetchall())
    assert dict(cursor.execute("select run_id, offset_bytes from journal_cursor").fetchall()) == offsets
    assert all(Index(cursor).cursor_of(run_id).offset_bytes == offset for run_id, offset in offsets.items())
    cursor.close()


def test_points_stay_in_order_however_many_are_written_at_once(opened: database.Database) -> None:
    cursor = opened.cursor()
    empty(cursor)
    index = Index(cursor)
    count = 400_000
    for run_no in (1, 2):
        batch = Batch(f"run{run_no}", run_no, JournalCursor())
        for first in range(0, count, 50_000):
            values = [float(value) for value in range(first, first + 50_000)]
            batch.points.add_block(Block([Column("loss", range(50_000), None, values)], 0), 0, 1)
        index.commit([batch], {})
    rows = cursor.execute(
        "select run_no, count(*), bool_and(value = place) from (select run_no, value, "
        "row_number() over (partition by run_no order by rowid) - 1 as place from metric) group by 1 order by 1"
    ).fetchall()
    assert rows == [(1, count, True), (2, count, True)]
    assert cursor.execute("select value, point_count from metric_latest").fetchall() == [(count - 1.0, count)] * 2
    cursor.close()


def test_tables_by_run_no_are_all_tables_of_points(opened: database.Database) -> None:
    cursor = opened.cursor()
    rows = cursor.execute("select table_name from information_schema.columns where column_name = 'run_no'").fetchall()
    assert {name for (name,) in rows} - {"param"} == set(TABLES_BY_RUN_NO)
    cursor.close()
