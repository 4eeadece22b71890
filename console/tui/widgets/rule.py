"""The titled rule above a pane: `─ Title ──────────── note ─`."""

from __future__ import annotations

from textual.content import Content

from console.tui.styles import MUTED
from console.tui.text_format import visible
from console.tui.widgets.line import EMPTY, Line


class Rule(Line):
    """Names a pane and carries one short note; bright while its pane has the focus."""

    filler = "─"
    filler_style = "$panel-lighten-2"

    def __init__(self, title: str, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._title: str | Content = title
        self._note: str | Content = ""
        self._active = False
        self._compose_parts()

    def set_title(self, title: str | Content, note: str | Content = "") -> None:
        """Change both texts; plain strings may come from outside."""
        self._title, self._note = title, note
        self._compose_parts()

    def set_active(self, active: bool) -> None:
        """Show that the pane below has the focus."""
        self._active = active
        self._compose_parts()

    def _compose_parts(self) -> None:
        title_style = "bold $primary" if self._active else "bold $foreground"
        title = self._title if isinstance(self._title, Content) else Content(visible(self._title))
        note = self._note if isinstance(self._note, Content) else Content(visible(self._note))
        left = Content.assemble(("─ ", self.filler_style), title.stylize_before(title_style), " ")
        right = Content.assemble(" ", note.stylize_before(MUTED), (" ─", self.filler_style)) if note.plain else EMPTY
        self.set_parts(left, right)
