"""What is left of a tree of processes after a stop, by footplate and by task-spooler: `python -m tests.tree_kill`.

The tree holds what escapes a signal to one process or to its group: a child in a session of its own, a daemon that
forked twice, and a child that ignores TERM.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from store import identity
from tests.support import FOOTPLATE, Home, opened_home, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.identity import ProcessIdentity

GRACE_S: Final = 2.0
"""From TERM to KILL; both get this and one second more."""
ROLES: Final = {
    "command": "the command",
    "child": "a plain child",
    "session": "a child in a session of its own (setsid)",
    "daemon": "a daemon that forked twice",
    "deaf": "a child that ignores TERM",
}
TREE: Final = """
import os, signal, sys, time

def note(role):
    with open(sys.argv[1], "a") as file:
        file.write(f"{role} {os.getpid()}\\n")

def idle(role):
    note(role)
    while True:
        time.sleep(1000)

if not os.fork():
    idle("child")
if not os.fork():
    os.setsid()
    idle("session")
if not os.fork():
    os.setsid()
    if os.fork():
        os._exit(0)
    os.closerange(0, 100)
    idle("daemon")
if not os.fork():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    idle("deaf")
idle("command")
"""


class Unavailable(Exception):
    """The comparison cannot be made here; the message says why."""


class Outcome(NamedTuple):
    """What became of each process of the tree: seconds after the stop at which it was gone, None: it lives."""

    gone_after_s: dict[str, float | None]

    @property
    def left(self) -> list[str]:
        """Roles of the processes that live."""
        return [role for role, seconds in self.gone_after_s.items() if seconds is None]


class Tree:
    """A tree of processes that can be looked at and is ended with the block that opened it."""

    def __init__(self, folder: Path) -> None:
        self.mark = uuid.uuid4().hex
        self.pids_path = folder / "pids"
        script = folder / "tree.py"
        script.write_text(TREE, encoding="utf-8")
        self.argv = [sys.executable, str(script), str(self.pids_path)]
        self.processes: dict[str, ProcessIdentity] = {}

    def wait_grown(self) -> None:
        """Until all of it runs."""
        wait_until(lambda: self.pids_path.exists() and len(self.pids_path.read_text().splitlines()) == len(ROLES))
        for line in self.pids_path.read_text().splitlines():
            role, pid = line.split()
            found = identity.identify(int(pid))
            assert found is not None
            self.processes[role] = found

    def watch(self, began_s: float, for_s: float) -> Outcome:
        """Until all of it is gone, at most this long after the stop."""
        gone: dict[str, float | None] = dict.fromkeys(ROLES)
        while None in gone.values() and time.monotonic() - began_s < for_s:
            for role, process in self.processes.items():
                if gone[role] is None and not identity.is_alive(process):
                    gone[role] = time.monotonic() - began_s
            time.sleep(0.01)
        return Outcome(gone)

    def end(self) -> None:
        """Kill what is left of it."""
        for process in identity.tagged("TREE_MARK", self.mark):
            identity.send_signal(process, 9)


@contextlib.contextmanager
def grown_tree(folder: Path) -> Iterator[Tree]:
    """A tree that is ended with the block."""
    folder.mkdir()
    tree = Tree(folder)
    try:
        yield tree
    finally:
        tree.end()


def by_footplate(home: Home, folder: Path) -> Outcome:
    """`footplate stop` of a run that grew the tree; counted from the moment at which the order is in the run's files.

    What comes before is the start of the command, which takes as long as the machine is busy.
    """
    with grown_tree(folder) as tree:
        environment = home.environment(TREE_MARK=tree.mark)
        run_id = home.submit(*tree.argv, environment=environment, grace_s=GRACE_S)
        tree.wait_grown()
        stop = subprocess.Popen([FOOTPLATE, "stop", run_id], env=home.environment(), stdout=subprocess.DEVNULL)
        wait_until(lambda: os.path.exists(f"{home.run_dir(run_id)}/stop.json"))
        began_s = time.monotonic()
        outcome = tree.watch(began_s, 4 * GRACE_S)
        stop.wait()
        home.wait_ended(run_id)
        return outcome


def by_task_spooler(tsp: str, folder: Path) -> Outcome:
    """`tsp -k` of a job that grew the tree."""
    with grown_tree(folder) as tree:
        environment = {**os.environ, "TREE_MARK": tree.mark, "TS_SOCKET": f"{folder}/socket", "TMPDIR": str(folder)}
        try:
            subprocess.run([tsp, *tree.argv], env=environment, check=True, capture_output=True)
            tree.wait_grown()
            began_s = time.monotonic()
            subprocess.run([tsp, "-k"], env=environment, check=True, capture_output=True)
            return tree.watch(began_s, GRACE_S + 1)
        finally:
            subprocess.run([tsp, "-K"], env=environment, check=False, capture_output=True)


def task_spooler(folder: Path) -> str:
    """The program `tsp`: the installed one, else from the Debian package. Raises Unavailable."""
    installed = shutil.which("tsp")
    if installed is not None:
        return installed
    if os.getuid() != 0 or shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise Unavailable("task-spooler is not installed and its Debian package cannot be fetched here")
    folder.mkdir()
    fetched = subprocess.run(
        ["apt-get", "download", "task-spooler"], cwd=folder, check=False, capture_output=True, text=True, timeout=120
    )
    packages = list(folder.glob("task-spooler_*.deb"))
    if fetched.returncode or not packages:
        raise Unavailable(f"task-spooler is not installed and cannot be fetched: {fetched.stderr.strip()[-200:]}")
    subprocess.run(["dpkg", "-x", packages[0], folder], check=True, capture_output=True)
    return str(folder / "usr/bin/tsp")


def table(ours: Outcome, theirs: Outcome | None, why_not: str = "") -> str:
    """Both side by side, one process a line."""
    lines = [f"{'process':42}{'footplate stop':24}tsp -k (task-spooler)"]
    for role, words in ROLES.items():
        left = fate(ours.gone_after_s[role])
        right = fate(theirs.gone_after_s[role]) if theirs is not None else "not measured"
        lines.append(f"{words:42}{left:24}{right}")
    lines.append(f"{'left behind':42}{len(ours.left)} of {len(ROLES)}".ljust(66))
    lines[-1] += f"{len(theirs.left)} of {len(ROLES)}" if theirs is not None else why_not
    lines.append(f"grace {GRACE_S:g} s; looked at until {GRACE_S + 1:g} s after the stop")
    return "\n".join(lines)


def fate(gone_after_s: float | None) -> str:
    """In words."""
    return "ALIVE" if gone_after_s is None else f"gone after {gone_after_s:.2f} s"


def main() -> int:
    """Print the table; 1 when footplate leaves anything behind or takes longer than grace + 1 s."""
    with tempfile.TemporaryDirectory(prefix="tree-") as name, opened_home(Path(name) / "state") as home:
        folder = Path(name)
        ours = by_footplate(home, folder / "footplate")
        theirs, why_not = None, ""
        try:
            theirs = by_task_spooler(task_spooler(folder / "package"), folder / "tsp")
        except Unavailable as why:
            why_not = str(why)
        print(table(ours, theirs, why_not))
    late = any(seconds is None or seconds > GRACE_S + 1 for seconds in ours.gone_after_s.values())
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
