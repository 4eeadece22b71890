"""Event files of TensorBoard, as they break: cut, replaced, closed, endless, and bytes of any kind."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.readers.foreign import UnreadableSourceError
from store.readers.tensorboard import NOTHING_YET, Source
from store.readers.tfevents import masked_crc
from tests.store.event_files import LOGS, NAME, VERSION, varint_of, write
from tests.store.foreign_files import as_nobody, event, framed, last_look, message, open_folder, points_of, scalar

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_cut_at_any_byte_gives_what_is_whole(tmp_path: Path) -> None:
    [whole] = (LOGS / "restarted").glob("*1790000159*")
    data = whole.read_bytes()
    path = write(tmp_path / "run", data)
    points = points_of(last_look(Source(str(tmp_path / "run"))))["loss"]
    assert len(points) == 10
    counts = []
    for length in range(len(data)):
        path.write_bytes(data[:length])
        source = Source(str(tmp_path / "run"))
        run = last_look(source)
        assert run is not None
        before = points_of(run).get("loss", [])
        assert run.problems == ([] if length else [f"{NAME}: {NOTHING_YET}"])
        with path.open("ab") as file:
            file.write(data[length:])
        rest = last_look(source)
        assert rest is not None
        assert not rest.from_start
        assert before + points_of(rest)["loss"] == points
        counts.append(len(before))
    assert counts == sorted(counts)
    assert set(counts) == set(range(10))


def test_a_payload_whose_checksum_is_wrong_is_skipped_and_said(tmp_path: Path) -> None:
    bad = bytearray(event(1.79e9, 2, scalar("loss", 2)))
    bad[12:14] = b"\xff\xff"
    write(
        tmp_path / "run",
        VERSION + event(1.79e9, 1, scalar("loss", 1)) + bytes(bad) + event(1.79e9, 3, scalar("loss", 3)),
    )
    run = last_look(Source(str(tmp_path / "run")))
    assert run is not None
    assert points_of(run) == {"loss": [(1, 1), (3, 3)]}
    [problem] = run.problems
    assert NAME in problem
    assert "checksum" in problem


def test_a_record_that_is_no_event_is_skipped_and_said(tmp_path: Path) -> None:
    write(tmp_path / "run", VERSION + framed(b"\x0f\xff\xff") + event(1.79e9, 3, scalar("loss", 3)))
    run = last_look(Source(str(tmp_path / "run")))
    assert points_of(run) == {"loss": [(3, 3)]}
    assert run is not None
    assert len(run.problems) == 1


@pytest.mark.parametrize("length", [2**63 + 5, 2**40, 300 << 20, 700, 0])
def test_a_length_that_is_wrong_ends_the_file_and_is_said(tmp_path: Path, length: int) -> None:
    good = VERSION + event(1.79e9, 1, scalar("loss", 1))
    write(tmp_path / "run", good + struct.pack("<QI", length, 99) + b"x" * 40)
    run = last_look(Source(str(tmp_path / "run")))
    assert points_of(run) == {"loss": [(1, 1)]}
    assert run is not None
    assert len(run.problems) == 1
    assert f"byte {len(good)}" in run.problems[0]
    assert str(length) in run.problems[0]


def test_an_empty_file_says_how_long_writers_wait(tmp_path: Path) -> None:
    write(tmp_path / "run", b"")
    run = last_look(Source(str(tmp_path / "run")))
    assert run is not None
    assert NOTHING_YET in run.problems[0]
    assert (run.metrics, run.host, run.pid) == ({}, "gpu-03", 4711)


@pytest.mark.parametrize("is_same_inode", [True, False])
def test_a_file_that_was_replaced_is_read_from_the_start(tmp_path: Path, *, is_same_inode: bool) -> None:
    path = write(tmp_path / "run", VERSION + event(1.79e9, 1, scalar("loss", 1)))
    source = Source(str(tmp_path / "run"))
    last_look(source)
    if not is_same_inode:
        path.rename(tmp_path / "other")
    path.write_bytes(VERSION + event(1.79e9, 8, scalar("acc", 2)) + event(1.79e9, 9, scalar("acc", 2)))
    run = last_look(source)
    assert run is not None
    assert run.from_start
    assert points_of(run) == {"acc": [(8, 2), (9, 2)]}
    assert run.metrics.keys() == {"acc"}


def test_a_file_that_shrank_is_read_from_the_start(tmp_path: Path) -> None:
    path = write(tmp_path / "run", VERSION + event(1.79e9, 1, scalar("loss", 1)) + event(1.79e9, 2, scalar("loss", 1)))
    source = Source(str(tmp_path / "run"))
    last_look(source)
    os.truncate(path, len(VERSION + event(1.79e9, 1, scalar("loss", 1))))
    run = last_look(source)
    assert run is not None
    assert run.from_start
    assert points_of(run) == {"loss": [(1, 1)]}


def test_a_folder_that_goes_away_while_it_is_read_has_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "run", VERSION + event(1.79e9, 1, scalar("loss", 1)))
    source = Source(str(tmp_path / "run"))
    listed = source._list()
    monkeypatch.setattr(source, "_list", lambda: listed)
    shutil.rmtree(tmp_path / "run")
    run = last_look(source)
    assert run is not None
    assert run.metrics == {}
    monkeypatch.undo()
    assert last_look(source) is None


def test_what_may_not_be_read_is_said() -> None:
    with open_folder() as folder:
        closed = write(folder / "run", VERSION + event(1.79e9, 1, scalar("loss", 1)))
        write(folder / "run", VERSION + event(1.79e9, 2, scalar("acc", 1)), NAME.replace("1790000000", "1790000500"))
        closed.chmod(0)
        with as_nobody():
            run = last_look(Source(str(folder / "run")))
        assert points_of(run) == {"acc": [(2, 1)]}
        assert run is not None
        assert run.problems == [f"{NAME} cannot be read: Permission denied"]
        (folder / "run").chmod(0)
        with as_nobody(), pytest.raises(UnreadableSourceError, match="Permission denied"):
            last_look(Source(str(folder / "run")))
        (folder / "run").chmod(0o700)


@pytest.mark.parametrize("is_one_record", [True, False])
def test_two_gigabytes_are_never_in_memory(tmp_path: Path, *, is_one_record: bool) -> None:
    good = VERSION + event(1.79e9, 1, scalar("loss", 1))
    path = write(tmp_path / "run", good)
    if is_one_record:
        image = varint_field(4, 2**31)
        value = message((1, "huge")) + b"\x22" + varint_of(len(image) + 2**31) + image
        summary = b"\x0a" + varint_of(len(value) + 2**31) + value
        payload = message((1, 1.79e9), (2, 2)) + b"\x2a" + varint_of(len(summary) + 2**31) + summary
        header = struct.pack("<Q", len(payload) + 2**31)
        with path.open("r+b") as file:
            file.seek(len(good))
            file.write(header + struct.pack("<I", masked_crc(header)) + payload)
            file.seek(2**31 + 4, os.SEEK_CUR)
            file.write(event(1.79e9, 3, scalar("loss", 3)))
    else:
        os.truncate(path, 2 << 30)
    tracemalloc.start()
    run = last_look(Source(str(tmp_path / "run")))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 40 << 20
    assert run is not None
    if is_one_record:
        assert points_of(run) == {"loss": [(1, 1), (3, 3)]}
        assert [(each.path, each.size_bytes, each.kind) for each in run.artifacts] == [("huge", 2**31, "image")]
    else:
        assert points_of(run) == {"loss": [(1, 1)]}
        assert len(run.problems) == 1


def varint_field(number: int, length: int) -> bytes:
    """The beginning of a field of so many bytes."""
    return bytes([number << 3 | 2]) + varint_of(length)


WHOLE = next((LOGS / "plain").iterdir()).read_bytes()[:2500]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(st.binary(max_size=400), st.lists(st.tuples(st.integers(0, 2499), st.binary(max_size=12)), max_size=8))
)
def test_bytes_of_any_kind_are_read_without_an_error(tmp_path: Path, change: bytes | list[tuple[int, bytes]]) -> None:
    if isinstance(change, bytes):
        variants = [change, VERSION + change, VERSION + framed(change), VERSION + event(1.79e9, 1, change)]
    else:
        data = bytearray(WHOLE)
        for at, piece in change:
            data[at : at + len(piece)] = piece
        variants = [bytes(data)]
    for data_now in variants:
        write(tmp_path / "run", data_now)
        source = Source(str(tmp_path / "run"))
        with contextlib.suppress(UnreadableSourceError):
            run = last_look(source)
            assert run is not None
            for column in run.points.values():
                assert len(column.steps) == len(column.at_us) == len(column.values)
            assert last_look(source) is None
