"""What every key does, made from the action registry and searchable."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from console.tui.actions import ACTIONS, SCOPE_TITLES, bindings, hints, in_scope, key_names
from console.tui.screens.box import BoxScreen
from console.tui.styles import MUTED, REFUSED

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from console.tui.actions import Action, Scope

KEY_COLUMN_CELLS: Final = 18


class HelpScreen(BoxScreen[None]):
    """Keys of the present screen first, then the others; typing narrows the list."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("help")
    DEFAULT_CSS = """
    HelpScreen > Vertical {
        width: 76;
        height: 90%;
        padding: 0 1;
    }
    HelpScreen Input {
        background: $panel;
    }
    HelpScreen VerticalScroll {
        height: 1fr;
        scrollbar-size-vertical: 1;
    }
    HelpScreen #keys {
        height: auto;
    }
    """

    takes_text: ClassVar[bool] = True

    def __init__(self, scope: Scope, *, readonly: bool = False) -> None:
        super().__init__()
        self._scope: Scope = scope
        self._readonly = readonly

    def compose(self) -> ComposeResult:
        """A search line and the list."""
        with Vertical() as box:
            box.border_title = "Keys"
            dim = ("dim: refused, only looks",) if self._readonly else ()
            words = hints(*dim, "type to search", "↑ ↓ scroll", ("help.close", "closes"))
            box.border_subtitle = Content(words).markup
            yield Input(placeholder="search the keys", compact=True, select_on_focus=False)
            with VerticalScroll(can_focus=False):
                yield Static(help_text(self._scope, "", readonly=self._readonly), id="keys")

    def on_mount(self) -> None:
        """Typing searches at once."""
        search = self.query_one(Input)
        search.cursor_blink = False
        search.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow the list."""
        event.stop()
        self.query_one("#keys", Static).update(help_text(self._scope, event.value, readonly=self._readonly))
        self.query_one(VerticalScroll).scroll_home(animate=False)

    def on_key(self, event: object) -> None:
        """Arrows and page keys scroll the list although the search line has the focus."""
        scroll = self.query_one(VerticalScroll)
        moves = {
            "down": scroll.scroll_down,
            "up": scroll.scroll_up,
            "pagedown": scroll.scroll_page_down,
            "pageup": scroll.scroll_page_up,
        }
        move = moves.get(getattr(event, "key", ""))
        if move is not None:
            move(animate=False)

    def action_close(self) -> None:
        """Back to where we were."""
        self.dismiss(None)


def scopes_of(scope: Scope) -> tuple[Scope, ...]:
    """All scopes, those that apply on the present screen first."""
    inner: tuple[Scope, ...] = ("table", "log") if scope == "run" else ("table",)
    first: tuple[Scope, ...] = (scope, "app", *inner)
    rest: tuple[Scope, ...] = tuple(key for key in SCOPE_TITLES if key not in first)
    return (*first, *rest)


def matches(action: Action, query: str) -> bool:
    """Whether every word of the query is in the keys or the description."""
    text = f"{key_names(action)} {action.description}".lower()
    return all(word in text for word in query.lower().split())


def help_text(scope: Scope, query: str, *, readonly: bool = False) -> Content:
    """The list of keys as one text."""
    parts: list[Content] = []
    for each in scopes_of(scope):
        shown = [action for action in in_scope(each) if matches(action, query)]
        if not shown:
            continue
        parts.append(Content.styled(f"{SCOPE_TITLES[each]}", "bold $primary"))
        for action in shown:
            note = ("  asks first", "$warning") if action.confirm else ("", "")
            keys = f"  {key_names(action)}".ljust(KEY_COLUMN_CELLS)
            if action.writes and readonly:
                parts.append(Content.styled(f"{keys}{action.description}", REFUSED))
                continue
            parts.append(Content.assemble((keys, "bold $accent"), (action.description, "$foreground"), note))
        parts.append(Content(""))
    if not parts:
        return Content.styled(f"no key out of {len(ACTIONS)} matches; delete a word", MUTED)
    return Content("\n").join(parts)
