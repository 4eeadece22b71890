"""Event files of TensorBoard, as they are written and as they grow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from store.readers import tensorboard
from store.readers.tensorboard import Source, read_name
from tests.store.event_files import LOGS, NAME, VERSION, write
from tests.store.foreign_files import FIXTURES, event, last_look, message, points_of, scalar

if TYPE_CHECKING:
    from pathlib import Path

EXPECTED = json.loads((FIXTURES / "tensorboard" / "expected.json").read_text())


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
