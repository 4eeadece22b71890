"""Measure the readers of trackers beside the trackers' own: `just bench-readers`.

Prints one table: medians, each of ours taken in turn with the tracker's own reader on the same file, and the load of
the machine before and after. Every measure is a process of its own, and its imports do not count; files are in the page
cache. Nothing here fails because a machine is busy.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from store import identity
from tests.bench import cpu_s
from tests.bench_latency import latency
from tests.bench_watch import Timed, median_s, rounds, table_row, timed
from tests.old_runs import environment
from tests.support import opened_home, wait_until

if TYPE_CHECKING:
    from tests.support import Home

ROOT: Final = Path(__file__).parents[1]
SCALARS: Final = 200_000
WANDB_STEPS: Final = 20_000
WANDB_KEYS: Final = 6
RUNS: Final = 5000
LIVE_RUNS: Final = 20
FIGURES: Final = ("tensorboard", "wandb", "mlflow", "again", "tail", "latency")

WRITE_TENSORBOARD: Final = """
import sys
from tensorboardX import SummaryWriter
with SummaryWriter(sys.argv[1]) as writer:
    for step in range(int(sys.argv[2]) // 10):
        for tag in range(10):
            writer.add_scalar(f"train/metric{tag}", step / (tag + 1), step)
"""
TENSORBOARD: Final = """
import sys, time
from store.readers import tensorboard
began_s = time.perf_counter()
runs = list(tensorboard.Source(sys.argv[1]).look({}, {"."}))
print(time.perf_counter() - began_s, sum(len(column.steps) for run in runs for column in run.points.values()))
"""
ITS_TENSORBOARD: Final = """
import sys, time
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
began_s = time.perf_counter()
loaded = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0}).Reload()
print(time.perf_counter() - began_s, sum(len(loaded.Scalars(tag)) for tag in loaded.Tags()["scalars"]))
"""
WRITE_WANDB: Final = """
import sys, wandb
settings = wandb.Settings(disable_git=True, save_code=False, x_disable_stats=True, console="off", silent=True)
run = wandb.init(project="bench", mode="offline", dir=sys.argv[1], settings=settings)
for step in range(int(sys.argv[2])):
    run.log({f"train/metric{key}": step / (key + 1) for key in range(int(sys.argv[3]))})
run.finish()
"""
WANDB: Final = """
import os, sys, time
from store.readers import wandb_log
keys = [name for name in os.listdir(sys.argv[1]) if name.startswith("offline-run-")]
began_s = time.perf_counter()
runs = list(wandb_log.Source(sys.argv[1]).look({}, keys))
took_s = time.perf_counter() - began_s
print(took_s, sum(len(column.steps) for run in runs for key, column in run.points.items() if not key.startswith("_")))
"""
WRITE_MLFLOW: Final = """
import random, sqlite3, sys
from mlflow import MlflowClient
path, runs = sys.argv[1], int(sys.argv[2])
experiment = int(MlflowClient(f"sqlite:///{path}").create_experiment("sweep", artifact_location="/nowhere"))
chance, start_ms = random.Random(1), 1_790_000_000_000
database = sqlite3.connect(path)
of = [f"{number:032x}" for number in range(runs)]
def put(table, columns, rows):
    marks = ", ".join("?" * len(columns.split(",")))
    database.executemany(f"insert into {table}({columns}) values ({marks})", rows)
put("runs", "run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time,"
    " source_version, lifecycle_stage, artifact_uri, experiment_id",
    [(key, f"trial-{no}", "LOCAL", "train.py", "", "ana", "FINISHED", start_ms + no * 60_000,
      start_ms + no * 60_000 + 50_000, "", "active", f"/nowhere/{key}/artifacts", experiment)
     for no, key in enumerate(of)])
points = [(f"m{metric}", chance.random(), start_ms + no * 60_000 + 40_000, key, 10, 0)
          for no, key in enumerate(of) for metric in range(20)]
put("metrics", "key, value, timestamp, run_uuid, step, is_nan", points)
put("latest_metrics", "key, value, timestamp, run_uuid, step, is_nan", points)
put("params", "key, value, run_uuid",
    [(f"p{param}", f"{chance.random():.6f}", key) for key in of for param in range(20)])
