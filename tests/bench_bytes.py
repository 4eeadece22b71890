"""`just bench-bytes`: what the screens write to a real terminal, and how soon they answer a key.

Bytes are those that the program writes to a pty of 120x40; the profile of SSH is the one that `SSH_CONNECTION` brings.
Idle: every screen at once, over runs that have ended. Live: the screen of one run that prints 10 lines and reports 2
metrics a second. Keys: the table and one run while 20 such runs live, beside the smallest Textual program that has any.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.bench import Figure
from tests.support import FOOTPLATE, PastRun, opened_home, wait_until
from tests.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.support import Home

SIZE: Final = (120, 40)
OVER_SSH: Final = {"SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22"}
SETTLE_S: Final = 8.0
REST_LOAD: Final = 0.02
"""Of a machine on which nothing happens. Triage shows a load until it is wrong by half of one, so that what is left to
fall must be next to nothing."""
REST_MAX_S: Final = 300.0
"""On a machine that others use it never comes to that."""
KEYS: Final = 60
LIVE_RUNS: Final = 20
LIVE: Final = """
import json, math, os, time
with open(os.environ["FOOTPLATE_METRICS"], "a", buffering=1) as file:
    for step in range(10**6):
        if step % 10 == 0:
            noise = (step * 7919 % 101 - 50) / 2000
            values = {"train/loss": 2 * math.exp(-step / 3000) + noise, "val/acc": 0.9 - 0.5 * math.exp(-step / 4000)}
            file.write(json.dumps({"step": step, **values}) + "\\n")
        print(f"batch {step} of shard {step % 97:02d} was read and augmented on worker {step % 8}", flush=True)
        time.sleep(0.1)
"""
FLOOD: Final = """
import os, time
with open(os.environ["FOOTPLATE_METRICS"], "a", buffering=1) as file:
    for step in range(40):
        file.write('{"step": %d, "loss": %f, "acc": %f}\\n' % (step, 1 / (1 + step), step / 40))
line = b"worker %d read batch %06d of the shard and found nothing wrong with it\\n"
block = b"".join(line % (n % 8, n) for n in range(7000))
began, written = time.monotonic(), 0
while time.monotonic() - began < 20:
    written += os.write(1, block)
    time.sleep(max(0.0, written / 50e6 - (time.monotonic() - began)))
time.sleep(20)
"""
BARE: Final = """
from textual.app import App
from textual.widgets import Static
class Marks(App):
    BINDINGS = [("j", "move(1)"), ("k", "move(-1)")]
    at = 0
    def compose(self):
        for n in range(30):
            yield Static(f"> row {n}" if n == 0 else f"  row {n}", id=f"row{n}")
    def action_move(self, step):
        self.query_one(f"#row{self.at}", Static).update(f"  row {self.at}")
        self.at = max(0, min(29, self.at + step))
        self.query_one(f"#row{self.at}", Static).update(f"> row {self.at}")
