"""What of a new look at the machine is worth showing: figures waver, and every change costs bytes on the line. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from console.devices import Devices, Disk, Gpu

CPU_POINTS: Final = 5.0
LOAD: Final = 0.5
MEMORY_SHARE: Final = 0.01
"""Of all there is."""
GPU_POINTS: Final = 3.0
TEMPERATURE_C: Final = 2.0
POWER_SHARE: Final = 0.05
IDLE_S: Final = 60.0
Number = TypeVar("Number", int, float)


def calmed(shown: Devices | None, now: Devices) -> Devices:
    """The new look with the figures of the shown one where they differ by no more than they waver."""
    if shown is None:
        return now
    cards = {gpu.uuid: gpu for gpu in shown.gpus}
    disks = {disk.path: disk for disk in shown.disks}
    memory = MEMORY_SHARE * (now.memory_total_bytes or 0)
    swap = MEMORY_SHARE * (now.swap_total_bytes or 0)
    load_is_calm = len(shown.load) == len(now.load) and all(
        abs(one - other) < LOAD for one, other in zip(shown.load[:1], now.load[:1], strict=True)
    )
    return now._replace(
        cpu_percent=kept(shown.cpu_percent, now.cpu_percent, CPU_POINTS),
        load=shown.load if load_is_calm else now.load,
        memory_used_bytes=kept(shown.memory_used_bytes, now.memory_used_bytes, memory),
        swap_used_bytes=kept(shown.swap_used_bytes, now.swap_used_bytes, swap),
        disks=tuple(calm_disk(disks.get(disk.path), disk) for disk in now.disks),
        gpus=tuple(calm_gpu(cards.get(gpu.uuid), gpu) for gpu in now.gpus),
        age_s=None if now.age_s is None else 0.0,
    )


def kept(shown: Number | None, now: Number | None, tolerance: float) -> Number | None:
    """The shown figure while the new one is as near; what comes to an end or to its limit is always new."""
    if shown is None or now is None or (now == 0) != (shown == 0):
        return now
    return shown if abs(now - shown) < tolerance else now


def calm_disk(shown: Disk | None, now: Disk) -> Disk:
    """A disk; what is free is told in whole parts of a hundred."""
    if shown is None or shown.used_bytes is None or shown.free_bytes is None or now.used_bytes is None:
        return now
    tolerance = MEMORY_SHARE / 2 * (shown.used_bytes + shown.free_bytes)
    return shown if now.free_bytes is not None and abs(now.free_bytes - shown.free_bytes) < tolerance else now


def calm_gpu(shown: Gpu | None, now: Gpu) -> Gpu:
    """A card."""
    if shown is None or shown.problem or now.problem:
        return now
    memory = MEMORY_SHARE * (now.memory_total_bytes or 0)
    holders = now.holders
    if shown.holders is not None and holders is not None and [h.pid for h in shown.holders] == [h.pid for h in holders]:
        holders = shown.holders
    return now._replace(
        utilization_percent=kept(shown.utilization_percent, now.utilization_percent, GPU_POINTS),
        memory_used_bytes=kept(shown.memory_used_bytes, now.memory_used_bytes, memory),
        temperature_c=kept(shown.temperature_c, now.temperature_c, TEMPERATURE_C),
        power_w=kept(shown.power_w, now.power_w, POWER_SHARE * (now.power_limit_w or now.power_w or 0)),
        idle_held_s=kept(shown.idle_held_s, now.idle_held_s, IDLE_S),
        holders=holders,
    )
