"""What NVIDIA's driver says of its cards, through NVML: the only module that imports pynvml.

Every figure is asked for by itself, so one that a card does not have, or a call that fails, takes no other along. What
a card says it does not support is not asked for again until the next `reprobe`: every call takes a lock that the driver
needs for its work. Figures and their meaning: https://docs.nvidia.com/deploy/nvml-api/.
"""

from __future__ import annotations

import contextlib
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from console.gpu.host import PROC, memory_of

with warnings.catch_warnings():
    # The unmaintained package named pynvml warns on import, where somebody has installed it beside ours.
    warnings.simplefilter("ignore")
    import pynvml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Value = TypeVar("Value")

NOT_SUPPORTED: Final = "not supported by this card"
REASONS: Final = {
    pynvml.NVML_ERROR_NOT_SUPPORTED: NOT_SUPPORTED,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND: "this driver is too old to say",
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH: "this driver is too old to say",
    pynvml.NVML_ERROR_NO_PERMISSION: "the driver does not tell it to this user",
    pynvml.NVML_ERROR_GPU_IS_LOST: "the card has fallen off the bus: reset it or reboot",
    pynvml.NVML_ERROR_RESET_REQUIRED: "the card must be reset before it works again",
    pynvml.NVML_ERROR_TIMEOUT: "the driver did not answer in time",
    pynvml.NVML_ERROR_NO_DATA: "the driver has no data yet",
}
LASTING: Final = frozenset(
    {
        pynvml.NVML_ERROR_NOT_SUPPORTED,
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
        pynvml.NVML_ERROR_NO_PERMISSION,
    }
)
"""Answers that the next second will not change."""
GONE: Final = frozenset({pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED})
REFUSALS: Final = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "no NVIDIA driver: libnvidia-ml.so.1 cannot be loaded",
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver is installed but not loaded: `modprobe nvidia`, or reboot",
    pynvml.NVML_ERROR_NO_PERMISSION: "this user may not speak to the NVIDIA driver: look at the mode of /dev/nvidiactl",
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: (
        "the NVIDIA driver was upgraded and the old one is still loaded: reboot, or reload the module"
    ),
    pynvml.NVML_ERROR_GPU_NOT_FOUND: "the NVIDIA driver finds no card",
}
THROTTLES: Final = (
    (0x4, "power cap"),
    (0x20, "hot"),
    (0x40, "too hot"),
    (0x80, "power brake"),
    (0x8, "hardware slowdown"),
)
"""Bits of the clocks event reasons that hold a card back; idle, application clocks and sync boost do not."""
KINDS: Final = ("Compute", "Graphics", "MPSCompute")
LIST_TRIES: Final = 4
"""A list of processes may outgrow its buffer between the two calls that it takes."""
UNIFIED: Final = ("GB10", "Orin", "Xavier", "Thor", "Tegra", "Jetson")
"""Parts of the names of chips whose memory is the host's."""


class RefusedError(Exception):
    """The driver cannot be spoken to at all; the message says why and what helps."""


class Unusable(Exception):
    """A value that no card can have; the message says which."""


class GpuProcess(NamedTuple):
    """A process on a card, by its pid as the host counts."""

    pid: int
    memory_used_bytes: int | None


class Answer(NamedTuple):
    """A figure, or why there is none."""

    value: Any
    reason: str


