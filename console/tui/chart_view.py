"""How a person looks at charts: axis, smoothing, logarithms, the stretch that is looked at, the cursor. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from console.run_curves import AXES, Ask
from console.tui.chart_axes import Axes, place, value_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.run_curves import Axis
    from console.tui.chart_axes import XKind

SMOOTHINGS: Final = (0.0, 0.6, 0.9, 0.97)
"""What a key goes through; weights of the debiased exponential moving average over points."""
ZOOM_FACTOR: Final = 2.0
PAN_PART: Final = 0.25
"""Of the stretch that is looked at."""
STEPS_MIN: Final = 4.0
"""A stretch of steps is never shorter than this."""
RELATIVE_MIN: Final = 1e-6
"""Nor is any stretch than this part of what there is."""
X_KINDS: Final[dict[Axis, XKind]] = {
    "step": "number",
    "epoch": "number",
    "wall": "clock",
    "relative": "duration",
}


@dataclass(frozen=True, slots=True)
class ChartView:
    """What all charts of a screen share."""

    axis: Axis = "step"
    smoothing: float = 0.0
    log_x: bool = False
    log_y: bool = False
    low: float | None = None
    """First x that is looked at; None: from the first on."""
    high: float | None = None
    """Last x; None: up to the newest, as it comes."""
    cursor: float | None = None
    grid: bool = False
    """As many charts as there is room for."""

    @property
    def axes(self) -> Axes:
        """The axes of a chart."""
        return Axes(self.log_x, self.log_y, X_KINDS[self.axis])

    @property
    def zoomed(self) -> bool:
        """Not everything is looked at."""
        return self.low is not None or self.high is not None

    def ask(self, bins: int) -> Ask:
        """What the daemon is asked for."""
        return Ask(bins, self.axis, self.low, self.high, self.smoothing, self.log_x)

    def next_axis(self) -> ChartView:
        """Another meaning of x; a stretch of the old one means nothing on it."""
        axis = AXES[(AXES.index(self.axis) + 1) % len(AXES)]
        # A moment has no logarithm that anybody could read.
        return replace(self, axis=axis, low=None, high=None, cursor=None, log_x=self.log_x and axis != "wall")

    def next_smoothing(self) -> ChartView:
        """The next weight."""
        at = SMOOTHINGS.index(self.smoothing) if self.smoothing in SMOOTHINGS else 0
        return replace(self, smoothing=SMOOTHINGS[(at + 1) % len(SMOOTHINGS)])

    def next_logs(self) -> ChartView:
        """A logarithmic y, x, both, neither; a moment has no logarithm, so x of a clock stays linear."""
        if self.axis == "wall":
            return replace(self, log_y=not self.log_y)
        states = [(False, False), (False, True), (True, False), (True, True)]
        log_x, log_y = states[(states.index((self.log_x, self.log_y)) + 1) % len(states)]
        return replace(self, log_x=log_x, log_y=log_y)

    def stretch(self, extent: tuple[float, float]) -> tuple[float, float]:
        """The x that are looked at, of those that there are."""
        low = extent[0] if self.low is None else self.low
        high = extent[1] if self.high is None else self.high
        return low, max(low, high)

    def zoom(self, extent: tuple[float, float], direction: int) -> ChartView:
        """Half (+1) or double (-1) the stretch around the cursor, else around its middle; at most all there is."""
        bounds = self._places(extent)
        if bounds is None:
            return self
        first, last, low, high = bounds
        size = (high - low) / ZOOM_FACTOR if direction > 0 else (high - low) * ZOOM_FACTOR
        size = max(size, (last - first) * RELATIVE_MIN, STEPS_MIN if self.axis == "step" and not self.log_x else 0.0)
        middle = (low + high) / 2
        if self.cursor is not None and low <= (at := place(self.cursor, log=self.log_x)) <= high:
            # What the cursor marks stays where it is on the screen.
            part = (at - low) / (high - low) if high > low else 0.5
            return self._looking_at(at - part * size, at + (1 - part) * size, first, last)
        return self._looking_at(middle - size / 2, middle + size / 2, first, last)

    def pan(self, extent: tuple[float, float], direction: int) -> ChartView:
        """A quarter of the stretch to the left (-1) or right (+1), never beyond what there is."""
        bounds = self._places(extent)
        if bounds is None or not self.zoomed:
            return self
        first, last, low, high = bounds
        size = high - low
        start = min(max(first, low + direction * PAN_PART * size), max(first, last - size))
        return self._looking_at(start, start + size, first, last)

    def whole(self) -> ChartView:
        """All there is."""
        return replace(self, low=None, high=None)

    def move_cursor(self, xs: Sequence[float], steps: int) -> ChartView:
        """To the next or previous of these x in ascending order; without a cursor to the last or first one."""
        if not xs:
            return replace(self, cursor=None)
        if self.cursor is None:
            return replace(self, cursor=xs[-1] if steps < 0 else xs[0])
        at = bisect_left(xs, self.cursor)
        if steps > 0 and at < len(xs) and xs[at] > self.cursor:
            at -= 1  # it lies between two of them
        return replace(self, cursor=xs[min(max(0, at + steps), len(xs) - 1)])

    def _places(self, extent: tuple[float, float]) -> tuple[float, float, float, float] | None:
        """What there is and what is looked at, as laid out; None when there is nothing to zoom."""
        first, last = (place(x, log=self.log_x) for x in extent)
        if not math.isfinite(first):
            # The first x of a logarithmic axis is not known when there are others at or below 0.
            first = min(0.0, last)
        low, high = (place(x, log=self.log_x) for x in self.stretch(extent))
        low = low if math.isfinite(low) else first
        return (first, last, low, high) if first < last and low <= high else None

    def _looking_at(self, low: float, high: float, first: float, last: float) -> ChartView:
        """A stretch given in places; an end that reaches the end of what there is stays open."""
        if high > last:
            low, high = low - (high - last), last
        if low < first:
            low, high = first, min(last, high + (first - low))
        tiny = (last - first) * 1e-9
        return replace(
            self,
            low=None if low <= first + tiny else value_at(low, log=self.log_x),
            high=None if high >= last - tiny else value_at(high, log=self.log_x),
        )


def nearest(xs: Sequence[float], x: float) -> int | None:
    """Index of the x nearest to another one, the later of two; None when there is none."""
    if not xs:
        return None
    at = bisect_left(xs, x)
    if at == len(xs):
        return at - 1
    return at - 1 if at and x - xs[at - 1] < xs[at] - x else at
