"""Which columns of a table are drawn, and how wide."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from console.tui.text_format import cell_width, fit, visible

GUTTER_CELLS = 3
"""Cursor glyph, mark glyph, gap."""
GAP_CELLS = 1
"""Blank cells between two columns."""


@dataclass(frozen=True)
class TableColumn:
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
    """Stays when the columns do not fit; the others are dropped from the right."""


@dataclass(frozen=True)
class Cell:
    """One value of a row."""

    text: str
    """As it came from outside; the table makes it visible and fits it."""
    style: str = ""
    """A rich style; colours may be names of theme colours: "bold error", "text-muted"."""


@dataclass(frozen=True)
class TableRow:
    """One row; its cells are in the order of the columns given to the table."""

    key: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Slot:
    """A column that is drawn."""

    index: int
    """Of the column and of its cell in a row."""
    start: int
    """First cell of the line that it takes."""
    width_cells: int


def lay_out(columns: Sequence[TableColumn], start: int, width_cells: int) -> tuple[Slot, ...]:
    """Places for the columns that fit between `start` and `width_cells`, flexible ones sharing what is left."""
    shown = list(range(len(columns)))
    room = width_cells - start
    while shown and _needed(columns, shown) > room:
        droppable = [index for index in shown if not columns[index].pinned]
        if not droppable:
            break
        shown.remove(droppable[-1])
    flexible = [index for index in shown if columns[index].flexible]
    spare = max(0, room - _needed(columns, shown))
    slots = []
    for index in shown:
        cells = columns[index].width_cells
        if index in flexible:
            share = spare // len(flexible)
            cells, spare = cells + share, spare - share
            flexible.remove(index)
        cells = min(cells, width_cells - start)
        if cells <= 0:
            break
        slots.append(Slot(index, start, cells))
        start += cells + GAP_CELLS
    return tuple(slots)


def header_text(
    columns: Sequence[TableColumn], slots: Sequence[Slot], sort: tuple[str, bool], *, ascii_only: bool
) -> str:
    """The titles in their places; `sort` is the key of the sorted column and whether it descends."""
    ascending_arrow, descending_arrow = ("^", "v") if ascii_only else ("▲", "▼")
    arrow = descending_arrow if sort[1] else ascending_arrow
    texts = []
    for slot in slots:
        column = columns[slot.index]
        title = visible(column.title)
        if column.key == sort[0]:
            room = max(0, slot.width_cells - 1)
            title = (fit(title, room) if cell_width(title) > room else title) + arrow
        texts.append(fit(title, slot.width_cells, align=column.align))
    return " " * GUTTER_CELLS + (" " * GAP_CELLS).join(texts)


def _needed(columns: Sequence[TableColumn], shown: Sequence[int]) -> int:
    return sum(columns[index].width_cells for index in shown) + GAP_CELLS * (len(shown) - 1)
