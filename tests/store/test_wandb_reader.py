"""Record logs of W&B, as they are written and as they grow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from store.readers import wandb_log
from store.readers.wandb_log import Source
from tests.store.foreign_files import FIXTURES, chunked, history, last_look, points_of
from tests.store.wandb_logs import EXIT, KEY, RUN, WANDB, write

if TYPE_CHECKING:
    from pathlib import Path

    from store.readers.foreign import ForeignRun

EXPECTED = json.loads((FIXTURES / "wandb" / "expected.json").read_text())


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


def test_a_wandb_folder_is_found() -> None:
    assert list(wandb_log.found_in("/a", ["wandb"], ["src", "wandb"])) == ["/a/wandb"]
    assert list(wandb_log.found_in("/a", ["wandb"], ["src"])) == []
