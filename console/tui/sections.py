"""Lists under each other in one height: what each of them gets, and which of its rows are seen. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from console.tui.text_format import cell_width, fit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Piece: TypeAlias = tuple[str, str]
"""A visible text, and its style in words such as "bold error"."""


class Row(NamedTuple):
    """A row that the cursor can be on."""

    key: str
    pieces: tuple[Piece, ...]


class Section(NamedTuple):
    """A titled list."""

    key: str
    title: tuple[Piece, ...]
    note: tuple[Piece, ...] = ()
    rows: tuple[Row, ...] = ()
    unsent_count: int = 0
    """Rows that there are beyond these."""
    weight: int = 1
    """Of its share where there is no room for all rows."""


class Shown(NamedTuple):
    """One line of the picture: a heading, a row, or nothing."""

    section: Section | None = None
    row: Row | None = None
    cut_count: int = 0
    """Of a heading: rows of its section that are not seen."""


def shares(wishes: Sequence[int], room: int, weights: Sequence[int]) -> list[int]:
    """Heights that add up to `room` at most: each gets what it wants, or its share by weight of what there is."""
    found = [0] * len(wishes)
    left = room
    open_ones = [index for index, wish in enumerate(wishes) if wish > 0]
    while open_ones and left > 0:
        total, before = sum(weights[index] for index in open_ones), left
        for index in list(open_ones):
            given = min(max(1, before * weights[index] // total), wishes[index] - found[index], left)
            found[index] += given
            left -= given
            if found[index] >= wishes[index]:
                open_ones.remove(index)
    return found


def lines_of(
    sections: Sequence[Section], height: int, cursor_key: str, offsets: Mapping[str, int]
) -> tuple[list[Shown], dict[str, int]]:
    """The picture in exactly `height` lines, and the first row that is seen of each section.

    The section with the cursor is moved so that its row is seen; `offsets` are those of the picture before.
    """
    wishes, weights = [len(section.rows) for section in sections], [section.weight for section in sections]
    heights = shares(wishes, height - len(sections), weights)
    airy = height - len(sections) - sum(heights) >= len(sections) - 1
    found: list[Shown] = []
    starts: dict[str, int] = {}
    for place, (section, room) in enumerate(zip(sections, heights, strict=True)):
        if place and airy:
            found.append(Shown())
        start = min(offsets.get(section.key, 0), max(0, len(section.rows) - room))
        at = next((index for index, row in enumerate(section.rows) if row.key == cursor_key), None)
        if at is not None and room:
            start = min(max(start, at - room + 1), at)
        starts[section.key] = start
        found.append(Shown(section, None, len(section.rows) - room + section.unsent_count))
        found += [Shown(section, row) for row in section.rows[start : start + room]]
    found = found[:height]
    return found + [Shown()] * (height - len(found)), starts


def full_height(sections: Sequence[Section]) -> int:
    """Lines that show every row, with an empty one behind each section."""
    return sum(len(section.rows) + 2 for section in sections)


def heading(section: Section, cut_count: int, width: int, *, ascii_only: bool) -> tuple[Piece, ...]:
    """`─ Title ──────── +3 more · note ─` in exactly `width` cells; the note gives way."""
    bar = "-" if ascii_only else "─"
    rule = "panel-lighten-2"
    more: tuple[Piece, ...] = ((f" +{cut_count} more", "bold accent"),) if cut_count > 0 else ()
    title = fitted(((" ", ""), *section.title, *more, (" ", "")), max(0, width - 2))
    room = width - width_of(title) - 3
    note = fitted(((" ", ""), *section.note, (" ", "")), room) if section.note and room >= 6 else ()
    filler = width - 1 - width_of(title) - width_of(note) - (1 if note else 0)
    tail: tuple[Piece, ...] = ((bar, rule),) if note else ()
    return ((bar, rule), *title, (bar * max(0, filler), rule), *note, *tail)


def fitted(pieces: Sequence[Piece], width: int) -> tuple[Piece, ...]:
    """The start of a line in at most `width` cells."""
    found: list[Piece] = []
    left = width
    for text, style in pieces:
        cells = cell_width(text)
        if cells > left:
            if left > 0:
                found.append((fit(text, left), style))
            break
        found.append((text, style))
        left -= cells
    return tuple(found)


def width_of(pieces: Sequence[Piece]) -> int:
    """Cells that a line takes."""
    return sum(cell_width(text) for text, _ in pieces)
