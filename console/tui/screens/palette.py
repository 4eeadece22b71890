"""Textual's palette of actions, still while nobody types."""

from __future__ import annotations

from textual.command import CommandInput, CommandPalette

from console.tui.screens.sized import SizedScreen


class Palette(CommandPalette, SizedScreen[None]):
    """The same; a blinking cursor would write to the terminal twice a second while nothing happens."""

    def on_mount(self) -> None:
        """Once its parts are there."""
        self.query_one(CommandInput).cursor_blink = False
