"""The colours of a theme on a terminal of 256 colours: the nearest to the eye, and as easy to read.

Left to itself, Rich rounds each of red, green and blue to a cube of six levels: all dark backgrounds become black or
navy, and what is muted or vermillion vanishes on the row under the cursor.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from rich.color import Color, ColorType
from rich.segment import Segment
from rich.style import Style
from textual.filter import LineFilter

if TYPE_CHECKING:
    from textual.color import Color as TextualColor

Triplet: TypeAlias = tuple[int, int, int]
Oklab: TypeAlias = tuple[float, float, float]

FIRST: Final = 16
"""Those below are the terminal's own: nobody knows what they look like."""
ENOUGH_CONTRASTS: Final = (4.5, 3.0)
"""WCAG 2, level AA, for text, and for large text and graphics: a pair that has so much in all colours keeps it."""
HUE_FIRST: Final = 0.25
"""Weight of lightness where another lightness is what is sought."""
PICTURE: Final = "▀"
"""Each cell of a picture is a pair of its own, and nothing in it is read."""


class EightBit(LineFilter):
    """Gives every colour that a terminal of 256 colours does not have the number of one that it has."""

    def apply(self, segments: list[Segment], background: TextualColor) -> list[Segment]:  # noqa: ARG002
        """The same segments in those colours; `background` is not asked for, each segment has its own."""
        return [
            segment
            if segment.style is None or segment.text.startswith(PICTURE)
            else Segment(segment.text, in_256_colours(segment.style), segment.control)
            for segment in segments
        ]


@lru_cache(4096)
def in_256_colours(style: Style) -> Style:
    """The style in colours of the terminal; those that are the terminal's own already stay."""
    behind = style.bgcolor and number_of(style.bgcolor)
    colour = style.color and number_of(style.color)
    if colour is not None and behind is not None and style.color and style.bgcolor:
        wanted = enough(contrast(style.color.get_truecolor(), style.bgcolor.get_truecolor()))
        colour = readable(style.color.get_truecolor(), behind, wanted)
    return style + Style.from_color(
        None if colour is None else Color.from_ansi(colour), None if behind is None else Color.from_ansi(behind)
    )


def enough(ratio: float) -> float:
    """How much of a contrast must remain."""
    return next((each for each in ENOUGH_CONTRASTS if ratio >= each), ratio)


def number_of(colour: Color) -> int | None:
    """The number of the nearest; None for a colour that is one of the terminal's."""
    return nearest(colour.get_truecolor()) if colour.type == ColorType.TRUECOLOR else None


@cache
def palette() -> tuple[tuple[int, Triplet, Oklab], ...]:
    """Number, red, green and blue, and place in Oklab of those that look alike on all terminals."""
    found = ((number, Color.from_ansi(number).get_truecolor()) for number in range(FIRST, 256))
    return tuple((number, triplet, oklab(triplet)) for number, triplet in found)


@lru_cache(1024)
def nearest(triplet: Triplet) -> int:
    """The number of the one that looks most alike."""
    return by_likeness(triplet, 1.0)[0][0]


@lru_cache(1024)
def readable(triplet: Triplet, behind: int, wanted: float) -> int:
    """The nearest, where it has so much contrast to what is behind it; else one of its hue that has, as far as any."""
    background = Color.from_ansi(behind).get_truecolor()
    found = nearest(triplet)
    if contrast(Color.from_ansi(found).get_truecolor(), background) >= wanted:
        return found
    others = by_likeness(triplet, HUE_FIRST)
    return next((number for number, other in others if contrast(other, background) >= wanted), found)


def by_likeness(triplet: Triplet, lightness_weight: float) -> list[tuple[int, Triplet]]:
    """All of them, the one that looks most alike first; with a small weight a lighter or darker one of the same hue."""
    lightness, red, yellow = oklab(triplet)

    def unlike(each: tuple[int, Triplet, Oklab]) -> float:
        light, reddish, yellowish = each[2]
        return lightness_weight * (light - lightness) ** 2 + (reddish - red) ** 2 + (yellowish - yellow) ** 2

    return [(number, found) for number, found, _ in sorted(palette(), key=unlike)]


def contrast(one: Triplet, other: Triplet) -> float:
    """Contrast ratio of WCAG 2, from 1 to 21."""
    dark, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dark + 0.05)


def luminance(triplet: Triplet) -> float:
    """Relative luminance of WCAG 2, from 0 to 1."""
    red, green, blue = map(linear, triplet)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@cache
def linear(value: int) -> float:
    """A component of sRGB, 0 to 255, as an amount of light from 0 to 1."""
    share = value / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def oklab(triplet: Triplet) -> Oklab:
    """Lightness, green to red, blue to yellow; equal distances look about equal (Björn Ottosson, 2020)."""
    red, green, blue = map(linear, triplet)
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    middle = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )
