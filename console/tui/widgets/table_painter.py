"""How a table looks: its titles, rows and empty lines as strips in the colours of the theme."""

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from console.tui.table_layout import Layout, Row, TableColumn, header_text, lay_out
from console.tui.text_format import centred, fit
from console.tui.theme import theme_style


class TablePainter:
    """Paints for one table; remembers styles until they are said to have changed."""

    def __init__(self, table: Widget) -> None:
        self._table = table
        self._styles: dict[str, Style] = {}
        self._joined: dict[tuple[Style, str], Style] = {}
        self.columns: tuple[TableColumn, ...] = ()
        self.layout = Layout((), 0, 0)

    def forget_styles(self) -> None:
        """The theme or the focus changed."""
        self._styles.clear()
        self._joined.clear()

    def lay_out(self, width_cells: int, skipped: int) -> None:
        """Give the columns their places; `skipped` of those that are not pinned are off to the left."""
        self.layout = lay_out(self.columns, width_cells, skipped)

    def blank(self, width_cells: int) -> Strip:
        """A line without a row."""
        return Strip.blank(width_cells, self._plain)

    def header(self, sort: tuple[str, bool], width_cells: int, *, ascii_only: bool) -> Strip:
        """The titles, with arrows where columns are off to a side."""
        style = self._component("virtual-table--header")
        text = header_text(self.columns, self.layout, sort, ascii_only=ascii_only)
        return Strip([Segment(text, style)]).adjust_cell_length(width_cells, style)

    def row(self, row: Row | None, width_cells: int, *, at_cursor: bool, marked: bool, ascii_only: bool) -> Strip:
        """One row; None for one that is not in memory."""
        base = self._component("virtual-table--cursor") if at_cursor else self._plain
        mark = ("*" if ascii_only else "●") if marked else " "
        segments = [Segment((">" if at_cursor else " ") + mark, self._join(base, "the glyph"))]
        if row is None:
            segments.append(Segment(" " + ("..." if ascii_only else "…"), self._join(base, "text-muted")))
            return Strip(segments).adjust_cell_length(width_cells, base)
        columns, ellipsis = self.columns, "~" if ascii_only else "…"
        for slot in self.layout.slots:
            cell = row.cell(slot.cell)
            text = fit(cell.text, slot.width_cells, align=columns[slot.column].align, ellipsis=ellipsis)
            # One piece with the gap before it: a page is some hundred pieces, and each is handled several times.
            segments.append(Segment(" " + text, self._join(base, cell.style)))
        used_cells = self.layout.used_cells
        return Strip(segments, used_cells).adjust_cell_length(width_cells, base)

    def empty(self, text: str, row: int, width_cells: int, height: int) -> Strip:
        """Line `row` of a text in the middle of a table without rows."""
        line = centred(text, row, width_cells, height)
        return Strip([Segment(line, self._join(self._plain, "text-muted"))], width_cells)

    @property
    def _plain(self) -> Style:
        """The style of the table itself; Textual composes it from all ancestors at every look."""
        if "the table itself" not in self._styles:
            self._styles["the table itself"] = self._table.rich_style
        return self._styles["the table itself"]

    def _component(self, name: str) -> Style:
        if name not in self._styles:
            self._styles[name] = self._table.get_component_rich_style(name)
        return self._styles[name]

    def _join(self, base: Style, words: str) -> Style:
        """The style that `words` say on top of that of the row."""
        key = (base, words)
        if key not in self._joined:
            self._joined[key] = base + (self._glyph if words == "the glyph" else self._words(words))
        return self._joined[key]

    @property
    def _glyph(self) -> Style:
        return self._table.get_component_rich_style("virtual-table--glyph", partial=True)

    def _words(self, words: str) -> Style:
        background, foreground = self._table.background_colors[1], self._table.colors[3]
        return theme_style(words, self._table.app.theme_variables, background, foreground)


def slot_at(layout: Layout, columns: Sequence[TableColumn], x: int) -> TableColumn | None:
    """The column whose title is at cell `x` of the line."""
    for slot in layout.slots:
        if slot.start <= x <= slot.start + slot.width_cells:
            return columns[slot.column]
    return None