put("tags", "key, value, run_uuid", [(name, value, key) for no, key in enumerate(of) for name, value in
    (("mlflow.runName", f"trial-{no}"), ("mlflow.user", "ana"), ("mlflow.source.name", "train.py"),
     ("mlflow.source.type", "LOCAL"))])
database.commit()
print(experiment)
"""
MLFLOW: Final = """
import sys, time
from store.readers import mlflow_sqlite
began_s = time.perf_counter()
runs = list(mlflow_sqlite.Source(sys.argv[1]).look({}, ()))
print(time.perf_counter() - began_s, len(runs), sum(len(run.metrics) + len(run.params) for run in runs))
"""
ITS_MLFLOW: Final = """
import sys, time
import mlflow, pandas, mlflow.store.tracking.sqlalchemy_store
mlflow.set_tracking_uri(f"sqlite:///{sys.argv[1]}")
began_s = time.perf_counter()
found = mlflow.search_runs(experiment_ids=[sys.argv[2]], max_results=int(sys.argv[3]))
print(time.perf_counter() - began_s, len(found), sum(name.startswith(("metrics.", "params.")) for name in found))
"""
ITS_MLFLOW_AGAIN: Final = """
import sys, time
import mlflow, pandas
mlflow.set_tracking_uri(f"sqlite:///{sys.argv[1]}")
mlflow.search_runs(experiment_ids=[sys.argv[2]], max_results=1)
for count in (int(sys.argv[3]), 100):
    began_s = time.perf_counter()
    found = mlflow.search_runs(experiment_ids=[sys.argv[2]], order_by=["metrics.m0 DESC"], max_results=count)
    print(time.perf_counter() - began_s)
"""
AGAIN: Final = """
import sys, time
from console.client import Client
client = Client(start_daemon=False)
client.status()
for count in (100, 10_000):
    began_s = time.perf_counter()
    page = client.runs(sort="metric", limit=count)
    print(time.perf_counter() - began_s, len(page.rows))
"""
WRITE_LIVE: Final = """
import os, sys, time
from tests.store.foreign_files import event, framed, message, scalar
files = []
for number in range(int(sys.argv[2])):
    os.makedirs(f"{sys.argv[1]}/run-{number}")
    files.append(open(f"{sys.argv[1]}/run-{number}/events.out.tfevents.{int(time.time())}.gpu-03", "ab", buffering=0))
    files[-1].write(framed(message((1, time.time()), (3, "brain.Event:2"))))
step, began_s = 0, time.monotonic()
while True:
    for number, file in enumerate(files):
        time.sleep(max(0.0, began_s + step + number / len(files) - time.monotonic()))
        for tag in range(10):
            file.write(event(time.time(), step, scalar(f"train/metric{tag}", 1 / (step + 1))))
    step += 1
"""


def inner(python: Path | str, code: str, *arguments: object, **changes: str) -> Timed:
    """What a process says that something in it took: the first number that it prints; `output` is all of it."""
    command = [str(python), "-c", code, *map(str, arguments)]
    done = timed(command, cwd=ROOT, env={**os.environ, "GIT_PYTHON_REFRESH": "quiet", **changes})
    return Timed(float(done.output.split()[0]), done.output)


def ours(code: str, *arguments: object, **changes: str) -> Timed:
    """The same with our own Python."""
    return inner(sys.executable, code, *arguments, **changes)


def counts(results: list[Timed]) -> set[tuple[str, ...]]:
    """What was read, by what the processes say of it: one answer when all have read the same."""
    return {tuple(each.output.split()[1:]) for each in results}


def write(python: Path, code: str, *arguments: object) -> str:
    """Have a tracker's own library write."""
    command = [str(python), "-c", code, *map(str, arguments)]
    # Far from any repository, and without the words that the libraries have to say.
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd="/")
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def tensorboard_file(base: Path, environments: Path, repeats: int) -> None:
    """One event file, with all its points."""
    python = environment(environments, "tensorboard")
    folder = base / "tensorboard" / "run"
    write(python, WRITE_TENSORBOARD, folder, SCALARS)
    (file,) = folder.iterdir()
    (found, its), load = rounds(
        repeats, lambda: ours(TENSORBOARD, folder), lambda: inner(python, ITS_TENSORBOARD, folder)
    )
    assert counts(found) == counts(its) == {(str(SCALARS),)}
    table_row(
        f"TensorBoard, {SCALARS:,} scalars in one event file of {file.stat().st_size / 1e6:.1f} MB",
        f"{median_s(found):.3f} s, {SCALARS / median_s(found):,.0f} scalars/s",
        ">= 5x",
        f"`EventAccumulator.Reload()` {median_s(its):.2f} s",
        f"{median_s(its) / median_s(found):.1f}x",
        load,
    )


