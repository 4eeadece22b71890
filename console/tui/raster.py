"""Lines as terminal cells: scaling, ticks and a braille rasteriser in plain Python.

A pixel column is one integer whose bit n is the pixel n below the top, so that a vertical stretch of a line is set
in one step however steep it is. A cell has one colour, so it belongs to one series: the focused one first, then the
others in order, the min..max band of the focused one last.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

NOBODY: Final = -1
BAND: Final = -2
"""Owner of the cells that show the min..max band of the focused series."""
ASCII_MARKS: Final = "*o+x#@%&"
"""What draws the series 0, 1, 2 ... where braille is missing; colour alone must not tell them apart."""
SUFFIXES: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
MAX_LABEL_DECIMALS: Final = 6
MAX_SUFFIXED_DECIMALS: Final = 2
RELATIVE_RESOLUTION: Final = 1e-12
"""A range smaller than this part of its values is drawn as constant: ticks could not tell its values apart."""


class Trace(NamedTuple):
    """One series in data coordinates, in order of x; a mean that is not finite leaves a gap."""

    xs: Sequence[float]
    means: Sequence[float]
    minimums: Sequence[float]
    maximums: Sequence[float]


class Scale(NamedTuple):
    """The window of data coordinates that is drawn; both ends belong to it and differ."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float


class Raster(NamedTuple):
    """Rows of characters, and for every cell the index of the series that colours it, NOBODY or BAND."""

    rows: tuple[str, ...]
    owners: tuple[tuple[int, ...], ...]


class Tick(NamedTuple):
    """A labelled place of an axis."""

    value: float
    label: str


def _braille_table() -> str:
    """The character of four pixels of a left column (low bits: top) and four of a right one (high bits)."""
    left, right = (0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80)
    return "".join(
        chr(
            0x2800 + sum(left[n] for n in range(4) if pair >> n & 1) + sum(right[n] for n in range(4) if pair >> n & 16)
        )
        for pair in range(256)
    )


BRAILLE: Final = _braille_table()


def scale_of(traces: Sequence[Trace], focus: int = 0) -> Scale | None:
    """The window that holds all means and the band of the focused series; None when there is no finite point.

    The band gets at most the height of the means above and below them: one outlier would flatten everything else.
    """
    isfinite = math.isfinite
    points = [
        point
        for trace in traces
        for point in zip(trace.xs, trace.means, strict=False)
        if isfinite(point[0]) and isfinite(point[1])
    ]
    if not points:
        return None
    xs, ys = zip(*points, strict=True)
    x_low, x_high = _widened(min(xs), max(xs))
    low, high = min(ys), max(ys)
    if 0 <= focus < len(traces):
        room = high - low
        low = min(low, max(min(filter(isfinite, traces[focus].minimums), default=low), low - room))
        high = max(high, min(max(filter(isfinite, traces[focus].maximums), default=high), high + room))
    return Scale(x_low, x_high, *_widened(low, high))


def _widened(low: float, high: float) -> tuple[float, float]:
    """`low` and `high`, moved apart when a picture could not tell them from each other."""
    size = max(abs(low), abs(high))
    if high / 2 - low / 2 > size * RELATIVE_RESOLUTION:
        return low, high
    margin = size * 0.05 or 1.0
    return max(low - margin, -1.7e308), min(high + margin, 1.7e308)


def fraction(value: float, low: float, high: float) -> float:
    """Where `value` lies between `low` (0.0) and `high` (1.0)."""
    return (value / 2 - low / 2) / (high / 2 - low / 2)


def rasterise(
    traces: Sequence[Trace], scale: Scale, columns: int, rows: int, *, focus: int = 0, ascii_only: bool = False
) -> Raster:
    """Draw `traces` into `columns` x `rows` cells."""
    across, down = (1, 1) if ascii_only else (2, 4)
    width, height = columns * across, rows * down
    order = sorted(range(len(traces)), key=lambda index: (index != focus, index))
    cells = [[" "] * columns for _ in range(rows)]
    owners = [[NOBODY] * columns for _ in range(rows)]
    layers = [(index, _line_pixels(traces[index], scale, width, height)) for index in order]
    if 0 <= focus < len(traces):
        layers.append((BAND, _band_pixels(traces[focus], scale, width, height, thin=not ascii_only)))
    for index, pixels in layers:
        if ascii_only:
            mark = ":" if index == BAND else ASCII_MARKS[index % len(ASCII_MARKS)]
            _put_marks(cells, owners, pixels, index, mark)
        else:
            _put_braille(cells, owners, pixels, index)
    return Raster(tuple("".join(row) for row in cells), tuple(tuple(row) for row in owners))


def _put_marks(cells: list[list[str]], owners: list[list[int]], pixels: list[int], owner: int, mark: str) -> None:
    for column, bits in enumerate(pixels):
        for row in range(bits.bit_length()):
            if bits >> row & 1 and owners[row][column] == NOBODY:
                cells[row][column], owners[row][column] = mark, owner


