"""MLflow's folders of files: followed as they grow, cut at every byte, and what cannot be read."""

from __future__ import annotations

import os
import shutil
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from store.readers import mlflow_files
from store.readers.foreign import UnreadableSourceError

if TYPE_CHECKING:
    from pathlib import Path

RUN = "0123456789abcdef0123456789abcdef"


class Store:
    """A file store of one run, written as MLflow does it."""

    def __init__(self, folder: Path, status: int = 1) -> None:
        self.path = folder / "mlruns"
        self.run = self.path / "0" / RUN
        for name in ("metrics", "params", "tags", "artifacts"):
            (self.run / name).mkdir(parents=True)
        (self.path / "0" / "meta.yaml").write_text("experiment_id: '0'\nlifecycle_stage: active\nname: Default\n")
        self.state(status)

    def state(self, status: int) -> None:
        """Write meta.yaml anew."""
        other = self.run / "meta.yaml.new"
        other.write_text(
            f"artifact_uri: x\nend_time: null\nlifecycle_stage: active\nrun_id: {RUN}\nrun_name: one\n"
            f"start_time: 1795187251547\nstatus: {status}\ntags: []\n"
        )
        other.rename(self.run / "meta.yaml")

    def log(self, key: str, *values: float, step: int = 0) -> None:
        """Add points."""
        path = self.run / "metrics" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.writelines(f"{1795187251547 + step + i} {value} {step + i}\n" for i, value in enumerate(values))

    def reader(self) -> mlflow_files.Source:
        """A reader at its beginning."""
        return mlflow_files.Source(str(self.path))


def test_files_are_followed_as_they_grow(tmp_path: Path) -> None:
    """Only what has been added is handed on; a torn line waits; a file that shrank starts again."""
    store = Store(tmp_path)
    store.log("loss", 1.0, 2.0)
    reader = store.reader()
    [run] = reader.look({}, [RUN])
    assert run.from_start
    assert run.points["loss"].values == [1.0, 2.0]
    assert list(reader.look({}, [RUN])) == []
    store.log("loss", 0.5, step=2)
    store.log("train/acc", 0.25)
    with (store.run / "metrics" / "loss").open("a") as file:
        file.write("1795187251600 9.")
    [run] = reader.look({}, [RUN])
    assert not run.from_start
    assert {key: column.values for key, column in run.points.items()} == {"loss": [0.5], "train/acc": [0.25]}
    assert run.metrics["loss"] == (0.5, 2, 1795187251549000, 0.5, 2.0, 3)
    with (store.run / "metrics" / "loss").open("a") as file:
        file.write("75 3\n")
    [run] = reader.look({}, [RUN])
    assert run.points["loss"].values == [9.75]
    store.state(3)
    [run] = reader.look({}, [RUN])
    assert run.said == "finished"
    assert run.metrics["loss"].point_count == 4
    assert not run.points
    (store.run / "metrics" / "loss").write_text("1795187251547 7 0\n")
    (store.run / "metrics" / "late").write_text("1795187251547 7 0\n")
    [run] = reader.look({}, [RUN])
    assert run.from_start
    assert run.points["loss"].values == [7.0]


def test_a_running_run_is_seen_to_change(tmp_path: Path) -> None:
    """Points added to a run that nobody follows change its finals; a note changes one that has ended."""
    store = Store(tmp_path)
    store.log("loss", 1.0)
    reader = store.reader()
    [run] = reader.look({}, ())
    store.log("loss", 0.5, step=1)
    [run] = reader.look({}, ())
    assert run.metrics["loss"] == (0.5, 1, 1795187251548000, 0.5, 1.0, 2)
    assert not run.points
    store.state(3)
    (store.run / "tags" / "mlflow.note.content").write_text("one")
    assert [run.note for run in reader.look({}, ())] == ["one"]
    (store.run / "tags" / "mlflow.note.content").write_text("two")
    assert [run.note for run in reader.look({}, ())] == ["two"]
    shutil.rmtree(store.run)
    assert list(reader.look({}, ())) == []


