"""Event files of TensorBoard, as they are written, as they grow and as they break."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import struct
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.readers import tensorboard
from store.readers.foreign import UnreadableSourceError
from store.readers.tensorboard import NOTHING_YET, Source, read_name
from store.readers.tfevents import masked_crc
from tests.store.foreign_files import (
    FIXTURES,
    as_nobody,
    event,
    float32,
    framed,
    last_look,
    message,
    open_folder,
    points_of,
    scalar,
)

if TYPE_CHECKING:
    from pathlib import Path

LOGS = FIXTURES / "tensorboard" / "logs"
EXPECTED = json.loads((FIXTURES / "tensorboard" / "expected.json").read_text())
NAME = "events.out.tfevents.1790000000.gpu-03.4711.0"
VERSION = framed(message((1, 1.79e9), (3, "brain.Event:2")))


def write(folder: Path, data: bytes, name: str = NAME) -> Path:
    """An event file in a folder that may not exist yet."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["plain", "searched"])
def test_runs_read_as_tensorboard_reads_them(name: str) -> None:
    run = last_look(Source(str(LOGS / name)))
    assert run is not None
    expected = EXPECTED[name]
    assert run.points.keys() == expected["scalars"].keys()
    for tag, points in expected["scalars"].items():
        column = run.points[tag]
        assert column.steps == [step for step, _, _ in points]
        assert column.at_us == [int(wall_s * 1e6) for _, wall_s, _ in points]
        assert column.values == pytest.approx([value for _, _, value in points], nan_ok=True, rel=0, abs=0)
        assert run.metrics[tag].point_count == len(points)
    assert [each.path for each in run.artifacts if each.kind == "image"] == expected["images"]
    shown = {key: value if isinstance(value, str) else json.dumps(value) for key, value in expected["params"].items()}
    assert run.params == {key: value.removesuffix(".0") for key, value in shown.items()}
    assert (run.host, run.name, run.group, run.from_start, run.problems) == ("gpu-03", name, "logs", True, [])


def test_media_are_listed_with_their_sizes() -> None:
    run = last_look(Source(str(LOGS / "plain")))
    assert run is not None
    assert {(each.path, each.kind) for each in run.artifacts} == {
        ("sample", "image"),
        ("weights", "file"),
        ("remark/text_summary", "text"),
    }
    assert all(each.size_bytes > 20 for each in run.artifacts)


def test_a_session_of_hparams_is_part_of_the_run_above_it() -> None:
    run = last_look(Source(str(LOGS / "searched")))
    assert run is not None
    assert run.said == "finished"
    assert run.metrics["hparam/acc"].last == 0.875
    [child] = [path for path in (LOGS / "searched").iterdir() if path.is_dir()]
    assert last_look(Source(str(child))) is None


def test_the_later_file_of_a_restarted_run_counts() -> None:
    run = last_look(Source(str(LOGS / "restarted")))
    assert run is not None
    points = {(step, wall_s): value for step, wall_s, value in EXPECTED["restarted"]["scalars"]["loss"]}
    assert len(points) == 20
    assert run.points["loss"].steps == list(range(16))
    assert run.points["loss"].values[:6] == [value for (step, _), value in sorted(points.items()) if step < 6]
    assert run.points["loss"].values[6:] == pytest.approx([6 + step / 100 for step in range(6, 16)])
    assert run.metrics["loss"].point_count == 16