def wandb_file(base: Path, environments: Path, repeats: int) -> None:
    """One record log, with all its points."""
    folder = base / "wandb-runs"
    folder.mkdir()
    write(environment(environments, "wandb"), WRITE_WANDB, folder, WANDB_STEPS, WANDB_KEYS)
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    items = WANDB_STEPS * WANDB_KEYS
    (found,), load = rounds(repeats, lambda: ours(WANDB, folder / "wandb"))
    assert counts(found) == {(str(items),)}
    table_row(
        f"W&B, {WANDB_STEPS:,} steps of {WANDB_KEYS} keys in {file.stat().st_size / 1e6:.1f} MB;"
        f" {items:,} items: what was logged, `_step` and the like not counted",
        f"{median_s(found):.2f} s, {items / median_s(found):,.0f} items/s",
        ">= 100,000 items/s",
        "",
        "",
        load,
    )


class Sweep:
    """A database of MLflow with 5,000 runs of 20 metrics and 20 params."""

    def __init__(self, base: Path, environments: Path) -> None:
        self._base = base
        self.python = environment(environments, "mlflow")
        self.path = base / "sweep" / "mlflow.db"
        if not self.path.exists():
            self.path.parent.mkdir()
            (base / "sweep-experiment").write_text(write(self.python, WRITE_MLFLOW, self.path, RUNS))
        self.experiment = (base / "sweep-experiment").read_text().strip()
        self.title = (
            f"MLflow, {RUNS:,} runs of 20 metrics and 20 params in {self.path.stat().st_size / 1e6:.0f} MB of SQLite"
        )

    def new_home(self) -> Path:
        """A place for a home; one that was closed starts no daemon again."""
        return Path(tempfile.mkdtemp(prefix="home-", dir=self._base)) / "state"

    def taken_in(self, home: Home) -> float:
        """How long it took from the question to the import until the whole table was here."""
        client = home.client()
        client.status()
        # Imports do not count here either: a daemon loads what it needs for points a second after its start.
        time.sleep(2.0)
        began_s = time.perf_counter()
        client.post("/imports", {"path": str(self.path), "actor": "bench"})

        def is_whole() -> bool:
            (found,) = client.get("/imports")["imports"]
            return bool(found["looked"] and found["run_count"] == RUNS)

        wait_until(is_whole)
        page = client.runs(limit=10_000)
        took_s = time.perf_counter() - began_s
        assert len(page.rows) == RUNS
        return took_s

    def whole(self) -> Timed:
        """The whole way, by a new daemon."""
        with opened_home(self.new_home()) as home:
            return Timed(self.taken_in(home), "")


def mlflow_cold(base: Path, environments: Path, repeats: int) -> None:
    """From a file of which nothing is known to the first whole table."""
    sweep = Sweep(base, environments)
    (function, whole, its), load = rounds(
        repeats,
        lambda: ours(MLFLOW, sweep.path),
        sweep.whole,
        lambda: inner(sweep.python, ITS_MLFLOW, sweep.path, sweep.experiment, RUNS),
    )
    assert counts(function) == {(str(RUNS), str(RUNS * 40))}
    assert counts(its) == {(str(RUNS), "40")}
    beside = f"`mlflow.search_runs` {median_s(its):.2f} s"
    for name, found in (("the reader alone", function), ("by a daemon, kept, and all rows at a client", whole)):
        ratio = f"{median_s(its) / median_s(found):.1f}x"
        table_row(f"{sweep.title}; {name}", f"{median_s(found):.2f} s", ">= 8x", beside, ratio, load)


