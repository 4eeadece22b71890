"""Measure the store: `just bench-store`.

Prints one table: medians beside a bare baseline that runs alternately with ours, the load of the machine before and
after, and the processor time, which tells more than the clock while others use the machine. Nothing here fails because
a machine is busy.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import orjson
import polars as pl

from store import database, derive, rollups, series
from store.database import ArrowStream
from store.ingest import Index, read_batch
from store.readers.carry import Carry
from store.readers.stdout_grammar import parse_log_line
from tests.bench import QUIET_LOAD, cpu_s
from tests.support import Home, opened_home, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

LIVE_JOBS = 5
LIVE_JOB = """
import json, os, sys, time
lines_a_write, pause_s, end_s = int(sys.argv[1]), float(sys.argv[2]), time.time() + float(sys.argv[3])
step = 0
next_s = time.monotonic()
with open(os.environ["FOOTPLATE_METRICS"], "a") as file:
    while time.time() < end_s:
        for _ in range(lines_a_write):
            values = {f"m/{n}": step / (n + 1) for n in range(19)}
            file.write(json.dumps({"step": step, "at": time.time(), **values}) + chr(10))
            step += 1
        file.flush()
        next_s += pause_s
        time.sleep(max(0.0, next_s - time.monotonic()))
"""
LOG_LINES: dict[str, Callable[[int], str]] = {
    "key=value": lambda n: f"step={n} loss={1 / (n + 1):.4f} acc=0.{n % 10}",
    "Keras": lambda n: f"{n}/9000 - 1s - 10ms/step - accuracy: 0.{n % 9000 + 1000} - loss: 0.2931 - val_loss: 0.3",
    "a logger's": lambda n: f"2026-11-20 15:00:01,123 INFO step {n} | loss {1 / (n + 1):.4f} | lr 1.0e-04 | tok/s 123",
    "a progress bar's": lambda n: f"Epoch 3: 10%|##| {n}/9 [00:01<00:00, 9.5it/s, v_num=0, loss=0.{n}, val/acc=0.9]",
    "no metric": lambda n: f"Loading: shard {n} of the data set into memory",
}


class Measured(NamedTuple):
    """One run of something: how much was done in which time."""

    done: int
    wall_s: float
    processor_s: float

    @property
    def per_s(self) -> float:
        """By the clock."""
        return self.done / self.wall_s


def timed(work: Callable[[], int]) -> Measured:
    """Run `work`, which returns how much it did."""
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    count = work()
    return Measured(count, time.perf_counter() - began_s, time.process_time() - began_cpu_s)


def table_row(name: str, value: str, target: str, beside: str, ratio: str, load: tuple[float, float]) -> None:
    """Print one line of the report."""
    noisy = " (noisy)" if max(load) > QUIET_LOAD else ""
    print(f"| {name} | {value}{noisy} | {target} | {beside} | {ratio} | {load[0]:.2f} / {load[1]:.2f} |", flush=True)


def compare(
    name: str,
    unit: str,
    target: str,
    ours: Callable[[], Measured],
    bare: Callable[[], Measured],
    beside: str,
    repeats: int,
) -> None:
    """Medians of both, taken alternately."""
    before = os.getloadavg()[0]
    pairs = [(ours(), bare()) for _ in range(repeats)]
    rates = [statistics.median(pair[side].per_s for pair in pairs) for side in (0, 1)]
    costs = [statistics.median(pair[side].processor_s / pair[side].done * 1e9 for pair in pairs) for side in (0, 1)]
    table_row(
        name,
        f"{rates[0]:,.0f} {unit}/s, {costs[0]:,.0f} ns of processor each",
        target,
        f"{rates[1]:,.0f} {unit}/s, {costs[1]:,.0f} ns {beside}",
        f"{rates[0] / rates[1]:.2f}",
        (before, os.getloadavg()[0]),
    )


def metric_file(lines: int, metrics: int) -> bytes:
    """Lines of a metrics file as a script writes them."""
    chance = random.Random(1)
    keys = [f"metric/{number}" for number in range(metrics)]
    return b"".join(
        orjson.dumps({"step": step, **{key: chance.random() for key in keys}}, option=orjson.OPT_APPEND_NEWLINE)
        for step in range(lines)
    )


def ingest(content: bytes) -> Measured:
    """A backlog as the daemon takes it in: journal, points, latest values, offsets, durable transactions."""
    with tempfile.TemporaryDirectory(prefix="footplate-bench-") as name:
        Path(name, "metrics.jsonl").write_bytes(content)
        opened = database.open_database(f"{name}/index.duckdb")
        index = Index(opened.cursor())

        def work() -> int:
            state = derive.open_derivation("bench", name)
            while True:
                more = derive.derive(state, time.time_ns() // 1000, final=True)
                batch = read_batch("bench", 1, name, index.cursor_of("bench"), state.generation)
                if batch is None and not more:
                    break
                if batch is not None:
                    index.commit([batch], {})
            state.close()
            row = opened.cursor().execute("select sum(point_count) from metric_latest").fetchone()
            return int(row[0]) if row else 0

        found = timed(work)
        opened.close()
        return found


def bare_ingest(content: bytes) -> Measured:
    """The same data without our rules: orjson line by line, one Polars frame, one INSERT for each 4 MiB."""
    with tempfile.TemporaryDirectory(prefix="footplate-bench-") as name:
        opened = database.open_database(f"{name}/index.duckdb")
        cursor = opened.cursor()
        cursor.execute("create table point (key varchar, step bigint, value double)")

        def work() -> int:
            position = count = 0
            while position < len(content):
                end = content.rfind(b"\n", position, position + (4 << 20)) + 1
                keys: list[str] = []
                steps: list[int] = []
                values: list[float] = []
                for line in content[position:end].splitlines():
                    record = orjson.loads(line)
                    step = record.pop("step")
                    keys += record.keys()
                    values += record.values()
                    steps += [step] * len(record)
                cursor.register("frame", ArrowStream(pl.DataFrame({"key": keys, "step": steps, "value": values})))
                cursor.execute("insert into point select * from frame")
                position, count = end, count + len(values)
            return count

        found = timed(work)
        opened.close()
        return found


def parse_lines(lines: list[str]) -> Measured:
    """The grammar alone."""
    carry = Carry()

    def work() -> int:
        for line in lines:
            parse_log_line(line, carry)
        return len(lines)

    return timed(work)


def backlog(repeats: int) -> None:
    """How fast what has piled up comes in."""
    ingest(metric_file(2000, 20))
    for lines, metrics, target in ((50_000, 20, ">= 1,000,000"), (300_000, 1, ">= 300,000")):
        content = metric_file(lines, metrics)
        compare(
            f"backlog, {metrics} metrics a line",
            "points",
            target,
            lambda content=content: ingest(content),  # type: ignore[misc]
            lambda content=content: bare_ingest(content),  # type: ignore[misc]
            "orjson, Polars, INSERT",
            repeats,
        )
    for kind, line in LOG_LINES.items():
        lines_of_kind = [line(number) for number in range(3000)]
        before = os.getloadavg()[0]
        found = statistics.median(parse_lines(lines_of_kind).per_s for _ in range(repeats))
        table_row(f"log lines, {kind}", f"{found:,.0f} lines/s", "", "", "", (before, os.getloadavg()[0]))


def reading(repeats: int) -> None:
    """One curve of a million points in 400 bins, from the points and from the roll-up."""
    with tempfile.TemporaryDirectory(prefix="footplate-bench-") as name:
        Path(name, "metrics.jsonl").write_bytes(metric_file(1_000_000, 1))
        opened = database.open_database(f"{name}/index.duckdb")
        cursor = opened.cursor()
        index = Index(cursor)
        state = derive.open_derivation("bench", name)
        while True:
            more = derive.derive(state, 1, final=True)
            batch = read_batch("bench", 1, name, index.cursor_of("bench"), state.generation)
            if batch is None and not more:
                break
            if batch is not None:
                index.commit([batch], {})
        state.close()

        def curve() -> int:
            found = series.binned(cursor, 1, "metric/0", 400)
            return 1 if found is not None and found.steps else 0

        def bare() -> int:
            cursor.execute(
                "select step // 4096, min(value), max(value), count(*) from metric where run_no = 1 group by 1"
            ).fetchall()
            return 1

        def report(what: str) -> None:
            before = os.getloadavg()[0]
            pairs = [(timed(curve), timed(bare)) for _ in range(repeats)]
            ours, beside = (statistics.median(pair[side].wall_s for pair in pairs) * 1000 for side in (0, 1))
            load = (before, os.getloadavg()[0])
            table_row(what, f"{ours:.1f} ms", "", f"{beside:.1f} ms min, max, count", f"{ours / beside:.2f}", load)

        report("curve of 1,000,000 points")
        before = os.getloadavg()[0]
        made = timed(lambda: rollups.roll_up(cursor, 1) or 1)
        table_row(
            "roll-up of 1,000,000 points", f"{made.wall_s * 1000:.0f} ms", "", "", "", (before, os.getloadavg()[0])
        )
        report("curve of 1,000,000 points, rolled up")
        opened.close()


def live(home: Home, points_per_s: int, duration_s: float) -> None:
    """Several jobs that log at once: how old the newest point is that a client sees, and what the daemon uses."""
    lines_a_write = max(1, points_per_s // LIVE_JOBS // 20 // 20)
    argv = (sys.executable, "-c", LIVE_JOB, str(lines_a_write), "0.05", str(duration_s))
    ids = [home.submit(*argv) for _ in range(LIVE_JOBS)]
    client = home.client()
    wait_until(lambda: all(client.run(run_id).metrics for run_id in ids))
    pid = home.daemon_pid() or 0
    before, began_s, began_cpu_s, ages_s = os.getloadavg()[0], time.time(), cpu_s(pid), []
    while time.time() - began_s < duration_s * 0.8:
        for run_id in ids:
            newest = {metric.key: metric.last for metric in client.run(run_id).metrics}
            ages_s.append(time.time() - newest["at"])
        time.sleep(0.5)
    used = 100 * (cpu_s(pid) - began_cpu_s) / (time.time() - began_s)
    details = [home.wait_ended(run_id) for run_id in ids]
    points = sum(metric.point_count for detail in details for metric in detail.metrics)
    steps = sum(detail.metrics[0].last_step + 1 for detail in details)
    age = f"newest point {statistics.median(ages_s):.2f} s old, at most {max(ages_s):.2f} s"
    table_row(
        f"live, {LIVE_JOBS} jobs",
        f"{points / duration_s:,.0f} points/s, {age}; {steps * 20 - points} missing",
        ">= 50,000",
        f"daemon {used:.0f} % of a core",
        "",
        (before, os.getloadavg()[0]),
    )


def quiet(home: Home, runs: int, duration_s: float) -> None:
    """What live runs cost that write nothing."""
    ids = [home.submit("sleep", "1000") for _ in range(runs)]
    for run_id in ids:
        home.wait_run(run_id, lambda detail: detail.row.state == "running")
    time.sleep(3.0)
    pid = home.daemon_pid() or 0
    before, began_cpu_s = os.getloadavg()[0], cpu_s(pid)
    time.sleep(duration_s)
    used = 100 * (cpu_s(pid) - began_cpu_s) / duration_s
    table_row(f"daemon with {runs} quiet runs", f"{used:.2f} % of a core", "<= 1", "", "", (before, os.getloadavg()[0]))
    for run_id in ids:
        home.client().stop(run_id, "bench")
    for run_id in ids:
        home.wait_ended(run_id)


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="medians of so many")
    parser.add_argument(
        "--live", type=float, default=20.0, metavar="SECONDS", help="how long jobs log; 0 for not at all"
    )
    parser.add_argument("--quiet-runs", type=int, default=50, metavar="N", help="how many runs do nothing; 0 for none")
    options = parser.parse_args()
    print("| figure | ours | target | beside | ratio | load before / after |\n|---|---|---|---|---|---|")
    backlog(options.repeats)
    reading(options.repeats)
    with tempfile.TemporaryDirectory(prefix="footplate-bench-") as name, opened_home(Path(name) / "state") as home:
        if options.live:
            live(home, 50_000, options.live)
        if options.quiet_runs:
            quiet(home, options.quiet_runs, 20.0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
