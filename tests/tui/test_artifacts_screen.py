"""What an imported run left behind, on the screen: the list, pictures in half blocks, texts, and the rest."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from console.client import DaemonRefused
from console.tui.screens.run import RunScreen
from console.tui.terminal import TerminalProfile
from tests.tui.artifact_boxes import box_with_files
from tests.tui.pilots import QUICK, opened, press, run, screen_lines, screen_text, settle
from tests.tui.stand_in import example_box

if TYPE_CHECKING:
    from console.artifact_preview import Preview
    from console.tui.app import FootplateApp


async def open_run(app: FootplateApp, pilot: object) -> None:
    """The first run's screen, whatever the table shows first."""
    row = app.session.client_factory().run("r218").row
    app.push_screen(RunScreen(app.session, row))
    await settle(pilot)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_a_picture_is_drawn_in_half_blocks_that_fit(size: tuple[int, int]) -> None:
    async def test() -> None:
        box = box_with_files()
        async with opened(box, size=size) as (app, pilot):
            await open_run(app, pilot)
            await press(pilot, "a")
            assert app.screen.__class__.__name__ == "ArtifactsScreen"
            assert "r218 left 5 files, 334 MiB" in screen_text(app)
            assert "plots/loss.png" in screen_text(app)
            await press(pilot, "j", "j", "enter")
            path, width, height = box.looked_at[-1]
            assert path == "plots/loss.png"
            lines = screen_lines(app)
            pieces = [(text, style) for line in lines for text, style in line if "▀" in text]
            shown = [text for line in lines for text, _ in line if "▀" in text]
            assert {len(text) for text in shown} == {width // 2}
            assert len(shown) == max(2, height // 2 // 2 * 2) // 2
            assert any("#ff0000" in style for _, style in pieces)
            assert any("#0000ff" in style for _, style in pieces)
            assert "640 x 480 PNG, 2.0 KiB" in screen_text(app)
            box_size = app.screen.query_one("Picture").size
            assert width <= box_size.width
            assert height <= 2 * box_size.height
            await press(pilot, "escape")
            assert "enter shows it" in screen_text(app)
            await press(pilot, "escape")
            assert app.screen.__class__.__name__ == "RunScreen"

    run(test)


def test_texts_are_shown_without_what_a_terminal_would_obey() -> None:
    async def test() -> None:
        async with opened(box_with_files(), size=(80, 24)) as (app, pilot):
            await open_run(app, pilot)
            await press(pilot, "a", "j", "enter")
            text = screen_text(app)
            assert "1,[b]0.5[/b]" in text
            assert "2,␛]0;x␇" in text
            assert "and more than is shown here" in text
            await press(pilot, "]", "]")
            text = screen_text(app)
            assert "harmless" in text
            assert "plots/[/foo]␛[31m␊rm -rf.txt" in text
            await press(pilot, "[", "[", "[")
            assert "a file of kind model" in screen_text(app)
            await press(pilot, "[")
            assert "left nothing behind named 'gone.png'" in screen_text(app)

    run(test)


def test_a_refusal_stands_where_the_file_would_have_been() -> None:
    async def test() -> None:
        box = box_with_files()

        def refuse(*_: int) -> Preview:
            raise DaemonRefused("other pictures are being decoded", "try again in a moment", 503)

        box.previews["plots/loss.png"] = refuse
        async with opened(box, size=(80, 24)) as (app, pilot):
            await open_run(app, pilot)
            await press(pilot, "a", "j", "j", "enter")
            assert "other pictures are being decoded: try again in a moment" in screen_text(app)

    run(test)


@pytest.mark.parametrize("profile", [TerminalProfile(glyphs="ascii"), TerminalProfile(no_color=True)])
def test_terminals_without_glyphs_or_colours_get_brightness(profile: TerminalProfile) -> None:
    async def test() -> None:
        async with opened(box_with_files(), size=(80, 24), profile=profile) as (app, pilot):
            await open_run(app, pilot)
            await press(pilot, "a", "j", "j", "enter")
            text = screen_text(app)
            assert "▀" not in text
            assert "::::::::" in text

    asyncio.run(test())


def test_a_run_without_files_says_so() -> None:
    async def test() -> None:
        async with opened(example_box(), size=(80, 24), profile=QUICK) as (app, pilot):
            await open_run(app, pilot)
            await press(pilot, "a")
            assert isinstance(app.screen, RunScreen)
            assert "r218 left no files behind" in screen_text(app)

    run(test)
