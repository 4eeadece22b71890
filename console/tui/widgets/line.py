"""One line of a screen with a left and a right part: the base of header, tab bar, rules and status lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widget import Widget

if TYPE_CHECKING:
    from textual.app import RenderResult

EMPTY = Content("")


class Line(Widget):
    """Paints again only when its text differs, because a refresh sends the whole line to the terminal."""

    DEFAULT_CSS = """
    Line {
        height: 1;
        width: 1fr;
    }
    """

    filler = " "
    """What lies between left and right."""
    filler_style = ""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id, classes=classes, markup=False)
        self._left = EMPTY
        self._right = EMPTY

    @property
    def plain(self) -> str:
        """What the line says, without styles; for tests and copies."""
        return f"{self._left.plain} {self._right.plain}".strip()

    def set_parts(self, left: Content, right: Content = EMPTY) -> None:
        """Show other text; the right part gives way where both do not fit."""
        if left.is_same(self._left) and right.is_same(self._right):
            return
        self._left, self._right = left, right
        self.refresh()

    def render(self) -> RenderResult:
        """The line in exactly the width of the widget."""
        width = self.size.width
        left, right = self._left, self._right
        if left.cell_length + right.cell_length > width:
            right = right.truncate(max(0, width - left.cell_length - 1), ellipsis=True)
            left = left.truncate(max(0, width - right.cell_length), ellipsis=True)
        gap = max(0, width - left.cell_length - right.cell_length)
        return Content.assemble(left, (self.filler * gap, self.filler_style), right)
