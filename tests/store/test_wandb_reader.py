"""Record logs of W&B, as they are written, as they grow and as they break."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import struct
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.readers import wandb_log
from store.readers.foreign import UnreadableSourceError
from store.readers.wandb_log import Source
from tests.store.foreign_files import (
    FIXTURES,
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

if TYPE_CHECKING:
    from pathlib import Path

    from store.readers.foreign import ForeignRun

WANDB = FIXTURES / "wandb" / "wandb"
EXPECTED = json.loads((FIXTURES / "wandb" / "expected.json").read_text())
KEY = "offline-run-20261124_120000-abcd1234"
LOG = "run-abcd1234.wandb"
RUN = message((1, 1), (17, message((1, "abcd1234"), (3, "churn"), (8, "first"), (17, message((1, 1_790_000_000))))))
EXIT = message((1, 99), (18, b""))


def write(folder: Path, data: bytes) -> Path:
    """The log of the only run in a folder."""
    (folder / KEY).mkdir(exist_ok=True)
    path = folder / KEY / LOG
    path.write_bytes(data)
    return path


def look(folder: Path) -> ForeignRun:
    """What a new reader says of it."""
    run = last_look(Source(str(folder)), {KEY})
    assert run is not None
    return run


def fixture(name: str) -> ForeignRun:
    """A run of the fixtures."""
    keys = {path.name for path in WANDB.iterdir()}
    [run] = [run for run in Source(str(WANDB)).look({}, keys) if run.name == name]
    return run


def flat(record: dict[str, Any], before: str = "") -> dict[str, float]:
    """Numbers of what was logged at once, by joined keys."""
    found: dict[str, float] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            found |= flat(value, f"{before}{key}.")
        elif not isinstance(value, str):
            found[f"{before}{key}"] = float(value)
    return found


def logged(name: str) -> dict[str, list[tuple[int, float]]]:
    """What was logged, by key."""
    points: dict[str, list[tuple[int, float]]] = {}
    for step, record in enumerate(EXPECTED["logged"][name]):
        for key, value in flat(record).items():
            points.setdefault(key, []).append((step, value))
    return points


@pytest.mark.parametrize("name", ["whole", "failed"])
def test_runs_read_as_they_were_logged(name: str) -> None:
    run = fixture(name)
    expected = logged(name)
    points = points_of(run)
    assert points.keys() == expected.keys()
    for key, column in expected.items():
        assert [step for step, _ in points[key]] == [step for step, _ in column]
        assert [value for _, value in points[key]] == pytest.approx([value for _, value in column], nan_ok=True, rel=0)
        assert run.metrics[key].point_count == len(column)
    assert run.problems == []
    assert run.from_start


def test_what_else_a_run_says() -> None:
    run = fixture("whole")
    assert (run.group, run.host, run.note, run.said, run.exit_code) == ("churn", "gpu-03", "a note", "finished", 0)
    assert run.tags == {"baseline": "", "nightly": ""}
    assert run.command == "train.py --lr 0.01 --note 'two words'"
    assert run.working_dir == "/tmp/churn"
    assert run.pid is None
    long = run.params.pop("long")
    assert len(long) == 8192 < EXPECTED["long_characters"]
    assert run.params == {
        "lr": "0.01",
        "optimizer.name": "adam",
        "optimizer.betas": "[0.9, 0.999]",
        "seed": "null",
        "later": "yes",
    }
    assert run.started_at_s is not None
    assert run.ended_at_s is not None
    assert 0 <= run.ended_at_s - run.started_at_s < 60
    assert run.metrics["best"] == (3.5, 24, run.metrics["best"].last_at_us, None, None, 0)
    [page] = run.artifacts
    assert page.path.startswith("media/html/page_24_")
    assert (page.kind, page.size_bytes) == ("text", 123)


def test_a_run_that_failed_says_with_what() -> None:
    run = fixture("failed")
    assert (run.said, run.exit_code) == ("failed", 3)


def test_a_run_that_never_said_goodbye_is_running() -> None:
    run = fixture("cut")
    assert (run.said, run.exit_code, run.problems) == ("running", None, [])
    points = points_of(run)
    assert 100 < len(points["loss"]) < 300
    assert points["loss"] == logged("cut")["loss"][: len(points["loss"])]


def test_the_newest_run_comes_first_and_links_are_passed_over(tmp_path: Path) -> None:
    for moment in ("20261124_120000", "20261125_120000", "20261123_120000"):
        folder = tmp_path / f"run-{moment}-x"
        folder.mkdir()
        (folder / "run-x.wandb").write_bytes(chunked(RUN))
    (tmp_path / "latest-run").symlink_to("run-20261125_120000-x")
    (tmp_path / "debug.log").write_text("")
    source = Source(str(tmp_path))
    assert [run.key[4:12] for run in source.look({}, ())] == ["20261125", "20261124", "20261123"]
    assert list(source.look({}, ())) == []


def test_only_what_is_new_is_handed_on(tmp_path: Path) -> None:
    records = [RUN, *(history(no, no, {"loss": str(no), "long.key": "1"}) for no in range(600)), EXIT]
    data = chunked(*records)
    assert len(data) > 2 * 32768 / 2
    path = write(tmp_path, b"")
    source = Source(str(tmp_path))
    seen: list[tuple[int, float]] = []
    run = None
    for start in range(0, len(data), 997):
        with path.open("ab") as file:
            file.write(data[start : start + 997])
        run = last_look(source, {KEY})
        assert run is not None
        assert run.from_start == (not start)
        assert run.problems == []
        seen += points_of(run).get("loss", [])
        assert last_look(source, {KEY}) is None
    assert run is not None
    assert run.said == "finished"
    assert seen == [(step, float(step)) for step in range(600)]
    assert run.metrics["long.key"].point_count == 600


def test_a_run_that_is_followed_later_is_handed_on_from_the_start(tmp_path: Path) -> None:
    write(tmp_path, chunked(RUN, history(2, 0, {"loss": "1"})))
    source = Source(str(tmp_path))
    run = last_look(source, ())
    assert run is not None
    assert run.points == {}
    assert last_look(Source(str(tmp_path)), (), {KEY: run.signature}) is None
    assert last_look(source, ()) is None
    followed = last_look(source, {KEY})
    assert followed is not None
    assert followed.from_start
    assert points_of(followed) == {"loss": [(0, 1)]}


def test_a_long_run_is_handed_on_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb_log, "POINTS_AT_ONCE", 100)
    monkeypatch.setattr("store.readers.leveldb_log.READ_BYTES", 40_000)
    write(tmp_path, chunked(RUN, *(history(no, no, {"loss": str(no)}) for no in range(3000))))
    pieces = list(Source(str(tmp_path)).look({}, {KEY}))
    assert len(pieces) > 3
    assert [piece.from_start for piece in pieces] == [True] + [False] * (len(pieces) - 1)
    assert [step for piece in pieces for step in piece.points.get("loss", ([],))[0]] == list(range(3000))


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


def test_values_of_every_form(tmp_path: Path) -> None:
    values = {"a": "NaN", "b": '"Infinity"', "c": "-Infinity", "d": "true", "e": "1e400", "f": '"text"', "g": "null"}
    media = {"_type": "image-file", "path": "media/images/x.png", "size": 77}
    records = [
        history(2, 0, values | {"pic": json.dumps(media), "tree": '{"x": 1, "y": {"z": 2}}', "list": "[1]"}),
        history(3, -5, {"n": "-0.5"}),
        message((1, 4), (2, message((1, item("plain", "1")), (2, message((1, 9)))))),
        message((1, 5), (2, message((1, message((1, "flag"), (4, 1)))))),
        message((1, 5), (2, message((1, message((1, "int"), (5, 7))), (1, message((2, "text"), (7, "x")))))),
        message((1, 5), (2, message((1, message((2, "real"), (6, 0.25)))))),
        message((1, 5), (2, message((1, message((2, "json"), (8, '{"q": 3}')))))),
    ]
    write(tmp_path, chunked(RUN, *records, *records))
    run = look(tmp_path)
    points = {key: column * 1 for key, column in points_of(run).items()}
    assert all(math.isnan(value) for _, value in points.pop("a"))
    assert points == {
        "b": [(0, math.inf)] * 2,
        "c": [(0, -math.inf)] * 2,
        "d": [(0, 1)] * 2,
        "e": [(0, math.inf)] * 2,
        "tree.x": [(0, 1)] * 2,
        "tree.y.z": [(0, 2)] * 2,
        "n": [(-5, -0.5)] * 2,
        "plain": [(9, 1)] * 2,
        "flag": [(0, 1)] * 2,
        "int": [(0, -4)] * 2,
        "real": [(0, 0.25)] * 2,
        "json.q": [(0, 3)] * 2,
    }
    assert [(each.path, each.kind, each.size_bytes) for each in run.artifacts] == [("media/images/x.png", "image", 77)]
    assert run.problems == []


def test_media_in_parts_are_no_metrics(tmp_path: Path) -> None:
    parts = {
        "t._type": '"table-file"',
        "t.path": '"media/table/t.json"',
        "t.size": "12",
        "t.nrows": "1e999",
        "loss": "1",
    }
    summary = message((1, 3), (3, message(*((1, item(*each)) for each in parts.items()))))
    write(tmp_path, chunked(RUN, *(record for no in range(3) for record in (summary, history(no, no, parts)))))
    run = look(tmp_path)
    assert points_of(run) == {"loss": [(0, 1), (1, 1), (2, 1)]}
    assert run.metrics.keys() == {"loss"}
    assert [(each.path, each.kind, each.size_bytes) for each in run.artifacts] == [("media/table/t.json", "table", 12)]


def test_the_summary_counts_where_the_history_has_nothing(tmp_path: Path) -> None:
    summary = message(
        (1, 3), (3, message((1, item("loss", "5")), (1, item("best", "2")), (1, item("_wandb.runtime", "1"))))
    )
    write(tmp_path, chunked(RUN, summary, history(4, 3, {"loss": "5"}), summary))
    run = look(tmp_path)
    assert {key: (final.last, final.point_count) for key, final in run.metrics.items()} == {
        "loss": (5, 1),
        "best": (2, 0),
    }
    assert run.metrics["best"].last_step == 3


def test_configs_that_change(tmp_path: Path) -> None:
    def config(field: int, key: str, value: str) -> bytes:
        return message((1, 2), (5, message((field, item(key, value)))))

    records = [config(1, "a", '{"x": 1, "y": 2}'), config(1, "b", "1"), config(1, "a", '{"x": 3}')]
    write(
        tmp_path,
        chunked(RUN, *records, message((1, 2), (5, message((2, message((1, "b")))))), config(1, "_wandb", "{}")),
    )
    assert look(tmp_path).params == {"a.x": "3"}


def test_halves_of_surrogates_are_replaced(tmp_path: Path) -> None:
    config = message((1, 2), (5, message((1, item("é", '{"\\ud800é": "\\udc00"}')))))
    write(tmp_path, chunked(RUN, config, history(2, 0, {"a": '{"\\ud800": 1}'})))
    run = look(tmp_path)
    assert run.params == {"é.?é": "?"}
    assert points_of(run) == {"a.?": [(0, 1)]}


@pytest.mark.parametrize("whole", [2**63 - 1, -(2**63), 9_000_000_000_000])
def test_times_that_are_none_are_not_told(tmp_path: Path, whole: int) -> None:
    begun = message((17, message((1, "abcd1234"), (17, message((1, whole))))))
    write(tmp_path, chunked(begun, message((18, message((1, 0), (2, 2**63))))))
    run = look(tmp_path)
    assert (run.said, run.started_at_s) == ("finished", None)
    assert run.ended_at_s == run.written_at_s


def test_a_record_that_cannot_be_taken_apart_is_said(tmp_path: Path) -> None:
    broken = message((1, 2)) + b"\x12\x7f\x0a"
    halfway = message((1, 2), (2, message((1, item("_step", "4")), (1, item("loss", "3")), (1, item("x", "{")))))
    write(tmp_path, chunked(RUN, broken, history(2, 0, {"loss": "1"}), halfway, history(3, 9, {"loss": "1"})))
    run = look(tmp_path)
    assert points_of(run) == {"loss": [(0, 1), (4, 3), (9, 1)]}
    assert len(run.problems) == 2
    assert all(LOG in problem for problem in run.problems)


def test_twelve_thousand_keys(tmp_path: Path) -> None:
    values = {f"k/{no}": str(no) for no in range(12_000)}
    write(tmp_path, chunked(RUN, history(2, 0, values), history(3, 1, values)))
    run = look(tmp_path)
    assert len(run.metrics) == 12_000
    assert all(final.point_count == 2 for final in run.metrics.values())


def test_a_wandb_folder_is_found() -> None:
    assert list(wandb_log.found_in("/a", ["wandb"], ["src", "wandb"])) == ["/a/wandb"]
    assert list(wandb_log.found_in("/a", ["wandb"], ["src"])) == []


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
