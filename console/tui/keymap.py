"""The keys that a person chose for actions: what may be bound, and which of the wishes fit together."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Final, NamedTuple

from textual.keys import _character_to_key as name_of_character

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from console.tui.actions import Action, Scope

MOVES: Final = ("up", "down", "left", "right", "home", "end", "pageup", "pagedown")
OTHERS: Final = ("escape", "enter", "tab", "shift+tab", "space", "backspace", "delete", "insert")
NAMED: Final = frozenset([*MOVES, *OTHERS, *(f"f{number}" for number in range(1, 13))])
SPELLINGS: Final = {"esc": "escape", "PgUp": "pageup", "PgDn": "pagedown", "del": "delete", " ": "space"}
KEPT_BY_TERMINALS: Final = frozenset({"ctrl+z", "ctrl+s", "ctrl+q", "ctrl+a", "ctrl+enter"})
"""Job control, flow control, multiplexer prefixes, keys that many terminals cannot send."""
OWN_INPUT: Final = frozenset({"input", "confirm", "form", "help"})
"""Scopes that take keys before the app does."""
AROUND: Final[dict[Scope, frozenset[str]]] = {
    "table": frozenset({"triage", "runs", "run", "projects", "artifacts", "columns", "views", "beside"}),
    "log": frozenset({"run", "details"}),
}
"""By scope of a widget: those of the screens that it stands on, whose keys it would take."""
ALWAYS: Final = {"app.quit": "ctrl+c"}
"""The way out stays, whatever else is bound."""


class Refused(NamedTuple):
    """A wish that cannot be had."""

    name: str
    """Of the action, as it was written."""
    problem: str
    expected: str


def key_of(word: str) -> str | None:
    """What Textual calls a key that a person wrote, such as `/`, `X`, `ctrl+k` or `PgDn`; None for no such key."""
    word = SPELLINGS.get(word, word)
    if len(word) == 1:
        return name_of_character(word) if word.isprintable() else None
    lower = word.lower()
    if lower in NAMED:
        return lower
    letter = lower.removeprefix("ctrl+")
    if letter != lower and len(letter) == 1 and letter in string.ascii_lowercase and lower not in KEPT_BY_TERMINALS:
        return lower
    return None


def full_name(action: Action) -> str:
    """An action's name in the configuration, such as `runs.stop`."""
    return f"{action.scope}.{action.name}"


def fitting(
    actions: Sequence[Action], wishes: Mapping[str, Sequence[str]]
) -> tuple[dict[str, tuple[str, ...]], list[Refused]]:
    """The wishes that can be had together, as Textual's keys by action name, and why the others cannot."""
    known = {full_name(action): action for action in actions}
    bound: dict[str, tuple[str, ...]] = {}
    refused: list[Refused] = []
    for name, words in wishes.items():
        if name not in known:
            refused.append(Refused(name, "is no action", "a name that `footplate config --actions` lists"))
            continue
        keys = [key_of(word) for word in words]
        wrong = next((word for word, key in zip(words, keys, strict=True) if key is None), None)
        if wrong is not None:
            expected = "one character, ctrl+ and a letter, or a name such as F5 or PgDn"
            refused.append(Refused(name, f"{wrong!r} is no key that every terminal can send", expected))
            continue
        always = [ALWAYS[name]] if name in ALWAYS else []
        bound[name] = tuple(dict.fromkeys([key for key in keys if key is not None] + always))
    while clash := first_clash(actions, bound):
        name, key, other = clash
        del bound[name]
        refused.append(Refused(name, f"{key!r} is taken by {other}", "a key that nothing else has there"))
    return bound, refused


def first_clash(actions: Sequence[Action], bound: Mapping[str, tuple[str, ...]]) -> tuple[str, str, str] | None:
    """A wish, its key and the action that has the key already; None when all fit together."""
    for action in actions:
        name = full_name(action)
        for other in actions if name in bound else ():
            if other is action or full_name(other) == name or not meet(action.scope, other.scope):
                continue
            if action.scope != other.scope and set(action.keys) & set(other.keys):
                continue  # one key for both from the first, such as enter, which opens a row and its run
            taken = set(bound[name]) & set(bound.get(full_name(other), other.keys))
            if taken - set(action.keys):
                return name, min(taken - set(action.keys)), full_name(other)
    return None


def meet(scope: Scope, other: Scope) -> bool:
    """Whether a key of one scope would be taken from the other."""
    if scope == other or scope in AROUND.get(other, ()) or other in AROUND.get(scope, ()):
        return True
    return "app" in (scope, other) and not OWN_INPUT & {scope, other}
