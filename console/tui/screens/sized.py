"""Screens that are as large as the terminal is now, and that paint over whatever has gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual._compositor import Compositor, CompositorMap
from textual.screen import Screen, ScreenResultType

if TYPE_CHECKING:
    from textual import events


class HonestCompositor(Compositor):
    """Marks what came or went as to be painted, whoever is the first to notice.

    Textual does so in a layout, by comparing with the map before. Where somebody asks for the place of a widget just
    before it, that map is made anew and says already what is to come: a notice that had gone stayed on the terminal.
    """

    @property
    def full_map(self) -> CompositorMap:
        """Where all widgets are."""
        before = self._full_map if self._full_map_invalidated else {}
        found = super().full_map
        if before and before is not found:
            changed = [before.get(widget) or found[widget] for widget in before.keys() ^ found.keys()]
            self._dirty_regions.update(filter(None, (each.clip.intersection(each.region) for each in changed)))
        return found


class SizedScreen(Screen[ScreenResultType]):
    """Heeds no size that the terminal does not have any more.

    Textual tells a screen its size again after each layout. With two sizes on their way, as in a terminal that does not
    know its own at first, each would bring the other back, without end.
    """

    def __init__(self, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(name, id, classes)
        self._compositor = HonestCompositor()

    async def _on_resize(self, event: events.Resize) -> None:
        if event.size != self.app.size:
            event.stop().prevent_default()
