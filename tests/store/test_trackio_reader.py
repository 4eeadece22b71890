"""trackio's databases: read as trackio itself reads them, followed while they grow, and damaged in every way."""

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
from itertools import islice
from pathlib import Path

import pytest

from store.readers import trackio_db
from store.readers.foreign import UnreadableSourceError

FIXTURE = Path(__file__).parents[1] / "fixtures" / "trackio"


@pytest.fixture
def database(tmp_path: Path) -> str:
    """A copy of the fixture of the test's own."""
    folder = tmp_path / "trackio"
    shutil.copytree(FIXTURE / "trackio", folder)
    packed = folder / "digits.db.gz"
    (folder / "digits.db").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    time.sleep(0.03)
    return str(folder / "digits.db")


def key_of(name: str) -> str:
    """The id of a run of the fixture."""
    found = json.loads((FIXTURE / "reported.json").read_bytes())["runs"][name]["id"]
    assert isinstance(found, str)
    return found


def log(
    connection: sqlite3.Connection, key: str, step: int, data: str | bytes | None, at: str = "2026-11-24T12:00:00Z"
) -> None:
    """One call of `log`."""
    connection.execute(
        "insert into metrics(run_id, run_name, timestamp, step, metrics) values (?, 'live', ?, ?, ?)",
        (key, at, step, data),
    )


def test_reads_what_trackio_reports(database: str) -> None:
    """Every number that trackio says of its runs is said of them."""
    reported = json.loads((FIXTURE / "reported.json").read_bytes())["runs"]
    runs = {run.name: run for run in trackio_db.Source(database).look({}, [key_of("plain"), key_of("odd")])}
    assert set(runs) == set(reported)
    for name, said in reported.items():
        run = runs[name]
        assert (run.key, run.tracker, run.group, run.said) == (said["id"], "trackio", "digits", "")
        assert not run.problems
        assert run.from_start
        expected: dict[str, list[tuple[int, str]]] = {}
        for entry in said["logs"]:
            for key, value in entry.items():
                if key in ("step", "timestamp", "word"):
                    continue
                inner = {f"{key}.{each}": value[each] for each in value} if isinstance(value, dict) else {key: value}
                for each, number in inner.items():
                    expected.setdefault(each, []).append((entry["step"], str(float(number))))
        found = {
            key: sorted((step, str(value)) for step, _, value in zip(*column, strict=True))
            for key, column in run.points.items()
        }
        assert found == {key: sorted(points) for key, points in expected.items()}
        for key, final in run.metrics.items():
            finite = [value for value in run.points[key].values if math.isfinite(value)]
            assert final.point_count == len(expected[key])
            assert (final.minimum, final.maximum) == (min(finite, default=None), max(finite, default=None))
    plain = runs["plain"]
    assert plain.params == {
        "lr": "0.1",
        "model.depth": "12",
        "model.name": "für",
        "layers": "[1, 2]",
        "prompt": "a\nb\n",
        "none": "null",
    }
    assert plain.tags == {"group": "first"}
    assert plain.started_at_s is not None
    assert abs(plain.written_at_s - plain.started_at_s) < 60
    assert (plain.metrics["loss"].last, plain.metrics["loss"].last_step) == (1 / 40, 39)


def test_unchanged_is_passed_over(database: str) -> None:
    """A second look tells nothing, and a later life of the reader knows the signatures."""
    reader = trackio_db.Source(database)
    signatures = {run.key: run.signature for run in reader.look({}, ())}
    assert len(signatures) == 2
    assert list(reader.look({}, ())) == []
    again = trackio_db.Source(database)
    assert list(again.look(signatures, ())) == []
    [run] = again.look(signatures, [key_of("odd")])
    assert run.from_start
    assert run.points["whole"].values == [3.0] * 4


