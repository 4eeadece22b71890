"""Processors, memory and swap of the machine, or of the control group that is all we may use of it. From /proc."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Final, NamedTuple

PROC: Final = "/proc"
CGROUP: Final = "/sys/fs/cgroup"
READ_MAX_CHARACTERS: Final = 1 << 18
UNLIMITED_BYTES: Final = 1 << 60
"""A memory limit of version 1 above this is none."""


class Memory(NamedTuple):
    """Bytes; None where the kernel does not say."""

    used_bytes: int | None
    total_bytes: int | None
    swap_used_bytes: int | None
    swap_total_bytes: int | None


class HostSample(NamedTuple):
    """One look."""

    cpu_percent: float | None
    """Of the processors that we may use, since the look before; None for the first one."""
    cpu_count: float
    load: tuple[float, ...]
    memory: Memory
    limits: str


class CpuTimes(NamedTuple):
    """A counter of processor time, in whatever unit both are."""

    busy: float
    total: float


class Group(NamedTuple):
    """What the control group that we are in may use, as files of its own or of the groups above say."""

    memory_max_bytes: int | None = None
    memory_dir: str = ""
    cpu_max: float | None = None
    cpu_dir: str = ""


class Host:
    """Compares each look with the one before; not for several threads at once."""

    def __init__(self, proc: str = PROC, cgroup: str = CGROUP) -> None:
        self._proc, self._cgroup = proc, cgroup
        self._before: CpuTimes | None = None

    def look(self) -> HostSample:
        """What is in use now."""
        memory, usable = memory_of(self._proc), usable_cpus()
        group = group_of(self._proc, self._cgroup, memory.total_bytes, usable)
        count = group.cpu_max if group.cpu_max is not None else float(usable)
        # Of a limited group the machine's own figure would say nothing.
        times = machine_times(self._proc) if group.cpu_max is None else group_times(group.cpu_dir, count)
        before, self._before = self._before, times
        limits = []
        if group.cpu_max is not None:
            limits.append(f"{group.cpu_max:g} of {usable} CPUs")
        if group.memory_max_bytes is not None:
            limits.append(f"{size_words(group.memory_max_bytes)} of memory")
            memory = memory._replace(used_bytes=group_memory(group.memory_dir), total_bytes=group.memory_max_bytes)
        words = f"limited to {' and '.join(limits)} by a control group" if limits else ""
        return HostSample(percent_between(before, times), count, load_of(self._proc), memory, words)


def percent_between(before: CpuTimes | None, now: CpuTimes | None) -> float | None:
    """How busy the processors were between two looks."""
    if before is None or now is None or now.total <= before.total:
        return None
    return min(100.0, max(0.0, 100.0 * (now.busy - before.busy) / (now.total - before.total)))


def usable_cpus() -> int:
    """Processors that the scheduler lets us run on."""
    return len(os.sched_getaffinity(0))


def machine_times(proc: str) -> CpuTimes | None:
    """Of the processors that we may run on, from /proc/stat (proc_stat(5)): idle and iowait are not busy.

    What guests used is in user and nice already.
    """
    usable = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    busy = total = 0.0
    for line in text_of(f"{proc}/stat").splitlines():
        name, *words = line.split()[:9] or [""]
        if name in usable and len(words) >= 5:
            values = [float(word) for word in words]
            total += sum(values)
            busy += sum(values) - values[3] - values[4]
    return CpuTimes(busy, total) if total else None


def load_of(proc: str) -> tuple[float, ...]:
    """Runnable and uninterruptible threads, averaged over 1, 5 and 15 minutes."""
    with contextlib.suppress(ValueError):
        return tuple(float(word) for word in text_of(f"{proc}/loadavg").split()[:3])
    return ()


def memory_of(proc: str) -> Memory:
    """Used is what is not available: page cache that can be dropped counts as free (proc_meminfo(5))."""
    values: dict[str, int] = {}
    for line in text_of(f"{proc}/meminfo").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            values[name] = int(words[0]) * 1024
    total, available = values.get("MemTotal"), values.get("MemAvailable")
    swap, swap_free = values.get("SwapTotal"), values.get("SwapFree")
    return Memory(
        used_bytes=None if total is None or available is None else total - available,
        total_bytes=total,
        swap_used_bytes=None if swap is None or swap_free is None else swap - swap_free,
        swap_total_bytes=swap,
    )


def group_of(proc: str, cgroup: str, memory_bytes: int | None, cpus: int) -> Group:
    """The tightest limits of memory and processors among our control group and those above it (cgroups(7))."""
    places = {}
    for line in text_of(f"{proc}/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        for name in controllers.split(","):
            places[name] = path
    unified = "" in places and os.path.exists(f"{cgroup}/cgroup.controllers")
    memory_root = cgroup if unified else f"{cgroup}/memory"
    cpu_root = cgroup if unified else f"{cgroup}/cpu"
    memory_max, memory_dir = None, ""
    for folder in folders_up(memory_root, places.get("" if unified else "memory", "/")):
        found = whole(f"{folder}/memory.max") if unified else whole(f"{folder}/memory.limit_in_bytes")
        if found is not None and found < min(memory_max or UNLIMITED_BYTES, memory_bytes or UNLIMITED_BYTES):
            memory_max, memory_dir = found, folder
    cpu_max, cpu_dir = None, ""
    for folder in folders_up(cpu_root, places.get("" if unified else "cpu", "/")):
        quota = quota_of(folder, unified=unified)
        if quota is not None and quota < min(cpu_max or float(cpus), float(cpus)):
            cpu_max, cpu_dir = quota, folder
    return Group(memory_max, memory_dir, cpu_max, cpu_dir)


def folders_up(root: str, path: str) -> list[str]:
    """The folder of a control group and those above it; in a container ours may be the root itself."""
    parts = [part for part in path.split("/") if part and part != ".."]
    return ["/".join([root, *parts[:count]]) for count in range(len(parts), -1, -1)]


def quota_of(folder: str, *, unified: bool) -> float | None:
    """Processors' worth of time that a group may use; None for no limit."""
    if unified:
        words = text_of(f"{folder}/cpu.max").split()
        quota, period = (words[0], words[1]) if len(words) == 2 else ("max", "0")
    else:
        quota, period = text_of(f"{folder}/cpu.cfs_quota_us").strip(), text_of(f"{folder}/cpu.cfs_period_us").strip()
    if not quota.isdigit() or not period.isdigit() or not int(period):
        return None
    return int(quota) / int(period)


