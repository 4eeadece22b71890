"""The machine that a run was enqueued on, from /proc: no driver is called."""

from __future__ import annotations

import glob
import os
from typing import Any


def describe() -> dict[str, Any]:
    """CPU model, cores, memory, GPUs, kernel and host; None or an empty list where the kernel does not say."""
    uname = os.uname()
    return {
        "host": uname.nodename,
        "kernel": f"{uname.sysname} {uname.release}",
        "machine": uname.machine,
        "cpu": field_of("/proc/cpuinfo", "model name"),
        "core_count": os.cpu_count(),
        "usable_core_count": len(os.sched_getaffinity(0)),
        "memory_bytes": memory_bytes(),
        "gpus": gpus(),
        "nvidia_driver": field_of("/proc/driver/nvidia/version", "NVRM version"),
    }


def field_of(path: str, name: str) -> str | None:
    """The value in the first line `name : value` of a file of the kernel."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                key, _, value = line.partition(":")
                if key.strip() == name:
                    return value.strip()
    except OSError:
        return None
    return None


def memory_bytes() -> int | None:
    """All the memory that the kernel manages."""
    total = field_of("/proc/meminfo", "MemTotal") or ""
    number = total.removesuffix(" kB")
    return int(number) * 1024 if number.isdigit() else None


def gpus() -> list[dict[str, str | None]]:
    """Model and bus address of every NVIDIA card, as its driver lists them."""
    return [
        {"model": field_of(path, "Model"), "bus": os.path.basename(os.path.dirname(path))}
        for path in sorted(glob.glob("/proc/driver/nvidia/gpus/*/information"))
    ]
