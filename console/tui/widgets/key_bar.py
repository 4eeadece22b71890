"""The last line: the keys that matter here, from the action registry; a click does what the key does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.content import Content

from console.tui.actions import footer_actions, key_name
from console.tui.styles import MUTED, REFUSED
from console.tui.widgets.line import Line

if TYPE_CHECKING:
    from textual import events

    from console.tui.actions import Action, Scope

MOST_ENTRIES: Final = 10


class KeyBar(Line):
    """As many keys as fit, most used first; help and quit always fit."""

    DEFAULT_CSS = """
    KeyBar {
        background: $surface;
        dock: bottom;
    }
    """

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        self._actions = footer_actions(scope)
        self._spans: list[tuple[int, int, Action]] = []

    def on_resize(self) -> None:
        """Choose the keys that fit the new width."""
        self.set_parts(self._fitted(self.size.width))

    def on_click(self, event: events.Click) -> None:
        """Act as if the key had been pressed."""
        for start, end, action in self._spans:
            if start <= event.x < end:
                self.app.simulate_key(action.keys[0])

    def _fitted(self, width: int) -> Content:
        self._spans = []
        parts: list[tuple[str, str]] = []
        used = 1
        session = getattr(self.app, "session", None)
        readonly = session is not None and session.settings.readonly
        kept = entries_that_fit(self._actions, width - used)
        for action in kept:
            key, word = key_name(action.keys[0]), action.footer
            refused = action.writes and readonly
            parts += [
                (f" {key}" if not parts else f"  {key}", REFUSED if refused else "bold $accent"),
                (f" {word}", REFUSED if refused else MUTED),
            ]
            end = sum(len(text) for text, _ in parts)
            self._spans.append((end - len(key) - len(word) - 1, end, action))
        return Content.assemble(*parts)


def entries_that_fit(actions: tuple[Action, ...], width: int) -> tuple[Action, ...]:
    """The first actions of the screen and the last two of the app, `help` and `quit`, in `width` cells."""

    def cells(chosen: tuple[Action, ...]) -> int:
        return sum(len(key_name(action.keys[0])) + len(action.footer) + 3 for action in chosen)

    body, tail = actions[:-2], actions[-2:]
    body = body[: MOST_ENTRIES - len(tail)]
    while body and cells((*body, *tail)) > width:
        body = body[:-1]
    return (*body, *tail)
