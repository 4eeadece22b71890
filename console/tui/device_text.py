"""How busy the machine is, in words and bars of cells: for the strip of the console and for `footplate gpus`. Pure.

The command line imports this module too, so it needs nothing but the standard library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from console.tui.text_format import duration, visible

if TYPE_CHECKING:
    from console.devices import Devices, Gpu, Holder

EIGHTHS: Final = "▏▎▍▌▋▊▉"
FULL: Final = "█"
NOT_AVAILABLE: Final = "n/a"
SHOWN_IDLE_S: Final = 60.0
"""A shorter pause, such as one between two epochs, is not called idle."""
GIB: Final = 1 << 30
STEPS: Final = ((60.0, 5.0), (600.0, 60.0), (3600.0, 300.0), (float("inf"), 600.0))
"""Below so many seconds a length of time is told in steps of so many."""
COMMON: Final = ("NVIDIA", "GeForce", "Graphics", "Device", "Tesla")


def bar(percent: float | None, width_cells: int, *, ascii_only: bool = False) -> str:
    """A share as a bar of exactly `width_cells` cells, to an eighth of a cell; what is not 0 shows. Empty for None."""
    if percent is None or width_cells <= 0:
        return " " * width_cells
    share = min(1.0, max(0.0, percent / 100.0))
    if ascii_only:
        count = max(round(share * width_cells), 1 if percent > 0 else 0)
        return "#" * count + "." * (width_cells - count)
    eighths = max(round(share * width_cells * 8), 1 if percent > 0 else 0)
    whole, rest = divmod(eighths, 8)
    return (FULL * whole + (EIGHTHS[rest - 1] if rest else "")).ljust(width_cells)


def percent(value: float | None) -> str:
    """A share in at most four cells."""
    return NOT_AVAILABLE if value is None else f"{value:.0f}%"


def gibibytes(size_bytes: float | None) -> str:
    """Memory in at most four cells: 0G, 0.4G, 71G, 1.5T."""
    if size_bytes is None:
        return NOT_AVAILABLE
    size = size_bytes / GIB
    if size >= 999.5:
        return f"{size / 1024:.1f}T" if size < 9.95 * 1024 else f"{size / 1024:.0f}T"
    return f"{size:.1f}G" if 0.05 <= size < 0.95 else f"{size:.0f}G"


def model(name: str) -> str:
    """A card's name without what all of them have in common, and without its memory, which is told as a figure."""
    words = visible(name).replace("-", " ").split()
    kept = [word for word in words if word not in COMMON and not word.startswith("HBM")]
    return " ".join(word for word in kept if not (word.endswith("GB") and word[:-2].isdigit())) or visible(name)


def models(devices: Devices) -> str:
    """What the cards are, such as `H100 80G`, or `8 cards of 2 kinds`."""
    kinds = {
        f"{model(gpu.name)} {gibibytes(gpu.memory_total_bytes)}" if gpu.memory_total_bytes else model(gpu.name)
        for gpu in devices.gpus
        if gpu.name
    }
    if len(kinds) == 1:
        return kinds.pop()
    return f"{len(devices.gpus)} of {len(kinds)} kinds" if kinds else ""


def holder_words(holder: Holder) -> str:
    """Who holds a card: `ana r218`, `bob pid 4411`, `pid 4411`."""
    parts = [visible(holder.user)] if holder.user else []
    parts.append(holder.run or f"pid {holder.pid}")
    return " ".join(parts)


def who(gpu: Gpu) -> str:
    """Who has a card: the one with most memory first, how many more, and for how long it is held without work."""
    if gpu.problem:
        return visible(gpu.problem)
    if gpu.holders is None:
        return visible(gpu.reasons.get("holders", NOT_AVAILABLE))
    if not gpu.holders:
        held = gpu.memory_percent is not None and gpu.memory_percent > 5.0
        return "held by nobody we can see" if held else "free"
    ordered = sorted(gpu.holders, key=lambda each: -(each.memory_used_bytes or 0))
    first = ordered[0]
    idle_s = gpu.idle_held_s
    if idle_s is not None and idle_s >= SHOWN_IDLE_S:
        words = f"{first.run or visible(first.user) or holder_words(first)} idle {coarse(idle_s)}"
    else:
        words = holder_words(first)
    return words + (f" +{len(ordered) - 1}" if len(ordered) > 1 else "")


def coarse(seconds: float) -> str:
    """A length of time that does not tick all the time: 5s, 10s, 1m00, 12m00, 3h10."""
    step_s = next(step_s for below_s, step_s in STEPS if seconds < below_s)
    told_s = max(step_s, seconds // step_s * step_s)
    return f"{told_s:.0f}s" if told_s < 60 else duration(told_s)


def stalled_words(devices: Devices) -> str:
    """What to say of a sampler that does not answer; empty while it does."""
    return "" if devices.stalled_s is None else f"sampler stalled {coarse(devices.stalled_s)}"


def gpu_words(devices: Devices) -> str:
    """Why there are no GPUs to show; empty when there are."""
    if devices.gpus:
        return ""
    return stalled_words(devices) or devices.gpu_reason or "none found"


def cpu_words(devices: Devices) -> str:
    """`of 16 CPUs, load 1.2`."""
    count = f"of {devices.cpu_count:g} CPU{'' if devices.cpu_count == 1 else 's'}"
    return count + (f", load {devices.load[0]:.1f}" if devices.load else "")


def share(part: int | None, whole: int | None) -> float | None:
    """A part in percent of the whole."""
    return None if part is None or not whole else 100.0 * part / whole