def group_memory(folder: str) -> int | None:
    """What a group uses, without the page cache that the kernel drops first."""
    used = whole(f"{folder}/memory.current")
    if used is None:
        used = whole(f"{folder}/memory.usage_in_bytes")
    for line in text_of(f"{folder}/memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file") and value.isdigit() and used is not None:
            return max(0, used - int(value))
    return used


def group_times(folder: str, count: float) -> CpuTimes | None:
    """Processor time of a limited group against what it could have had, in seconds."""
    for line in text_of(f"{folder}/cpu.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == "usage_usec" and value.isdigit():
            return CpuTimes(int(value) / 1e6, time.monotonic() * count)
    used_ns = whole(f"{folder}/cpuacct.usage")
    return None if used_ns is None else CpuTimes(used_ns / 1e9, time.monotonic() * count)


def whole(path: str) -> int | None:
    """A file that holds one whole number; None for anything else."""
    text = text_of(path).strip()
    return int(text) if text.isdigit() else None


def text_of(path: str) -> str:
    """A small file of the kernel; empty when it is not there."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(READ_MAX_CHARACTERS)
    except OSError:
        return ""


def size_words(size_bytes: int) -> str:
    """A limit of memory in the unit in which it is a handy number."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB")):
        if size_bytes >= unit:
            return f"{round(size_bytes / unit, 1):g} {name}"
    return f"{round(size_bytes / 1024, 1):g} KiB"
