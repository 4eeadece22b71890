"""The strip of the machine on Triage: its GPUs, or processors, memory and disks where there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.geometry import Region
from textual.widget import Widget

from console.tui.device_cells import Row, rows_of

if TYPE_CHECKING:
    from textual import events
    from textual.app import RenderResult
    from textual.geometry import Size

    from console.devices import Devices


class DeviceStrip(Widget):
    """Sends only the cells that differ: a card that does what it did costs nothing on the line."""

    DEFAULT_CSS = """
    DeviceStrip {
        height: auto;
        width: 1fr;
    }
    """

    ascii = False
    """Draw bars in ASCII; set it before the first `show`."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id, markup=False)
        self._devices: Devices | None = None
        self._compact = False
        self._rows: tuple[Row, ...] = ()

    @property
    def plain(self) -> str:
        """What the strip says, without styles; for tests and copies."""
        return "\n".join("".join(text for cell in row for text, _ in cell.parts) for row in self._rows)

    def show(self, devices: Devices | None, *, compact: bool = False) -> None:
        """Show another look at the machine; `compact` leaves the host out where there are cards."""
        self._devices, self._compact = devices, compact
        self._paint(self.size.width)

    def render(self) -> RenderResult:
        """Every row, in exactly the width of the widget."""
        return Content("\n").join(
            [Content.assemble(*(part for cell in row for part in cell.parts if part[0])) for row in self._rows]
        )

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002 (Textual's)
        """As many lines as the cards take at this width."""
        return len(self._rows_at(width))

    def on_resize(self, event: events.Resize) -> None:
        """Lay the cells out anew."""
        self._paint(event.size.width)

    def _rows_at(self, width: int) -> tuple[Row, ...]:
        return rows_of(self._devices, width, compact=self._compact, ascii_only=self.ascii)

    def _paint(self, width: int) -> None:
        if not width:
            return
        before, self._rows = self._rows, self._rows_at(width)
        if len(before) != len(self._rows) or any(
            [cell.width for cell in one] != [cell.width for cell in other]
            for one, other in zip(before, self._rows, strict=True)
        ):
            self.refresh(layout=len(before) != len(self._rows))
            return
        regions = []
        for y, (one, other) in enumerate(zip(before, self._rows, strict=True)):
            x = 0
            for old, new in zip(one, other, strict=True):
                if old != new:
                    regions.append(Region(x, y, new.width, 1))
                x += new.width
        if regions:
            self.refresh(*regions)
