"""Colours on terminals that have 256 of them: they can be read, told apart, and are what a real terminal gets."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import pytest
from rich.color import Color as TerminalColour
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.color import Color, rgb_to_lab

from console.tui.eight_bit import EightBit, in_256_colours
from console.tui.series_colours import SERIES_COLOURS
from console.tui.theme import OKABE_DARK, OKABE_LIGHT, theme_colour
from tests.recorded import SCREENS
from tests.support import FOOTPLATE
from tests.terminal import Terminal
from tests.tui.test_theme import CURSOR_SHARE, GLYPH_CONTRAST, MUTED_SHARE, TEXT_CONTRAST, TEXTS, colour, contrast

if TYPE_CHECKING:
    from pathlib import Path

    from textual.theme import Theme

    from tests.support import Home

STATES = ("success", "error", "warning", "muted", "foreground")
"""What a state may be painted in."""
FAR_APART = 25.0
"""CIE76 distance below which two colours are easily confused in small text."""
OVER_ANOTHER = ("artifact", "clone", "columns", "confirm", "help", "job", "note", "palette", "stop_", "tag", "views")
"""Pictures of what lies over a screen that shines through: those colours are mixed after they were chosen."""
THEMES = pytest.mark.parametrize("theme", [OKABE_DARK, OKABE_LIGHT], ids=lambda theme: theme.name)


def painted(front: Color, behind: Color) -> tuple[Color, Color]:
    """What the terminal shows of a pair."""
    style = in_256_colours(Style.from_color(front.rich_color, behind.rich_color))
    assert style.color is not None
    assert style.bgcolor is not None
    return tuple(Color.from_rich_color(each) for each in (style.color, style.bgcolor))  # type: ignore[return-value]


def cursor_of(theme: Theme) -> Color:
    """The background of the row under the cursor."""
    return colour(theme, "background").blend(colour(theme, "primary"), CURSOR_SHARE, 1.0)


def front(theme: Theme, name: str, behind: Color) -> Color:
    """A colour of text; muted is mixed with what is behind it, in tables with the background of all rows."""
    if name == "muted":
        mixed_with = colour(theme, "background") if behind == cursor_of(theme) else behind
        return mixed_with.blend(colour(theme, "foreground"), MUTED_SHARE, 1.0)
    return colour(theme, name)


def distance(one: Color, other: Color) -> float:
    """CIE76: about how different they look."""
    left, right = rgb_to_lab(one), rgb_to_lab(other)
    return float(((left.L - right.L) ** 2 + (left.a - right.a) ** 2 + (left.b - right.b) ** 2) ** 0.5)


@THEMES
def test_text_can_be_read_on_every_background(theme: Theme) -> None:
    for place in ("background", "surface", "panel"):
        for name in TEXTS:
            assert contrast(*painted(colour(theme, name), colour(theme, place))) >= TEXT_CONTRAST, (name, place)
    cursor = cursor_of(theme)
    assert contrast(*painted(colour(theme, "foreground"), cursor)) >= TEXT_CONTRAST
    for name, behind in itertools.product((*TEXTS, "muted"), (cursor, colour(theme, "panel"))):
        assert contrast(*painted(front(theme, name, behind), behind)) >= GLYPH_CONTRAST, name


@THEMES
def test_states_look_different_on_every_background(theme: Theme) -> None:
    for behind in (colour(theme, "background"), colour(theme, "panel"), cursor_of(theme)):
        shown = {name: painted(front(theme, name, behind), behind)[0] for name in STATES}
        for (one, left), (other, right) in itertools.combinations(shown.items(), 2):
            assert distance(left, right) >= FAR_APART, (one, left.hex, other, right.hex)


@THEMES
def test_the_row_under_the_cursor_and_the_bars_stand_out(theme: Theme) -> None:
    background, foreground = colour(theme, "background"), colour(theme, "foreground")
    plain = painted(foreground, background)[1]
    row = painted(foreground, cursor_of(theme))[1]
    assert len({plain, painted(foreground, colour(theme, "panel"))[1], row}) == 3
    assert contrast(row, plain) >= 1.5, "about as much as in all colours"


@THEMES
def test_curves_keep_ten_colours(theme: Theme) -> None:
    background, foreground = colour(theme, "background"), colour(theme, "foreground")
    drawn = [theme_colour(name, {}, background, foreground) for name in SERIES_COLOURS]
    shown = [painted(each, background) for each in drawn]
    assert len({front for front, _ in shown}) == len(SERIES_COLOURS)
    assert all(contrast(*pair) >= GLYPH_CONTRAST for pair in shown)


def test_nothing_in_the_recorded_pictures_is_harder_to_read_than_in_all_colours() -> None:
    pairs = 0
    for path in sorted(SCREENS.glob("*_256_*.txt")):
        before = {
            in_256_colours(style): contrast_of(style) for style in legend(SCREENS / path.name.replace("_256_", "_"))
        }
        for style in legend(path):
            if style not in before and path.name.startswith(OVER_ANOTHER):
                continue
            pairs += 1
            wanted = next((each for each in (TEXT_CONTRAST, GLYPH_CONTRAST) if before[style] >= each), before[style])
            assert contrast_of(style) >= wanted - 0.05, (path.name, str(style))
    assert pairs > 500


def legend(path: Path) -> list[Style]:
    """The styles of a recorded picture that have two colours."""
    lines = path.read_text(encoding="utf-8").split("\n---\n")[2].splitlines()
    styles = [Style.parse(line[2:]) for line in lines]
    return [each for each in styles if each.color is not None and each.bgcolor is not None]


def contrast_of(style: Style) -> float:
    """That of the text to what is behind it."""
    assert style.color is not None
    assert style.bgcolor is not None
    return contrast(Color.from_rich_color(style.color), Color.from_rich_color(style.bgcolor))


def test_colours_of_the_terminal_and_pictures_stay_as_they_are() -> None:
    own = Segment("own", Style.parse("red on default"))
    picture = Segment("▀▀", Style.parse("#123456 on #654321"))
    bare = Segment("bare", None)
    assert EightBit().apply([own, picture, bare], Color.parse("black")) == [own, picture, bare]
    half = in_256_colours(Style.parse("bold #E8722A on default"))
    assert half.color == TerminalColour.from_ansi(202)
    assert half.bgcolor == TerminalColour.default()
    assert half.bold
    assert half.color.downgrade(ColorSystem.EIGHT_BIT) == half.color, "nothing chooses once more"


@pytest.mark.slow
@pytest.mark.parametrize(("variables", "all_colours"), [({}, False), ({"COLORTERM": "truecolor"}, True)])
def test_a_real_terminal_gets_the_colours_that_were_recorded(
    home: Home, variables: dict[str, str], all_colours: bool
) -> None:
    home.wait_ended(home.submit("false", name="it fails"))
    environment = home.environment(TERM="screen-256color", LANG="C.UTF-8", COLORTERM="") | variables
    terminal = Terminal([FOOTPLATE], environment)
    try:
        terminal.read_until(lambda seen: seen.shows("it fails") and seen.shows("live"))
        terminal.type("q")
        assert terminal.wait() == 0
    finally:
        terminal.close()
    written = terminal.written.decode(errors="replace")
    numbers = set(re.findall(r"[34]8;5;(\d+)", written))
    assert ("38;2;" in written) == all_colours
    if not all_colours:
        recorded = (SCREENS / "triage_256_120x40.txt").read_text(encoding="utf-8")
        assert {"202", "233", "235", "238"} <= numbers <= {*re.findall(r"color\((\d+)\)", recorded)}
