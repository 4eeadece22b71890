"""Every key of every screen, pressed in a real terminal: nothing raises, and what the key promises is seen."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import pytest

from console.tui.actions import ACTIONS, footer_actions, in_scope, key_name
from console.tui.widgets.key_bar import entries_that_fit
from tests.recorded import compare_screen
from tests.tui.places import PLACES, QUITS, TOURS
from tests.tui.pressing import Stage, has
from tests.tui.promises import PROMISES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.tui.actions import Action, Scope

SIZES = [(80, 24), (120, 40), (200, 60)]


def check_key_bar(stage: Stage, scope: Scope) -> None:
    """The last line names the keys of the registry, as many as there is room for."""
    actions = footer_actions(scope)
    shown = entries_that_fit(actions, stage.screen.columns - 1)
    assert stage.lines[-1].split("  ") == [
        f"{' ' * (not place)}{key_name(action.keys[0])} {action.footer}" for place, action in enumerate(shown)
    ]
    assert [action.name for action in shown[-2:]] == ["help", "quit"]


def keep_promise(stage: Stage, action: Action, key: str) -> None:
    """From the screen at rest to what the key leads to, and back."""
    promise = PROMISES[action.scope, action.name]
    try:
        stage.take(promise.first)
        stage.remember()
        assert not promise.seen(stage), "what is promised is there before the key is pressed"
        stage.press(key)
        stage.until(promise.seen)
        stage.take_in_the_rest(promise.seen)
        stage.take(promise.back)
        stage.return_to_base()
    except AssertionError as error:
        trace = stage.trace_path.read_text(encoding="utf-8") if stage.trace_path.exists() else ""
        wanted = "\n".join(difflib.unified_diff(stage.base, stage.lines, "at rest", "now", lineterm="", n=0))
        raise AssertionError(f"{key!r} in {action.scope}: {action.name}\n{error}\n{wanted}\n{trace}") from None


def pressed_on(scope: Scope) -> Iterator[tuple[Action, str]]:
    """Every key of a scope, and on a full screen those that are in its key bar for all screens."""
    for action in in_scope(scope):
        for key in action.keys:
            yield action, key
    if PLACES[scope].has_key_bar:
        for action in in_scope("app"):
            if action.footer and action.name != "quit":
                yield action, action.keys[0]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("tour", TOURS)
def test_every_key_does_what_it_promises(tour: str, size: tuple[int, int], tmp_path: Path) -> None:
    stage = Stage(size, tmp_path)
    try:
        stage.until(has("Since you left", "live"))
        for scope in TOURS[tour]:
            place = PLACES[scope]
            stage.take(place.there)
            stage.settle_base()
            if place.has_key_bar:
                check_key_bar(stage, scope)
            for action, key in pressed_on(scope):
                if action.name != "quit":
                    keep_promise(stage, action, key)
            if place.has_key_bar:
                compare_screen(f"pty_{scope}_{size[0]}x{size[1]}", "\n".join(stage.lines) + "\n")
            stage.take(place.back)
        stage.press(QUITS[tour])
        assert stage.wait() == 0
        left_alternate_screen = stage.written.rpartition(b"\x1b[?1049l")[2]
        assert b"Traceback" not in left_alternate_screen
    finally:
        stage.close()
    assert not stage.trace_path.exists(), stage.trace_path.read_text(encoding="utf-8")


def test_every_action_has_a_promise_and_every_scope_a_tour() -> None:
    missing = [(action.scope, action.name) for action in ACTIONS if (action.scope, action.name) not in PROMISES]
    assert missing == [("app", "quit")]
    toured = [scope for tour in TOURS.values() for scope in tour]
    assert sorted({action.scope for action in ACTIONS}) == sorted(toured)
    assert {QUITS[tour] for tour in TOURS} == {"q", "ctrl+c"}