def start() -> None:
    """Open the driver. Raises RefusedError."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise RefusedError(refusal_of(error)) from error


def card_count() -> int:
    """How many cards there are. Raises RefusedError."""
    try:
        return int(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError as error:
        raise RefusedError(refusal_of(error)) from error


def refusal_of(error: pynvml.NVMLError) -> str:
    """Why the driver cannot be spoken to."""
    return REFUSALS.get(error.value, f"the NVIDIA driver answers with error {error.value}: {words_of(error)}")


def words_of(error: pynvml.NVMLError) -> str:
    """An error of NVML in words."""
    # Its own text asks the library, which an error may be about.
    with contextlib.suppress(pynvml.NVMLError):
        return REASONS.get(error.value) or str(error)
    return f"error {error.value}"


class Card:
    """One card, to be used by one thread. Each method asks for one group of figures."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.gone = ""
        """Why the card as a whole does not answer; empty while it does."""
        self._handle: Any = None
        self._lasting: dict[str, str] = {}
        """What it does not have, and why."""
        self._seen_us = 0
        """The newest sample of per-process utilization that was taken in."""
        self.name = self.uuid = self.bus_id = ""
        self.has_mig = False
        self._kinds: tuple[str, ...] = KINDS
        """Of processes: those that the last whole look found, and those that compute."""

    def open(self) -> bool:
        """Find the card and what never changes of it; False when it does not answer."""
        self.gone = ""
        try:
            self._handle = pynvml.nvmlDeviceGetHandleByIndex(self.index)
        except pynvml.NVMLError as error:
            self._handle = None
            self.gone = words_of(error)
            return False
        self.name = self.ask("name", lambda: text(pynvml.nvmlDeviceGetName(self._handle))).value or ""
        self.uuid = self.ask("uuid", lambda: text(pynvml.nvmlDeviceGetUUID(self._handle))).value or ""
        self.bus_id = self.ask("bus_id", lambda: text(pynvml.nvmlDeviceGetPciInfo(self._handle).busId)).value or ""
        self.reprobe()
        return not self.gone

    def reprobe(self) -> None:
        """Ask anew for what it did not have, and for what changes seldom."""
        self._lasting.clear()
        self._kinds = KINDS
        mode = self.ask("mig", lambda: int(pynvml.nvmlDeviceGetMigMode(self._handle)[0]))
        self.has_mig = mode.value == 1

    def ask(self, name: str, call: Callable[[], Value]) -> Answer:
        """One figure; `gone` is set when the answer is that the card is lost."""
        if name in self._lasting:
            return Answer(None, self._lasting[name])
        try:
            return Answer(call(), "")
        except Unusable as error:
            return Answer(None, str(error))
        except pynvml.NVMLError as error:
            reason = words_of(error)
            if error.value in LASTING:
                self._lasting[name] = reason
            elif error.value in GONE:
                self.gone = reason
            return Answer(None, reason)

    def figures(self) -> dict[str, Answer]:
        """What changes all the time and costs microseconds: by name of the field of `console.devices.Gpu`."""
        self.gone = ""
        handle = self._handle
        utilization = self.ask("utilization_percent", lambda: percent(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu))
        if utilization.reason == NOT_SUPPORTED and self.has_mig:
            utilization = Answer(None, "the driver gives none for a card that is split by MIG")
        memory = self._memory()
        limit = pynvml.nvmlDeviceGetEnforcedPowerLimit
        return {
            "utilization_percent": utilization,
            "memory_used_bytes": memory if memory.reason else Answer(memory.value[0], ""),
            "memory_total_bytes": memory if memory.reason else Answer(memory.value[1], ""),
            "power_w": self.ask("power_w", lambda: pynvml.nvmlDeviceGetPowerUsage(handle) / 1000),
            "power_limit_w": self.ask("power_limit_w", lambda: limit(handle) / 1000),
            "sm_clock_mhz": self.ask(
                "sm_clock_mhz", lambda: int(pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM))
            ),
            "energy_j": self.ask("energy_j", lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000),
            "throttle": self.ask("throttle", lambda: throttles(handle)),
        }

    def temperature(self) -> Answer:
        """Of the chip, in degrees Celsius."""
        sensor = pynvml.NVML_TEMPERATURE_GPU
        return self.ask(
            "temperature_c", lambda: in_range(pynvml.nvmlDeviceGetTemperature(self._handle, sensor), -100, 200, "°C")
        )

    def processes(self) -> Answer:
        """A list of `GpuProcess`. The dearest call there is, milliseconds of the driver's lock for each kind of them:
        kinds that there were none of are asked for again only after `reprobe`.
        """
        lists = {kind: self.ask(kind, partial(listed, kind, self._handle)) for kind in self._kinds}
        if lists[KINDS[0]].reason:
            return lists[KINDS[0]]
        self._kinds = tuple(kind for kind in self._kinds if kind == KINDS[0] or lists[kind].value)
        found: dict[int, int | None] = {}
        for part in lists.values():
            # A process of both kinds is in both lists with all its memory, one on several slices once for each.
            for pid, memory in summed(part.value or ()).items():
                known = [value for value in (found.get(pid), memory) if value is not None]
                found[pid] = max(known, default=None)
        return Answer([GpuProcess(pid, memory) for pid, memory in sorted(found.items())], "")

    def process_utilization(self) -> Answer:
        """Percent of the multiprocessors by pid, the newest since the last call; who is not in it used none."""
        return self.ask("process utilization", self._process_utilization)

    def slices(self) -> list[dict[str, Any]]:
        """The parts of a card that is split by MIG, as `console.devices.Slice` has them."""
        if not self.has_mig:
            return []
        found = []
        count = self.ask("slices", lambda: int(pynvml.nvmlDeviceGetMaxMigDeviceCount(self._handle))).value or 0
        for index in range(count):
            try:
                handle = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(self._handle, index)
                name, uuid = text(pynvml.nvmlDeviceGetName(handle)), text(pynvml.nvmlDeviceGetUUID(handle))
            except pynvml.NVMLError:
                continue  # places for slices that nobody has made
            used: int | None = None
            total: int | None = None
            with contextlib.suppress(pynvml.NVMLError):
                memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
                used, total = int(memory.used), int(memory.total)
            found.append(
                {"number": index, "uuid": uuid, "name": name, "memory_used_bytes": used, "memory_total_bytes": total}
            )
        return found

    def _memory(self) -> Answer:
        """Used and total bytes; version 2 does not count as used what the driver keeps for itself."""
        version = pynvml.nvmlMemory_v2
        found = self.ask("memory v2", lambda: usage(pynvml.nvmlDeviceGetMemoryInfo(self._handle, version)))
        if found.reason and not self.gone:
            found = self.ask("memory", lambda: usage(pynvml.nvmlDeviceGetMemoryInfo(self._handle)))
        if found.reason == NOT_SUPPORTED and any(chip in self.name for chip in UNIFIED):
            host = memory_of(PROC)
            if host.used_bytes is not None:
                return Answer((host.used_bytes, host.total_bytes), "")
        return found

    def _process_utilization(self) -> dict[int, float | None]:
        try:
            samples = pynvml.nvmlDeviceGetProcessUtilization(self._handle, self._seen_us)
        except pynvml.NVMLError as error:
            # Nothing ran since the last call: it says so as NotFound, or as an error whose code is success.
            if error.value in (pynvml.NVML_SUCCESS, pynvml.NVML_ERROR_NOT_FOUND):
                return {}
            raise
        found: dict[int, float | None] = {}
        for sample in sorted(samples, key=lambda each: int(each.timeStamp)):
            pid, self._seen_us = int(sample.pid), max(self._seen_us, int(sample.timeStamp))
            # Rubbish is as common here as of the whole card, and not the same as having used nothing.
            found[pid] = float(sample.smUtil) if sample.smUtil <= 100 else found.get(pid)
        return found


