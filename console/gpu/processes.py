"""Who a process on a card is: its user, its command, and the run of ours that it belongs to. Standard library only."""

from __future__ import annotations

import contextlib
import os
import pwd
from typing import Any, Final, NamedTuple

from console.jobs.process_tree import DAEMON_TAG, RUN_VARIABLE, variables_of
from console.project.masking import mask_argv
from store import identity

INITIAL_PID_NAMESPACE: Final = "pid:[4026531836]"
"""PROC_PID_INIT_INO of the kernel: every process is seen, under the number that the driver knows."""
COMMAND_MAX_CHARACTERS: Final = 200
COMMAND_READ_BYTES: Final = 4096
ANCESTORS_MAX: Final = 32
KNOWN_MAX: Final = 1024
DRIVER_MARKS: Final = (b"/libcuda.so", b"/dev/nvidia")
"""What is mapped into a process that uses a card."""
ELSEWHERE: Final = "in a container, or ended"
FOREIGN_NUMBERS: Final = "the driver counts as the host does, and this is a container"


class Facts(NamedTuple):
    """What /proc says of a process."""

    user: str
    command: str
    run_id: str
    reason: str


class Processes:
    """Remembers who is who as long as it is the same process."""

    def __init__(self, *, sees_all: bool | None = None) -> None:
        self._sees_all = in_initial_namespace() if sees_all is None else sees_all
        self._known: dict[tuple[int, str], Facts] = {}

    def who(self, pid: int) -> Facts:
        """A process by the number that the driver gave."""
        fields = identity.stat_fields(pid)
        if fields is None:
            return Facts("", "", "", ELSEWHERE if self._sees_all else FOREIGN_NUMBERS)
        key = (pid, fields[19])
        if key not in self._known:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            self._known[key] = self._look(pid)
        return self._known[key]

    def _look(self, pid: int) -> Facts:
        # In a container the number may by chance be that of somebody else: then only what uses the driver counts.
        if not self._sees_all and not uses_driver(pid):
            return Facts("", "", "", FOREIGN_NUMBERS)
        return Facts(user_of(pid), command_of(pid), run_of(pid), "")


def in_initial_namespace() -> bool:
    """Whether we see every process of the machine under the number that the kernel itself uses."""
    try:
        return os.readlink("/proc/self/ns/pid") == INITIAL_PID_NAMESPACE
    except OSError:
        return False


def uses_driver(pid: int) -> bool:
    """Whether a process has the driver mapped; False for one that we may not look into."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/maps", "rb") as file:
        return any(mark in line for line in file for mark in DRIVER_MARKS)
    return False


def user_of(pid: int) -> str:
    """The user's name, else the number; empty for a process that has ended."""
    try:
        uid = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return ""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def command_of(pid: int) -> str:
    """The command line, cut and without secrets; of one that hides it the name of its program."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/cmdline", "rb", buffering=0) as file:
            data = file.read(COMMAND_READ_BYTES) or b""
        if not data:
            with open(f"/proc/{pid}/comm", "rb", buffering=0) as file:
                data = file.read() or b""
        first, *rest = data.rstrip(b"\0").decode("utf-8", "replace").split("\0")
        return " ".join(mask_argv([os.path.basename(first), *rest])).strip()[:COMMAND_MAX_CHARACTERS]
    return ""


def run_of(pid: int) -> str:
    """The id of the run that a process says it belongs to, or that one above it does; empty for none.

    Other users' environments cannot be read, and their processes are in no run of ours.
    """
    tag = os.fsencode(f"{RUN_VARIABLE}=")
    for _ in range(ANCESTORS_MAX):
        variables = variables_of(pid)
        if DAEMON_TAG in variables:
            return ""
        for entry in variables:
            if entry.startswith(tag):
                return os.fsdecode(entry[len(tag) :])
        fields = identity.stat_fields(pid)
        pid = int(fields[1]) if fields is not None else 0
        if pid <= 1:
            return ""
    return ""


def holder(pid: int, memory_used_bytes: int | None, facts: Facts, utilization: float | None) -> dict[str, Any]:
    """As `console.devices.Holder` has it, with the id of the run instead of its label."""
    return {
        "pid": pid,
        "user": facts.user,
        "command": facts.command,
        "run": facts.run_id,
        "memory_used_bytes": memory_used_bytes,
        "utilization_percent": utilization,
        "reason": facts.reason,
    }
