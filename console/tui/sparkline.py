"""A curve in one line of cells."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from console.tui.raster import fraction

if TYPE_CHECKING:
    from collections.abc import Sequence

LEFT: Final = (0x00, 0x40, 0x44, 0x46, 0x47)
RIGHT: Final = (0x00, 0x80, 0xA0, 0xB0, 0xB8)
ASCII_LEVELS: Final = "_.-^"
LEVELS: Final = 4


def sparkline(values: Sequence[float], width: int, *, ascii_only: bool = False) -> str:
    """The values from left to right in exactly `width` cells, the highest as full cells; values not finite left out.

    A braille cell holds two columns of four dots, so nothing is said of differences below a quarter of the range.
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite or width <= 0:
        return " " * max(0, width)
    columns = width if ascii_only else 2 * width
    low, high = min(finite), max(finite)
    shown = resampled(finite, columns)
    if low == high:
        heights = [2] * len(shown)
    else:
        heights = [1 + min(LEVELS - 1, int(fraction(value, low, high) * LEVELS)) for value in shown]
    if ascii_only:
        return "".join(ASCII_LEVELS[height - 1] for height in heights)
    pairs = zip(heights[::2], heights[1::2], strict=True)
    return "".join(chr(0x2800 + LEFT[left] + RIGHT[right]) for left, right in pairs)


def resampled(values: Sequence[float], columns: int) -> list[float]:
    """Means of as many equal stretches as there are columns; few values are spread out."""
    count = len(values)
    found = []
    for column in range(columns):
        start = column * count // columns
        end = max(start + 1, (column + 1) * count // columns)
        part = values[start:end]
        found.append(sum(value / len(part) for value in part))
    return found
