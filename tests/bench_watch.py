"""Measure fingerprints and the watcher: `just bench-watch`.

Prints one table: medians of whole processes and of the functions alone, beside `dvc status` on the same files, which
runs alternately with ours, and the load of the machine before and after. Nothing here fails because a machine is busy.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.bench import QUIET_LOAD, resident_mib
from tests.installed import install_wheel
from tests.support import opened_home, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FILES_IN_FOLDER = 500
FILE_BYTES = 20_000
STORM_FILES = 50_000
FUNCTION = """
import gc, sys, time
from console.project import fingerprint
from console.project.file_sets import FileSet
gc.disable()
began_s = time.perf_counter()
found = fingerprint.scan(sys.argv[1], sys.argv[2], {"all": FileSet(("**",))})
print(time.perf_counter() - began_s, found.hashed_count)
"""
WATCHING = """
import sys
from console.daemon.watcher import Watcher
from console.project.file_sets import FileSet
said = []
watcher = Watcher(said.append)
watcher.watch(sys.argv[1], [FileSet(("**",))])
for line in sys.stdin:
    print(len(said), watcher.state(sys.argv[1]).watch_count, flush=True)
watcher.close()
"""
BARE = """
import os, sys
for folder in os.scandir(sys.argv[1]):
    for entry in os.scandir(folder.path):
        entry.stat()
