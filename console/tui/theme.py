"""The themes, the default of which colour-blind eyes can read too, and the colours of chart series."""

from collections.abc import Mapping
from typing import Final

from rich.errors import StyleSyntaxError
from rich.style import Style
from textual.color import Color, ColorParseError
from textual.theme import Theme

from console.tui.series_colours import SERIES_COLOURS

__all__ = ["OKABE_DARK", "OKABE_LIGHT", "SERIES_COLOURS", "TERMINAL", "THEMES", "theme_colour", "theme_style"]

BRIGHT: Final = 0.5
"""Above this brightness a background is a light one."""

OKABE_DARK: Final = Theme(
    name="okabe-dark",
    primary="#56B4E9",
    secondary="#CC79A7",
    warning="#E69F00",
    error="#E8722A",
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
"""Blue is good and vermillion is bad: under every common colour blindness they stay far apart. Okabe and Ito's
vermillion is lightened a little, so that text in it can be read on every background (4.5:1 and more)."""

OKABE_LIGHT: Final = Theme(
    name="okabe-light",
    primary="#00588A",
    secondary="#8A2F66",
    warning="#7A4F00",
    error="#A83200",
    success="#00588A",
    accent="#5C2E91",
    foreground="#0B1016",
    background="#FBFCFD",
    surface="#F1F4F7",
    panel="#E5EAF0",
    dark=False,
    variables={
        "block-cursor-background": "#BBD5E5",
        "block-cursor-foreground": "#0B1016",
        "block-cursor-text-style": "bold",
        "border": "#00588A",
        "border-blurred": "#A9B4C0",
        "footer-background": "#F1F4F7",
        "footer-key-foreground": "#5C2E91",
        "input-selection-background": "#00588A 25%",
        "scrollbar": "#A9B4C0",
        "scrollbar-hover": "#00588A",
        "scrollbar-active": "#00588A",
        "scrollbar-background": "#F1F4F7",
        "scrollbar-background-hover": "#F1F4F7",
        "scrollbar-background-active": "#F1F4F7",
        "scrollbar-corner-color": "#F1F4F7",
    },
)
"""The same hues, dark enough for a light background."""

TERMINAL: Final = Theme(
    name="terminal",
    ansi=True,
    primary="ansi_cyan",
    secondary="ansi_magenta",
    warning="ansi_yellow",
    error="ansi_red",
    success="ansi_cyan",
    accent="ansi_green",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    dark=True,
    variables={
        "ansi-background": "ansi_black",
        "ansi-foreground": "ansi_white",
        "block-cursor-foreground": "ansi_black",
        "block-cursor-background": "ansi_white",
        "border": "ansi_cyan",
        "border-blurred": "ansi_bright_black",
        "input-cursor-background": "ansi_white",
        "input-cursor-foreground": "ansi_black",
        "input-selection-background": "ansi_bright_blue",
        "input-selection-foreground": "ansi_black",
        "scrollbar": "ansi_bright_black",
        "scrollbar-background": "ansi_default",
        "scrollbar-hover": "ansi_cyan",
        "scrollbar-active": "ansi_cyan",
        "scrollbar-background-hover": "ansi_default",
        "scrollbar-background-active": "ansi_default",
        "scrollbar-corner-color": "ansi_default",
    },
)
"""The sixteen colours of the terminal's own palette; cyan stands for blue, which many palettes make too dark."""

THEMES: Final = (OKABE_DARK, OKABE_LIGHT, TERMINAL)

ON_LIGHT: Final = dict(
    zip(
        SERIES_COLOURS,
        (
            "#00588A",
            "#9A6200",
            "#00664B",
            "#8A2F66",
            "#6B6000",
            "#A83200",
            "#1F4FD8",
            "#3C4650",
            "#007A6B",
            "#5C2E91",
        ),
        strict=True,
    )
)
"""What stands for the colours of series on a light background."""


def theme_colour(name: str, variables: Mapping[str, str], background: Color, foreground: Color) -> Color:
    """The opaque colour of a theme variable ("error", "$text-muted") or of a colour such as "#56B4E9".

    A name that means nothing gives the foreground: text in a dull colour beats no text.
    """
    if background.ansi is None and background.brightness > BRIGHT:
        name = ON_LIGHT.get(name, name)
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