def text(value: str | bytes) -> str:
    """A string of the driver, whatever it holds."""
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def in_range(value: float, lowest: float, highest: float, unit: str) -> float:
    """A value that a card can have. Raises Unusable."""
    if not lowest <= value <= highest:
        raise Unusable(f"the driver said {value:g} {unit}, which cannot be")
    return float(value)


def percent(value: float) -> float:
    """A share. Raises Unusable: some drivers give rubbish after they woke a card."""
    return in_range(value, 0, 100, "%")


def usage(memory: Any) -> tuple[int, int]:
    """Used and total bytes. Raises Unusable."""
    if memory.used > memory.total:
        raise Unusable(f"the driver said that {memory.used} of {memory.total} bytes are used, which cannot be")
    return int(memory.used), int(memory.total)


def listed(kind: str, handle: Any) -> list[Any]:
    """Processes of a kind, a list that may grow while it is read; drivers before 510 know its older form only.

    The function without a version is none of use: on such a driver it raises what is no NVMLError.
    """
    call = getattr(pynvml, f"nvmlDeviceGet{kind}RunningProcesses_v3")
    for tries_left in range(LIST_TRIES, 0, -1):
        try:
            found: list[Any] = call(handle)
            return found
        except pynvml.NVMLError as error:
            if error.value == pynvml.NVML_ERROR_FUNCTION_NOT_FOUND and call.__name__.endswith("_v3"):
                call = getattr(pynvml, f"nvmlDeviceGet{kind}RunningProcesses_v2")
            elif error.value != pynvml.NVML_ERROR_INSUFFICIENT_SIZE or tries_left == 1:
                raise
    raise AssertionError("the last try returns or raises")


def summed(processes: Iterable[Any]) -> dict[int, int | None]:
    """Memory by pid over one list; None where the driver tells none of a process."""
    found: dict[int, int | None] = {}
    for each in processes:
        before, memory = found.get(each.pid), each.usedGpuMemory
        found[each.pid] = before if memory is None else int(memory) + (before or 0)
    return found


def throttles(handle: Any) -> list[str]:
    """What holds the clocks down, in words; drivers before 535 know the question by another name."""
    try:
        mask = pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
    except pynvml.NVMLError as error:
        if error.value != pynvml.NVML_ERROR_FUNCTION_NOT_FOUND:
            raise
        mask = pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
    return [words for bit, words in THROTTLES if mask & bit]
