"""Lines as terminal cells."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.tui.raster import BAND, NOBODY, Raster, Scale, Trace, rasterise, scale_of, tick_label, ticks


def line(xs: list[float], means: list[float], spread: float = 0.0) -> Trace:
    return Trace(xs, means, [mean - spread for mean in means], [mean + spread for mean in means])


def drawn(traces: list[Trace], columns: int = 20, rows: int = 5, *, focus: int = 0, ascii_only: bool = False) -> Raster:
    scale = scale_of(traces, focus)
    assert scale is not None
    return rasterise(traces, scale, columns, rows, focus=focus, ascii_only=ascii_only)


def owned(raster: Raster, owner: int) -> int:
    return sum(row.count(owner) for row in raster.owners)


def test_a_rising_line_goes_from_corner_to_corner_without_holes() -> None:
    raster = drawn([line([0, 100], [0, 1])])
    assert raster.rows[-1][0] != " "
    assert raster.rows[0][-1] != " "
    assert all(any(raster.rows[row][column] != " " for row in range(5)) for column in range(20))


def test_a_steep_line_is_joined() -> None:
    raster = drawn([line([0, 1, 2], [0, 1, 0])], columns=3, rows=6)
    assert all(any(cell != " " for cell in row) for row in raster.rows)


def test_a_line_that_goes_straight_is_one_dot_high() -> None:
    raster = drawn([line([0, 10], [5, 5])], columns=4, rows=3)
    assert [row.strip() for row in raster.rows if row.strip()] == ["⠤⠤⠤⠤"]


@pytest.mark.parametrize("gap", [math.nan, math.inf])
def test_what_is_not_finite_leaves_a_gap(gap: float) -> None:
    raster = drawn([line([0, 1, 2, 3, 4], [1, 1, gap, 1, 1])], columns=21, rows=3)
    text = "".join(raster.rows)
    assert raster.rows[1][10] == " "
    assert text.strip()


def test_one_point_is_one_dot_and_none_is_no_scale() -> None:
    raster = drawn([line([7], [3])], columns=5, rows=3)
    assert sum(cell != " " for row in raster.rows for cell in row) == 1
    assert scale_of([line([], [])]) is None
    assert scale_of([line([1], [math.nan])]) is None
    assert scale_of([]) is None


@pytest.mark.parametrize("values", [[-1e308, 1e308], [5e-324, 1e-323], [1e15, 1e15 + 1], [-3.0, -3.0]])
def test_huge_tiny_and_constant_ranges(values: list[float]) -> None:
    raster = drawn([line([0, 1], values)])
    assert any(row.strip() for row in raster.rows)


def test_the_focused_line_owns_the_cells_it_shares() -> None:
    both = [line([0, 1], [0, 1]), line([0, 1], [0, 1])]
    assert owned(drawn(both, focus=1), 0) == 0
    assert owned(drawn(both, focus=1), 1) > 0
    assert owned(drawn(both, focus=0), 1) == 0


def test_only_the_focused_line_has_a_band_and_it_lies_below_the_lines() -> None:
    traces = [line([0, 1], [0, 0], spread=1), line([0, 1], [1, 1], spread=9)]
    raster = drawn(traces, rows=8)
    assert owned(raster, BAND) > 0
    assert owned(raster, 1) == 20
    assert owned(drawn(traces[:1], rows=8, focus=5), BAND) == 0


def test_the_scale_holds_every_line_and_the_band_of_one() -> None:
    traces = [line([0, 1], [0, 0]), line([5, 9], [1, 4], spread=0.5)]
    assert scale_of(traces, 0) == Scale(0, 9, 0, 4)
    assert scale_of(traces, 1) == Scale(0, 9, 0, 4.5)


def test_an_outlier_of_the_band_does_not_flatten_the_lines() -> None:
    spiky = Trace([0, 1], [0, 1], [0, 0], [0, 1e9])
    scale = scale_of([spiky])
    assert scale is not None
    assert scale.y_high <= 2


def test_ascii_tells_series_apart_without_colour() -> None:
    raster = drawn([line([0, 1], [0, 0]), line([0, 1], [1, 1])], ascii_only=True)
    assert raster.rows[-1] == "*" * 20
    assert raster.rows[0] == "o" * 20
    assert all(cell.isascii() for row in raster.rows for cell in row)


def test_every_cell_with_ink_has_an_owner_and_no_other() -> None:
    generator = random.Random(1)
    traces = [line(list(range(50)), [generator.random() for _ in range(50)], 0.1) for _ in range(4)]
    raster = drawn(traces, 40, 10, focus=2)
    for text, owners in zip(raster.rows, raster.owners, strict=True):
        assert [cell == " " for cell in text] == [owner == NOBODY for owner in owners]


def test_ten_series_of_200_bins_are_all_drawn() -> None:
    generator = random.Random(1)
    traces = [
        line([i * 50.0 for i in range(200)], [k + generator.gauss(0, 0.03) for i in range(200)], 0.1) for k in range(10)
    ]
    raster = drawn(traces, 111, 36)
    assert all(owned(raster, owner) >= 111 for owner in range(10))


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0, 90_000, ["0", "20k", "40k", "60k", "80k"]),
        (0.7, 0.85, ["0.70", "0.75", "0.80", "0.85"]),
        (-3, 3, ["-2", "0", "2"]),
        (1e-7, 5e-7, ["1e-7", "2e-7", "3e-7", "4e-7", "5e-7"]),
        (12_000, 13_000, ["12k", "12.5k", "13k"]),
        (950_000, 1_050_000, ["960k", "980k", "1M", "1.02M", "1.04M"]),
        (99_990, 100_010, ["99990", "99995", "100000", "100005", "100010"]),
    ],
)
def test_ticks_are_round(low: float, high: float, labels: list[str]) -> None:
    assert [tick.label for tick in ticks(low, high, 5)] == labels


@given(st.floats(-1e300, 1e300), st.floats(1e-9, 1e300), st.integers(1, 12))
def test_ticks_are_inside_few_and_distinct(low: float, size: float, most: int) -> None:
    scale = scale_of([line([0, 1], [low, low + size])])
    assert isinstance(scale, Scale)
    marks = ticks(scale.y_low, scale.y_high, most)
    assert len(marks) <= most
    assert len({mark.label for mark in marks}) == len(marks)
    margin = (scale.y_high / 2 - scale.y_low / 2) * 1e-6
    assert all(scale.y_low - margin <= mark.value <= scale.y_high + margin for mark in marks)


def test_tick_labels_near_zero() -> None:
    assert tick_label(1e-19, 0.2) == "0"
    assert ticks(1, 1, 5) == []
