"""Machines as a daemon would show them, for the widgets and the texts that are made of them."""

from __future__ import annotations

from typing import Any

from console.devices import Devices, Disk, Gpu, Holder

GIB = 1 << 30


def holder(user: str, run: str = "", pid: int = 4411, gib: float = 60, command: str = "python train.py") -> Holder:
    """A process on a card."""
    return Holder(pid, user, command, run, int(gib * GIB), 50.0)


def card(number: int, util: float | None = 0.0, gib: float = 0.0, **changes: Any) -> Gpu:
    """A card of a usual kind."""
    values: dict[str, Any] = {
        "utilization_percent": util,
        "memory_used_bytes": int(gib * GIB),
        "memory_total_bytes": 80 * GIB,
        "temperature_c": 34.0 + (util or 0) * 0.3,
        "power_w": 71.0 + 5.6 * (util or 0),
        "power_limit_w": 700.0,
        "sm_clock_mhz": 1980,
        "throttle": (),
    }
    return Gpu(number, f"GPU-{number}", "NVIDIA H100 80GB HBM3", **(values | changes))


def machine(*gpus: Gpu, **changes: Any) -> Devices:
    """A machine with these cards."""
    values: dict[str, Any] = {
        "cpu_percent": 41.0,
        "cpu_count": 16.0,
        "load": (6.4, 5.1, 4.0),
        "memory_used_bytes": int(9.7 * GIB),
        "memory_total_bytes": 24 * GIB,
        "swap_used_bytes": 0,
        "swap_total_bytes": 0,
        "limits": "",
        "disks": (
            Disk("/home/ana/.local/state/footplate", 940 * GIB, 60 * GIB, "/home"),
            Disk("/scratch/vit", 300 * GIB, 700 * GIB, "/scratch"),
        ),
        "gpus": gpus,
        "gpu_reason": "" if gpus else "no NVIDIA driver: libnvidia-ml.so.1 is not there",
        "age_s": 0.4 if gpus else None,
        "stalled_s": None,
    }
    return Devices(**(values | changes))


def busy_box(**changes: Any) -> Devices:
    """Eight cards on which much goes on."""
    return machine(
        card(0, 98, 71, holders=(holder("ana", "r218", 51),)),
        card(1, 97, 71, holders=(holder("ana", "r218", 51),)),
        card(2, 91, 22, holders=(holder("ana", "r219", 52, command="python train.py --lr 3e-4 --model vit-b"),)),
        card(3, 100, 78.9, holders=(holder("bob"), holder("bob", pid=4412)), temperature_c=88.0, throttle=("too hot",)),
        card(4, 99, 64, holders=(holder("bob"),)),
        card(5, 0, 38, holders=(holder("bob"),), idle_held_s=11400.0),
        card(6, 54, 12, holders=(holder("ana", "r220"),)),
        card(7, 0, 0.01),
        **changes,
    )