def test_found_by_names() -> None:
    """By its folder, or by its lock."""
    assert list(trackio_db.found_in("/a/trackio", ["p.db", "p.lock", "mlflow.db", "x"], [])) == ["/a/trackio/p.db"]
    assert list(trackio_db.found_in("/a/b", ["p.db", "p.lock", "q.db"], [])) == ["/a/b/p.db"]


def test_followed_as_it_grows(database: str) -> None:
    """New rows only, in a log that nobody has put into the database yet; deleted rows start again."""
    key = key_of("plain")
    reader = trackio_db.Source(database)
    assert len(list(reader.look({}, [key]))) == 2
    connection = sqlite3.connect(database, isolation_level=None)
    assert connection.execute("pragma journal_mode=wal").fetchone() == ("wal",)
    log(connection, key, 40, b'{"loss": 0.5, "new": "NaN"}')
    log(connection, "another", 0, '{"loss": 0.25}')
    runs = {run.key: run for run in reader.look({}, [key])}
    assert runs[key].points["loss"].values == [0.5]
    assert not runs[key].from_start
    assert runs[key].metrics["loss"].point_count == 42
    assert math.isnan(runs[key].metrics["new"].last)
    assert (runs["another"].name, runs["another"].metrics["loss"].last) == ("live", 0.25)
    assert list(reader.look({}, [key])) == []
    connection.execute("delete from metrics where run_id = ? and step < 40", (key,))
    [run] = reader.look({}, [key])
    assert run.from_start
    assert run.metrics["loss"].point_count == 1
    connection.close()
    assert sorted(os.listdir(os.path.dirname(database))) == ["digits.db", "digits.lock"]


