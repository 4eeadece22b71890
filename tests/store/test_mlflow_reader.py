"""MLflow's two stores: read as MLflow itself reads them, followed while they grow, and damaged in every way."""

from __future__ import annotations

import gzip
import json
import math
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from store.readers import mlflow_files, mlflow_sqlite
from store.readers.foreign import ForeignRun, UnreadableSourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

FIXTURES = Path(__file__).parents[1] / "fixtures" / "mlflow"
SAID = {"RUNNING": "running", "FINISHED": "finished", "FAILED": "failed", "KILLED": "killed"}
INFINITE = {"1.7976931348623157e+308": "inf", "-1.7976931348623157e+308": "-inf"}
"""What MLflow reports of infinities in its SQLite store."""
RUN = "0123456789abcdef0123456789abcdef"


def unpacked(folder: Path) -> str:
    """The fixture of the SQLite store, as MLflow wrote it."""
    shutil.copytree(FIXTURES / "sqlite", folder, dirs_exist_ok=True)
    packed = folder / "mlflow.db.gz"
    (folder / "mlflow.db").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    return str(folder / "mlflow.db")


@pytest.fixture
def database(tmp_path: Path) -> str:
    """A copy of it of the test's own."""
    return unpacked(tmp_path / "mlflow")


def source(kind: str, folder: Path) -> Any:
    """A reader of one of the fixtures."""
    if kind == "files":
        return mlflow_files.Source(str(FIXTURES / "files" / "mlruns"))
    return mlflow_sqlite.Source(unpacked(folder))


def by_key(runs: Iterator[ForeignRun]) -> dict[str, ForeignRun]:
    """Runs by their keys, each told once."""
    found = list(runs)
    assert len({run.key for run in found}) == len(found)
    return {run.key: run for run in found}