"""


class Timed(NamedTuple):
    """What one process took."""

    wall_s: float
    output: str


def timed(command: Sequence[str | Path], **options: object) -> Timed:
    """From exec to exit."""
    began_s = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True, **options)  # type: ignore[call-overload]
    return Timed(time.perf_counter() - began_s, done.stdout)


def table_row(name: str, value: str, target: str, beside: str, ratio: str, load: tuple[float, float]) -> None:
    """Print one line of the report."""
    noisy = " (noisy)" if max(load) > QUIET_LOAD else ""
    print(f"| {name}{noisy} | {value} | {target} | {beside} | {ratio} | {load[0]:.2f} / {load[1]:.2f} |", flush=True)


def make_tree(root: Path, count: int) -> None:
    """Files that all differ, 500 to a folder."""
    noise = os.urandom(FILE_BYTES + count)
    for number in range(count):
        if number % FILES_IN_FOLDER == 0:
            (root / f"{number // FILES_IN_FOLDER:04}").mkdir(parents=True)
        path = root / f"{number // FILES_IN_FOLDER:04}" / f"{number % FILES_IN_FOLDER:04}.bin"
        path.write_bytes(noise[number : number + FILE_BYTES])


class Contest:
    """Ours and DVC on the same files."""

    def __init__(self, base: Path, programs: Path, dvc: Path, count: int) -> None:
        self.base = base
        self.root = base / "dvc-project"
        self.data = self.root / "data"
        self._programs, self._dvc = programs, dvc
        self._environment = {**os.environ, "FOOTPLATE_HOME": str(base / "state"), "DVC_NO_ANALYTICS": "1"}
        self._changes = 0
        make_tree(self.data, count)
        self.dvc("init", "--no-scm")
        self.dvc("add", "--quiet", "data")

    def dvc(self, *arguments: str) -> Timed:
        """One command of DVC."""
        return timed([self._dvc, *arguments], cwd=self.root, env=self._environment)

    def ours(self) -> Timed:
        """The whole command."""
        command: list[str | Path] = [self._programs / "footplate", "fingerprint", self.data, "--json"]
        return timed(command, env=self._environment, cwd=self.base)

    def function(self) -> Timed:
        """The function alone, with loading the cache."""
        command: list[str | Path] = [self._programs / "python", "-c", FUNCTION, self.data, self.base / "cache.sqlite"]
        done = timed(command, cwd=self.base)
        return Timed(float(done.output.split()[0]), done.output)

    def bare(self) -> Timed:
        """A process that only lists the folders and asks for the facts of every file."""
        return timed([self._programs / "python", "-c", BARE, self.data], cwd=self.base)

    def change_one(self) -> None:
        """Other content in one file, written as a new file: DVC may have linked the old one."""
        self._changes += 1
        path = self.data / "0000" / "0007.bin"
        path.unlink()
        path.write_bytes(os.urandom(FILE_BYTES))

    def forget(self) -> None:
        """Both caches of ours."""
        (self.base / "cache.sqlite").unlink(missing_ok=True)
        for path in (self.base / "state" / "fingerprints").glob("*.sqlite"):
            path.unlink()


def median_s(results: Sequence[Timed]) -> float:
    """Of the wall times."""
    return statistics.median(result.wall_s for result in results)


def rounds(repeats: int, *measures: Callable[[], Timed]) -> tuple[list[list[Timed]], tuple[float, float]]:
    """Each measure in turn, `repeats` times; the results of each, and the load before and after."""
    before = os.getloadavg()[0]
    results: list[list[Timed]] = [[] for _ in measures]
    for _ in range(repeats):
        for kept, measure in zip(results, measures, strict=True):
            kept.append(measure())
    return results, (before, os.getloadavg()[0])


def fingerprints(contest: Contest, count: int, repeats: int) -> None:
    """Cold, warm, and with one file changed."""
    title = f"{count:,} files of 20 KB"

    def cold() -> Timed:
        contest.forget()
        return contest.ours()

    (found,), load = rounds(min(repeats, 3), cold)
    table_row(f"fingerprint of {title}, nothing known", f"{median_s(found):.2f} s", "", "", "", load)
    # What was written in the last seconds is read once more, and DVC saves its own state.
    time.sleep(3)
    for measure in (contest.ours, contest.function, lambda: contest.dvc("status")):
        measure()
    (ours, function, dvc, bare), load = rounds(
        repeats, contest.ours, contest.function, lambda: contest.dvc("status"), contest.bare
    )
    assert all("up to date" in each.output for each in dvc), dvc[0].output
    assert all(json.loads(each.output)["hashed_count"] == 0 for each in ours)
    beside = f"`dvc status` {median_s(dvc):.2f} s"
    ratio = median_s(dvc) / median_s(ours)
    table_row("the same, unchanged, whole command", f"{median_s(ours):.2f} s", ">= 5x", beside, f"{ratio:.1f}x", load)
    words = f"scandir and stat alone, whole process {median_s(bare):.2f} s"
    table_row("the same, the function alone", f"{median_s(function):.2f} s", "<= 0.5 s", words, "", load)

    def changed() -> Timed:
        contest.change_one()
        return contest.ours()

    (ours, dvc), load = rounds(repeats, changed, lambda: contest.dvc("status"))
    assert all(json.loads(each.output)["hashed_count"] >= 1 for each in ours)
    assert all("modified" in each.output for each in dvc), dvc[0].output
    ratio = median_s(dvc) / median_s(ours)
    beside = f"`dvc status` {median_s(dvc):.2f} s"
    table_row("the same, one file changed", f"{median_s(ours):.2f} s", "", beside, f"{ratio:.1f}x", load)


def storm(base: Path, programs: Path, count: int) -> None:
    """Events by the ten thousand in a watched folder: how long until it has settled, and what they cost."""
    root = base / "storm"
    for number in range(100):
        (root / f"{number}").mkdir(parents=True)
    command: list[str | Path] = [programs / "python", "-c", WATCHING, root]
    before = os.getloadavg()[0]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask() -> list[int]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            return [int(word) for word in process.stdout.readline().split()]

        while ask()[0] < 1:
            time.sleep(0.05)
        resident_before = resident_mib(process.pid)
        began_s = time.perf_counter()
        for number in range(count // 3):
            path = root / f"{number % 100}" / f"{number}"
            path.write_bytes(b"one")
            path.write_bytes(b"two")
            if number % 2:
                path.unlink()
        made_s = time.perf_counter() - began_s
        last, last_s = ask(), time.perf_counter()
        while time.perf_counter() - last_s < 2.0:
            time.sleep(0.02)
            found = ask()
            if found != last:
                last, last_s = found, time.perf_counter()
        settled_s = last_s - began_s - made_s
        grown = resident_mib(process.pid) - resident_before
        process.stdin.close()
    said, watches = last
    assert watches == 101
    # Created and closed, written and closed, and half of them deleted.
    events = count // 3 * 3 + count // 6
    load = (before, os.getloadavg()[0])
    table_row(
        f"storm of {events:,} events in {made_s:.1f} s",
        f"settled {max(0.0, settled_s):.2f} s after the last; told {said - 1} times",
        "<= 10 s",
        "",
        "",
        load,
    )
    table_row("memory that it took", f"{max(0.0, grown):.1f} MiB", "<= 30 MiB", "", "", load)


MANIFEST = """
[jobs.train]
command = "true"
trigger = { on_change = ["data/**"] }
"""


def daemon_storm(base: Path, count: int) -> None:
    """The same events under a trigger: how often it fires, how soon after the last one, what the daemon grows by."""
    root = base / "storm-project"
    for number in range(100):
        (root / "data" / f"{number}").mkdir(parents=True)
    (root / "data" / "first").write_bytes(b"first")
    (root / "footplate.toml").write_text(MANIFEST)
    before = os.getloadavg()[0]
    with opened_home(base / "storm-home") as home:
        home.footplate("watch", str(root))
        home.footplate("trust", "--yes", str(root))
        triggers = next(Path(home.path, "projects").glob("*/triggers.json"))
        wait_until(lambda: json.loads(triggers.read_text())["jobs"]["train"]["content_id"])
        home.wait_ended(home.submit("true"))
        pid = home.daemon_pid() or 0
        resident_before = resident_mib(pid)
        for number in range(count // 3):
            path = root / "data" / f"{number % 100}" / f"{number}"
            path.write_bytes(b"one")
            path.write_bytes(b"two")
            if number % 2:
                path.unlink()
        last_s = time.perf_counter()
        most = 0.0
        while home.client().runs().total_count < 2:
            most = max(most, resident_mib(pid))
            time.sleep(0.05)
        fired_s = time.perf_counter() - last_s
        time.sleep(5)
        runs = home.client().runs().total_count - 1
        grown = max(most, resident_mib(pid)) - resident_before
    load = (before, os.getloadavg()[0])
    table_row(
        f"the same under a trigger of a daemon, about {count:,} events",
        f"{runs} trigger, enqueued {fired_s:.2f} s after the last event",
        "1, <= 10 s",
        "",
        "",
        load,
    )
    table_row("memory that the daemon took for it", f"{max(0.0, grown):.1f} MiB", "<= 30 MiB", "", "", load)


def install_dvc(folder: Path) -> Path:
    """DVC in an environment of its own; returns the program."""
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    command = [
        "uv",
        "pip",
        "install",
        "--quiet",
        "--compile-bytecode",
        "--python",
        str(folder / "bin" / "python"),
        "dvc",
    ]
    subprocess.run(command, check=True, env={**os.environ, "VIRTUAL_ENV": ""})
    return folder / "bin" / "dvc"


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=50_000, metavar="N", help="how many files of 20 KB")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="medians of so many")
    parser.add_argument("--events", type=int, default=STORM_FILES, metavar="N", help="events of the storm, about")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="footplate-bench-") as name:
        base = Path(name)
        programs = install_wheel(base)
        dvc = install_dvc(base / "dvc-env")
        version = timed([dvc, "--version"]).output.strip()
        print(f"DVC {version}\n\n| figure | ours | target | beside | ratio | load before / after |")
        print("|---|---|---|---|---|---|")
        storm(base, programs, options.events)
        daemon_storm(base, options.events)
        fingerprints(Contest(base, programs, dvc, options.files), options.files, options.repeats)
    return 0


if __name__ == "__main__":
    sys.exit(main())
