"""Record logs of W&B, as they break: cut, replaced, closed, endless, and bytes of any kind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import struct
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.readers import wandb_log
from store.readers.foreign import UnreadableSourceError
from store.readers.wandb_log import Source
from tests.store.foreign_files import (
    as_nobody,
    chunked,
    history,
    item,
    last_look,
    message,
    open_folder,
    points_of,
    varint,
)
from tests.store.wandb_logs import EXIT, KEY, LOG, RUN, WANDB, look, write

if TYPE_CHECKING:
    from pathlib import Path


def test_a_log_cut_at_any_byte_gives_what_is_whole(tmp_path: Path) -> None:
    data = chunked(RUN, *(history(no, no, {"loss": str(no)}) for no in range(9)), EXIT)
    counts = []
    for length in range(len(data)):
        path = write(tmp_path, data[:length])
        source = Source(str(tmp_path))
        run = last_look(source, {KEY})
        assert run is not None
        assert run.problems == ([] if length else [f"{LOG}: nothing written yet"])
        before = points_of(run).get("loss", [])
        with path.open("ab") as file:
            file.write(data[length:])
        rest = last_look(source, {KEY})
        assert rest is not None
        assert not rest.from_start
        assert before + points_of(rest).get("loss", []) == [(step, float(step)) for step in range(9)]
        assert rest.said == "finished"
        counts.append(len(before))
    assert counts == sorted(counts)


def test_a_log_cut_in_a_record_of_several_blocks(tmp_path: Path) -> None:
    long = message((1, 5), (5, message((1, message((1, "text"), (16, json.dumps("x" * 100_000)))))))
    data = chunked(RUN, history(2, 0, {"loss": "1"}), long, history(6, 1, {"loss": "2"}))
    for length in [*range(100, len(data), 1777), 32768, 32767, 32775, 65536]:
        path = write(tmp_path, data[:length])
        source = Source(str(tmp_path))
        first = last_look(source, {KEY})
        assert first is not None
        with path.open("ab") as file:
            file.write(data[length:])
        rest = last_look(source, {KEY})
        assert rest is not None
        assert points_of(first).get("loss", []) + points_of(rest).get("loss", []) == [(0, 1), (1, 2)]
        assert len(rest.params["text"]) == 8192
        assert rest.problems == []


def test_a_record_whose_checksum_is_wrong_is_skipped_and_said(tmp_path: Path) -> None:
    records = [RUN, *(history(no, no, {"loss": str(no)}) for no in range(3))]
    data = bytearray(chunked(*records, EXIT))
    at = data.index(records[2])
    data[at + 10] ^= 0xFF
    write(tmp_path, bytes(data))
    run = look(tmp_path)
    assert points_of(run) == {"loss": [(0, 0), (2, 2)]}
    [problem] = run.problems
    assert LOG in problem
    assert f"byte {at - 7}" in problem
    assert "checksum" in problem


def test_the_rest_of_a_block_is_skipped_where_a_length_is_wrong(tmp_path: Path) -> None:
    data = bytearray(chunked(RUN, *(history(no, no, {"loss": str(no)}) for no in range(900))))
    at = data.index(history(3, 3, {"loss": "3"})) - 7
    data[at + 4 : at + 6] = b"\xff\xff"
    write(tmp_path, bytes(data))
    run = look(tmp_path)
    points = points_of(run)["loss"]
    assert points[:3] == [(0, 0), (1, 1), (2, 2)]
    assert points[-1][0] == 899
    assert 300 < len(points) < 700
    assert f"byte {at}" in run.problems[0]


def test_a_checksum_that_is_wrong_at_the_end_is_looked_at_again(tmp_path: Path) -> None:
    good = chunked(RUN, history(2, 0, {"loss": "1"}))
    path = write(tmp_path, good[:-1] + b"\xff")
    source = Source(str(tmp_path))
    run = last_look(source, {KEY})
    assert run is not None
    assert run.points == {}
    assert len(run.problems) == 1
    whole = chunked(RUN, history(2, 0, {"loss": "1"}), history(3, 1, {"loss": "2"}))
    with path.open("r+b") as file:
        file.seek(len(good) - 1)
        file.write(whole[len(good) - 1 :])
    run = last_look(source, {KEY})
    assert points_of(run) == {"loss": [(0, 1), (1, 2)]}
    assert run is not None
    assert run.problems == []


@pytest.mark.parametrize("header", [b":W&B\xe1\xbe\x01", b":W&B\xee\xbe\x00", b"SQLite 3", b"{}"])
def test_another_format_is_said_with_what_was_expected(tmp_path: Path, header: bytes) -> None:
    write(tmp_path, header + chunked(RUN)[7:])
    run = look(tmp_path)
    [problem] = run.problems
    assert LOG in problem
    assert header[:7].hex(" ") in problem
    assert "3a 57 26 42 e1 be 00" in problem
    assert (run.said, run.name) == ("", "abcd1234")


def test_a_folder_without_a_log_says_so(tmp_path: Path) -> None:
    (tmp_path / KEY).mkdir()
    source = Source(str(tmp_path))
    run = last_look(source, {KEY})
    assert run is not None
    assert run.problems == [f"{LOG} cannot be read: No such file or directory"]
    assert last_look(source, {KEY}) is None
    write(tmp_path, chunked(RUN, history(2, 0, {"loss": "1"})))
    run = last_look(source, {KEY})
    assert run is not None
    assert points_of(run) == {"loss": [(0, 1)]}
    assert run.problems == []


@pytest.mark.parametrize("is_same_inode", [True, False])
def test_a_log_that_was_replaced_is_read_from_the_start(tmp_path: Path, *, is_same_inode: bool) -> None:
    path = write(tmp_path, chunked(RUN, history(2, 0, {"loss": "1"})))
    source = Source(str(tmp_path))
    last_look(source, {KEY})
    if not is_same_inode:
        path.rename(tmp_path / "other")
    write(tmp_path, chunked(RUN, history(2, 7, {"acc": "1"}), history(3, 8, {"acc": "2"})))
    run = last_look(source, {KEY})
    assert run is not None
    assert run.from_start
    assert points_of(run) == {"acc": [(7, 1), (8, 2)]}
    assert run.metrics.keys() == {"acc"}
    os.truncate(path, 20)
    run = last_look(source, {KEY})
    assert run is not None
    assert run.from_start
    assert run.metrics == {}


def test_folders_that_go_away_while_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, chunked(RUN, history(2, 0, {"loss": "1"})))
    source = Source(str(tmp_path))
    monkeypatch.setattr(source, "_folders", lambda: [KEY])
    monkeypatch.setattr(wandb_log.Run, "facts", lambda _: ("a", 0.0))
    shutil.rmtree(tmp_path / KEY)
    run = last_look(source, {KEY})
    assert run is not None
    assert "cannot be read" in run.problems[0]
    monkeypatch.undo()
    shutil.rmtree(tmp_path)
    assert last_look(source, {KEY}) is None
    assert last_look(Source(str(tmp_path)), {KEY}) is None


def test_what_may_not_be_read_is_said() -> None:
    with open_folder() as folder:
        write(folder, chunked(RUN)).chmod(0)
        with as_nobody():
            run = look(folder)
        assert run.problems == [f"{LOG} cannot be read: Permission denied"]
        folder.chmod(0)
        with as_nobody(), pytest.raises(UnreadableSourceError, match="Permission denied"):
            look(folder)
        folder.chmod(0o755)


@pytest.mark.parametrize("is_one_record", [True, False])
def test_two_gigabytes_are_never_in_memory(tmp_path: Path, *, is_one_record: bool) -> None:
    good = chunked(RUN, history(2, 0, {"loss": "1"}))
    path = write(tmp_path, good)
    if is_one_record:
        # A record that goes on for longer than any does.
        middle = b"\0" * (32768 - 7)
        piece = struct.pack("<IHB", zlib_of(3, middle), len(middle), 3) + middle
        first = b"\0" * (32768 - 7 - len(good))
        with path.open("ab") as file:
            file.write(struct.pack("<IHB", zlib_of(2, first), len(first), 2) + first)
            for _ in range(3000):
                file.write(piece)
            last = history(3, 1, {"loss": "2"})
            file.write(struct.pack("<IHB", zlib_of(1, last), len(last), 1) + last)
    else:
        os.truncate(path, 2 << 30)
    tracemalloc.start()
    run = look(tmp_path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 100 << 20
    assert points_of(run) == {"loss": [(0, 1), (1, 2)] if is_one_record else [(0, 1)]}
    assert len(run.problems) >= 1


def zlib_of(kind: int, data: bytes) -> int:
    """The checksum of a chunk."""
    import zlib

    return zlib.crc32(bytes([kind]) + data)


def test_a_record_that_cannot_be_taken_apart_is_said(tmp_path: Path) -> None:
    broken = message((1, 2)) + b"\x12\x7f\x0a"
    halfway = message((1, 2), (2, message((1, item("_step", "4")), (1, item("loss", "3")), (1, item("x", "{")))))
    write(tmp_path, chunked(RUN, broken, history(2, 0, {"loss": "1"}), halfway, history(3, 9, {"loss": "1"})))
    run = look(tmp_path)
    assert points_of(run) == {"loss": [(0, 1), (4, 3), (9, 1)]}
    assert len(run.problems) == 2
    assert all(LOG in problem for problem in run.problems)


WHOLE = next(WANDB.glob("*failed*/*.wandb")).read_bytes()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(st.binary(max_size=400), st.lists(st.tuples(st.integers(0, 1100), st.binary(max_size=12)), max_size=8))
)
def test_bytes_of_any_kind_are_read_without_an_error(tmp_path: Path, change: bytes | list[tuple[int, bytes]]) -> None:
    if isinstance(change, bytes):
        variants = [
            change,
            b":W&B\xe1\xbe\x00" + change,
            chunked(change),
            chunked(b"\x08\x01\x12" + varint(len(change)) + change),
        ]
        variants += [chunked(message((number, change))) for number in (2, 3, 5, 17, 18, 26)]
        variants += [
            chunked(message((2, message((1, change))))),
            chunked(message((17, message((4, message((1, change))))))),
        ]
    else:
        data = bytearray(WHOLE)
        for at, piece in change:
            data[at : at + len(piece)] = piece
        variants = [bytes(data)]
    for data_now in variants:
        write(tmp_path, data_now)
        source = Source(str(tmp_path))
        with contextlib.suppress(UnreadableSourceError):
            run = last_look(source, {KEY})
            assert run is not None
            for column in run.points.values():
                assert len(column.steps) == len(column.at_us) == len(column.values)
            assert last_look(source, {KEY}) is None
