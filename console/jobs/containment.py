"""The control groups of one run: a memory limit, one call that ends everything in them, and what they used.

Where the kernel has one hierarchy (cgroup v2) the run gets one group in it; on machines that have both, one in v2 for
the end and, when there is a limit, one in v1's memory hierarchy for that. Groups lie below the supervisor's own, never
beside it, so every limit that it is under holds for the run. Where no group can be made everything here does nothing,
and the limit is held by RLIMIT_AS. Standard library only.

    footplate.<run id>.<attempt>.<pid>.<start ticks>     of a run; pid and ticks are those of its supervisor
    footplate.supervisor                                 where a supervisor moves that has a systemd scope for itself
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from typing import TYPE_CHECKING, Final

from store import identity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.identity import ProcessIdentity

PREFIX: Final = "footplate."
SUPERVISOR_GROUP: Final = "footplate.supervisor"
REMOVE_TIMEOUT_S: Final = 1.0
"""How long the kernel may take to let go of an empty group."""
IN_UNIFIED: Final = 1
IN_MEMORY: Final = 2


class Containment:
    """The groups of one attempt. Made before the command starts; nothing here raises for what the kernel refuses."""

    def __init__(self, run_id: str, attempt: int, supervisor: ProcessIdentity, memory_bytes: int | None) -> None:
        self.memory_bytes = memory_bytes
        self.unified = ""
        """Directory of the v2 group; empty for none."""
        self.memory = ""
        """Directory of the group whose memory is counted, v2 or v1; empty for none."""
        self.limited = False
        """Whether the kernel accepted the memory limit."""
        self.resident_bytes: int | None = None
        """Most memory that `sample` has seen in use at once, without what the page cache can give back."""
        name = f"{PREFIX}{run_id}.{attempt}.{supervisor.pid}.{supervisor.start_ticks}"
        self._own_unified, self._own_memory = own_groups()
        if self._own_unified:
            self._make_unified(name)
        if self._own_memory and memory_bytes is not None and not self.limited:
            self._make_v1(name)

    def _make_unified(self, name: str) -> None:
        base = outside_of_runs(self._own_unified)
        sweep(base)
        with_memory = delegate_memory(base)
        if with_memory:
            self._own_unified = own_groups()[0]
        self.unified = make_group(f"{base}/{name}")
        if self.unified and with_memory:
            self.memory = self.unified
            if self.memory_bytes is not None:
                self.limited = write(f"{self.unified}/memory.max", str(self.memory_bytes))
                write(f"{self.unified}/memory.swap.max", "0")

    def _make_v1(self, name: str) -> None:
        base = outside_of_runs(self._own_memory)
        sweep(base)
        made = make_group(f"{base}/{name}")
        if made and write(f"{made}/memory.limit_in_bytes", str(self.memory_bytes)):
            write(f"{made}/memory.memsw.limit_in_bytes", str(self.memory_bytes))
            self.memory, self.limited = made, True
        elif made:
            remove_group(made, 0.0)

    def enter(self) -> int:
        """Move the calling process in, between fork and exec; returns IN_UNIFIED and IN_MEMORY for where it is now."""
        entered = 0
        if self.unified and write(f"{self.unified}/cgroup.procs", "0"):
            entered |= IN_UNIFIED | (IN_MEMORY if self.memory == self.unified else 0)
        if self.memory and self.memory != self.unified and write(f"{self.memory}/cgroup.procs", "0"):
            entered |= IN_MEMORY
        return entered

    def leave_out(self, entered: int) -> None:
        """Give up the groups that the command could not be moved into."""
        if self.unified and not entered & IN_UNIFIED:
            remove_group(self.unified, 0.0)
            self.unified = ""
        if self.memory and not entered & IN_MEMORY:
            remove_group(self.memory, 0.0)
            self.memory, self.limited = "", False

    def pids(self) -> set[int]:
        """Processes in the groups and the groups below them."""
        return {pid for top in {self.unified, self.memory} - {""} for group in groups(top) for pid in pids_of(group)}

    def expel(self, pid: int) -> None:
        """Move a process that is none of the run's to where the supervisor is."""
        if self.unified:
            write(f"{self._own_unified}/cgroup.procs", str(pid))
        if self.memory and self.memory != self.unified:
            write(f"{self._own_memory}/cgroup.procs", str(pid))

    def kill(self) -> None:
        """KILL to everything in the v2 group at once (cgroup.kill, Linux 5.14)."""
        if self.unified:
            write(f"{self.unified}/cgroup.kill", "1")

    def sample(self) -> None:
        """Look at the memory in use; the kernel's own peak counts the page cache, which a job needs not have."""
        facts = read_pairs(f"{self.memory}/memory.stat") if self.memory else {}
        if not facts:
            return
        if self.memory == self.unified:
            now = facts.get("anon", 0) + facts.get("shmem", 0)
        else:
            now = facts.get("total_rss", 0) + facts.get("total_shmem", 0)
        self.resident_bytes = max(self.resident_bytes or 0, now)

    def limit_kills(self) -> int:
        """Processes that the kernel killed because the group was at its limit."""
        if not self.limited:
            return 0
        name = "memory.events" if self.memory == self.unified else "memory.oom_control"
        return read_pairs(f"{self.memory}/{name}").get("oom_kill", 0)

    def cpu_s(self) -> tuple[float, float] | None:
        """User and system seconds of everything that ever ran in the v2 group."""
        facts = read_pairs(f"{self.unified}/cpu.stat") if self.unified else {}
        if "user_usec" not in facts or "system_usec" not in facts:
            return None
        return facts["user_usec"] / 1e6, facts["system_usec"] / 1e6

    def remove(self) -> None:
        """Remove the groups; what is left in them stays, and so does the group, until the next sweep."""
        for group in {self.unified, self.memory} - {""}:
            remove_group(group, REMOVE_TIMEOUT_S)


