"""What a terminal below the smallest size shows: the app lives on and comes back when there is room."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.binding import Binding
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from console.tui.actions import in_scope, key_for
from console.tui.screens.sized import SizedScreen

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

NEEDED_COLUMNS: Final = 60
NEEDED_LINES: Final = 15


def fits(columns: int, lines: int) -> bool:
    """Whether the screens can be drawn."""
    return columns >= NEEDED_COLUMNS and lines >= NEEDED_LINES


class TooSmallScreen(ModalScreen[None], SizedScreen[None]):
    """The needed and the present size, and the way out."""

    DEFAULT_CSS = """
    TooSmallScreen {
        align: center middle;
        background: $background;
        overflow: hidden;
    }
    TooSmallScreen Static {
        width: 100%;
        height: auto;
        text-align: center;
        color: $warning;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(",".join(action.keys), "app.quit", action.description, show=False)
        for action in in_scope("app")
        if action.name == "quit"
    ]

    def compose(self) -> ComposeResult:
        """The lines."""
        yield Static(self._sentence())

    def on_resize(self, event: events.Resize) -> None:
        """Show the new size."""
        self.query_one(Static).update(self._sentence(event.size.width, event.size.height))

    def _sentence(self, columns: int = 0, lines: int = 0) -> Content:
        size = self.app.size
        present = f"{columns or size.width}x{lines or size.height}"
        needed = f"footplate needs {NEEDED_COLUMNS}x{NEEDED_LINES}, this is {present}"
        return Content(f"{needed}\n{key_for('app.quit')} quits")
