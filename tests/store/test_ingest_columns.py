"""Plain lines of a metrics file are read in blocks: to the same points as one by one, whatever the lines hold."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store import batches
from store.folds import KeyState
from store.ingest import Batch, JournalCursor
from store.points import FILE_SOURCE, Rows, frames
from store.readers import metric_columns
from store.readers.metric_columns import LINES_MIN, STEP_MAX, NotPlainError, read_columns

if TYPE_CHECKING:
    from pathlib import Path

SEEN_AT_US = 1_763_737_200_000_000

PLAIN = st.floats() | st.integers(-5, 5) | st.integers(-(2**70), 2**70)
ODD = st.none() | st.booleans() | st.sampled_from(["0.5", "NaN", "text", "", [], [1.0], {}, {"loss": 1.0}, 10**400])
KEYS = st.sampled_from(["loss", "lr", "val/auc", "späť", "", "k" * 512, "k" * 513, "m.1"])
STEP_KEYS = st.sampled_from(["step", "_step", "global_step", "epoch", "iter"])
STEPS = st.integers(0, 9) | st.sampled_from([2**63 - 1, 2**63, -(2**63), 3.0, 2.5, None, "7", True, 2**53 + 1])
TIMES = st.sampled_from([1763737200, 1763737200.25, 12.5, "now", 1763737200000, None])
TIME_KEYS = st.sampled_from(["_timestamp", "timestamp"])
ENTRY = (
    st.tuples(KEYS, PLAIN)
    | st.tuples(STEP_KEYS, st.integers(0, 99))
    | st.tuples(TIME_KEYS, st.floats(1.7e9, 1.8e9))
    | st.tuples(KEYS, ODD)
    | st.tuples(STEP_KEYS, STEPS)
    | st.tuples(TIME_KEYS, TIMES)
)
RAW = st.sampled_from(
    [
        b"",
        b"  ",
        b"\r",
        b"{}",
        b"[]",
        b"5",
        b"{",
        b'{"loss": 1} {"loss": 2}',
        b'{"loss": 1}\r',
        b'\xef\xbb\xbf{"loss": 1}',
        b'{"loss": 1, "loss": 2}',
        b'{"loss": NaN}',
        b'{"loss": -0, "lr": -0.0}',
        b'{"step": 1, "step": 2, "loss": 3}',
        b'{"loss": 1e400}',
        b'{"loss": 0.1e-330}',
        b'{"a": [1',
        b"2]}",
        b'{"\\ud800": 1}',
        b'{"caf\xe9": 1}',
        b"\0",
        b'{"loss": 9007199254740993, "step": 9007199254740993}',
        b'{"loss": 18446744073709551616}',
        b"x" * 300,
    ]
)


def encoded(entries: list[tuple[str, Any]]) -> bytes:
    """A line with these entries in this order, doubled keys included."""
    return b"{%s}" % b", ".join(json.dumps(key).encode() + b": " + json.dumps(value).encode() for key, value in entries)


@st.composite
def lines(draw: st.DrawFn) -> list[bytes]:
    """Lines of one shape with other numbers, and now and then something else among them."""
    shapes = draw(st.lists(st.lists(ENTRY, max_size=5), min_size=1, max_size=2))
    found = []
    for number in range(draw(st.integers(1, 6))):
        shape = shapes[number % len(shapes)]
        if draw(st.integers(0, 5)):
            fresh = [
                (key, draw(PLAIN) if type(value) is float else value + number if type(value) is int else value)
                for key, value in shape
            ]
            found.append(encoded(fresh))
        else:
            found.append(draw(RAW | st.lists(ENTRY, max_size=4).map(encoded)))
    return found


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def by_key(batch: Batch) -> dict[str, list[tuple[int, ...]]]:
    """Every point of a batch in the order of its key, with its fold."""
    names = list(batch.points.keys)
    found: dict[str, list[Any]] = {}
    batch.points.number_folds([KeyState(FILE_SOURCE) for _ in names])
    for frame in frames([(7, batch.points, range(len(names)))]):
        for run_no, key, step, at_us, value, source, attempt, fold in frame.rows():
            assert run_no == 7
            found.setdefault(names[key], []).append((step, at_us, bits(value), source, attempt, fold))
    return found


def read(folder: Path, content: bytes, *, fast: bool, pieces: int = 1, block_bytes: int = 64) -> Batch:
    """A metrics file read in so many stretches."""
    (folder / "metrics.jsonl").write_bytes(content)
    batch = Batch("a", 7, JournalCursor(next_step=3))
    least = 1 if fast else 10**9
    ends = [content.rfind(b"\n", 0, len(content) * n // pieces) + 1 for n in range(1, pieces)]
    with (
        mock.patch.object(metric_columns, "LINES_MIN", least),
        mock.patch.object(batches, "BLOCK_BYTES", block_bytes),
    ):
        for number, end in enumerate(sorted({*ends, len(content)} - {0})):
            batches.read_metrics(batch, str(folder), end, SEEN_AT_US + number, 2)
    return batch


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(found=lines(), block_bytes=st.sampled_from([20, 80, 10_000]), pieces=st.integers(1, 3), ended=st.booleans())
def test_blocks_give_what_single_lines_give(
    tmp_path_factory: pytest.TempPathFactory, found: list[bytes], block_bytes: int, pieces: int, ended: bool
) -> None:
    folder = tmp_path_factory.getbasetemp()
    content = b"\n".join(found) + (b"\n" if ended else b"")
    slow = read(folder, content, fast=False, pieces=pieces)
    fast = read(folder, content, fast=True, pieces=pieces, block_bytes=block_bytes)
    assert fast.cursor == slow.cursor
    assert fast.points.count == slow.points.count
    assert by_key(fast) == by_key(slow)


@pytest.mark.parametrize(
    "line",
    [
        b'{"step": %d, "loss": 0.5, "n": 7}',
        b'{"epoch": %d, "loss": 0.5}',
        b'{"loss": %d.5}',
        b'{"global_step": %d, "iter": 1.5, "epoch": 3, "loss": 1}',
        b'{"_step": %d, "_timestamp": 1763737200.5, "loss": 1}',
        '{"step": %d, "späť": 1.5}'.encode(),
    ],
)
def test_what_trainers_write_is_read_in_blocks(line: bytes) -> None:
    block = read_columns([line % number for number in range(LINES_MIN)], 0)
    assert block.next_step == LINES_MIN
    assert all(len(column.values) == LINES_MIN for column in block.columns)


def test_lines_with_keys_of_their_own_now_and_then_are_read_in_blocks() -> None:
    found = [encoded([("step", n), ("loss", 0.5), *([("val", 0.25)] if n % 10 == 0 else [])]) for n in range(100)]
    columns = {column.key: column for column in read_columns(found, 0).columns}
    assert columns["val"].steps == list(range(0, 100, 10))
    assert columns["val"].values == [0.25] * 10
    assert len(columns["loss"].values) == 100


@pytest.mark.parametrize(
    "found",
    [
        [b'{"loss": 1}'] * (LINES_MIN - 1),
        [b'{"loss": 1}'] * LINES_MIN + [b'{"loss": NaN}'],
        [b'{"loss": 1}'] * LINES_MIN + [b'{"loss": true}'],
        [b'{"loss": 1}'] * LINES_MIN + [b'{"step": 1, "loss": 1}'],
        [b'{"k%d": 1}' % number for number in range(LINES_MIN)],
    ],
    ids=["few", "not JSON", "a boolean", "some steps", "keys of their own"],
)
def test_what_takes_care_is_left_to_the_careful_way(found: list[bytes]) -> None:
    with pytest.raises(NotPlainError):
        read_columns(found, 0)


def test_steps_end_at_the_last_one() -> None:
    with pytest.raises(NotPlainError):
        read_columns([b'{"loss": 1}'] * LINES_MIN, STEP_MAX - 3)
    assert read_columns([b'{"step": %d}' % STEP_MAX] * LINES_MIN, 0).next_step == STEP_MAX


def test_the_log_of_a_key_that_the_file_has_is_left_out() -> None:
    batch = Batch("a", 1, JournalCursor())
    batch.points.add(1, 5, {"loss": 1.0, "acc": 0.5}, 1, 1)
    batch.points.add_block(read_columns([b'{"step": %d, "loss": 2}' % n for n in range(LINES_MIN)], 0), 6, 1)
    batch.points.add(2, 7, {"acc": 0.75}, 1, 1)
    keys = batch.points.keys
    assert batch.points.keys_by_source() == ({keys["loss"]}, {keys["loss"], keys["acc"]})
    batch.points.leave_out_log({keys["loss"]})
    found = by_key(batch)
    assert [point[:2] for point in found["acc"]] == [(1, 5), (2, 7)]
    assert {point[3] for point in found["loss"]} == {FILE_SOURCE}
    assert [type(part) for part in batch.points.parts].count(Rows) == 2
