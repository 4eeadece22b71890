"""Themes: contrasts that can be read, switching that is remembered, colours of series on light backgrounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual.color import Color

from console.client import Client
from console.config import DEFAULTS, Settings
from console.tui.memory import Memory
from console.tui.series_colours import SERIES_COLOURS
from console.tui.session import Session
from console.tui.terminal import apply_environment, detect
from console.tui.theme import OKABE_DARK, OKABE_LIGHT, ON_LIGHT, TERMINAL, THEMES, theme_colour
from tests.recorded import compare_screen
from tests.support import FOOTPLATE
from tests.terminal import Terminal
from tests.tui.pilots import Clock, opened, press, run, screen_lines, screen_text
from tests.tui.stand_in import example_box
from tests.tui.test_acts import notices
from tests.tui.test_snapshots import picture

if TYPE_CHECKING:
    from pathlib import Path

    from textual.theme import Theme

    from tests.support import Home

TEXT_CONTRAST = 4.5
"""WCAG 2, level AA, for text."""
GLYPH_CONTRAST = 3.0
"""The same for large text and for graphics."""
TEXTS = ("foreground", "primary", "secondary", "warning", "error", "success", "accent")
CURSOR_SHARE = 0.30
"""Of the primary colour in the row under the cursor."""
MUTED_SHARE = 0.60


def luminance(colour: Color) -> float:
    """Relative luminance, WCAG 2."""
    parts = [value / 255 for value in colour.rgb]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    """Contrast ratio, WCAG 2: from 1 to 21."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def colour(theme: Theme, name: str) -> Color:
    """A colour of a theme."""
    return Color.parse(getattr(theme, name))


@pytest.mark.parametrize("theme", [OKABE_DARK, OKABE_LIGHT], ids=lambda theme: theme.name)
def test_text_can_be_read_on_every_background(theme: Theme) -> None:
    background = colour(theme, "background")
    cursor = background.blend(colour(theme, "primary"), CURSOR_SHARE, 1.0)
    for place in ("background", "surface", "panel"):
        behind = colour(theme, place)
        for name in TEXTS:
            assert contrast(colour(theme, name), behind) >= TEXT_CONTRAST, (name, place)
        muted = behind.blend(colour(theme, "foreground"), MUTED_SHARE, 1.0)
        assert contrast(muted, behind) >= TEXT_CONTRAST, ("muted", place)
    assert contrast(colour(theme, "foreground"), cursor) >= TEXT_CONTRAST
    for name in TEXTS:
        assert contrast(colour(theme, name), cursor) >= GLYPH_CONTRAST, (name, "cursor")
    for name in SERIES_COLOURS:
        drawn = theme_colour(name, {}, background, colour(theme, "foreground"))
        assert contrast(drawn, background) >= GLYPH_CONTRAST, name
    assert set(ON_LIGHT) == set(SERIES_COLOURS)


def test_the_theme_goes_round_and_is_remembered_until_another_is_configured(tmp_path: Path) -> None:
    path = str(tmp_path / "console.json")

    async def drive() -> None:
        box = example_box()
        async with opened(box, kept=Memory(path)) as (app, pilot):
            assert app.theme == OKABE_DARK.name
            await press(pilot, "ctrl+t")
            assert app.theme == OKABE_LIGHT.name
            assert "theme okabe-light" in notices(app)
            await press(pilot, "q")
        async with opened(box, kept=Memory(path)) as (app, pilot):
            assert app.theme == OKABE_LIGHT.name
            await press(pilot, "ctrl+t", "ctrl+t")
            assert app.theme == OKABE_DARK.name
            await press(pilot, "ctrl+t", "q")
        async with opened(box, kept=Memory(path), settings=DEFAULTS._replace(theme="terminal")) as (app, _):
            assert app.theme == TERMINAL.name

    run(drive)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_every_screen_is_painted_in_every_theme(theme: Theme) -> None:
    async def drive() -> None:
        settings = Settings(theme=theme.name)  # type: ignore[arg-type]
        async with opened(example_box(), settings=settings) as (app, pilot):
            for keys in (("down", "space"), ("enter",), ("i",), ("escape", "question_mark"), ("escape", "1"), ("9",)):
                await press(pilot, *keys)
                assert screen_text(app).strip()
            if theme is TERMINAL:
                background = {
                    style.split(" on ")[-1] for line in screen_lines(app) for _, style in line if " on " in style
                }
                assert "default" in background

    run(drive)


def test_without_a_real_terminal_plain_text_is_refused_with_a_word() -> None:
    async def drive() -> None:
        async with opened(example_box()) as (app, pilot):
            await press(pilot, "ctrl+l")
            assert "plain text cannot be shown here" in notices(app)

    run(drive)


@pytest.mark.usefixtures("in_utc")
def test_picture_in_the_light_theme() -> None:
    async def drive() -> None:
        settings = DEFAULTS._replace(theme="okabe-light")
        async with opened(example_box(), monotonic=Clock(), settings=settings) as (app, pilot):
            await press(pilot, "down", "down", "down", "space", "down")
            compare_screen("runs_light_120x40", picture(app))

    run(drive)


@pytest.mark.slow
def test_plain_text_lies_on_the_page_of_a_real_terminal(home: Home) -> None:
    home.wait_ended(home.submit("true", name="only one"))
    terminal = Terminal([FOOTPLATE], home.environment(TERM="xterm-256color", LANG="C.UTF-8"))
    try:
        terminal.read_until(lambda seen: seen.shows("1Triage") and seen.shows("live"))
        terminal.type("2")
        terminal.read_until(lambda seen: seen.shows("only one") and seen.shows("Runs 1"))
        terminal.type("\x0c")
        terminal.read_until(lambda seen: seen.shows("esc goes back"))
        assert b"\x1b[?1049l" in terminal.written
        assert b"\x1b[?1000l" in terminal.written, "the mouse belongs to the terminal"
        before = len(terminal.written)
        terminal.type("\x1b")
        terminal.read_until(lambda _: b"\x1b[?1049h" in terminal.written[before:])
        terminal.read_until(lambda seen: seen.shows("Runs 1"))
        terminal.type("q")
        assert terminal.wait() == 0
    finally:
        terminal.close()


def test_runs_get_the_environment_that_the_screens_found(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"PATH": "/bin", "NO_COLOR": "1", "TERM": "xterm-256color", "LANG": "C"}
    profile = detect(found, has_terminal=True)
    apply_environment(profile, found)
    assert "TEXTUAL_FPS" in found
    session = Session(Client, profile, float)
    monkeypatch.setenv("TEXTUAL_FPS", "60")
    environment = session.context()["environment"]
    assert environment == {"PATH": "/bin", "NO_COLOR": "1", "TERM": "xterm-256color", "LANG": "C"}
    assert "NO_COLOR" not in repr(profile).replace("no_color", "")
