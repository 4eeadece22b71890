"""Keys typed at rows that have not come yet: they are kept, in their order, and count once the rows are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from textual import events

from console.tui.actions import in_scope, key_name
from console.tui.keymap import ALWAYS, AROUND

if TYPE_CHECKING:
    from textual.screen import Screen

    from console.tui.actions import Action, Scope
    from console.tui.guarded_app import GuardedApp

PATIENCE_S: Final = 2.0
"""So long rows are waited for; then keys do what they do without any."""
LOOK_S: Final = 0.01
KEYS_MAX: Final = 64
"""Nobody types more in that time; what a key that is leant on sends beyond is lost."""
OPEN_A_LINE: Final = frozenset({"filter", "search", "save"})
"""Actions after which keys are letters."""
WANT_NO_ROWS: Final = OPEN_A_LINE | {"sort", "reverse", "back", "close"}


ON_ITS_WAY: Final = "was_held"


class HeldKeys:
    """Takes keys while the screen in front says that it `awaits_rows`."""

    def __init__(self, app: GuardedApp) -> None:
        self._app = app
        self._keys: list[events.Key] = []
        self._screen: Screen[Any] | None = None
        """The one whose rows are waited for; None once its keys go on, one after the other, wherever they lead."""
        self._typing = False
        """One of them opens a line, so that those behind it are letters."""
        self._looks_left = 0
        self._given_up: Screen[Any] | None = None
        """The screen whose rows have not come in time."""

    def take(self, event: events.Key) -> bool:
        """Keep a key that is about to be acted upon; False when it counts now."""
        if not self._keys:
            self._typing = False
        if event.key in ALWAYS.values() or getattr(event, ON_ITS_WAY, False):
            return False
        screen = self._app.screen
        names = {action.name for action in acts_of(event.key, screen)} if self._keys or self._awaits(screen) else ()
        if self._keys:
            if not self._typing and acts_of(event.key):
                return False
        elif not names or (screen.is_mounted and WANT_NO_ROWS.issuperset(names)):
            return False
        else:
            self._wait_for(screen)
        self._typing = self._typing or not OPEN_A_LINE.isdisjoint(names)
        if len(self._keys) < KEYS_MAX:
            self._keys.append(event)
        return True

    def _awaits(self, screen: Screen[Any]) -> bool:
        if not awaits_rows(screen):
            self._given_up = None
            return False
        return screen is not self._given_up

    def _wait_for(self, screen: Screen[Any]) -> None:
        self._screen, self._looks_left = screen, round(PATIENCE_S / LOOK_S)
        self._app.set_timer(LOOK_S, self._look)

    def _look(self) -> None:
        """Let a key go on when the rows are there or have not come in time; drop all when the screen was left."""
        screen = self._app.screen
        if self._screen not in (None, screen):
            self._keys.clear()
        elif self._keys and self._awaits(screen):
            if self._screen is None:
                self._wait_for(screen)
                return
            self._looks_left -= 1
            self._given_up = screen if self._looks_left <= 0 else None
        if self._keys and not self._awaits(screen):
            self._screen = None
            self._type(screen)
        if self._keys:
            self._app.set_timer(LOOK_S, self._look)

    def _type(self, screen: Screen[Any]) -> None:
        """Type the next key again, and with one that opens a line all that follow; but none that would change, without
        a question, a run that nobody has seen yet."""
        event = self._keys.pop(0)
        acts = acts_of(event.key, screen)
        if any(action.writes and not action.confirm for action in acts):
            self._keys.clear()
            self._app.front.say(f"{key_name(event.key)} came before the rows: press it again")
            return
        events_now = [event]
        if any(action.name in OPEN_A_LINE for action in acts):
            events_now += self._keys
            self._keys.clear()
        for each in events_now:
            copy = events.Key(each.key, each.character)
            setattr(copy, ON_ITS_WAY, True)
            self._app.post_message(copy)


def awaits_rows(screen: Screen[Any]) -> bool:
    """Whether what a screen lists has not come yet."""
    return bool(getattr(screen, "awaits_rows", False))


def acts_of(key: str, screen: Screen[Any] | None = None) -> list[Action]:
    """What a key does on a screen and in the lists that stand on it; of no screen, what it does everywhere."""
    own: Scope = "app" if screen is None else getattr(screen, "scope", "app")
    lists = [around for around, screens in AROUND.items() if own in screens]
    return [action for action in in_scope(own, *lists) if key in action.keys]