def own_groups() -> tuple[str, str]:
    """Directories of the groups that this process is in: that of v2, and that of v1's memory hierarchy.

    Empty for a hierarchy that is not mounted, or mounted such that we are not in what it shows (cgroups(7)).
    """
    own: dict[str, str] = {}
    for line in read("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or "memory" in controllers.split(","):
            own["cgroup" if controllers else "cgroup2"] = path
    found = {"cgroup2": "", "cgroup": ""}
    for line in read("/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        root, point = before.split()[3:5]
        kind, _, options = after.split(" ", 2)
        inside = own.get(kind)
        if inside is None or (kind == "cgroup" and "memory" not in options.split(",")):
            continue
        if root != "/":
            if not inside.startswith(root):
                continue
            inside = inside[len(root) :]
        directory = unescaped(point).rstrip("/") + inside.rstrip("/")
        if os.getpid() in pids_of(directory):
            found[kind] = directory
    return found["cgroup2"], found["cgroup"]


def unescaped(path: str) -> str:
    """A path of /proc/self/mountinfo, where blanks and the like are \\040 and so on (proc_pid_mountinfo(5))."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)


def outside_of_runs(group: str) -> str:
    """The group to make ours in: one that holds no group of a run, though we may be started from within a run."""
    parts = group.split("/")
    named = next((index for index, part in enumerate(parts) if part.startswith(PREFIX)), len(parts))
    return "/".join(parts[:named])


def delegate_memory(base: str) -> bool:
    """Whether groups below `base` have the memory controller; where `base` is ours alone, they are given it.

    A group with controllers for its children holds no process itself (cgroups(7)): we move to one below.
    """
    if "memory" in read(f"{base}/cgroup.subtree_control").split():
        return True
    if "memory" not in read(f"{base}/cgroup.controllers").split() or pids_of(base) != [os.getpid()]:
        return False
    home = make_group(f"{base}/{SUPERVISOR_GROUP}")
    return bool(home) and write(f"{home}/cgroup.procs", "0") and write(f"{base}/cgroup.subtree_control", "+memory")


def make_group(path: str) -> str:
    """Make a group; empty when the kernel or the owner of the one above does not allow it."""
    try:
        os.mkdir(path)
    except FileExistsError:
        return path
    except OSError:
        return ""
    return path


def sweep(base: str) -> None:
    """Remove empty groups of runs whose supervisor is dead; the kernel refuses where a process is left."""
    _, names, _ = next(os.walk(base), ("", [], []))
    for entry in names:
        parts = entry.split(".")
        if not entry.startswith(PREFIX) or len(parts) != 5 or not (parts[3].isdigit() and parts[4].isdigit()):
            continue
        found = identity.identify(int(parts[3]))
        if found is None or found.start_ticks != int(parts[4]):
            remove_group(f"{base}/{entry}", 0.0)


def remove_group(path: str, timeout_s: float) -> None:
    """Remove a group with those below it, as soon as they are empty."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        for group in groups(path):
            with contextlib.suppress(OSError):
                os.rmdir(group)
        if not os.path.isdir(path) or time.monotonic() >= deadline_s:
            return
        time.sleep(0.01)


def groups(path: str) -> Iterator[str]:
    """A group and all below it, those below first."""
    for directory, _, _ in os.walk(path, topdown=False):
        yield directory


def pids_of(group: str) -> list[int]:
    """Processes in one group, without those in groups below."""
    return [int(word) for word in read(f"{group}/cgroup.procs").split() if word != "0"]


def read(path: str) -> str:
    """The text of a file of the kernel; empty when it is not there for us."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def read_pairs(path: str) -> dict[str, int]:
    """Lines of "name number"."""
    pairs = (line.split() for line in read(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def write(path: str, text: str) -> bool:
    """Write to a file of the kernel, which must be there; False when it refuses."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.write(descriptor, text.encode()) > 0
    except OSError:
        return False
    finally:
        os.close(descriptor)