def test_many_points_come_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points are handed on in pieces, and a look that is left off goes on where it was."""
    monkeypatch.setattr(mlflow_files, "POINTS_AT_ONCE_BYTES", 1000)
    store = Store(tmp_path)
    for key in ("a", "b", "c", "d"):
        store.log(key, *range(100))
    reader = store.reader()
    look = reader.look({}, [RUN])
    parts = [next(look)]
    del look
    parts += reader.look({}, [RUN])
    assert [part.from_start for part in parts] == [True] + [False] * (len(parts) - 1)
    assert sum(len(column.values) for part in parts for column in part.points.values()) == 400
    assert {key: final.point_count for key, final in parts[-1].metrics.items()} == dict.fromkeys("abcd", 100)


def test_a_metric_file_cut_at_every_byte(tmp_path: Path) -> None:
    """Whatever is there of the last line, the lines before it count."""
    store = Store(tmp_path)
    text = b"1795187251547 0.5 0\n1795187251548 nan 1\n1795187251549 -inf 2\n1795187251550 3 4 data 123\n"
    path = store.run / "metrics" / "loss"
    for size in range(len(text) + 1):
        path.write_bytes(text[:size])
        [run] = store.reader().look({}, ())
        [followed] = store.reader().look({}, [RUN])
        count = text[:size].count(b"\n")
        assert (run.metrics["loss"].point_count if count else 0) == count
        assert (len(followed.points["loss"].values) if count else 0) == count
        assert not run.problems
        assert not followed.problems
    assert run.metrics["loss"] == (3.0, 4, 1795187251550000, 0.5, 3.0, 4)


def test_meta_cut_at_every_byte(tmp_path: Path) -> None:
    """A run whose meta.yaml is not whole is still one."""
    store = Store(tmp_path)
    text = (store.run / "meta.yaml").read_bytes()
    for size in range(len(text)):
        (store.run / "meta.yaml").write_bytes(text[:size])
        [run] = store.reader().look({}, ())
        assert run.key == RUN


def test_lines_that_are_none_are_counted(tmp_path: Path) -> None:
    """Damage is told of, and the rest counts."""
    store = Store(tmp_path)
    lines = ["1 2 3", "x y z", "", "1 2 99999999999999999999", "99999999999999999999 1 1", "5 0.5 4"]
    (store.run / "metrics" / "loss").write_text("\n".join(lines) + "\n")
    for followed in ((), (RUN,)):
        [run] = store.reader().look({}, followed)
        assert run.problems == ["metrics/loss: 4 lines are not `milliseconds value step`"]
        assert run.metrics["loss"] == (0.5, 4, 5000, 0.5, 2.0, 2)


def test_long_files_are_not_read_whole(tmp_path: Path) -> None:
    """Where a long curve stands is known from its end, and how many points it has is not."""
    store = Store(tmp_path)
    store.log("loss", *range(5000))
    [run] = store.reader().look({}, ())
    assert run.metrics["loss"] == (4999.0, 4999, (1795187251547 + 4999) * 1000, None, None, 0)


def test_a_sparse_file_of_two_gigabytes_is_bounded(tmp_path: Path) -> None:
    """Neither time nor memory follow the size of a file."""
    store = Store(tmp_path)
    store.log("loss", 1.0, 2.0)
    os.truncate(store.run / "metrics" / "loss", 2 << 30)
    tracemalloc.start()
    try:
        [run] = store.reader().look({}, ())
        [followed] = store.reader().look({}, [RUN])
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert run.problems
    assert followed.problems
    assert followed.points["loss"].values == [1.0, 2.0]


def test_twelve_thousand_metrics(tmp_path: Path) -> None:
    """Many keys are only many."""
    store = Store(tmp_path)
    for number in range(12_000):
        (store.run / "metrics" / f"m{number}").write_text("1795187251547 0.5 0\n")
    [run] = store.reader().look({}, [RUN])
    assert len(run.metrics) == len(run.points) == 12_000


def test_ten_thousand_runs_can_be_left_off(tmp_path: Path) -> None:
    """The first run comes before the last is read, and the next look goes on with those that were not told."""
    folder = tmp_path / "mlruns" / "0"
    for number in range(10_000):
        run = folder / f"{number:032x}"
        run.mkdir(parents=True)
        (run / "meta.yaml").write_text(f"run_name: run {number}\nstatus: 3\n")
    reader = mlflow_files.Source(str(tmp_path / "mlruns"))
    look = reader.look({}, ())
    first = [next(look) for _ in range(100)]
    del look
    rest = list(reader.look({}, ()))
    assert len({run.key for run in first + rest}) == len(first + rest) == 10_000


def test_unreadable_stores(tmp_path: Path) -> None:
    """What cannot be read is said, and nothing else is raised."""
    with pytest.raises(UnreadableSourceError):
        list(mlflow_files.Source(str(tmp_path / "none")).look({}, ()))
    store = Store(tmp_path)
    os.mkfifo(store.run / "params" / "pipe")
    (store.run / "tags" / "link").symlink_to("/etc/hostname")
    (store.run / "metrics" / os.fsdecode(b"\xff")).write_text("1 2 3\n")
    (store.run / "params" / "binary").write_bytes(b"\xff\n")
    [run] = store.reader().look({}, ())
    assert run.params == {"binary": "\ufffd\n"}
    assert not run.tags
    assert run.metrics["\ufffd"].last == 2.0


def test_files_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may not be read is named; the rest counts."""
    store = Store(tmp_path)
    store.log("loss", 1.0)
    store.log("closed", 1.0)
    really_open = os.open

    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return really_open(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    for followed in ((), (RUN,)):
        [run] = store.reader().look({}, followed)
        assert list(run.metrics) == ["loss"]
        assert run.problems == ["metrics/closed cannot be read: Permission denied"]


def test_files_that_go_away_while_they_are_read(tmp_path: Path) -> None:
    """Runs that are deleted between the listing and their turn are told with what is left, or not at all."""
    for number in range(3):
        folder = tmp_path / "mlruns" / "0" / f"{number:032x}" / "metrics"
        folder.mkdir(parents=True)
        (folder / "loss").write_text("1 2 3\n")
        (folder.parent / "meta.yaml").write_text("status: 1\n")
    look = mlflow_files.Source(str(tmp_path / "mlruns")).look({}, ())
    assert next(look).metrics
    shutil.rmtree(tmp_path / "mlruns")
    for run in look:
        assert not run.metrics
        assert run.problems == ["meta.yaml cannot be read: No such file or directory"]


def test_yaml_that_is_not_flat() -> None:
    """What MLflow's YAML writer makes of odd names."""
    assert mlflow_files.flat_yaml(b"a: 1\nb: 'it''s'\nc: null\nd: []\ne: x y\n") == {"a": "1", "b": "it's", "e": "x y"}
    assert mlflow_files.flat_yaml(b"name: 'long\n  text'\nstatus: 3\n") == {"name": "long text", "status": "3"}
    assert mlflow_files.flat_yaml(b'name: "tab\\t"\n') == {"name": "tab\t"}
    assert mlflow_files.flat_yaml(b"[[[") == {}
