"""The default theme, which colour-blind eyes can read too, and the colours of chart series."""

from collections.abc import Mapping
from typing import Final

from rich.errors import StyleSyntaxError
from rich.style import Style
from textual.color import Color, ColorParseError
from textual.theme import Theme

from console.tui.series_colours import SERIES_COLOURS

__all__ = ["OKABE_DARK", "SERIES_COLOURS", "theme_colour", "theme_style"]

OKABE_DARK: Final = Theme(
    name="okabe-dark",
    primary="#56B4E9",
    secondary="#CC79A7",
    warning="#E69F00",
    error="#D55E00",
    success="#56B4E9",
    accent="#F0E442",
    foreground="#D8DEE9",
    background="#101418",
    surface="#161B22",
    panel="#1F2630",
    dark=True,
    variables={
        "block-cursor-background": "#24445C",
        "block-cursor-foreground": "#D8DEE9",
        "block-cursor-text-style": "bold",
        "border": "#56B4E9",
        "border-blurred": "#3A4656",
        "footer-background": "#161B22",
        "footer-key-foreground": "#F0E442",
        "input-selection-background": "#56B4E9 35%",
        "scrollbar": "#3A4656",
        "scrollbar-hover": "#56B4E9",
        "scrollbar-active": "#56B4E9",
        "scrollbar-background": "#161B22",
        "scrollbar-background-hover": "#161B22",
        "scrollbar-background-active": "#161B22",
        "scrollbar-corner-color": "#161B22",
    },
)
"""Blue is good and vermillion is bad: under every common colour blindness they stay far apart."""


def theme_colour(name: str, variables: Mapping[str, str], background: Color, foreground: Color) -> Color:
    """The opaque colour of a theme variable ("error", "$text-muted") or of a colour such as "#56B4E9".

    A name that means nothing gives the foreground: text in a dull colour beats no text.
    """
    value = variables.get(name.removeprefix("$"), name)
    if value.startswith("auto "):
        return background.blend(foreground, float(value.removeprefix("auto ").rstrip("%")) / 100)
    try:
        colour = Color.parse(value)
    except ColorParseError:
        return foreground
    return background.blend(colour, colour.a, alpha=1.0) if colour.a < 1 and colour.ansi is None else colour


def theme_style(words: str, variables: Mapping[str, str], background: Color, foreground: Color) -> Style:
    """A rich style whose colours may be names of theme variables, such as "bold error"; no style for nonsense."""
    style = Style.null()
    others = []
    for word in words.split():
        if word.removeprefix("$") in variables:
            style += Style.from_color(theme_colour(word, variables, background, foreground).rich_color)
        else:
            others.append(word)
    try:
        return style + Style.parse(" ".join(others))
    except StyleSyntaxError:
        return style
