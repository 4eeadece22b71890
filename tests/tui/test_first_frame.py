"""What is not done before the first frame, as somebody waits for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from textual.css.parse import parse

from console.tui.screens import layouts
from console.tui.theme import OKABE_DARK
from tests.tui.pilots import opened, press
from tests.tui.stand_in import example_box

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


def test_each_style_sheet_is_read_once_when_its_screen_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    ranks: list[tuple[str, int]] = []

    def noted(scope: str, css: str, read_from: Any, **named: Any) -> Iterator[Any]:
        read.append(css)
        ranks.append((css, named["tie_breaker"]))
        yield from parse(scope, css, read_from, **named)

    monkeypatch.setattr("textual.css.stylesheet.parse", noted)

    async def drive() -> None:
        async with opened(example_box(), opens_runs=False) as (_app, pilot):
            assert layouts.TRIAGE in read
            assert not {layouts.RUNS, layouts.RUN, layouts.PROJECTS} & set(read)
            await press(pilot, "2")
            assert layouts.RUNS in read
            # Textual reads the styles of a base class again for a subclass that is further away.
            assert len(ranks) == len(set(ranks))

    asyncio.run(drive())


def test_the_first_frame_has_the_colours_of_the_theme() -> None:
    async def drive() -> None:
        async with opened(example_box(), opens_runs=False) as (app, _pilot):
            assert app.theme_variables["primary"] == OKABE_DARK.primary
            assert app.screen.styles.background.hex == OKABE_DARK.background

    asyncio.run(drive())
