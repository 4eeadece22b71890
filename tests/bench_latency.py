"""Measure how old a value is when a client sees it, for each tracker: `just bench-readers latency`.

From the return of the write to the first answer of the daemon that has the value; the client asks every 20 ms, as a
screen that is redrawn would. Writes come at any moment of the second between two looks of the reader.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from typing import TYPE_CHECKING, Final

from tests.bench_watch import table_row
from tests.support import opened_home, wait_until
from tests.trackers_live import TRACKERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from console.client import Client
    from tests.trackers_live import LiveRun

SAMPLES: Final = 8
BOUND_S: Final = 2.0


def last_of(client: Client, name: str) -> float | None:
    """The newest value of a run as a client sees it; None while there is none."""
    metrics = [row.metric for row in client.runs(limit=10_000).rows if row.name == name]
    return metrics[0].last if metrics and metrics[0] is not None else None


def ages_s(client: Client, folder: Path, make: Callable[[Path], LiveRun]) -> list[float]:
    """How long each of some values took from the disk to the client."""
    folder.mkdir()
    live, chance = make(folder), random.Random(1)
    live.write(1, 0.5)
    found = client.post("/imports", {"path": str(folder), "actor": "bench"})
    wait_until(lambda: last_of(client, live.name) == 0.5)
    ages = []
    for step in range(2, SAMPLES + 2):
        time.sleep(1.0 + chance.random())
        value = 0.5**step  # which single precision holds as well
        live.write(step, value)
        began_s = time.perf_counter()
        wait_until(lambda: last_of(client, live.name) == value)  # noqa: B023
        ages.append(time.perf_counter() - began_s)
    client.post(f"/imports/{found['id']}/cancel", {"actor": "bench"})
    return ages


def latency(base: Path) -> None:
    """Every tracker in turn."""
    with opened_home(base / "latency-home") as home:
        for number, (tracker, make) in enumerate(TRACKERS.items()):
            before = os.getloadavg()[0]
            ages = ages_s(home.client(), base / f"latency-{number}", make)
            table_row(
                f"from a value on disk to a client that sees it, {tracker}",
                f"{statistics.median(ages):.2f} s, at most {max(ages):.2f} s",
                f"<= {BOUND_S:.0f} s",
                "",
                "",
                (before, os.getloadavg()[0]),
            )
