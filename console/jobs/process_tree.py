"""The processes of one run, and signals to all of them. Standard library only.

A run's processes are the descendants of its supervisor, which is a child subreaper; what lies in its control group;
and whatever was started with its id in FOOTPLATE_RUN_ID. A command of a run may itself use footplate: the daemon that
it starts, the supervisors of that daemon and their runs are below us too, and are none of ours.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final, NamedTuple

from store import identity
from store.identity import ProcessIdentity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RUN_VARIABLE: Final = "FOOTPLATE_RUN_ID"
RUN_VARIABLES: Final = (
    RUN_VARIABLE,
    "FOOTPLATE_RUN_DIR",
    "FOOTPLATE_METRICS",
    "FOOTPLATE_ATTEMPT",
    "FOOTPLATE_RESUME",
)
"""What a command gets, and what a daemon or a supervisor that is started from within a run must not keep."""
PROCESS_VARIABLE: Final = "FOOTPLATE_PROCESS"
DAEMON_TAG: Final = b"FOOTPLATE_PROCESS=daemon"
"""Carried by the daemon and, inherited, by its supervisors; never by a command of the user."""
SESSION_FIELD: Final = 3
"""The place of the session id among the fields from the state on (proc_pid_stat(5))."""


class Process(NamedTuple):
    """What one look into /proc says of a process."""

    parent: int
    identity: ProcessIdentity
    alive: bool
    halted: bool
    """By SIGSTOP or a debugger: it would not learn of a TERM."""


class Tree:
    """The processes of one run; `root` is the process below which they are, itself none of them unless named so."""

    def __init__(self, run_id: str, root: int, *, with_root: bool = False) -> None:
        self.run_id = run_id
        self.root = root
        self.with_root = with_root
        self.denied: set[ProcessIdentity] = set()
        """Processes of the run that the kernel did not let us signal: programs that run as another user."""
        self.pids_seen: set[int] = set()
        self._sent: set[tuple[ProcessIdentity, int]] = set()
        self._signalled: set[ProcessIdentity] = set()
        self._strangers: set[ProcessIdentity] = set()
        """Elsewhere on the machine and without our tag; a process does not come by the tag later."""
        self._halted: set[ProcessIdentity] = set()

    def members(self, also: Iterable[int] = (), *, tagged: bool = False) -> list[ProcessIdentity]:
        """Processes of the run that live now, parents first: below the root, among `also`, or with its tag."""
        table = scan()
        children: dict[int, list[int]] = {}
        for pid, process in table.items():
            children.setdefault(process.parent, []).append(pid)
        found: dict[int, Process] = {}
        foreign: set[int] = {os.getpid()}
        waiting = [self.root] if self.with_root and self.root in table else list(children.get(self.root, ()))
        while waiting:
            pid = waiting.pop()
            # What has had a signal of ours was found to be the run's before.
            if table[pid].alive and table[pid].identity not in self._signalled and self.is_foreign(pid):
                foreign |= below(pid, children)
                continue
            found[pid] = table[pid]
            waiting += children.get(pid, ())
        for pid in (table.keys() & set(also)) - found.keys() - foreign:
            if not self.is_foreign(pid):
                found[pid] = table[pid]
        if tagged:
            for pid in table.keys() - found.keys() - foreign:
                if self._is_tagged(table[pid]):
                    found[pid] = table[pid]
        alive = [process for process in found.values() if process.alive]
        self._halted = {process.identity for process in alive if process.halted}
        self.pids_seen.update(process.identity.pid for process in alive)
        return [process.identity for process in alive]

    def is_foreign(self, pid: int) -> bool:
        """Whether a process says of itself that it is a daemon, a supervisor, or part of another run."""
        variables = variables_of(pid)
        tag = os.fsencode(f"{RUN_VARIABLE}=")
        own = tag + os.fsencode(self.run_id)
        return DAEMON_TAG in variables or any(entry.startswith(tag) and entry != own for entry in variables)

    def _is_tagged(self, process: Process) -> bool:
        if process.identity in self._strangers:
            return False
        variables = variables_of(process.identity.pid)
        if os.fsencode(f"{RUN_VARIABLE}={self.run_id}") in variables and DAEMON_TAG not in variables:
            return True
        self._strangers.add(process.identity)
        return False

    def foreign_among(self, pids: Iterable[int]) -> list[int]:
        """Processes among `pids` that are none of the run's.

        Daemons, supervisors and commands lead sessions, so one look at each session is enough while its leader lives.
        """
        found: list[int] = []
        known: dict[int, bool] = {}
        for pid in pids:
            fields = identity.stat_fields(pid)
            if fields is None:
                continue
            session = int(fields[SESSION_FIELD])
            asked = session if os.path.exists(f"/proc/{session}") else pid
            if asked not in known:
                known[asked] = self.is_foreign(asked)
            if known[asked]:
                found.append(pid)
        return found

    def send(self, process: ProcessIdentity, number: int) -> bool:
        """Signal one process, once with each number; False when it had that signal before."""
        if (process, number) in self._sent:
            return False
        self._sent.add((process, number))
        self._signalled.add(process)
        try:
            identity.send_signal(process, number)
        except PermissionError:
            self.denied.add(process)
        return True

    def terminate(self, processes: Iterable[ProcessIdentity]) -> None:
        """TERM, and CONT to those that are halted, so that they learn of it."""
        for process in processes:
            self.send(process, signal.SIGTERM)
            if process in self._halted:
                self.send(process, signal.SIGCONT)

    def kill(self, processes: Iterable[ProcessIdentity]) -> bool:
        """KILL; whether there was anything that had not been killed before."""
        return sum(self.send(process, signal.SIGKILL) for process in processes) > 0


def below(pid: int, children: dict[int, list[int]]) -> set[int]:
    """A process and all its descendants."""
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        found.add(current := waiting.pop())
        waiting += children.get(current, ())
    return found


def scan() -> dict[int, Process]:
    """Every process that /proc shows us, by pid."""
    table: dict[int, Process] = {}
    boot = identity.boot_id()
    for name in os.listdir("/proc"):
        if not name.isdigit() or (fields := identity.stat_fields(int(name))) is None:
            continue
        pid, state = int(name), fields[0]
        alive = state not in "ZX" or has_other_threads(pid)
        table[pid] = Process(int(fields[1]), ProcessIdentity(boot, pid, int(fields[19])), alive, state in "Tt")
    return table


def variables_of(pid: int) -> list[bytes]:
    """The environment that a process was started with; empty for one that has ended, or that does not show it."""
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:
            return (file.read() or b"").split(b"\0")
    except OSError:
        return []


def has_other_threads(pid: int) -> bool:
    """Whether a process whose first thread has ended goes on in others; it looks like a zombie, and is none."""
    try:
        return len(os.listdir(f"/proc/{pid}/task")) > 1
    except OSError:
        return False


def environment_of_ours(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a daemon or a supervisor: marked as ours, and without the marks of a run."""
    kept = {name: value for name, value in environment.items() if name not in RUN_VARIABLES}
    return kept | {PROCESS_VARIABLE: "daemon"}
