"""Screens at three sizes, as text with a compact map of styles, in all colours and in 256; FOOTPLATE_UPDATE_SNAPSHOTS=1
writes them anew. Forms are in test_form_snapshots.py."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from console import views
from console.tui import lofi
from console.views import View
from tests.recorded import compare_screen
from tests.tui.artifact_boxes import box_with_files
from tests.tui.pilots import QUICK, Clock, opened, paint_in_256_colours, press, screen_lines, settle
from tests.tui.stand_in import Box, example_box

if TYPE_CHECKING:
    from pathlib import Path

    from textual.pilot import Pilot

    from console.tui.app import FootplateApp
    from console.tui.terminal import TerminalProfile

pytestmark = pytest.mark.usefixtures("in_utc")
SIZES = [(80, 24), (120, 40), (200, 60)]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def picture(app: FootplateApp) -> str:
    """The screen's text, then per line the styles of its stretches as `letter+length`, then what the letters mean."""
    letters: dict[str, str] = {}
    texts, maps = [], []
    for line in screen_lines(app):
        texts.append("".join(text for text, _ in line).rstrip())
        stretches: list[tuple[str, int]] = []
        for text, style in line:
            letter = letters.setdefault(style, LETTERS[len(letters) % len(LETTERS)])
            if stretches and stretches[-1][0] == letter:
                stretches[-1] = (letter, stretches[-1][1] + len(text))
            else:
                stretches.append((letter, len(text)))
        maps.append("".join(f"{letter}{length}" for letter, length in stretches))
    legend = [f"{letter} {style}" for style, letter in letters.items()]
    return "\n".join([*texts, "---", *maps, "---", *legend]) + "\n"


async def compare_both(name: str, app: FootplateApp, pilot: Pilot[int]) -> None:
    """What is painted now, in all colours and as a terminal of 256 colours gets it.

    The colours are chosen where the app paints (console/tui/eight_bit.py), so the same open app paints once more; that
    this is what a real terminal gets is tested in tests/tui/test_eight_bit.py.
    """
    app.clear_notifications()
    await settle(pilot)
    size = f"{app.size.width}x{app.size.height}"
    compare_screen(f"{name}_{size}", picture(app))
    await paint_in_256_colours(app, pilot)
    compare_screen(f"{name}_256_{size}", picture(app))
    await paint_in_256_colours(app, pilot, on=False)


async def snapshot(
    name: str,
    size: tuple[int, int],
    *keys: str,
    box: Box | None = None,
    profile: TerminalProfile = QUICK,
    opens_runs: bool = True,
) -> None:
    """Open the app, press keys, compare."""
    clock = Clock()
    async with opened(box or example_box(), size=size, monotonic=clock, profile=profile, opens_runs=opens_runs) as (
        app,
        pilot,
    ):
        await press(pilot, *keys)
        await compare_both(name, app, pilot)


@pytest.mark.parametrize("size", SIZES)
def test_runs(size: tuple[int, int]) -> None:
    asyncio.run(snapshot("runs", size, "down", "down", "down", "space", "up", "up"))


@pytest.mark.parametrize("size", SIZES)
def test_run(size: tuple[int, int]) -> None:
    asyncio.run(snapshot("run", size, "down", "down", "down", "enter"))


@pytest.mark.parametrize("size", SIZES)
def test_failed_run(size: tuple[int, int]) -> None:
    asyncio.run(snapshot("failed_run", size, "down", "down", "down", "down", "enter"))


@pytest.mark.parametrize("size", SIZES)
def test_columns(size: tuple[int, int]) -> None:
    asyncio.run(snapshot("columns", size, "c"))


@pytest.mark.parametrize("size", SIZES)
def test_views(size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    views.write(View("failed", "state:failed"))
    views.write(View("sweep", "churn sweep", "best(val/acc)", columns=("param:lr", "metric:val/acc:best")))
    asyncio.run(snapshot("views", size, "v"))


@pytest.mark.parametrize("size", SIZES)
def test_charts(size: tuple[int, int]) -> None:
    asyncio.run(snapshot("charts", size, "down", "down", "down", "enter", "z", "v", "s", "left", "left"))


def test_charts_in_ascii() -> None:
    keys = ("down", "down", "down", "enter", "z", "v", "s", "left", "left")
    asyncio.run(snapshot("charts_ascii", (80, 24), *keys, profile=QUICK._replace(glyphs="ascii")))


@pytest.mark.parametrize("size", SIZES)
def test_details(size: tuple[int, int]) -> None:
    asyncio.run(snapshot("details", size, "down", "down", "down", "enter", "d", "tab", "tab", "tab"))


@pytest.mark.parametrize("size", SIZES)
def test_diff(size: tuple[int, int]) -> None:
    asyncio.run(snapshot("diff", size, "down", "down", "down", "enter", "D"))


@pytest.mark.parametrize("size", SIZES)
def test_beside(size: tuple[int, int]) -> None:
    marks = ("space", "space", "down", "down", "down", "space", "space", "space")
    asyncio.run(snapshot("beside", size, "down", "down", *marks, "b"))


@pytest.mark.parametrize("size", SIZES)
def test_questions(size: tuple[int, int]) -> None:
    """What lies over a screen for a moment, one after the other over the same one."""

    async def look() -> None:
        async with opened(example_box(), size=size, monotonic=Clock()) as (app, pilot):
            for name, *keys in (("help", "question_mark"), ("palette", "colon"), ("confirm", *["down"] * 3, "x")):
                await press(pilot, *keys)
                await compare_both(name, app, pilot)
                await press(pilot, "escape")

    asyncio.run(look())


@pytest.mark.parametrize("size", SIZES)
def test_artifacts(size: tuple[int, int]) -> None:
    async def look() -> None:
        async with opened(box_with_files(), size=size, monotonic=Clock()) as (app, pilot):
            await press(pilot, *["down"] * 3, "enter", "a", "down", "down")
            await compare_both("artifacts", app, pilot)
            await press(pilot, "enter")
            await compare_both("artifact_picture", app, pilot)

    asyncio.run(look())


def test_no_match() -> None:
    asyncio.run(snapshot("no_match", (80, 24), "slash", *"zzz", "enter"))


def test_empty() -> None:
    asyncio.run(snapshot("empty", (80, 24), box=Box()))


def test_away() -> None:
    asyncio.run(snapshot("away", (80, 24), box=Box(away=True)))


def test_too_small() -> None:
    asyncio.run(snapshot("too_small", (40, 10)))


def test_plain_text() -> None:
    """What ctrl+l puts on the terminal's own page."""

    async def look() -> None:
        async with opened(example_box(), size=(80, 24), monotonic=Clock()) as (app, _):
            compare_screen("plain_text_80x24", lofi.text_of(app.screen) + "\n")

    asyncio.run(look())