def _put_braille(cells: list[list[str]], owners: list[list[int]], pixels: list[int], owner: int) -> None:
    for column in range(len(pixels) // 2):
        left, right = pixels[2 * column], pixels[2 * column + 1]
        both = left | right
        while both:
            row = ((both & -both).bit_length() - 1) >> 2
            shift = row << 2
            if owners[row][column] == NOBODY:
                cells[row][column] = BRAILLE[left >> shift & 15 | (right >> shift & 15) << 4]
                owners[row][column] = owner
            both = both >> (shift + 4) << (shift + 4)


def _line_pixels(trace: Trace, scale: Scale, width: int, height: int) -> list[int]:
    """Bits per pixel column of the line through the means."""
    pixels = [0] * width
    previous: tuple[int, float] | None = None
    for point in _project(trace.xs, trace.means, scale, width, height):
        if point is not None:
            if previous is None:
                _set_span(pixels, point[0], point[1], point[1], height)
            else:
                _join(pixels, previous, point, height)
        previous = point
    return pixels


def _project(
    xs: Sequence[float], values: Sequence[float], scale: Scale, width: int, height: int
) -> list[tuple[int, float] | None]:
    """Pixel column and unrounded distance from the top in pixels, a little outside at most; None for a gap."""
    isfinite = math.isfinite
    # Halves keep a range of the size of the largest float from overflowing.
    x_start, y_start = scale.x_low / 2, scale.y_high / 2
    x_range, y_range = scale.x_high / 2 - x_start, y_start - scale.y_low / 2
    right, bottom = width - 1, height - 1
    points: list[tuple[int, float] | None] = []
    for x, value in zip(xs, values, strict=False):
        if not isfinite(value) or not isfinite(x):
            points.append(None)
            continue
        column = int((x / 2 - x_start) / x_range * right + 0.5)
        below = (y_start - value / 2) / y_range * bottom
        if not -1.0 <= below <= height:
            below = -1.0 if below < 0 else float(height)
        points.append((column if 0 <= column <= right else 0 if column < 0 else right, below))
    return points


def _join(pixels: list[int], start: tuple[int, float], end: tuple[int, float], height: int) -> None:
    (x, y), (x_end, y_end) = start, end
    if x_end <= x:
        _set_span(pixels, x_end, y, y_end, height)
        return
    if x_end == x + 1:
        middle = (y + y_end) / 2
        _set_span(pixels, x, y, middle, height)
        _set_span(pixels, x_end, middle, y_end, height)
        return
    slope = (y_end - y) / (x_end - x)
    for column in range(x, x_end + 1):
        from_left = y + slope * max(0.0, column - 0.5 - x)
        to_right = y + slope * min(float(x_end - x), column + 0.5 - x)
        _set_span(pixels, column, from_left, to_right, height)


def _set_span(pixels: list[int], column: int, y: float, y_end: float, height: int) -> None:
    top, bottom = (y, y_end) if y < y_end else (y_end, y)
    if bottom < -0.5 or top >= height - 0.5:
        return
    first, last = int(top + 0.5) if top > 0 else 0, int(bottom + 0.5) if bottom < height - 1 else height - 1
    pixels[column] |= ((1 << (last - first + 1)) - 1) << first


def _band_pixels(trace: Trace, scale: Scale, width: int, height: int, *, thin: bool) -> list[int]:
    """Bits per pixel column of the min..max band; `thin` keeps every other pixel, so that it reads as a tint."""
    tops = _edge(trace, trace.maximums, scale, width, height, min)
    bottoms = _edge(trace, trace.minimums, scale, width, height, max)
    kept = sum(1 << n for n in range(0, height + 1, 2 if thin else 1))
    pixels = [0] * width
    for column, (top, bottom) in enumerate(zip(tops, bottoms, strict=True)):
        if top is not None and bottom is not None:
            _set_span(pixels, column, top, bottom, height)
            pixels[column] &= kept << 1 if thin and column % 2 else kept
    return pixels


def _edge(
    trace: Trace,
    values: Sequence[float],
    scale: Scale,
    width: int,
    height: int,
    outermost: Callable[[float, float], float],
) -> list[float | None]:
    """Pixels from the top to the line through `values`, per pixel column; None where it has a gap."""
    edge: list[float | None] = [None] * width
    previous: tuple[int, float] | None = None
    for point in _project(trace.xs, values, scale, width, height):
        if point is None:
            previous = None
            continue
        column, below = point
        at_column = edge[column]
        edge[column] = below if at_column is None else outermost(at_column, below)
        if previous is not None:
            start, start_below = previous
            for between in range(start + 1, column):
                edge[between] = start_below + (below - start_below) * (between - start) / (column - start)
        previous = column, below
    return edge


def ticks(low: float, high: float, max_count: int) -> list[Tick]:
    """At most `max_count` round values (1, 2 or 5 times a power of ten apart) from `low` to `high`, ascending."""
    if max_count < 1 or not low < high:
        return []
    rough = high / max_count - low / max_count
    if not 0 < rough < math.inf:
        return []
    exponent = math.floor(math.log10(rough))
    for step_exponent in (exponent, exponent + 1):
        for factor in (1, 2, 5):
            step = factor * _power(step_exponent)
            if not 0 < step < math.inf:
                continue
            first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
            if last - first < max_count:
                return [Tick(n * step, tick_label(n * step, step)) for n in range(first, last + 1)]
    return []


def _power(exponent: int) -> float:
    try:
        return float(f"1e{exponent}")
    except OverflowError:
        return math.inf


def tick_label(value: float, step: float) -> str:
    """`value` with the decimals that tell it from its neighbours `step` away: 0, 0.25, 20k, 1.5M, 3e-7."""
    if abs(value) < step / 2:
        return "0"
    size = abs(value)
    if size < 1e15 and step >= 10.0**-MAX_LABEL_DECIMALS:
        unit, suffix = next(
            (unit, suffix) for unit, suffix in SUFFIXES if size >= unit * (10 if unit == 1e3 else 1) or unit == 1
        )
        decimals = max(0, -math.floor(math.log10(step / unit) + 1e-9))
        if suffix and decimals > MAX_SUFFIXED_DECIMALS:
            unit, suffix = 1.0, ""
            decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        text = f"{value / unit:.{decimals}f}"
        return (text.rstrip("0").rstrip(".") if suffix and "." in text else text) + suffix
    digits = max(0, math.floor(math.log10(size) + 1e-9) - math.floor(math.log10(step) + 1e-9))
    mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
    return f"{mantissa}e{int(exponent)}"