def test_many_rows_come_in_pages(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that is left off among the first pages starts again; nothing is missing, nothing twice."""
    monkeypatch.setattr(trackio_db, "ROWS_AT_ONCE", 10)
    key = key_of("plain")
    reader = trackio_db.Source(database)
    first = [run for run in islice(reader.look({}, [key]), 3) if run.key == key]
    assert [run.from_start for run in first] == [True, False]
    parts = [run for run in reader.look({}, [key]) if run.key == key]
    assert [run.from_start for run in parts] == [True] + [False] * (len(parts) - 1)
    assert sum(len(run.points["loss"].values) for run in parts) == 41
    assert parts[-1].metrics["loss"].point_count == 41


def test_rows_that_hold_no_point(database: str) -> None:
    """Damage is counted, and the rest counts; numbers too large for a float are infinite."""
    connection = sqlite3.connect(database, isolation_level=None)
    log(connection, "odd rows", 0, '{"a": 1}')
    log(connection, "odd rows", 1, "[1]")
    log(connection, "odd rows", 2, "{")
    log(connection, "odd rows", 3, b"\xff")
    log(connection, "odd rows", 4, '{"a": 1}', at="yesterday")
    log(connection, "odd rows", 5, "[" * 100_000)
    log(connection, "odd rows", 6, '{"a": ' + "9" * 400 + ', "image": {"_type": "trackio.image", "x": 1}}')
    connection.execute("insert into configs(run_id, run_name, config, created_at) values ('odd rows', 'x', '{', '')")
    connection.close()
    time.sleep(0.03)
    [run] = [run for run in trackio_db.Source(database).look({}, ()) if run.key == "odd rows"]
    assert run.problems == [
        "its config is no JSON object",
        "5 rows of metrics hold no JSON object with a step and a date",
    ]
    assert run.metrics["a"][:2] == (math.inf, 6)
    assert list(run.metrics) == ["a"]


def test_a_database_of_an_older_trackio(tmp_path: Path) -> None:
    """Before there were ids of runs, a run was its name."""
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("create table metrics (id integer primary key, timestamp, run_name, step, metrics)")
    connection.execute("create table configs (id integer primary key, run_name, config, created_at)")
    connection.execute("insert into metrics values (1, '2026-01-01T00:00:00', 'one', 0, '{\"a\": 1}')")
    connection.close()
    [run] = trackio_db.Source(str(path)).look({}, ["one"])
    assert (run.key, run.name, run.points["a"].at_us) == ("one", "one", [1767225600000000])


WRITER = """
import sqlite3, sys, time
path, mode = sys.argv[1], sys.argv[2]
connection = sqlite3.connect(path, timeout=0, isolation_level=None)
assert connection.execute(f"pragma journal_mode={mode}").fetchone() == (mode,)
print("ready", flush=True)
failed = 0
for step in range(200):
    try:
        connection.execute(
            "insert into metrics(run_id, run_name, timestamp, step, metrics) values ('live', 'live', ?, ?, ?)",
            ("2026-11-24T12:00:00Z", step, '{"value": %d}' % step))
    except sqlite3.OperationalError:
        failed += 1
    time.sleep(0.01)
print(failed, flush=True)
connection.close()
"""


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_trainer_never_waits(database: str, mode: str) -> None:
    """A writer that fails at the first lock writes beside the reader, which sees each row once."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, database, mode], stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    reader = trackio_db.Source(database)
    values: list[float] = []
    while writer.poll() is None:
        values += live_values(reader)
    assert writer.stdout.read() == "0\n"
    writer.stdout.close()
    time.sleep(0.03)
    values += live_values(reader)
    assert values == [float(step) for step in range(200)]


def live_values(reader: trackio_db.Source) -> list[float]:
    """What is new of the metric that is being written; nothing when the reader found no quiet moment."""
    try:
        parts = [run for run in reader.look({}, ["live"]) if run.key == "live" and run.points]
    except UnreadableSourceError:
        return []
    return [value for run in parts for value in run.points["value"].values]


def test_a_database_cut_at_every_page(database: str) -> None:
    """Whatever is missing, the reader says so or tells what it can."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("pragma journal_mode=delete")
    connection.execute("pragma page_size=512")
    connection.execute("vacuum")
    connection.close()
    data = Path(database).read_bytes()
    failed = 0
    for size in range(0, len(data), 512):
        Path(database).write_bytes(data[:size])
        try:
            list(trackio_db.Source(database).look({}, [key_of("plain")]))
        except UnreadableSourceError:
            failed += 1
    assert failed > len(data) // 1024


def test_what_is_no_database(tmp_path: Path) -> None:
    """Each says what it is and what was expected."""
    path = tmp_path / "p.db"
    reader = trackio_db.Source(str(path))
    with pytest.raises(UnreadableSourceError, match="No such file"):
        list(reader.look({}, ()))
    path.write_bytes(b"")
    with pytest.raises(UnreadableSourceError, match="is empty"):
        list(reader.look({}, ()))
    path.write_bytes(b"no database" * 100)
    with pytest.raises(UnreadableSourceError, match="is no SQLite database"):
        list(reader.look({}, ()))
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("create table other (x)")
    connection.close()
    with pytest.raises(UnreadableSourceError, match="it has no table metrics; it has other"):
        list(reader.look({}, ()))


def test_what_a_killed_trainer_left(database: str) -> None:
    """The log of a writer that was killed counts while its index is there; without one it is said to be left out."""
    script = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('pragma journal_mode=wal')\n"
        'c.execute("insert into metrics(run_id, run_name, timestamp, step, metrics)'
        " values ('k', 'k', '2026-11-24T12:00:00Z', 0, '{}')\")\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, database], check=True)
    folder = os.path.dirname(database)
    before = {name: os.stat(os.path.join(folder, name)).st_mtime_ns for name in os.listdir(folder)}
    assert "digits.db-wal" in before
    assert len(list(trackio_db.Source(database).look({}, ()))) == 3
    os.unlink(f"{database}-shm")
    runs = list(trackio_db.Source(database).look({}, ()))
    assert len(runs) == 2
    assert "digits.db-wal is not read" in runs[0].problems[0]
    del before["digits.db-shm"]
    assert {name: os.stat(os.path.join(folder, name)).st_mtime_ns for name in os.listdir(folder)} == before
