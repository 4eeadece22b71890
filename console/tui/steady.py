"""Figures that only tremble stay as they are shown, so that a quiet machine sends nothing over the line. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from console.devices import Devices, Disk, Gpu

CPU_POINTS: Final = 5.0
UTILIZATION_POINTS: Final = 2.0
MEMORY_SHARE: Final = 0.01
"""Of the whole."""
DISK_SHARE: Final = 0.002
TEMPERATURE_C: Final = 2.0
POWER_W: Final = 10.0
LOAD_SHARE: Final = 0.15
"""Of the load that is shown, and half of one at least."""
LOAD_MIN: Final = 0.5
Number = TypeVar("Number", int, float)


def steadied(shown: Devices | None, now: Devices) -> Devices:
    """The new look with the shown figure wherever the new one is about the same."""
    if shown is None:
        return now
    cards = {gpu.uuid: gpu for gpu in shown.gpus}
    disks = {disk.path: disk for disk in shown.disks}
    load = now.load
    if load and shown.load and abs(load[0] - shown.load[0]) < max(LOAD_MIN, LOAD_SHARE * shown.load[0]):
        load = shown.load
    return now._replace(
        cpu_percent=kept(shown.cpu_percent, now.cpu_percent, CPU_POINTS),
        load=load,
        memory_used_bytes=kept(
            shown.memory_used_bytes, now.memory_used_bytes, MEMORY_SHARE * (now.memory_total_bytes or 0)
        ),
        gpus=tuple(steady_card(cards.get(gpu.uuid), gpu) for gpu in now.gpus),
        disks=tuple(steady_disk(disks.get(disk.path), disk) for disk in now.disks),
    )


def steady_card(shown: Gpu | None, now: Gpu) -> Gpu:
    """A card; whether it works is never hidden."""
    if shown is None or shown.is_busy != now.is_busy:
        return now
    memory_bytes = MEMORY_SHARE * (now.memory_total_bytes or 0)
    return now._replace(
        utilization_percent=kept(shown.utilization_percent, now.utilization_percent, UTILIZATION_POINTS),
        memory_used_bytes=kept(shown.memory_used_bytes, now.memory_used_bytes, memory_bytes),
        temperature_c=kept(shown.temperature_c, now.temperature_c, TEMPERATURE_C),
        power_w=kept(shown.power_w, now.power_w, POWER_W),
    )


def steady_disk(shown: Disk | None, now: Disk) -> Disk:
    """A file system."""
    if shown is None or shown.free_bytes is None or shown.used_bytes is None or now.free_bytes is None:
        return now
    total_bytes = shown.free_bytes + shown.used_bytes
    if abs(shown.free_bytes - now.free_bytes) <= DISK_SHARE * total_bytes:
        return now._replace(free_bytes=shown.free_bytes, used_bytes=shown.used_bytes)
    return now


def kept(shown: Number | None, now: Number | None, tolerance: float) -> Number | None:
    """The shown figure when the new one is within the tolerance of it."""
    if shown is None or now is None or abs(now - shown) > tolerance:
        return now
    return shown