def test_a_file_that_begins_while_we_look_takes_back_what_it_repeats(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write(folder, VERSION + b"".join(event(1.79e9, step, scalar("a", 1)) for step in range(1, 10)))
    source = Source(str(folder))
    assert len(points_of(last_look(source))["a"]) == 9
    later = NAME.replace("1790000000", "1790000500")
    write(folder, VERSION + event(1.79e9, 5, scalar("a", 2)) + event(1.79e9, 3, scalar("b", 2)), later)
    run = last_look(source)
    assert run is not None
    assert run.from_start
    assert points_of(run) == {"a": [(1, 1), (2, 1), (3, 1), (4, 1), (5, 2)], "b": [(3, 2)]}
    assert run.metrics["a"].point_count == 5


def test_a_second_writer_of_other_tags_takes_nothing_back(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write(folder, VERSION + event(1.79e9, 7, scalar("train", 1)))
    write(folder, VERSION + event(1.79e9, 0, scalar("test", 2)), NAME.replace("1790000000", "1790000500"))
    assert points_of(last_look(Source(str(folder)))) == {"train": [(7, 1)], "test": [(0, 2)]}


def test_a_writer_that_says_where_it_starts_again_takes_back_every_tag(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write(folder, VERSION + event(1.79e9, 4, scalar("a", 1)) + event(1.79e9, 9, scalar("a", 1), scalar("b", 1)))
    start = event(1.79e9, 6, more=message((7, message((1, 1)))))
    write(folder, VERSION + start, NAME.replace("1790000000", "1790000500"))
    assert points_of(last_look(Source(str(folder)))) == {"a": [(4, 1)]}


def test_only_what_is_new_is_handed_on(tmp_path: Path) -> None:
    records = [VERSION] + [event(1.79e9 + step, step, scalar("loss", step)) for step in range(40)]
    data = b"".join(records)
    path = write(tmp_path / "run", b"")
    source = Source(str(tmp_path / "run"))
    seen: list[tuple[int, float]] = []
    for start in range(0, len(data), 97):
        with path.open("ab") as file:
            file.write(data[start : start + 97])
        run = last_look(source)
        assert run is not None
        assert run.from_start == (not start)
        assert run.problems == []
        seen += points_of(run).get("loss", [])
        assert last_look(source) is None
    assert seen == [(step, float(step)) for step in range(40)]
    assert run is not None
    assert run.metrics["loss"].point_count == 40
    assert run.started_at_s == 1.79e9


def test_a_run_that_is_followed_later_is_handed_on_from_the_start(tmp_path: Path) -> None:
    write(tmp_path / "run", VERSION + event(1.79e9, 1, scalar("loss", 0.5)))
    source = Source(str(tmp_path / "run"))
    run = last_look(source, followed=())
    assert run is not None
    assert run.points == {}
    assert run.metrics["loss"].last == 0.5
    assert last_look(source, followed=()) is None
    assert points_of(last_look(source)) == {"loss": [(1, 0.5)]}
    assert last_look(source) is None


def test_a_run_that_is_known_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "run", VERSION + event(1.79e9, 1, scalar("loss", 0.5)))
    run = last_look(Source(str(tmp_path / "run")), followed=())
    assert run is not None
    known = {".": run.signature}
    assert last_look(Source(str(tmp_path / "run")), (), known) is None
    assert points_of(last_look(Source(str(tmp_path / "run")), (".",), known)) == {"loss": [(1, 0.5)]}


def test_a_long_run_is_handed_on_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard, "POINTS_AT_ONCE", 100)
    monkeypatch.setattr("store.readers.tfevents.CHUNK_BYTES", 4096)
    write(tmp_path / "run", VERSION + b"".join(event(1.79e9, step, scalar("loss", step)) for step in range(1000)))
    pieces = list(Source(str(tmp_path / "run")).look({}, {"."}))
    assert len(pieces) > 5
    assert [piece.from_start for piece in pieces] == [True] + [False] * (len(pieces) - 1)
    assert [bool(piece.signature) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert [step for piece in pieces for step in piece.points.get("loss", ([],))[0]] == list(range(1000))
    source = Source(str(tmp_path / "run"))
    first = next(source.look({}, {"."}))
    rest = last_look(source)
    assert rest is not None
    assert not rest.from_start
    assert first.points["loss"].steps + rest.points["loss"].steps == list(range(1000))


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


def varint_of(value: int) -> bytes:
    """A number of a message."""
    return message((1, value))[1:]


def varint_field(number: int, length: int) -> bytes:
    """The beginning of a field of so many bytes."""
    return bytes([number << 3 | 2]) + varint_of(length)


def test_steps_and_values_of_every_form(tmp_path: Path) -> None:
    steps = [0, 1, 127, 128, 16383, 16384, 2097151, 2097152, 2**40, -1, -(2**63), 2**63 - 1, 5]
    values = [0.0, math.inf, -math.inf, 1.5, -2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
    # Twice, because the second time their shapes are known.
    data = VERSION + b"".join(
        event(1.79e9, step, scalar("x", value)) for _ in range(2) for step, value in zip(steps, values, strict=True)
    )
    write(tmp_path / "run", data + event(1.79e9, 6, scalar("x", math.nan)) + event(1.79e9, 0, message((1, "bare"))))
    run = last_look(Source(str(tmp_path / "run")))
    assert run is not None
    points = points_of(run)
    assert points["x"][:-1] == list(zip(steps, values, strict=True)) * 2
    assert math.isnan(points["x"][-1][1])
    assert points["bare"] == [(0, 0.0)]
    assert run.metrics["x"].last_step == 2**63 - 1


TENSORS = {
    "content-float": (message((1, 1), (4, struct.pack("<f", 0.5))), 0.5),
    "content-double": (message((1, 2), (4, struct.pack("<d", 0.1))), 0.1),
    "content-int": (message((1, 3), (4, struct.pack("<i", -7))), -7.0),
    "content-int64": (message((1, 9), (4, struct.pack("<q", 2**40))), float(2**40)),
    "content-half": (message((1, 19), (4, struct.pack("<e", 0.25))), 0.25),
    "content-bfloat16": (message((1, 14), (4, struct.pack("<f", 0.5)[2:])), 0.5),
    "float": (message((1, 1)) + float32(5, 0.5), 0.5),
    "float-packed": (message((1, 1), (5, struct.pack("<f", 0.5))), 0.5),
    "double": (message((1, 2), (6, 0.1)), 0.1),
    "double-packed": (message((1, 2), (6, struct.pack("<d", 0.1))), 0.1),
    "int": (message((1, 3), (7, -3)), -3.0),
    "int-packed": (message((1, 3), (7, varint_of(300))), 300.0),
    "int64": (message((1, 9), (10, 2**40)), float(2**40)),
    "int64-packed": (message((1, 9), (10, varint_of(-5))), -5.0),
}


@pytest.mark.parametrize("form", TENSORS)
def test_numbers_in_tensors(tmp_path: Path, form: str) -> None:
    tensor, value = TENSORS[form]
    metadata = message((1, message((1, "scalars"))))
    one = message((1, "loss"), (8, tensor), (9, metadata))
    write(tmp_path / "run", VERSION + b"".join(event(1.79e9, step, one) for step in (0, 1, 300, 5_000_000)))
    assert points_of(last_look(Source(str(tmp_path / "run")))) == {
        "loss": [(0, value), (1, value), (300, value), (5_000_000, value)]
    }


def test_tensors_of_several_numbers_are_no_metrics(tmp_path: Path) -> None:
    tensor = message((1, 1), (4, struct.pack("<ff", 1, 2)))
    text = message((1, "note"), (8, message((1, 7), (8, "hello"))), (9, message((1, message((1, "text"))))))
    write(tmp_path / "run", VERSION + event(1.79e9, 1, message((1, "pair"), (8, tensor)), text))
    run = last_look(Source(str(tmp_path / "run")))
    assert run is not None
    assert run.metrics == {}
    assert [(each.path, each.kind) for each in run.artifacts] == [("pair", "file"), ("note", "text")]


def session(wall_s: float, **parts: bytes) -> bytes:
    """A record of the hparams plugin."""
    numbers = {"experiment": 2, "start": 3, "end": 4}
    found = b""
    for name, part in parts.items():
        tag = "_hparams_/experiment" if name == "experiment" else f"_hparams_/session_{name}_info"
        plugin = message((1, "hparams"), (2, message((numbers[name], part))))
        found += event(wall_s, 0, message((1, tag), (9, message((1, plugin)))))
    return found


def test_a_session_of_hparams_that_failed_in_the_runs_own_folder(tmp_path: Path) -> None:
    params = message((1, message((1, "lr"), (2, message((2, 0.1))))), (1, message((1, "on"), (2, message((4, 1))))))
    data = VERSION + session(1.79e9, start=params) + event(1.79e9 + 5, 1, scalar("loss", 1))
    write(tmp_path / "run", data + session(1.79e9 + 9, end=message((1, 2), (2, 1.79e9 + 9))))
    run = last_look(Source(str(tmp_path / "run")))
    assert run is not None
    assert (run.said, run.params, run.ended_at_s) == ("failed", {"lr": "0.1", "on": "true"}, 1.79e9 + 9)


def test_an_end_that_was_written_at_the_beginning_is_not_believed(tmp_path: Path) -> None:
    data = VERSION + session(1.79e9, experiment=b"", start=b"", end=message((1, 1)))
    write(tmp_path / "run", data)
    run = last_look(Source(str(tmp_path / "run")))
    assert run is not None
    assert run.said == ""


def test_keras_keeps_sessions_in_runs_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, VERSION + session(1.79e9, experiment=b""))
    write(tmp_path / "run", VERSION + session(1.79e9, start=message((1, message((1, "lr"), (2, message((3, "x"))))))))
    run = last_look(Source(str(tmp_path / "run")))
    assert run is not None
    assert run.params == {"lr": "x"}
    above = last_look(Source(str(tmp_path)))
    assert above is not None
    assert above.params == {}


def test_twelve_thousand_keys(tmp_path: Path) -> None:
    data = VERSION + b"".join(event(1.79e9, 1, *(scalar(f"k/{no}", no) for no in range(12_000))) for _ in range(2))
    write(tmp_path / "run", data + b"".join(event(1.79e9, 2, scalar(f"k/{no}", 1)) for no in range(12_000)))
    run = last_look(Source(str(tmp_path / "run")))
    assert run is not None
    assert len(run.metrics) == 12_000
    assert all(final.point_count == 3 for final in run.metrics.values())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("events.out.tfevents.1790000000.gpu-03", (1790000000, "gpu-03", None)),
        ("events.out.tfevents.1790000000.gpu-03.4711.0", (1790000000, "gpu-03", 4711)),
        ("events.out.tfevents.1790000000.a.b.org.4711.12.v2", (1790000000, "a.b.org", 4711)),
        ("events.out.tfevents.1790000000.10.0.0.7", (1790000000, "10.0.0.7", None)),
        ("events.out.tfevents.1790000000.10.0.0.7.4711.0", (1790000000, "10.0.0.7", 4711)),
        ("x.tfevents.", (0, "", None)),
    ],
)
def test_what_the_name_of_a_file_tells(name: str, told: tuple[int, str, int | None]) -> None:
    assert read_name(name) == told


def test_folders_with_event_files_are_found() -> None:
    assert list(tensorboard.found_in("/a", [NAME, "x"], [])) == ["/a"]
    assert list(tensorboard.found_in("/a", ["x", f"{NAME}.profile-empty"], ["run"])) == []


@pytest.mark.parametrize("wall_s", [math.nan, math.inf, -math.inf, 1e300])
def test_a_time_that_is_none_is_not_told(tmp_path: Path, wall_s: float) -> None:
    data = event(wall_s, 0) + event(1.79e9, 1, scalar("loss", 0.5))
    write(tmp_path / "run", data + session(1.79e9, end=message((1, 1), (2, wall_s))))
    run = last_look(Source(str(tmp_path / "run")))
    assert run is not None
    assert (run.said, run.started_at_s, run.ended_at_s) == ("finished", 1.79e9, None)
    assert run.metrics["loss"].last == 0.5


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