def mlflow_again(base: Path, environments: Path, repeats: int) -> None:
    """The table sorted by a metric, from what was kept."""
    sweep = Sweep(base, environments)
    with opened_home(sweep.new_home()) as home:
        sweep.taken_in(home)
        (found, its), load = rounds(
            repeats,
            lambda: ours(AGAIN, FOOTPLATE_HOME=home.path),
            lambda: inner(sweep.python, ITS_MLFLOW_AGAIN, sweep.path, sweep.experiment, RUNS),
        )
    assert all(each.output.split()[1::2] == ["100", str(RUNS)] for each in found)
    all_s = statistics.median(float(each.output.split()[2]) for each in found)
    few_s = statistics.median(float(each.output.split()[1]) for each in its)
    table_row(
        f"the same {RUNS:,} runs again, sorted by a metric, 100 rows; all rows",
        f"{median_s(found) * 1000:.1f} ms; {all_s * 1000:.0f} ms",
        ">= 100x",
        f'`search_runs(order_by=["metrics.m0 DESC"])` {median_s(its):.2f} s; {few_s:.2f} s with `max_results=100`',
        f"{median_s(its) / median_s(found):.0f}x; {median_s(its) / all_s:.0f}x",
        load,
    )


def reader_of(daemon_pid: int) -> int:
    """The process that reads for a daemon; 0 when there is none."""
    for name in os.listdir("/proc"):
        if name.isdecimal():
            fields = identity.stat_fields(int(name))
            try:
                words = Path("/proc", name, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if fields is not None and int(fields[1]) == daemon_pid and words[3:5] == [b"console.worker", b"read"]:
                return int(name)
    return 0


def tail(base: Path, repeats: int, duration_s: float) -> None:
    """What live runs cost that are followed: first where they stand, then with all their points."""
    folder = base / "live"
    with (
        opened_home(base / "live-home") as home,
        subprocess.Popen([sys.executable, "-c", WRITE_LIVE, str(folder), str(LIVE_RUNS)], cwd=ROOT) as writer,
    ):
        wait_until(lambda: folder.is_dir() and len(list(folder.iterdir())) == LIVE_RUNS)
        client = home.client()
        client.post("/imports", {"path": str(folder), "actor": "bench"})
        wait_until(lambda: client.runs(states="running").matched_count == LIVE_RUNS)
        for name in ("where they stand", "all points of all of them"):
            daemon = home.daemon_pid() or 0
            reader = wait_until(lambda: reader_of(daemon))  # noqa: B023
            if name.startswith("all"):
                for row in client.runs(states="running").rows:
                    client.series(row.id, "train/metric0", 100)
            time.sleep(5)
            before = os.getloadavg()[0]
            shares = []
            for _ in range(min(repeats, 3)):
                began_s, began = time.monotonic(), (cpu_s(reader), cpu_s(daemon))
                time.sleep(duration_s)
                took_s = time.monotonic() - began_s
                used = (cpu_s(reader) - began[0], cpu_s(daemon) - began[1])
                shares.append((100 * sum(used) / took_s, *(100 * each / took_s for each in used)))
            share, of_reader, of_daemon = sorted(shares)[len(shares) // 2]
            rows = client.runs(states="running").rows
            assert len(rows) == LIVE_RUNS
            assert reader_of(daemon) == reader
            table_row(
                f"{LIVE_RUNS} live runs in TensorBoard's files, 10 scalars a second each; {name}",
                f"{share:.1f} % of a core: reader {of_reader:.1f}, daemon {of_daemon:.1f}",
                "< 5 %",
                "",
                "",
                (before, os.getloadavg()[0]),
            )
        writer.kill()


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=f"of {', '.join(FIGURES)} (default: all)")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="medians of so many")
    parser.add_argument("--seconds", type=float, default=20.0, metavar="S", help="how long live runs are looked at")
    parser.add_argument("--environments", type=Path, metavar="FOLDER", help="where the libraries are kept")
    options = parser.parse_args()
    wrong = [name for name in options.figures if name not in FIGURES]
    if wrong:
        parser.error(f"there is no figure {wrong[0]}")
    figures = options.figures or FIGURES
    with tempfile.TemporaryDirectory(prefix="footplate-bench-") as name:
        base = Path(name)
        environments = (options.environments or base / "environments").absolute()
        print("| figure | ours | target | beside | ratio | load before / after |\n|---|---|---|---|---|---|")
        for figure, measure in (
            ("tensorboard", tensorboard_file),
            ("wandb", wandb_file),
            ("mlflow", mlflow_cold),
            ("again", mlflow_again),
        ):
            if figure in figures:
                measure(base, environments, options.repeats)
        if "tail" in figures:
            tail(base, options.repeats, options.seconds)
        if "latency" in figures:
            latency(base)
    return 0


if __name__ == "__main__":
    sys.exit(main())
