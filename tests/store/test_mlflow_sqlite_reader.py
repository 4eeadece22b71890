"""MLflow's databases: followed as they grow, never written, never in a trainer's way, and damaged."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from store.readers import mlflow_sqlite
from store.readers.foreign import UnreadableSourceError
from tests.store.mlflow_stores import by_key, unpacked


@pytest.fixture
def database(tmp_path: Path) -> str:
    """A copy of it of the test's own."""
    return unpacked(tmp_path / "mlflow")


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
