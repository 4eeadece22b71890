"""Lists that share one height, and curves in one line."""

from __future__ import annotations

import math

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from console.tui.sections import Row, Section, fitted, heading, lines_of, shares, width_of
from console.tui.sparkline import sparkline
from console.tui.widgets.section_list import difference


def section(key: str, count: int) -> Section:
    rows = tuple(Row(f"{key}{number}", ((f"{key} {number}", ""),)) for number in range(count))
    return Section(key, ((key, ""),), rows=rows)


@pytest.mark.parametrize(
    ("wishes", "room", "weights", "heights"),
    [
        ([2, 3], 10, [1, 1], [2, 3]),
        ([9, 9], 10, [1, 1], [5, 5]),
        ([9, 2], 10, [1, 1], [8, 2]),
        ([9, 9, 9], 9, [2, 1, 1], [5, 2, 2]),
        ([9, 9], 1, [1, 1], [1, 0]),
        ([9, 9], 0, [1, 1], [0, 0]),
        ([9, 9], -3, [1, 1], [0, 0]),
        ([], 5, [], []),
    ],
)
def test_each_gets_what_it_wants_or_its_share(
    wishes: list[int], room: int, weights: list[int], heights: list[int]
) -> None:
    assert shares(wishes, room, weights) == heights


@pytest.mark.parametrize("height", range(1, 30))
@pytest.mark.parametrize("cursor", ["", "a0", "a11", "b7", "gone"])
def test_the_picture_has_its_height_and_shows_the_row_with_the_cursor(height: int, cursor: str) -> None:
    sections = [section("a", 12), section("b", 8), section("c", 0)]
    found, starts = lines_of(sections, height, cursor, {"a": 5, "b": 99})
    assert len(found) == height
    shown = [line.row.key for line in found if line.row is not None]
    assert len(set(shown)) == len(shown)
    if height >= 8 and cursor in ("a0", "a11", "b7"):
        assert cursor in shown
    for line in found:
        if line.section is not None and line.row is None:
            rows = [each for each in found if each.row is not None and each.section is line.section]
            assert line.cut_count == len(line.section.rows) - len(rows)
    assert all(start >= 0 for start in starts.values())


def test_there_is_air_between_lists_where_there_is_room_between_all_of_them() -> None:
    sections = [section("a", 2), section("b", 2), section("c", 2)]
    assert [line.section is None for line in lines_of(sections, 11, "", {})[0]].count(True) == 2
    assert lines_of(sections, 10, "", {})[0][3].section is sections[1]


@pytest.mark.parametrize("width", [1, 2, 5, 8, 20, 80])
def test_a_heading_has_its_width(width: int) -> None:
    made = Section("a", (("A title 日本", ""),), (("a note", ""),), unsent_count=3)
    assert width_of(heading(made, 12, width, ascii_only=False)) == width
    assert width_of(heading(made, 0, width, ascii_only=True)) == width


def test_what_is_cut_is_cut_at_a_cell() -> None:
    assert fitted((("ab", "x"), ("日本", "y")), 5) == (("ab", "x"), ("日…", "y"))
    assert fitted((("ab", "x"),), 0) == ()


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("width", [1, 6, 33])
def test_a_curve_has_its_width_whatever_its_values(width: int, ascii_only: bool) -> None:
    for values in ([], [1.0], [1.0, 1.0], [math.nan, math.inf], list(range(100)), [-1e308, 1e308], [0.0, math.nan, 1]):
        assert len(sparkline(values, width, ascii_only=ascii_only)) == width


def test_a_curve_that_rises_ends_high() -> None:
    assert sparkline([0, 1, 2, 3], 4, ascii_only=True) == "_.-^"
    assert sparkline([3, 2, 1, 0], 4, ascii_only=True) == "^-._"
    rising = sparkline(list(range(64)), 4)
    assert [(ord(cell) - 0x2800).bit_count() for cell in rising] == [2, 4, 6, 8]


def test_only_the_cells_that_differ_are_sent() -> None:
    def strip(*parts: tuple[str, str]) -> Strip:
        return Strip([Segment(text, Style.parse(style) if style else None) for text, style in parts])

    assert difference(None, strip(("abc", ""))) == (0, 3)
    assert difference(strip(("abc", "")), strip(("a", ""), ("bc", ""))) is None
    assert difference(strip(("time 12s", "")), strip(("time 13s", ""))) == (6, 1)
    assert difference(strip(("abc", "")), strip(("abc", "bold"))) == (0, 3)
    assert difference(strip(("日本", "")), strip(("日a ", ""))) == (2, 2)
    assert difference(strip(("ab", "")), strip(("abc", ""))) == (0, 3)
