"""`just bench-queue`: ten thousand waiting runs, a sweep of a thousand, and how soon a run starts that may.

Each figure is of a real daemon with real supervisors; the load of the machine is printed beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from ulid import ULID

from console.cli import shell
from console.jobs import spec
from store import identity, paths
from tests.bench import measured
from tests.support import Home, opened_home, wait_until

WAITING = 10_000
SWEEP = 1_000
LIVE = 4
WATCHED_S = 20.0
STARTS = 15


def context(home: Home) -> dict[str, Any]:
    """What a shell sends with a job."""
    return shell.context() | {"environment": home.environment(), "folder": "/tmp"}


def sweep_of(home: Home, count: int, *argv: str) -> float:
    """Seconds from asking for a sweep to its answer."""
    asked = context(home) | {"argv": [*argv, "{seed}"], "axes": [f"seed=1..{count}"], "sweep": True}
    began_s = time.perf_counter()
    home.client().post("/jobs", asked)
    return time.perf_counter() - began_s


def enqueue_seconds(folder: Path) -> tuple[float, None]:
    """A sweep of a thousand runs, enqueued through the socket of a warm daemon; median of three homes."""
    took = []
    for number in range(3):
        with opened_home(folder / f"enqueue-{number}-{time.time_ns()}") as home:
            home.client().post("/queue/pause", {"scope": "all", "actor": "bench"})
            sweep_of(home, 2, "true")
            took.append(sweep_of(home, SWEEP, "true"))
            assert home.client().get("/queue")["waiting_count"] == SWEEP + 2
    return statistics.median(took), None


def start_ms(folder: Path) -> tuple[float, float]:
    """From the answer to `POST /runs` until `date`, the command, looks at the clock; beside a bare start of it."""
    ours, bare = [], []
    with opened_home(folder / f"start-{time.time_ns()}") as home:
        home.wait_ended(home.submit("true"))
        for _ in range(STARTS):
            run = home.submit("date", "+%s.%N", queueing={"takes_slot": True})
            answered_s = time.time()
            home.wait_ended(run)
            ours.append((float(Path(home.run_dir(run), "output.log").read_text()) - answered_s) * 1000)
            wait_until(lambda: home.client().get("/queue")["live_count"] == 0)
            began_s = time.time()
            done = subprocess.run(["date", "+%s.%N"], capture_output=True, text=True, check=True)
            bare.append((float(done.stdout) - began_s) * 1000)
    return statistics.median(ours), statistics.median(bare)


def cpu_s(pid: int) -> float:
    """Processor seconds that a process has used."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fill(home: Home, chance: random.Random) -> None:
    """Run directories with random `after` graphs, as a daemon that was killed has left them."""
    paths.ensure_state_dir(home.path)
    ids: list[str] = []
    made = []
    environment = {"PATH": os.environ["PATH"]}
    for number in range(1, WAITING + 1):
        recent = ids[-200:]
        after = chance.sample(recent, k=min(len(recent), chance.choice([0, 0, 1, 2])))
        asked = {
            "argv": ["sleep", "10"],
            "working_dir": "/",
            "environment": environment,
            "queueing": {
                "takes_slot": True,
                "priority": chance.randint(-3, 3),
                "after": [{"run": each, "on": chance.choice(["ok", "any"])} for each in after],
            },
        }
        request = spec.parse_request(asked)
        ids.append(str(ULID()))
        new = spec.Spec(
            format=spec.FORMAT,
            id=ids[-1],
            no=number,
            name=request.name,
            project="bench",
            argv=request.argv,
            working_dir=request.working_dir,
            grace_s=1.0,
            params={},
            created_at_s=time.time(),
            host=os.uname().nodename,
            boot_id=identity.boot_id(),
            queueing=request.queueing,
        )
        made.append((new, request))
    spec.write_run_dirs(home.path, made)


def scheduler_percent(folder: Path) -> tuple[float, float]:
    """Percent of a core that the daemon uses while four of 10,000 waiting runs live, each for ten seconds.

    The second figure is a daemon with four live runs that sleep and nothing in the queue.
    """
    with opened_home(folder / f"four-{time.time_ns()}") as home:
        for _ in range(LIVE):
            home.submit("sleep", "1000")
        wait_until(lambda: home.client().status().running_count == LIVE)
        time.sleep(5)
        baseline = share(home.daemon_pid() or 0)
    with opened_home(folder / f"ten-thousand-{time.time_ns()}") as home:
        fill(home, random.Random(4))
        began_s = time.perf_counter()
        home.client().post("/queue/limits", {"slots": LIVE, "actor": "bench"})
        answered_s = time.perf_counter() - began_s
        time.sleep(60)  # until the params of runs that the index did not know are in it
        busy = share(home.daemon_pid() or 0)
        found = counts(home)
        print(f"  first answer of a daemon that finds {WAITING:,} waiting runs: {answered_s:.1f} s; then {found}")
        home.client().post("/queue/pause", {"scope": "all", "actor": "bench"})
    return busy, baseline


def counts(home: Home) -> dict[str, int]:
    """Runs by state."""
    found: dict[str, int] = {}
    for row in json.loads(home.footplate("runs", "--all", "--json").stdout)["rows"]:
        found[row["state"]] = found.get(row["state"], 0) + 1
    return found


def share(pid: int, seconds: float = WATCHED_S) -> float:
    """Percent of a core that a process uses over a while."""
    before, began_s = cpu_s(pid), time.monotonic()
    time.sleep(seconds)
    return 100 * (cpu_s(pid) - before) / (time.monotonic() - began_s)


FIGURES = {
    "enqueue": ("enqueue a sweep of 1,000 runs", "s", 2.0, enqueue_seconds, ""),
    "start": ("answer to exec of the command, a slot being free", "ms", 100.0, start_ms, "bare start"),
    "scheduler": (
        "daemon, 10,000 waiting, four live runs of 10 s",
        "% of a core",
        5.0,
        scheduler_percent,
        "four asleep",
    ),
}


def main() -> None:
    """Measure all of it, or what is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *FIGURES], help="which figures (default: all)")
    chosen = parser.parse_args().names or list(FIGURES)
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            title, unit, bound, measure, beside = FIGURES[name]
            measured(title, unit, bound, lambda measure=measure: measure(Path(folder)), beside)  # type: ignore[misc]


if __name__ == "__main__":
    main()
