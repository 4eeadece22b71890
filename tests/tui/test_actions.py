"""One registry: bindings, footer, help and palette must not say anything else."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from textual.binding import Binding
from textual.command import CommandInput

from console.tui import palette
from console.tui.actions import ACTIONS, SCOPE_TITLES, Scope, footer_actions, in_scope, key_name, key_names
from console.tui.app import FootplateApp
from console.tui.screens.artifacts import ArtifactsScreen
from console.tui.screens.beside import BesideScreen
from console.tui.screens.columns import ColumnsScreen
from console.tui.screens.confirm import ConfirmScreen
from console.tui.screens.form import FormScreen
from console.tui.screens.help import HelpScreen, help_text, scopes_of
from console.tui.screens.projects import ProjectsScreen
from console.tui.screens.run import RunScreen
from console.tui.screens.run_details import RunDetailsScreen
from console.tui.screens.runs import RunsScreen
from console.tui.screens.triage import TriageScreen
from console.tui.screens.views import ViewsScreen
from console.tui.widgets.key_bar import MOST_ENTRIES, entries_that_fit
from console.tui.widgets.log_view import LogView
from console.tui.widgets.prompt import PromptInput
from console.tui.widgets.virtual_table import VirtualTable
from tests.tui.pilots import opened, press, screen_text, until
from tests.tui.stand_in import example_box

OWNERS: dict[Scope, type] = {
    "app": FootplateApp,
    "triage": TriageScreen,
    "runs": RunsScreen,
    "run": RunScreen,
    "details": RunDetailsScreen,
    "projects": ProjectsScreen,
    "table": VirtualTable,
    "log": LogView,
    "input": PromptInput,
    "confirm": ConfirmScreen,
    "form": FormScreen,
    "help": HelpScreen,
    "artifacts": ArtifactsScreen,
    "columns": ColumnsScreen,
    "views": ViewsScreen,
    "beside": BesideScreen,
}
FORBIDDEN = ("ctrl+z", "ctrl+s", "ctrl+q", "ctrl+a", "ctrl+enter")
"""Job control, flow control, multiplexer prefixes, keys that many terminals cannot send."""


def bound(owner: type) -> set[tuple[str, str]]:
    """Key and action of all that a class binds itself."""
    pairs = set()
    for binding in owner.__dict__["BINDINGS"]:
        assert isinstance(binding, Binding)
        pairs |= {(key, binding.action) for key in binding.key.split(",")}
    return pairs


@pytest.mark.parametrize("scope", OWNERS)
def test_what_is_bound_is_what_is_registered(scope: Scope) -> None:
    registered = {(key, action.name) for action in in_scope(scope) for key in action.keys}
    assert bound(OWNERS[scope]) == registered


@pytest.mark.parametrize("scope", OWNERS)
def test_every_action_has_a_method_and_no_key_two_meanings(scope: Scope) -> None:
    for action in in_scope(scope):
        assert hasattr(OWNERS[scope], f"action_{action.name.partition('(')[0]}"), action
    keys = Counter(key for action in in_scope(scope) for key in action.keys)
    assert [key for key, count in keys.items() if count > 1] == []


def test_every_scope_has_a_title_and_an_owner() -> None:
    assert {action.scope for action in ACTIONS} == set(SCOPE_TITLES) == set(OWNERS)


def test_keys_that_terminals_keep_for_themselves_are_not_bound() -> None:
    for action in ACTIONS:
        assert not set(action.keys) & set(FORBIDDEN), action
        assert not any(key.startswith(("alt+", "ctrl+shift+")) for key in action.keys), action


def test_every_action_that_ends_something_or_holds_for_a_whole_project_asks_first() -> None:
    assert {action.name for action in ACTIONS if action.confirm} == {
        "stop",
        "archive",
        "pin_metric",
        "trust",
        "unwatch",
        "delete_view",
    }


@pytest.mark.parametrize("scope", ["runs", "run"])
def test_help_lists_every_action(scope: Scope) -> None:
    text = help_text(scope, "").plain
    assert set(scopes_of(scope)) == set(SCOPE_TITLES)
    for action in ACTIONS:
        assert action.description in text, action
        assert key_names(action) in text, action


def test_help_narrows_by_key_and_by_word() -> None:
    assert "stop the run" in help_text("runs", "stop").plain
    assert "sort by" not in help_text("runs", "stop").plain
    assert "no key" in help_text("runs", "xyzzy").plain


@pytest.mark.parametrize("scope", ["runs", "run"])
@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_footer_fits_and_keeps_help_and_quit(scope: Scope, width: int) -> None:
    shown = entries_that_fit(footer_actions(scope), width)
    assert len(shown) <= MOST_ENTRIES
    assert [action.name for action in shown[-2:]] == ["help", "quit"]
    assert sum(len(key_name(action.keys[0])) + len(action.footer) + 3 for action in shown) <= width


def test_footer_on_the_screen_is_the_one_of_the_registry() -> None:
    async def drive() -> None:
        async with opened(example_box()) as (app, pilot):
            last_line = screen_text(app).splitlines()[-1]
            for action in footer_actions("runs"):
                assert f"{key_name(action.keys[0])} {action.footer}" in last_line
            await press(pilot, "question_mark")
            assert "open the run under the cursor" in screen_text(app)

    asyncio.run(drive())


def test_palette_offers_what_the_registry_allows_and_does_it() -> None:
    async def drive() -> None:
        async with opened(example_box(), size=(120, 160)) as (app, pilot):
            await press(pilot, "colon")
            shown = screen_text(app)
            for action in [*in_scope("runs"), *in_scope("app")]:
                assert (palette.title(action) in shown) == action.palette, action
            await press(pilot, *"reverse", "enter")
            await press(pilot, *(("enter",) if "palette" in type(app.screen).__name__.lower() else ()))
            screen = app.screen
            assert isinstance(screen, RunsScreen)
            assert screen.descending is False

    asyncio.run(drive())


def test_palette_keeps_brackets_in_key_names() -> None:
    from textual.content import Content

    for action in ACTIONS:
        assert Content.from_markup(palette.explanation(action)).plain.startswith(key_names(action))


def test_the_cursor_of_the_palette_does_not_blink() -> None:
    async def drive() -> None:
        async with opened(example_box()) as (app, pilot):
            await press(pilot, "colon")
            typed = app.screen.query_one(CommandInput)
            await until(pilot, lambda: typed.has_focus)
            seen = set()
            for _ in range(15):
                seen.add(typed._cursor_visible)
                await asyncio.sleep(0.1)
            assert len(seen) == 1

    asyncio.run(drive())
