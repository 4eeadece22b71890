"""What the machine has and how busy it is, as clients see it: processors, memory, disks, GPUs and who holds them.

A figure that could not be measured is None, never 0; `reasons` of a GPU says why, by the name of the field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from console.protocol import pick

if TYPE_CHECKING:
    from console.client import Client
    from console.protocol import Json

BUSY_PERCENT: Final = 10.0
"""From this utilization on a GPU counts as busy."""
HELD_BYTES: Final = 100_000_000
"""A GPU of which more is taken while it is not busy is idle-held."""


class Disk(NamedTuple):
    """One file system that holds something of ours."""

    path: str
    """A place in it: the state directory, or the first watched project there."""
    used_bytes: int | None
    free_bytes: int | None
    """For us: what is reserved for root is neither used nor free."""
    mount: str = ""
    """Where it is mounted, as far as that can be told."""
    problem: str = ""
    """Why there are no figures."""

    @property
    def used_percent(self) -> float | None:
        """How full it is, as df counts."""
        if self.used_bytes is None or self.free_bytes is None or not self.used_bytes + self.free_bytes:
            return None
        return 100.0 * self.used_bytes / (self.used_bytes + self.free_bytes)


class Holder(NamedTuple):
    """A process that has memory of a GPU."""

    pid: int
    user: str = ""
    """Empty where it cannot be told; `reason` says why."""
    command: str = ""
    run: str = ""
    """The run of ours that it belongs to, such as r12; empty for none."""
    memory_used_bytes: int | None = None
    utilization_percent: float | None = None
    """Share of the GPU's multiprocessors over the last seconds; None where the driver does not say."""
    reason: str = ""


class Slice(NamedTuple):
    """A part of a GPU that is split by MIG."""

    number: int
    uuid: str
    name: str
    memory_used_bytes: int | None
    memory_total_bytes: int | None


class Gpu(NamedTuple):
    """One card; its number is NVML's index, which follows the PCI bus."""

    number: int
    uuid: str
    name: str
    utilization_percent: float | None = None
    """Share of the time in which any kernel ran (NVML's nvmlUtilization_t), which is not the share of the card used."""
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    """Average over a second on Ampere and later, an instant before."""
    power_limit_w: float | None = None
    sm_clock_mhz: int | None = None
    energy_j: float | None = None
    """Since the driver was loaded, from the card's own counter."""
    throttle: tuple[str, ...] | None = None
    """What holds its clocks down, in words; empty for nothing."""
    idle_held_s: float | None = None
    """For how long it has been held without being busy, as far as it was watched; None when it is not."""
    holders: tuple[Holder, ...] | None = ()
    """None when they cannot be listed."""
    slices: tuple[Slice, ...] = ()
    problem: str = ""
    """One sentence when the card as a whole gives no figures, such as one that fell off the bus."""
    reasons: dict[str, str] = {}  # noqa: RUF012 - never changed
    """By name of a field that is None: why."""

    @property
    def is_busy(self) -> bool:
        """Whether it works."""
        return self.utilization_percent is not None and self.utilization_percent >= BUSY_PERCENT

    @property
    def memory_percent(self) -> float | None:
        """How much of its memory is taken."""
        if self.memory_used_bytes is None or not self.memory_total_bytes:
            return None
        return 100.0 * self.memory_used_bytes / self.memory_total_bytes


class Devices(NamedTuple):
    """One look at the machine."""

    cpu_percent: float | None
    """Of all processors that we may use; None when it could not be measured."""
    cpu_count: float
    """Processors that we may use; a limit may leave a part of one."""
    load: tuple[float, ...]
    """Over 1, 5 and 15 minutes; empty where the kernel does not say."""
    memory_used_bytes: int | None
    """Without what the kernel gives back when asked."""
    memory_total_bytes: int | None
    swap_used_bytes: int | None
    swap_total_bytes: int | None
    limits: str
    """In words, when processors or memory are those of a control group and not the machine's; else empty."""
    disks: tuple[Disk, ...]
    gpus: tuple[Gpu, ...]
    gpu_reason: str
    """Why there are no GPUs, or none that can be measured; else empty."""
    age_s: float | None
    """Of the GPUs' figures; None when there are none."""
    stalled_s: float | None
    """For how long the sampler has not answered; None while it does."""

    @property
    def busy_count(self) -> int:
        """How many GPUs work."""
        return sum(gpu.is_busy for gpu in self.gpus)


def devices(client: Client, *, wait: bool = False) -> Devices:
    """How busy the machine is now; `wait` some seconds for a sampler that is only starting. Raises ClientError."""
    return decode_devices(client.get("/devices", {"wait": int(wait)}))


def decode_devices(data: dict[str, Json]) -> Devices:
    """One look at the machine from its JSON object."""
    disks = tuple(pick(Disk, disk) for disk in data["disks"])
    return pick(Devices, data, load=tuple(data["load"]), disks=disks, gpus=tuple(map(decode_gpu, data["gpus"])))


def decode_gpu(data: dict[str, Json]) -> Gpu:
    """One card from its JSON object."""
    holders, throttle = data.get("holders"), data.get("throttle")
    return pick(
        Gpu,
        data,
        throttle=None if throttle is None else tuple(throttle),
        holders=None if holders is None else tuple(pick(Holder, holder) for holder in holders),
        slices=tuple(pick(Slice, each) for each in data.get("slices", ())),
    )
