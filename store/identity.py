"""Who a process is: (boot id, pid, start time). Standard library only.

A pid alone names nobody: pids come round again, and after a reboot they all do.
"""

from __future__ import annotations

import functools
import os
import signal
from typing import Any, NamedTuple


class ProcessIdentity(NamedTuple):
    """One process of one boot of one machine."""

    boot_id: str
    pid: int
    start_ticks: int
    """Clock ticks after boot at which it started: field 22 of /proc/<pid>/stat (proc_pid_stat(5))."""

    def to_json(self) -> dict[str, Any]:
        """As an object for a file of the run directory."""
        return self._asdict()


def from_json(data: Any) -> ProcessIdentity | None:
    """The identity in a file of the run directory; None when it holds none, or a damaged one."""
    if not isinstance(data, dict):
        return None
    boot, pid, start_ticks = data.get("boot_id"), data.get("pid"), data.get("start_ticks")
    if not isinstance(boot, str) or not isinstance(pid, int) or not isinstance(start_ticks, int) or pid <= 0:
        return None
    return ProcessIdentity(boot, pid, start_ticks)


@functools.cache
def boot_id() -> str:
    """The kernel's random identifier of this boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def stat_fields(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat from the third (state) on; None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read().decode("latin-1")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command name is in parentheses and may itself hold spaces and parentheses.
    return text[text.rindex(")") + 2 :].split()


def identify(pid: int) -> ProcessIdentity | None:
    """Who has this pid now; None for nobody."""
    fields = stat_fields(pid)
    return None if fields is None else ProcessIdentity(boot_id(), pid, int(fields[19]))


def is_alive(identity: ProcessIdentity) -> bool:
    """Whether this very process still runs; a zombie does not."""
    fields = stat_fields(identity.pid)
    if fields is None or fields[0] in ("Z", "X"):
        return False
    return int(fields[19]) == identity.start_ticks and boot_id() == identity.boot_id


def send_signal(identity: ProcessIdentity, number: int) -> bool:
    """Signal this very process; False when it is gone. Through a pidfd, so that no successor of the pid is hit."""
    try:
        descriptor = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return False
    try:
        if not is_alive(identity):
            return False
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def children_by_parent() -> dict[int, list[int]]:
    """Every process of the machine by its parent: {parent pid: [pids]}."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := stat_fields(int(name))) is not None:
            children.setdefault(int(fields[1]), []).append(int(name))
    return children


def descendants(pid: int) -> list[int]:
    """All processes below `pid`, parents before children."""
    children = children_by_parent()
    found: list[int] = []
    waiting = list(children.get(pid, ()))
    while waiting:
        found.append(current := waiting.pop())
        waiting += children.get(current, ())
    return found


def tagged(name: str, value: str) -> list[ProcessIdentity]:
    """Every process of ours that was started with the environment variable `name` set to `value`.

    A process may change the memory behind /proc/<pid>/environ: what is found carries the tag, what is not found may.
    """
    wanted = os.fsencode(f"{name}={value}")
    found: list[ProcessIdentity] = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                matches = wanted in file.read().split(b"\0")
        except OSError:
            continue  # ended meanwhile, or somebody else's
        if matches and (process := identify(int(entry))) is not None and is_alive(process):
            found.append(process)
    return found
