"""What the kernel has to say about a run that was killed for want of memory. Standard library only."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

KILLED: Final = re.compile(r"[Kk]illed process (?P<pid>\d+)\b")
"""Of the kernel's message about a victim (mm/oom_kill.c: "Out of memory: Killed process 4411 (python) ...")."""
INITIAL_PID_NAMESPACE: Final = "pid:[4026531836]"
"""PROC_PID_INIT_INO of include/linux/proc_ns.h. Elsewhere the pids of the kernel log are not those that we see."""
RECORDS_MAX: Final = 100_000


def oom_kills() -> int | None:
    """How many processes the kernel has killed for memory since it was booted; None when it does not say."""
    try:
        with open("/proc/vmstat", encoding="utf-8") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("oom_kill ")), None)
    except (OSError, ValueError):
        return None


def line_about(pids: Collection[int], since_boot_s: float) -> str:
    """The line of the kernel log that names one of the pids as a victim since then; empty when we may not read it."""
    try:
        if os.readlink("/proc/self/ns/pid") != INITIAL_PID_NAMESPACE:
            return ""
        descriptor = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    found = ""
    try:
        for _ in range(RECORDS_MAX):
            try:
                record = os.read(descriptor, 8192).decode("utf-8", "replace")
            except BrokenPipeError:
                continue  # overwritten before we came to it: the next read goes on behind the gap
            head, _, message = record.partition(";")
            time_us = head.split(",")[2] if head.count(",") >= 2 else ""
            match = KILLED.search(message)
            recent = time_us.isdigit() and int(time_us) / 1e6 >= since_boot_s - 1.0
            if match is not None and recent and int(match["pid"]) in pids:
                found = message.split("\n", 1)[0]
    except OSError:
        return found  # the end of the log
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    return found
