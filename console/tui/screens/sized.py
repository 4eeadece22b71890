"""Screens that are as large as the terminal is now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.screen import Screen, ScreenResultType

if TYPE_CHECKING:
    from textual import events


class SizedScreen(Screen[ScreenResultType]):
    """Heeds no size that the terminal does not have any more.

    Textual tells a screen its size again after each layout. With two sizes on their way, as in a terminal that does not
    know its own at first, each would bring the other back, without end.
    """

    async def _on_resize(self, event: events.Resize) -> None:
        if event.size != self.app.size:
            event.stop().prevent_default()