@pytest.mark.parametrize("kind", ["files", "sqlite"])
def test_reads_what_mlflow_reports(kind: str, tmp_path: Path) -> None:
    """Everything that MLflow says of its runs is said of them."""
    reported = json.loads((FIXTURES / kind / "reported.json").read_bytes())["runs"]
    deleted_experiments = {"thrown away"}
    runs = by_key(source(kind, tmp_path).look({}, reported))
    for key, said in reported.items():
        run = runs[key]
        assert run.tracker == "mlflow"
        assert run.name == said["name"]
        assert run.group == said["experiment"]
        assert run.said == SAID[said["status"]]
        assert run.is_deleted == (said["lifecycle_stage"] == "deleted" or said["experiment"] in deleted_experiments)
        assert run.started_at_s == said["start_time"] / 1000
        assert run.ended_at_s == (said["end_time"] and said["end_time"] / 1000)
        assert run.params == said["params"]
        assert run.tags == {key: value for key, value in said["tags"].items() if not key.startswith("mlflow.")}
        assert run.note == said["tags"].get("mlflow.note.content", "")
        assert run.command == "train.py"
        assert {key: str(final.last) for key, final in run.metrics.items()} == {
            key: INFINITE.get(value, value) for key, value in said["metrics"].items()
        }
        assert run.from_start
        assert not run.problems
        points = {
            key: sorted([step, at_us // 1000, str(value)] for step, at_us, value in zip(*column, strict=True))
            for key, column in run.points.items()
        }
        assert points == {
            key: sorted([step, at_ms, INFINITE.get(value, value)] for step, at_ms, value in history)
            for key, history in said["histories"].items()
        }
        for metric, final in run.metrics.items():
            finite = [value for value in run.points[metric].values if math.isfinite(value)]
            assert (final.minimum, final.maximum) == (min(finite, default=None), max(finite, default=None))
            assert final.point_count == len(run.points[metric].values)
    assert set(reported) <= set(runs)
    [plain] = [run for run in runs.values() if run.name == "plain"]
    assert plain.params["prompt"] == "first line\n\n  second line\n"
    assert [(each.path, each.kind) for each in plain.artifacts] == [
        ("words.txt", "text"),
        ("report/numbers.json", "text"),
    ]


@pytest.mark.parametrize("kind", ["files", "sqlite"])
def test_unchanged_is_passed_over(kind: str, tmp_path: Path) -> None:
    """A second look tells nothing, and a later life of the reader knows the signatures."""
    reader = source(kind, tmp_path)
    runs = by_key(reader.look({}, ()))
    assert len(runs) == 5
    assert list(reader.look({}, ())) == []
    signatures = {key: run.signature for key, run in runs.items()}
    again = source(kind, tmp_path)
    assert list(again.look(signatures, ())) == []
    [followed] = again.look(signatures, [next(iter(runs))])
    assert followed.from_start
    assert followed.points


def test_found_by_names() -> None:
    """Stores are known by their names alone."""
    assert list(mlflow_files.found_in("/a", [], ["mlruns", "b"])) == ["/a/mlruns"]
    assert list(mlflow_files.found_in("/a", [], ["0", ".trash"])) == ["/a"]
    assert list(mlflow_files.found_in("/a", ["mlruns"], ["mlartifacts"])) == []
    assert list(mlflow_sqlite.found_in("/a", ["mlflow.db", "other.db"], [])) == ["/a/mlflow.db"]


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


def point(connection: sqlite3.Connection, key: str, value: float, step: int, run: str) -> None:
    """Log one point as MLflow does it, in a transaction."""
    row = (key, value, 1795187251547 + step, step, 0, run)
    connection.execute("begin immediate")
    connection.execute("delete from latest_metrics where key = ? and run_uuid = ?", (key, run))
    for table in ("metrics", "latest_metrics"):
        connection.execute(
            f"insert into {table}(key, value, timestamp, step, is_nan, run_uuid) values (?, ?, ?, ?, ?, ?)", row
        )
    connection.execute("commit")


def going(path: str) -> str:
    """The run of the fixture that is running."""
    connection = sqlite3.connect(path)
    try:
        [[key]] = connection.execute("select run_uuid from runs where status = 'RUNNING'").fetchall()
        return str(key)
    finally:
        connection.close()


def test_database_is_followed_as_it_grows(database: str) -> None:
    """New points of a followed run, new finals of the others, a new end, and rows that were deleted."""
    key = going(database)
    reader = mlflow_sqlite.Source(database)
    runs = by_key(reader.look({}, [key]))
    assert runs[key].points["loss"].values == [2.0, 1.0, 0.0]
    connection = sqlite3.connect(database, isolation_level=None)
    point(connection, "loss", -1.0, 3, key)
    point(connection, "new", 5.0, 0, key)
    [run] = reader.look({}, [key])
    assert {key: column.values for key, column in run.points.items()} == {"loss": [-1.0], "new": [5.0]}
    assert not run.from_start
    assert run.metrics["loss"] == (-1.0, 3, 1795187251550000, -1.0, 2.0, 4)
    assert list(reader.look({}, [key])) == []
    connection.execute("update runs set status = 'FINISHED', end_time = 1795187251999 where run_uuid = ?", [key])
    [run] = reader.look({}, [key])
    assert (run.said, run.ended_at_s, run.points) == ("finished", 1795187251.999, {})
    assert run.metrics["loss"].point_count == 4
    connection.execute("delete from metrics where run_uuid = ?", [key])
    point(connection, "loss", -2.0, 9, key)
    [run] = reader.look({}, [key])
    assert run.from_start
    assert run.metrics["loss"].point_count == 1
    connection.close()


def test_points_of_a_database_come_in_pages(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that is left off between two pages goes on where it was."""
    monkeypatch.setattr(mlflow_sqlite, "ROWS_AT_ONCE", 7)
    [key] = [run.key for run in mlflow_sqlite.Source(database).look({}, ()) if run.name == "plain"]
    reader = mlflow_sqlite.Source(database)
    parts = []
    for run in reader.look({}, [key]):
        parts += [run] if run.key == key else []
        if len(parts) == 3:
            break
    parts += [run for run in reader.look({}, [key]) if run.key == key]
    assert [part.from_start for part in parts] == [True] + [False] * (len(parts) - 1)
    assert sum(len(column.values) for part in parts for column in part.points.values()) == 85


WRITER = """
import sqlite3, sys, time
path, key, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
connection = sqlite3.connect(path, timeout=0, isolation_level=None)
assert connection.execute("pragma journal_mode=delete").fetchone() == ("delete",)
print("ready", flush=True)
failed = 0
begin = time.monotonic()
for step in range(count):
    row = ("live", float(step), 1795187251547 + step, step, 0, key)
    try:
        connection.execute("begin immediate")
        for table in ("metrics", "latest_metrics"):
            columns = "key, value, timestamp, step, is_nan, run_uuid"
            connection.execute(f"insert or replace into {table}({columns}) values (?,?,?,?,?,?)", row)
        connection.execute("commit")
    except sqlite3.OperationalError:
        failed += 1
        connection.rollback()
    time.sleep(max(0.0, begin + (step + 1) / 100 - time.monotonic()))
print(failed, flush=True)
"""


def test_a_trainer_never_waits(database: str) -> None:
    """A writer that waits for nobody and fails at the first lock writes a hundred times a second beside the reader."""
    key = going(database)
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, database, key, "300"],
        stdout=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    reader = mlflow_sqlite.Source(database)
    values: list[float] = []
    looks = 0
    while writer.poll() is None:
        values += live_values(reader, key)
        looks += 1
    assert writer.stdout.read() == "0\n"
    writer.stdout.close()
    assert looks > 3
    values += live_values(reader, key)
    assert values == [float(step) for step in range(300)]


def live_values(reader: mlflow_sqlite.Source, key: str) -> list[float]:
    """What is new of the metric that is being written; nothing when the reader found no quiet moment."""
    try:
        parts = [run for run in reader.look({}, [key]) if run.key == key and "live" in run.points]
    except UnreadableSourceError:
        return []
    return [value for run in parts for value in run.points["live"].values]


def test_a_locked_database_is_read(database: str) -> None:
    """Another's exclusive lock does not stop a reader that takes none; a commit that is half done does."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("begin exclusive")
    assert len(by_key(mlflow_sqlite.Source(database).look({}, ()))) == 5
    connection.execute("rollback")
    connection.close()
    Path(f"{database}-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7\0\0\0\1")
    with pytest.raises(UnreadableSourceError, match="written to all the time"):
        list(mlflow_sqlite.Source(database).look({}, ()))
    Path(f"{database}-journal").write_bytes(bytes(512))
    reader = mlflow_sqlite.Source(database)
    assert len(by_key(reader.look({}, ()))) == 5
    os.utime(database)
    Path(f"{database}-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7\0\0\0\1")
    assert list(reader.look({}, ())) == []


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_nothing_is_written(database: str, mode: str) -> None:
    """No file appears beside the database, and none changes; what is in the log counts."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute(f"pragma journal_mode={mode}")
    connection.close()
    time.sleep(0.03)
    folder = os.path.dirname(database)
    before = {name: os.stat(os.path.join(folder, name)).st_mtime_ns for name in os.listdir(folder)}
    reader = mlflow_sqlite.Source(database)
    assert len(by_key(reader.look({}, ()))) == 5
    assert {name: os.stat(os.path.join(folder, name)).st_mtime_ns for name in os.listdir(folder)} == before
    key = going(database)
    connection = sqlite3.connect(database, isolation_level=None)
    point(connection, "logged", 1.0, 0, key)
    assert [run.metrics["logged"].last for run in reader.look({}, ())] == [1.0]
    assert os.path.exists(f"{database}-wal") == (mode == "wal")
    connection.close()
    assert not os.path.exists(f"{database}-wal")


def small(path: Path) -> bytes:
    """A database with MLflow's tables and as few pages as they need."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("pragma page_size=512")
    for table, columns in mlflow_sqlite.TABLES.items():
        connection.execute(f"create table {table} ({', '.join(columns)})")
    connection.execute("create table alembic_version (version_num)")
    connection.execute("insert into alembic_version values ('0123456789ab')")
    connection.execute("insert into experiments values (0, 'Default', 'active')")
    for number in range(20):
        run = f"{number:032x}"
        connection.execute("insert into runs values (?, ?, 'RUNNING', 1, null, 'active', 0)", (run, f"run {number}"))
        connection.execute("insert into params values ('p', ?, ?)", ("x" * 100, run))
        connection.execute("insert into tags values ('mlflow.note.content', 'note', ?)", (run,))
        for step in range(5):
            point(connection, "m", step / 2, step, run)
    connection.close()
    return path.read_bytes()


def test_no_index_is_needed(tmp_path: Path) -> None:
    """An old schema without indexes of runs, of a version that nobody knows, is read all the same."""
    path = tmp_path / "mlflow.db"
    small(path)
    reader = mlflow_sqlite.Source(str(path))
    runs = by_key(reader.look({}, [f"{1:032x}"]))
    assert len(runs) == 20
    assert runs[f"{1:032x}"].points["m"].values == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert runs[f"{2:032x}"].params == {"p": "x" * 100}


def test_a_database_cut_at_every_page(tmp_path: Path) -> None:
    """Whatever is missing, the reader says so or tells what it can."""
    path = tmp_path / "mlflow.db"
    data = small(path)
    failed = 0
    for size in range(0, len(data), 512):
        path.write_bytes(data[:size])
        try:
            list(mlflow_sqlite.Source(str(path)).look({}, [f"{1:032x}"]))
        except UnreadableSourceError:
            failed += 1
    assert failed > len(data) // 1024


def test_a_database_with_damaged_pages(tmp_path: Path) -> None:
    """Pages of nonsense are damage too."""
    path = tmp_path / "mlflow.db"
    data = small(path)
    for at in range(0, len(data), 512):
        path.write_bytes(data[:at] + bytes(range(256)) * 2 + data[at + 512 :])
        try:
            list(mlflow_sqlite.Source(str(path)).look({}, [f"{1:032x}"]))
        except UnreadableSourceError:
            continue


def test_what_is_no_database(tmp_path: Path) -> None:
    """Each says what it is and what was expected."""
    path = tmp_path / "mlflow.db"
    source = mlflow_sqlite.Source(str(path))
    with pytest.raises(UnreadableSourceError, match="cannot be read: No such file"):
        list(source.look({}, ()))
    path.write_bytes(b"")
    with pytest.raises(UnreadableSourceError, match="is empty"):
        list(source.look({}, ()))
    path.write_bytes(b"no database" * 100)
    with pytest.raises(UnreadableSourceError, match="is no SQLite database"):
        list(source.look({}, ()))
    path.unlink()
    path.mkdir()
    with pytest.raises(UnreadableSourceError, match=r"mlflow\.db"):
        list(source.look({}, ()))
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(UnreadableSourceError):
        list(source.look({}, ()))


def test_another_schema_is_named(tmp_path: Path) -> None:
    """A missing column is said with the version that was found."""
    path = tmp_path / "mlflow.db"
    small(path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("alter table metrics rename column step to stage")
    connection.close()
    with pytest.raises(UnreadableSourceError, match=r"metrics has no step \(schema 0123456789ab\); it has is_nan, key"):
        list(mlflow_sqlite.Source(str(path)).look({}, ()))
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("drop table metrics")
    connection.execute("create view metrics as select 1 as key")
    connection.close()
    with pytest.raises(UnreadableSourceError, match="no table metrics"):
        list(mlflow_sqlite.Source(str(path)).look({}, ()))


def test_odd_values_of_a_database(tmp_path: Path) -> None:
    """SQLite keeps anything in any column."""
    path = tmp_path / "mlflow.db"
    small(path)
    connection = sqlite3.connect(path, isolation_level=None)
    run = f"{1:032x}"
    connection.execute("insert into params values (7, x'ff00', ?), ('t', cast(x'ff' as text), ?)", (run, run))
    connection.execute("insert into params values ('long', ?, ?)", ("y" * 20_000, run))
    connection.execute("insert into metrics values ('m', 'word', null, ?, 'x', null)", (run,))
    connection.execute("insert into latest_metrics values ('odd', 'word', null, 'x', null, ?)", (run,))
    connection.execute("insert into runs values (null, null, null, null, null, null, null)")
    connection.execute("insert into runs values ('../..', x'00', 5, 'x', 1e300, 'y', 'z')")
    connection.close()
    runs = by_key(mlflow_sqlite.Source(str(path)).look({}, [run]))
    assert runs[run].params["t"] == "\ufffd"
    assert len(runs[run].params["long"]) == 8192
    assert list(runs[run].metrics) == ["m"]
    assert runs["../.."].started_at_s is None


def test_deleted_while_read(database: str) -> None:
    """A database that goes away in the middle of a look ends it."""
    look = mlflow_sqlite.Source(database).look({}, ())
    next(look)
    os.unlink(database)
    list(look)
    reader = mlflow_sqlite.Source(database)
    with pytest.raises(UnreadableSourceError):
        list(reader.look({}, ()))


def test_twelve_thousand_metrics_of_a_database(database: str) -> None:
    """Many keys are only many."""
    key = going(database)
    connection = sqlite3.connect(database)
    connection.executemany(
        "insert into latest_metrics(key, value, timestamp, step, is_nan, run_uuid) values (?, 0.5, 1, 1, 0, ?)",
        [(f"m{number}", key) for number in range(12_000)],
    )
    connection.commit()
    connection.close()
    assert len(by_key(mlflow_sqlite.Source(database).look({}, ()))[key].metrics) == 12_001


def test_too_many_keys_are_counted(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is beyond the limit is said."""
    monkeypatch.setattr(mlflow_sqlite, "KEYS_MAX", 3)
    runs = mlflow_sqlite.Source(database).look({}, ())
    [plain] = [run for run in runs if run.name == "plain"]
    assert len(plain.metrics) == len(plain.params) == 3
    assert "latest_metrics beyond 3 are left out" in plain.problems
