"""Which columns of a table are drawn, and how wide."""

from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from console.tui.text_format import cell_width, fit, visible

GUTTER_CELLS = 3
"""Cursor glyph, mark glyph, gap."""
GAP_CELLS = 1
"""Blank cells between two columns."""


class TableColumn(NamedTuple):
    """One column of a table."""

    key: str
    title: str
    width_cells: int
    """Fixed width; of a flexible column the least width."""
    align: Literal["left", "right"] = "left"
    flexible: bool = False
    """Takes a share of the width that the others leave."""
    sortable: bool = True
    pinned: bool = False
    """Stays where it is when the columns do not fit; the others can be scrolled."""
    cell: int = -1
    """Index of its cell in a row; -1 for the place that the column itself has."""


class Cell(NamedTuple):
    """One value of a row. A named tuple, as a page has thousands of them."""

    text: str
    """As it came from outside; the table makes it visible and fits it."""
    style: str = ""
    """A rich style; colours may be names of theme colours: "bold error", "text-muted"."""


NO_CELL: Final = Cell("")


class TableRow(NamedTuple):
    """One row; its cells are in the order of the table's columns unless those say otherwise."""

    key: str
    cells: tuple[Cell, ...]

    def cell(self, place: int) -> Cell:
        """The cell with this index; an empty one where the row has none."""
        return self.cells[place] if place < len(self.cells) else NO_CELL

    def looks_like(self, before: "Row | None") -> bool:
        """Whether it is painted as that one was."""
        return self == before


class LazyRow:
    """A row whose cells are made when somebody looks at them, which of most rows of a page nobody does."""

    __slots__ = ("_made", "_make", "key")

    def __init__(self, key: str, make: Callable[[int], Cell]) -> None:
        self.key = key
        self._make = make
        self._made: dict[int, Cell] = {}

    def cell(self, place: int) -> Cell:
        """The cell with this index."""
        made = self._made.get(place)
        if made is None:
            made = self._made[place] = self._make(place)
        return made

    def looks_like(self, before: "Row | None") -> bool:
        """Whether it is painted as that one was: only cells that somebody has looked at count."""
        if not isinstance(before, LazyRow) or self.key != before.key or not before._made:
            return False
        return all(self.cell(place) == cell for place, cell in before._made.items())


Row: TypeAlias = TableRow | LazyRow


class Slot(NamedTuple):
    """A column that is drawn."""

    column: int
    """Its index."""
    cell: int
    """Of its cell in a row."""
    start: int
    """First cell of the line that it takes."""
    width_cells: int


class Layout(NamedTuple):
    """Which columns are drawn where, and how many have no room."""

    slots: tuple[Slot, ...]
    hidden_left: int
    """Columns that were scrolled out of sight."""
    hidden_right: int

    @property
    def used_cells(self) -> int:
        """Where the last column ends."""
        return self.slots[-1].start + self.slots[-1].width_cells if self.slots else GUTTER_CELLS - GAP_CELLS


def lay_out(columns: Sequence[TableColumn], width_cells: int, skipped: int = 0) -> Layout:
    """Places for the columns that fit behind the gutter, flexible ones sharing what is left.

    Pinned columns come whatever there is; the first `skipped` others are left out, and those behind the last that fits.
    """
    loose = [index for index, column in enumerate(columns) if not column.pinned]
    skipped = max(0, min(skipped, len(loose) - 1))
    shown = [index for index, column in enumerate(columns) if column.pinned]
    room = width_cells - GUTTER_CELLS
    fitting = 0
    for index in loose[skipped:]:
        if _needed(columns, [*shown, index]) > room:
            break
        shown.append(index)
        fitting += 1
    shown.sort()
    flexible = [index for index in shown if columns[index].flexible]
    spare = max(0, room - _needed(columns, shown))
    slots = []
    start = GUTTER_CELLS
    for index in shown:
        cells = columns[index].width_cells
        if index in flexible:
            share = spare // len(flexible)
            cells, spare = cells + share, spare - share
            flexible.remove(index)
        cells = min(cells, width_cells - start)
        if cells <= 0:
            break
        place = columns[index].cell
        slots.append(Slot(index, index if place < 0 else place, start, cells))
        start += cells + GAP_CELLS
    return Layout(tuple(slots), skipped, len(loose) - skipped - fitting)


def header_text(columns: Sequence[TableColumn], layout: Layout, sort: tuple[str, bool], *, ascii_only: bool) -> str:
    """The titles in their places; `sort` is the key of the sorted column and whether it descends.

    The gutter says on which sides there are more columns.
    """
    ascending_arrow, descending_arrow = ("^", "v") if ascii_only else ("▲", "▼")
    arrow = descending_arrow if sort[1] else ascending_arrow
    texts = []
    for slot in layout.slots:
        column = columns[slot.column]
        title = visible(column.title)
        if column.key == sort[0]:
            room = max(0, slot.width_cells - 1)
            title = (fit(title, room) if cell_width(title) > room else title) + arrow
        texts.append(fit(title, slot.width_cells, align=column.align))
    left, right = ("<", ">") if ascii_only else ("‹", "›")
    gutter = (left if layout.hidden_left else " ") + (right if layout.hidden_right else " ")
    return fit(gutter, GUTTER_CELLS) + (" " * GAP_CELLS).join(texts)


def _needed(columns: Sequence[TableColumn], shown: Sequence[int]) -> int:
    return sum(columns[index].width_cells for index in shown) + GAP_CELLS * (len(shown) - 1)
