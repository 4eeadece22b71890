"""Views in the console: keep, use, delete, and what a broken file looks like."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from console import views
from console.tui.screens.runs import RunsScreen
from console.tui.screens.views import ViewsScreen
from console.views import View
from tests.tui.pilots import Clock, opened, press, screen_text
from tests.tui.stand_in import example_box

if TYPE_CHECKING:
    from pathlib import Path

    from console.tui.app import FootplateApp


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where views lie in this test."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "footplate" / "views"


def test_what_the_table_shows_is_kept_and_comes_back() -> None:
    async def drive() -> None:
        async with opened(example_box(), size=(160, 48)) as (app, pilot):
            await press(pilot, "slash", *"churn", "enter", "s", "c", "g", "J", "escape")
            front = app.front
            assert isinstance(front, RunsScreen)
            kept = front.view
            await press(pilot, "v", "s", *"churn", "enter")
            assert "kept as churn" in screen_text(app)
            assert views.read("churn") == kept._replace(name="churn")
            await press(pilot, "escape", "escape", "s", "c", "a", "escape")
            assert front.view != kept
            await press(pilot, "v", "enter")
            assert front.view == kept
            assert "/churn" in screen_text(app)

    asyncio.run(drive())


def test_the_view_named_default_is_what_the_table_opens_with() -> None:
    async def drive() -> None:
        view = View("default", "churn", "name", descending=False, columns=("param:lr", "age"))
        views.write(view)
        async with opened(example_box(), size=(120, 40)) as (app, _):
            front = app.front
            assert isinstance(front, RunsScreen)
            assert front.view == view._replace(name="")
            assert screen_text(app).splitlines()[3].split() == ["run", "name▲", "lr", "age", *screen_rest(app)]

    asyncio.run(drive())


def screen_rest(app: FootplateApp) -> list[str]:
    """What stands beside the table in the line of its titles."""
    return screen_text(app).splitlines()[3].split()[4:]


def test_deleting_asks_by_name() -> None:
    async def drive() -> None:
        clock = Clock()
        views.write(View("mine"))
        async with opened(example_box(), size=(120, 40), monotonic=clock) as (app, pilot):
            await press(pilot, "v", "x")
            assert "Delete the view mine?" in screen_text(app)
            clock.now_s += 1
            await press(pilot, "n")
            assert views.names() == ["mine"]
            await press(pilot, "x")
            clock.now_s += 1
            await press(pilot, "y")
            assert views.names() == []
            assert isinstance(app.screen, ViewsScreen)

    asyncio.run(drive())


def test_a_broken_view_says_what_is_wrong_and_changes_nothing(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "bad.toml").write_text("filter = 1")

    async def drive() -> None:
        async with opened(example_box(), size=(120, 40)) as (app, pilot):
            front = app.front
            assert isinstance(front, RunsScreen)
            before = front.view
            await press(pilot, "v", "enter")
            assert "line 1" in screen_text(app)
            await press(pilot, "s", *"../up", "enter")
            assert "no name of a view" in screen_text(app)
            await press(pilot, "escape")
            assert front.view == before

    asyncio.run(drive())
