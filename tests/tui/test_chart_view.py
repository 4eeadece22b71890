"""Axes, stretches and cursors of charts: what is looked at stays within what there is, ticks are round and in order."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.run_curves import Curve, MetricCurves
from console.tui.chart_axes import Axes, axis_ticks, length_label, place, value_at, x_text
from console.tui.chart_layout import Chart, ChartLine, Mark, layout
from console.tui.chart_view import SMOOTHINGS, ChartView, nearest
from console.tui.run_charts import chart_of, cursor_xs, short
from console.tui.widgets.chart_grid import fitting, shape

MOVES = st.lists(st.sampled_from(["+", "-", "<", ">", "0"]), max_size=30)
FINITE = st.floats(-1e9, 1e9)


def moved(view: ChartView, extent: tuple[float, float], move: str) -> ChartView:
    if move in "<>":
        return view.pan(extent, 1 if move == ">" else -1)
    return view.whole() if move == "0" else view.zoom(extent, 1 if move == "+" else -1)


@given(low=FINITE, size=st.floats(5, 1e9), moves=MOVES, log_x=st.booleans(), cursor=st.none() | FINITE)
def test_a_stretch_is_never_empty_nor_outside_of_what_there_is(
    low: float, size: float, moves: list[str], log_x: bool, cursor: float | None
) -> None:
    extent = (abs(low) + 1 if log_x else low, (abs(low) + 1 if log_x else low) + size)
    view = ChartView(log_x=log_x, cursor=cursor)
    slack = 1e-6 * (abs(extent[0]) + abs(extent[1]))
    for move in moves:
        view = moved(view, extent, move)
        first, last = view.stretch(extent)
        assert extent[0] - slack <= first < last <= extent[1] + slack


@given(extent=st.tuples(st.floats(0, 1e6), st.floats(2e6, 1e9)), count=st.integers(1, 8))
def test_zooming_out_as_often_as_in_shows_all_again(extent: tuple[float, float], count: int) -> None:
    view = ChartView(axis="relative")
    for _ in range(count):
        view = view.zoom(extent, 1)
        assert view.zoomed
    first, last = view.stretch(extent)
    assert last - first == pytest.approx((extent[1] - extent[0]) / 2**count, rel=1e-6)
    for _ in range(count):
        view = view.zoom(extent, -1)
    assert not view.zoomed


def test_logarithms_go_round_and_a_clock_has_none() -> None:
    view, seen = ChartView(), []
    for _ in range(4):
        view = view.next_logs()
        seen.append((view.log_x, view.log_y))
    assert seen == [(False, True), (True, False), (True, True), (False, False)]
    clock = ChartView(axis="wall").next_logs()
    assert (clock.log_x, clock.log_y) == (False, True)
    assert not clock.next_logs().log_y


def test_what_the_cursor_marks_stays_where_it_is_while_zooming() -> None:
    view = ChartView(cursor=250.0).zoom((0.0, 1000.0), 1)
    assert (view.low, view.high) == (125.0, 625.0)
    assert (250 - 125) / 500 == 250 / 1000


def test_an_end_that_is_in_view_stays_open_for_new_points() -> None:
    view = ChartView(cursor=1000.0).zoom((0.0, 1000.0), 1)
    assert (view.low, view.high) == (500.0, None)
    assert view.stretch((0.0, 2000.0)) == (500.0, 2000.0)
    assert view.pan((0.0, 1000.0), -1).high == 875.0
    assert view.pan((0.0, 1000.0), -1).pan((0.0, 1000.0), 1) == view


def test_another_axis_keeps_the_smoothing_and_drops_the_stretch() -> None:
    view = ChartView(smoothing=0.9, low=3.0, cursor=4.0, log_x=True)
    seen = [view.axis]
    for _ in range(3):
        view = view.next_axis()
        seen.append(view.axis)
    assert seen == ["step", "epoch", "wall", "relative"]
    assert (view.smoothing, view.low, view.cursor, view.log_x) == (0.9, None, None, False)
    assert view.next_axis().axis == "step"
    weights = []
    for _ in SMOOTHINGS:
        weights.append(view.smoothing)
        view = view.next_smoothing()
    assert sorted(weights) == sorted(SMOOTHINGS)


@given(st.lists(FINITE, min_size=1, max_size=40), st.lists(st.sampled_from([-1, 1]), max_size=60))
def test_the_cursor_walks_over_every_place_and_stays_on_them(places: list[float], steps: list[int]) -> None:
    xs = sorted(set(places))
    view = ChartView()
    for step in steps:
        before = view.cursor
        view = view.move_cursor(xs, step)
        assert view.cursor in xs
        if before is None:
            assert view.cursor == (xs[0] if step > 0 else xs[-1])
        else:
            wanted = min(max(0, xs.index(before) + step), len(xs) - 1)
            assert view.cursor == xs[wanted]
    assert view.move_cursor((), 1).cursor is None


def test_a_cursor_between_two_places_goes_to_its_neighbours() -> None:
    view = ChartView(cursor=15.0)
    assert view.move_cursor([10, 20, 30], 1).cursor == 20
    assert view.move_cursor([10, 20, 30], -1).cursor == 10


@given(st.lists(FINITE, min_size=1, max_size=40), FINITE)
def test_nearest_is_as_near_as_any(places: list[float], x: float) -> None:
    xs = sorted(set(places))
    at = nearest(xs, x)
    assert at is not None
    assert abs(xs[at] - x) == min(abs(other - x) for other in xs)


@given(low=st.floats(-12, 12), size=st.floats(1e-3, 20), most=st.integers(1, 12))
def test_ticks_of_a_log_axis_are_in_order_within_it_and_no_more_than_asked_for(
    low: float, size: float, most: int
) -> None:
    found = axis_ticks(low, low + size, most, log=True)
    values = [tick.value for tick in found]
    assert values == sorted(set(values))
    assert len(found) <= most
    assert all(low - 1e-6 <= value <= low + size + 1e-6 for value in values)
    assert len({tick.label for tick in found}) == len(found)


def test_ticks_of_a_log_axis_are_powers_of_ten_or_round_multiples() -> None:
    assert [tick.label for tick in axis_ticks(-3.2, 2.1, 8, log=True)] == ["0.001", "0.01", "0.1", "1", "10", "100"]
    assert [tick.label for tick in axis_ticks(0.05, 0.9, 8, log=True)] == ["2", "5"]
    assert len(axis_ticks(math.log10(0.80), math.log10(0.86), 6, log=True)) >= 2


@given(
    low=st.floats(-1e6, 2e9),
    size=st.floats(0.01, 4e8),
    most=st.integers(1, 15),
    kind=st.sampled_from(["clock", "duration"]),
)
def test_ticks_of_time_are_in_order_within_it_and_no_more_than_asked_for(
    low: float, size: float, most: int, kind: str
) -> None:
    found = axis_ticks(low, low + size, most, kind=kind)  # type: ignore[arg-type]
    values = [tick.value for tick in found]
    assert values == sorted(set(values))
    assert len(found) <= most
    assert all(low - 1e-3 <= value <= low + size + 1e-3 for value in values)


@pytest.mark.usefixtures("in_utc")
def test_ticks_of_time_are_round_on_a_clock() -> None:
    midnight = 1_760_054_400.0
    labels = [tick.label for tick in axis_ticks(midnight - 7200, midnight + 7200, 5, kind="clock")]
    assert labels == ["22:00", "23:00", "Oct 10", "01:00", "02:00"]
    quarters = ["0", "15m", "30m", "45m", "1h", "1h15", "1h30"]
    assert [tick.label for tick in axis_ticks(0, 5400, 7, kind="duration")] == quarters
    assert [tick.label for tick in axis_ticks(0, 40, 5, kind="duration")] == ["0", "10s", "20s", "30s", "40s"]
    assert length_label(-90) == "-1m30"
    assert x_text(midnight + 61, "clock") == "00:01:01"
    assert x_text(3.25, "number", name="epoch") == "epoch 3.25"


@given(st.floats(1e-12, 1e12))
def test_a_place_on_a_log_axis_leads_back_to_its_value(value: float) -> None:
    assert value_at(place(value, log=True), log=True) == pytest.approx(value)
    assert math.isnan(place(-value, log=True))


def metric(values: list[float], **changes: object) -> MetricCurves:
    """A metric with a point a step."""
    xs = tuple(float(step) for step in range(1, len(values) + 1))
    steps, column = tuple(int(x) for x in xs), tuple(values)
    curve = Curve(1, len(values), 0, 0, xs, xs, steps, column, column, column, column, column)
    return MetricCurves("loss", "step", (curve,), None, 1, xs[0], xs[-1], "")._replace(**changes)  # type: ignore[arg-type]


def rows(chart: Chart, width: int = 60, height: int = 14, *, ascii_only: bool = False) -> list[str]:
    return ["".join(piece.text for piece in row) for row in layout(chart, width, height, ascii_only=ascii_only)]


def test_smoothed_lies_before_raw_and_both_are_read() -> None:
    found = metric([1.0, 0.5, 0.25])
    [curve] = found.curves
    found = found._replace(curves=(curve._replace(smoothed=(1.0, 0.74, 0.56)),))
    chart = chart_of(found, ChartView(smoothing=0.9))
    assert [line.dim for line in chart.lines] == [False, True]
    assert list(chart.lines[0].means) == [1.0, 0.74, 0.56]
    assert list(chart.lines[1].means) == [1.0, 0.5, 0.25]
    assert rows(chart)[0].split() == ["━", "0.56", "raw", "0.25", "EMA", "0.9"]
    assert rows(chart_of(found, ChartView(smoothing=0.9, cursor=2.0)))[0].split()[:6] == [
        *("step", "2", "━", "0.74", "raw", "0.5")
    ]


def test_what_a_log_axis_cannot_show_is_said() -> None:
    found = metric([1.0, 0.0, -1.0, 0.1])
    text = rows(chart_of(found, ChartView(log_y=True)))
    assert "2 bins <= 0 not on a log axis · log y" in text[0]
    nothing = rows(chart_of(metric([-1.0, 0.0]), ChartView(log_y=True)))
    assert any("no value above 0" in line for line in nothing)


def test_an_axis_that_cannot_be_had_gives_its_reason() -> None:
    found = metric([1.0])._replace(curves=(), unavailable="n/a: the run reports no metric 'epoch' beside its steps")
    text = "\n".join(rows(chart_of(found, ChartView(axis="epoch"))))
    assert "n/a:" in text
    assert "the run reports no metric 'epoch' beside its steps" in text


@pytest.mark.parametrize("ascii_only", [False, True])
def test_values_that_are_no_numbers_are_marked_and_the_cursor_is_a_line(ascii_only: bool) -> None:
    line = ChartLine("a", "primary", [0, 10], [0, 1], [0, 1], [0, 1])
    marks = (Mark(2, "nan"), Mark(5, "inf"), Mark(7, "-inf"), Mark(99, "nan"))
    text = rows(Chart((line,), marks=marks, cursor=3.0), ascii_only=ascii_only)
    nan, inf, minus, cursor = "x^v:" if ascii_only else "×▲▼┊"
    assert inf in text[1]
    assert nan in text[-3]
    assert minus in text[-3]
    assert sum(cursor in row for row in text[1:-2]) >= 9
    assert all(len(row) == 60 for row in text[1:])
    assert not ascii_only or all(row.isascii() for row in text)


def test_folds_are_dim_behind_their_mean_and_read_one_by_one() -> None:
    found = metric([0.5, 0.6])
    [curve] = found.curves
    folds = tuple(curve._replace(fold=fold, means=(fold / 10, 0.6), lasts=(fold / 10, 0.6)) for fold in (1, 2, 3))
    found = found._replace(curves=folds, mean=curve._replace(fold=0), fold_count=25)
    chart = chart_of(found, ChartView())
    assert [line.dim for line in chart.lines] == [False, True, True, True]
    assert "mean of 3 folds" in rows(chart)[0]
    assert "newest 3 of 25 folds" in rows(chart)[0]
    assert cursor_xs(found) == (1.0, 2.0)
    read = rows(chart_of(found, ChartView(cursor=1.0)), width=90)[0]
    assert "mean 0.5" in read
    assert "2 .2" in read
    assert [short(text) for text in ("0.25", "10.5", "-0.2", "0", "nan")] == [".25", "10.5", "-0.2", "0", "nan"]


def test_a_stretch_is_the_whole_width_and_says_that_it_is_one() -> None:
    view = ChartView(low=1.0, high=2.0)
    chart = chart_of(metric([1.0, 0.5, 0.25]), view)
    assert chart.x_range == (1.0, 2.0)
    assert "zoomed" in chart.note
    [curve] = metric([1.0]).curves
    nothing = curve._replace(xs=(), first_xs=(), steps=(), means=(), minimums=(), maximums=(), firsts=(), lasts=())
    gone = chart_of(metric([1.0], curves=(nothing,), low=0.0, high=9.0), view)
    assert gone.empty == "no point in this stretch"


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300), st.integers(1, 120), st.integers(1, 40), st.booleans())
def test_every_size_and_every_value_is_survived(one: float, other: float, width: int, height: int, log: bool) -> None:
    line = ChartLine("a label", "primary", [one, other], [other, one], [other, one], [other, one])
    chart = Chart((line,), title="t" * 50, note="note", axes=Axes(log, log), cursor=one, marks=(Mark(other, "nan"),))
    drawn = layout(chart, width, height)
    assert 1 <= len(drawn) <= height
    assert all(sum(len(piece.text) for piece in row) <= width for row in drawn)


@given(st.integers(1, 400), st.integers(1, 120), st.integers(1, 30))
def test_a_grid_has_room_for_all_of_a_page(width: int, height: int, count: int) -> None:
    across, down = fitting(width, height)
    assert 1 <= across * down <= 24
    columns, lines = shape(min(count, across * down), across, down)
    assert columns * lines >= min(count, across * down)
    assert columns <= across
    assert lines <= down
