"""Pictures in cells of text: two pixels a cell as upper half blocks, or one brightness a cell in ASCII. Pure.

The command line imports this module too, so it needs nothing but the standard library.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Rgb: TypeAlias = tuple[int, int, int]

UPPER_HALF: Final = "▀"
RAMP: Final = " .:-=+*#%@"
"""From dark to bright, as a terminal with a dark ground shows it."""
RESET: Final = "\x1b[0m"
CUBE_LEVELS: Final = (0, 95, 135, 175, 215, 255)
"""Of red, green and blue in the 216 colours of the 256 that form a cube."""
FIRST_GREY: Final = 232
GREY_COUNT: Final = 24


class Run(NamedTuple):
    """Neighbouring cells of the same two colours."""

    upper: Rgb
    lower: Rgb | None
    """None below the last line of a picture of odd height."""
    cells: int


def rows(pixels: bytes, width: int, height: int) -> Iterator[list[Run]]:
    """The picture line by line, two lines of pixels in each."""
    for y in range(0, height, 2):
        upper = _line(pixels, width, y)
        lower = _line(pixels, width, y + 1) if y + 1 < height else [None] * width
        yield [Run(*colours, len(list(alike))) for colours, alike in groupby(zip(upper, lower, strict=True))]


def ansi_lines(pixels: bytes, width: int, height: int, *, true_colour: bool) -> Iterator[str]:
    """The picture for a terminal with 24-bit colour, or with 256 colours."""
    words = _true_colour if true_colour else _palette_colour
    for line in rows(pixels, width, height):
        pieces = []
        for run in line:
            ground = "49" if run.lower is None else f"48;{words(run.lower)}"
            pieces.append(f"\x1b[38;{words(run.upper)};{ground}m{UPPER_HALF * run.cells}")
        yield "".join(pieces) + RESET


def ascii_lines(pixels: bytes, width: int, height: int) -> Iterator[str]:
    """The picture as brightness, two lines of pixels in each."""
    for line in rows(pixels, width, height):
        yield "".join(_shade(run) * run.cells for run in line)


def palette_index(colour: Rgb) -> int:
    """The nearest of the 240 colours that every terminal with 256 colours shows alike."""
    red, green, blue = map(_nearest_level, colour)
    in_cube = (CUBE_LEVELS[red], CUBE_LEVELS[green], CUBE_LEVELS[blue])
    step = min(GREY_COUNT - 1, max(0, round((sum(colour) / 3 - 8) / 10)))
    grey = (8 + 10 * step, 8 + 10 * step, 8 + 10 * step)
    if _distance(grey, colour) < _distance(in_cube, colour):
        return FIRST_GREY + step
    return 16 + 36 * red + 6 * green + blue


def _nearest_level(value: int) -> int:
    return min(range(len(CUBE_LEVELS)), key=lambda index: abs(CUBE_LEVELS[index] - value))


def _line(pixels: bytes, width: int, y: int) -> list[Rgb]:
    line = pixels[3 * width * y : 3 * width * (y + 1)]
    return list(zip(line[::3], line[1::3], line[2::3], strict=True))


def _true_colour(colour: Rgb) -> str:
    return f"2;{colour[0]};{colour[1]};{colour[2]}"


def _palette_colour(colour: Rgb) -> str:
    return f"5;{palette_index(colour)}"


def _shade(run: Run) -> str:
    bright = _brightness(run.upper)
    if run.lower is not None:
        bright = (bright + _brightness(run.lower)) / 2
    return RAMP[min(len(RAMP) - 1, int(bright * len(RAMP) / 256))]


def _brightness(colour: Rgb) -> float:
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def _distance(one: Rgb, other: Rgb) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))
