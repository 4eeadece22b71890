"""A box over the screen: what the boxes look like alike."""

from __future__ import annotations

from textual.screen import ModalScreen, ScreenResultType

from console.tui.screens.sized import SizedScreen


class BoxScreen(ModalScreen[ScreenResultType], SizedScreen[ScreenResultType]):
    """Subclasses put a `Vertical` into it and say how large that is."""

    DEFAULT_CSS = """
    BoxScreen {
        align: center middle;
        background: $background 60%;
    }
    BoxScreen > Vertical {
        max-width: 96%;
        border: round $primary;
        border-title-color: $primary;
        border-title-style: bold;
        border-subtitle-color: $text-muted;
        background: $surface;
    }
    BoxScreen VirtualTable {
        height: 1fr;
        background: $surface;
    }
    """