Marks().run()
"""
IDLE_SCREENS: Final[tuple[tuple[str, str, str], ...]] = (
    ("Triage", "1", ""),
    ("Runs", "2", ""),
    ("Run", "2\r", "Metrics"),
    ("Run, charts", "2\rvz", "val/acc"),
    ("Run, details", "2\rd", "evidence"),
    ("Projects", "9", ""),
    ("Help", "2?", ""),
)
"""Name, keys that lead there, and what is seen there."""


def environment(home: Home, **changes: str) -> dict[str, str]:
    """A shell in a terminal of our own, not over SSH unless the changes say so."""
    kept = home.environment(TERM="xterm-256color", COLORTERM="truecolor")
    return {name: value for name, value in kept.items() if not name.startswith(("SSH_", "TMUX"))} | changes


def opened(home: Home, *options: str, keys: str = "", shows: str = "", **changes: str) -> Terminal:
    """The console on a pty once it shows what is wanted."""
    terminal = Terminal([FOOTPLATE, *options], environment(home, **changes), *SIZE)
    terminal.read_until(lambda shown: shown.shows("quit") and not shown.shows("connecting"))
    terminal.read_for(1.0)
    for key in keys:
        terminal.type(key)
        terminal.read_for(1.0)
    if shows:
        terminal.read_until(lambda shown: shown.shows(shows))
    return terminal


def together(terminals: Sequence[Terminal], duration_s: float) -> list[int]:
    """How many bytes each of them writes in the same time."""
    counts = [0] * len(terminals)

    def count(place: int) -> None:
        counts[place] = terminals[place].read_for(duration_s)

    threads = [threading.Thread(target=count, args=(place,)) for place in range(len(terminals))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return counts


def past_runs(home: Home) -> None:
    """A few runs that have ended, one of them badly."""
    for no in range(1, 6):
        points = [
            (step, {"val/acc": 0.9 - 0.5 * math.exp(-step / 30), "train/loss": math.exp(-step / 40)})
            for step in range(200)
        ]
        failed = no == 5
        home.write_run(
            PastRun(
                no=no,
                name=f"train {no}",
                points=points,
                params={"lr": "0.1"},
                log=b"step\n" * 500,
                state="failed" if failed else "finished",
                exit_code=1 if failed else 0,
                cause="ValueError: bad batch" if failed else "",
                evidence="ValueError: bad batch" if failed else "",
            )
        )


def idle(home: Home, duration_s: float) -> list[Figure]:
    """Bytes of every screen while nothing changes."""
    before = os.getloadavg()[0]
    terminals = [opened(home, keys=keys, shows=shows) for _, keys, shows in IDLE_SCREENS]
    together(terminals, SETTLE_S)
    # Seven consoles that open are a load, and Triage shows it until it is over: that is something that changes.
    rested_by_s = time.monotonic() + REST_MAX_S
    while os.getloadavg()[0] > REST_LOAD and time.monotonic() < rested_by_s:
        together(terminals, 1.0)
    counts = together(terminals, duration_s)
    figures = []
    for (name, *_), terminal, count in zip(IDLE_SCREENS, terminals, counts, strict=True):
        terminal.close()
        figures.append(figure(f"{name}, idle, bytes in {duration_s:.0f} s", count, "B", 0.0, before))
    return figures


def live(home: Home, duration_s: float) -> list[Figure]:
    """Bytes a second of the screen of one live run in the profiles of SSH and of a local terminal."""
    before = os.getloadavg()[0]
    run_id = home.python(LIVE, name="live")
    home.wait_run(run_id, lambda detail: len(detail.metrics) == 2)
    ways: list[tuple[str, tuple[str, ...], dict[str, str], float | None]] = [
        ("SSH", (), OVER_SSH, 25.0),
        ("local", (), {}, None),
    ]
    if has_slow():
        ways.append(("--slow", ("--slow",), OVER_SSH, 5.0))
    ways_seen = [(f"Run, live, {name}", bound) for name, _, _, bound in ways]
    terminals = [opened(home, *options, keys="2g\r", shows="following", **changes) for _, options, changes, _ in ways]
    together(terminals, 20.0)
    counts = together(terminals, duration_s)
    for terminal in terminals:
        terminal.close()
    home.client().stop(run_id, "bench")
    home.wait_ended(run_id)
    return [
        figure(name, count / duration_s / 1024, "KiB/s", bound, before)
        for (name, bound), count in zip(ways_seen, counts, strict=True)
    ]


def has_slow() -> bool:
    """Whether the console can be told that the link is slow."""
    from console import __main__

    return "--slow" in __main__.usage()


def keys(home: Home) -> list[Figure]:
    """From a key to its picture while 20 runs live."""
    before = os.getloadavg()[0]
    runs = [home.python(LIVE, name=f"live {n}") for n in range(LIVE_RUNS)]
    wait_until(lambda: sum(row.state == "running" for row in home.client().runs().rows) >= LIVE_RUNS, 120)
    bare = Terminal([sys.executable, "-I", "-c", BARE], environment(home), *SIZE)
    bare.read_until(lambda shown: shown.shows("row 29"))
    bare.read_for(1.0)
    beside = percentiles(bare, "jk")
    bare.close()
    figures = []
    for name, way, pair in (("Runs", "2", "jk"), ("Run", "2\r", "jk")):
        terminal = opened(home, keys=way)
        terminal.read_for(5.0)
        median, high = percentiles(terminal, pair)
        terminal.close()
        label = f"{name}, key to paint, {LIVE_RUNS} live runs"
        figures.append(figure(f"{label}, p50", median, "ms", None, before, beside[0]))
        figures.append(figure(f"{label}, p95", high, "ms", 50.0, before, beside[1]))
    for run_id in runs:
        home.client().stop(run_id, "bench")
    return figures


def flood(home: Home) -> list[Figure]:
    """From a key to its picture while the log that is followed grows by 50 MB a second, and what that writes."""
    before = os.getloadavg()[0]
    run_id = home.python(FLOOD, name="flood")
    terminal = opened(home, keys="2g\r", shows="following")
    terminal.read_for(2.0)
    size, began_s = home.client().run(run_id).log_size_bytes, time.monotonic()
    sent = terminal.read_for(5.0)
    grown = home.client().run(run_id).log_size_bytes - size
    rate = grown / (time.monotonic() - began_s) / 1e6
    median, high = percentiles(terminal, "jk", presses=20)
    terminal.close()
    home.client().stop(run_id, "bench")
    home.wait_ended(run_id)
    name = f"Run, log growing {rate:.0f} MB/s"
    return [
        figure(f"{name}, key to paint, p50", median, "ms", None, before),
        figure(f"{name}, key to paint, p95", high, "ms", None, before),
        figure(f"{name}, local", sent / 5 / 1024, "KiB/s", None, before),
    ]


def percentiles(terminal: Terminal, pair: str, presses: int = KEYS) -> tuple[float, float]:
    """Median and 95th percentile in ms from a key to the mark of the cursor on another line."""
    took_ms = []
    for number in range(presses):
        terminal.read_for(0.05 + number % 7 * 0.013)
        place = marked_line(terminal)
        began_s = time.perf_counter()
        terminal.type(pair[number % 2])
        terminal.read_until(lambda shown, place=place: marked_line(shown) != place)  # type: ignore[misc]
        took_ms.append((time.perf_counter() - began_s) * 1000)
    ordered = sorted(took_ms)
    return statistics.median(ordered), ordered[math.ceil(0.95 * len(ordered)) - 1]


def marked_line(terminal: Terminal) -> int:
    """Which line carries the cursor."""
    return next((y for y, line in enumerate(terminal.screen.display) if line.startswith(">")), -1)


def figure(
    name: str, value: float, unit: str, bound: float | None, load_before: float, beside: float | None = None
) -> Figure:
    """One line of the report, printed at once."""
    words = "ms bare Textual program" if beside is not None else ""
    made = Figure(name, value, unit, bound, beside, words, load_before, os.getloadavg()[0])
    print(made.line(), flush=True)
    return made


def main() -> int:
    """Entry point; 1 when a figure is above its bound on a quiet machine."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each screen is watched")
    parser.add_argument("--only", choices=("idle", "live", "keys", "flood"), help="only one of them")
    options = parser.parse_args()
    parts: dict[str, Callable[[Home], list[Figure]]] = {
        "idle": lambda home: idle(home, options.seconds),
        "live": lambda home: live(home, options.seconds),
        "keys": keys,
        "flood": flood,
    }
    print("\n| figure | value | bound | | beside | ratio | load before / after |\n|---|---|---|---|---|---|---|")
    figures: list[Figure] = []
    for name, measure in parts.items():
        if options.only not in (None, name):
            continue
        with tempfile.TemporaryDirectory(prefix="footplate-bench-") as folder, opened_home(Path(folder) / "s") as home:
            past_runs(home)
            figures += measure(home)
    return 1 if any(f.bound is not None and f.value > f.bound and not f.noisy for f in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
