"""Axes of a chart: linear or logarithmic, in numbers, lengths of time or moments, with ticks at round places."""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from console.tui.raster import Tick, tick_label, ticks
from console.tui.text_format import MONTHS

if TYPE_CHECKING:
    from collections.abc import Iterable

XKind: TypeAlias = Literal["number", "duration", "clock"]

MINUTE_S: Final = 60
HOUR_S: Final = 3600
DAY_S: Final = 86_400
TIME_STEPS_S: Final = (
    *(1, 2, 5, 10, 15, 30),
    *(MINUTE_S * n for n in (1, 2, 5, 10, 15, 30)),
    *(HOUR_S * n for n in (1, 2, 3, 6, 12)),
    *(DAY_S * n for n in (1, 2, 7, 14, 28, 91, 365, 3650)),
)
"""Distances between ticks that read well on a clock."""


class Axes(NamedTuple):
    """How the two directions of a chart are divided."""

    log_x: bool = False
    log_y: bool = False
    x_kind: XKind = "number"
    """Of a clock, x is Unix seconds."""


LINEAR: Final = Axes()


def scaled(values: Iterable[float], *, log: bool) -> list[float]:
    """Values as they are laid out: themselves, or their common logarithm; NaN where there is none."""
    return [place(value, log=log) for value in values] if log else list(values)


def place(value: float, *, log: bool) -> float:
    """One value as it is laid out."""
    if not log:
        return value
    return math.log10(value) if 0 < value < math.inf else math.nan


def value_at(position: float, *, log: bool) -> float:
    """The inverse of `place`."""
    if not log:
        return position
    try:
        return float(10**position)
    except OverflowError:
        return math.inf


def axis_ticks(low: float, high: float, most: int, *, log: bool = False, kind: XKind = "number") -> list[Tick]:
    """At most `most` ticks between two places as they are laid out, ascending."""
    if log:
        return log_ticks(low, high, most)
    return ticks(low, high, most) if kind == "number" else time_ticks(low, high, most, kind)


def log_ticks(low: float, high: float, most: int) -> list[Tick]:
    """Powers of ten; within two of them multiples by 1, 2 and 5; within less the ticks of a linear axis."""
    if most < 1 or not low < high:
        return []
    first, last = math.ceil(low - 1e-9), math.floor(high + 1e-9)
    if last - first >= 1 or (last == first and most == 1):
        stride = max(1, math.ceil((last - first + 1) / most))
        return [Tick(float(exponent), power_label(exponent)) for exponent in range(first, last + 1, stride)]
    found = [
        Tick(math.log10(factor) + exponent, tick_label(factor * 10.0**exponent, 10.0**exponent))
        for exponent in range(max(-300, math.floor(low)), min(300, math.floor(high)) + 1)
        for factor in (1, 2, 5)
        if low <= math.log10(factor) + exponent <= high
    ]
    if 2 <= len(found) <= most:
        return found
    linear = ticks(value_at(low, log=True), value_at(high, log=True), most)
    return [Tick(math.log10(tick.value), tick.label) for tick in linear if tick.value > 0]


def power_label(exponent: int) -> str:
    """A power of ten: 0.01, 1, 100, 10k, 1e-7."""
    return tick_label(10.0**exponent, 10.0**exponent) if -300 <= exponent <= 300 else f"1e{exponent}"


def time_ticks(low: float, high: float, most: int, kind: XKind) -> list[Tick]:
    """Round lengths of time since 0, or round moments of the local clock."""
    if most < 1 or not low < high:
        return []
    rough = (high - low) / most
    if not 0 < rough < math.inf or max(abs(low), abs(high)) > 1e14:
        return ticks(low, high, most)
    if rough < 1:
        return [Tick(tick.value, sub_second_label(tick, kind)) for tick in ticks(low, high, most)]
    offset = utc_offset_s(low) if kind == "clock" else 0
    for step in TIME_STEPS_S[bisect_left(TIME_STEPS_S, rough) :] or TIME_STEPS_S[-1:]:
        first, last = math.ceil((low + offset) / step), math.floor((high + offset) / step)
        if last - first < most:
            places = [n * step - offset for n in range(first, last + 1)]
            label = clock_label if kind == "clock" else length_label
            return [Tick(float(at), label(at, step)) for at in places]
    return ticks(low, high, most)


def sub_second_label(tick: Tick, kind: XKind) -> str:
    """A tick less than a second from the next one."""
    if kind == "duration":
        return f"{tick.label}s"
    return f"{clock_label(math.floor(tick.value), 1)}{tick.value % 1:.3f}".replace("0.", ".", 1)


def utc_offset_s(at_s: float) -> int:
    """How far the local clock is ahead of UTC at a moment."""
    try:
        return time.localtime(at_s).tm_gmtoff
    except (OverflowError, ValueError, OSError):
        return 0


def clock_label(at_s: float, step_s: float) -> str:
    """A moment of the local clock as exact as ticks `step_s` apart need; midnight is its date."""
    try:
        then = time.localtime(at_s)
    except (OverflowError, ValueError, OSError):
        return "?"
    if step_s >= 91 * DAY_S:
        return f"{MONTHS[then.tm_mon - 1]} {then.tm_year}"
    if step_s >= DAY_S or not (then.tm_hour or then.tm_min or then.tm_sec):
        return f"{MONTHS[then.tm_mon - 1]} {then.tm_mday}"
    if step_s >= MINUTE_S:
        return f"{then.tm_hour:02d}:{then.tm_min:02d}"
    return f"{then.tm_hour:02d}:{then.tm_min:02d}:{then.tm_sec:02d}"


def length_label(length_s: float, step_s: float = 1) -> str:
    """A length of time: 0, 30s, 5m, 1h30, 2d."""
    if length_s == 0:
        return "0"
    sign, left = ("-" if length_s < 0 else ""), abs(round(length_s))
    days, hours, minutes, seconds = left // DAY_S, left % DAY_S // HOUR_S, left % HOUR_S // MINUTE_S, left % MINUTE_S
    if days:
        return f"{sign}{days}d" + (f"{hours}h" if hours and step_s < DAY_S else "")
    if hours:
        return f"{sign}{hours}h" + (f"{minutes:02d}" if minutes else "")
    if minutes:
        return f"{sign}{minutes}m" + (f"{seconds:02d}" if seconds else "")
    return f"{sign}{seconds}s"


def x_text(x: float, kind: XKind, *, name: str = "step") -> str:
    """One x in words: `step 41000`, `epoch 3.25`, `14:02:07`, `1h30`."""
    if kind == "clock":
        return clock_label(x, 1)
    if kind == "duration":
        return length_label(x) if abs(x) >= 10 else f"{x:.1f}s"
    return f"{name} {x:.0f}" if x == round(x) else f"{name} {x:.4g}"
