"""From the curves of a metric to its chart: smoothed before raw, the mean before its folds, and what is to be said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from console.tui.chart_axes import x_text
from console.tui.chart_layout import Chart, ChartLine, Mark
from console.tui.chart_view import nearest
from console.tui.series_colours import SERIES_COLOURS
from console.tui.text_format import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.run_curves import Curve, MetricCurves
    from console.tui.chart_view import ChartView

AXIS_WORDS: Final = {"step": "step", "epoch": "epoch", "wall": "time of day", "relative": "time since start"}


def chart_of(
    found: MetricCurves | None, view: ChartView, *, title: str = "", active: bool = True, last: str = ""
) -> Chart:
    """The chart of one metric; `last` says where it stands, for a chart without a cursor."""
    axes = view.axes
    if found is None:
        return Chart(title=title, empty="no metric yet", axes=axes, active=active)
    if found.unavailable:
        return Chart(title=title, empty=found.unavailable.replace(": ", ":\n", 1), axes=axes, active=active)
    lines = lines_of(found, view, last)
    hidden = below_zero(lines) if view.log_y else 0
    extent = extent_of([found])
    marks = tuple(Mark(x, kind) for curve in found.curves for x, kind in curve.marks)
    return Chart(
        tuple(lines),
        focus=0,
        title=title_of(title, found, view),
        note=" · ".join([*curve_facts(found, view, hidden), *([] if view.grid else view_facts(view))]),
        empty=empty_words(found, view, hidden=bool(hidden)),
        axes=axes,
        x_range=view.stretch(extent) if view.zoomed and extent is not None else None,
        cursor=view.cursor,
        marks=marks,
        active=active,
    )


def title_of(title: str, found: MetricCurves, view: ChartView) -> str:
    """The metric, and the x that the cursor marks."""
    at = reading_x(found, view)
    words = x_text(at, view.axes.x_kind, name=view.axis) if at is not None else ""
    return f"{title}  {words}" if title and words else title or words


def reading_x(found: MetricCurves, view: ChartView) -> float | None:
    """The x of the bin that the cursor reads."""
    front = found.mean or (found.curves[0] if found.curves else None)
    if view.cursor is None or front is None:
        return None
    at = nearest(front.xs, view.cursor)
    return None if at is None else front.xs[at]


def lines_of(found: MetricCurves, view: ChartView, last: str) -> list[ChartLine]:
    """What is drawn, the line in front first."""
    colour = SERIES_COLOURS[0]
    if found.mean is not None:
        front = f"mean {reading(found.mean, view, cells=6)}"
        if view.cursor is None:
            front = f"mean of {len(found.curves)} folds"
        lines = [smooth_or_plain(found.mean, front, colour)]
        for place, curve in enumerate(found.curves):
            other = SERIES_COLOURS[(place + 1) % len(SERIES_COLOURS)]
            label = f"{curve.fold} {short(reading(curve, view, cells=5))}" if view.cursor is not None else ""
            lines.append(smooth_or_plain(curve, label, other, dim=True))
        return [line for line in lines if line.xs]
    if not found.curves or not found.curves[0].xs:
        return []
    [curve] = found.curves[-1:]
    if not curve.smoothed:
        return [binned_line(curve, reading(curve, view) if view.cursor is not None else last, colour)]
    label = reading(curve, view)
    if not view.grid:
        label += f" raw {reading(curve, view, raw=True)}"
    raw = ChartLine("", colour, curve.xs, curve.lasts, curve.lasts, curve.lasts, dim=True)
    return [smooth_or_plain(curve, label, colour), raw]


def reading(curve: Curve, view: ChartView, *, raw: bool = False, cells: int = 9) -> str:
    """The value of a curve at the cursor, else its last one."""
    values: Sequence[float] = curve.lasts if raw or not curve.smoothed else curve.smoothed
    at = nearest(curve.xs, view.cursor) if view.cursor is not None else len(values) - 1
    return number(values[at], cells) if at is not None and 0 <= at < len(values) else "n/a"


def short(number_text: str) -> str:
    """Without the 0 before the point there is room for five folds in half a screen: `.799`."""
    return number_text.removeprefix("0") if number_text.startswith("0.") else number_text


def smooth_or_plain(curve: Curve, label: str, colour: str, *, dim: bool = False) -> ChartLine:
    """A thin line without a band: what was smoothed, else the means."""
    if curve.smoothed:
        return ChartLine(label, colour, curve.xs, curve.smoothed, curve.smoothed, curve.smoothed, dim)
    line = binned_line(curve, label, colour)
    return ChartLine(label, colour, line.xs, line.means, line.means, line.means, dim)


def binned_line(curve: Curve, label: str, colour: str) -> ChartLine:
    """The line through the means, each in the middle of its bin, from the very first to the very last point."""
    xs = [first / 2 + last / 2 for first, last in zip(curve.first_xs, curve.xs, strict=True)]
    means, lows, highs = list(curve.means), list(curve.minimums), list(curve.maximums)
    if xs and curve.first_xs[0] < xs[0]:
        xs, means = [curve.first_xs[0], *xs], [curve.firsts[0], *means]
        lows, highs = [lows[0], *lows], [highs[0], *highs]
    if xs and curve.xs[-1] > xs[-1]:
        xs, means = [*xs, curve.xs[-1]], [*means, curve.lasts[-1]]
        lows, highs = [*lows, lows[-1]], [*highs, highs[-1]]
    return ChartLine(label, colour, xs, means, lows, highs)


def below_zero(lines: Sequence[ChartLine]) -> int:
    """How many places of the lines have no logarithm."""
    return sum(value <= 0 for line in lines for value in line.means)


def curve_facts(found: MetricCurves, view: ChartView, hidden: int) -> list[str]:
    """What is to be known of what is not in the picture, the most surprising first."""
    said = []
    if hidden:
        said.append(f"{hidden} bins <= 0 not on a log axis")
    if bad := sum(curve.not_finite_count for curve in found.curves):
        said.append(f"{bad} not finite")
    if left_out := sum(curve.left_out_count for curve in found.curves):
        said.append(f"{left_out} before the first epoch" if view.axis == "epoch" else f"{left_out} at x <= 0")
    if found.fold_count > len(found.curves):
        said.append(f"newest {len(found.curves)} of {found.fold_count} folds")
    return said


def view_facts(view: ChartView) -> list[str]:
    """How all charts are looked at, where it is not the usual way."""
    logs = [name for name, on in (("x", view.log_x), ("y", view.log_y)) if on]
    said = [f"EMA {view.smoothing:g}"] * bool(view.smoothing) + [f"log {' '.join(logs)}"] * bool(logs)
    said += [f"x: {AXIS_WORDS[view.axis]}"] * (view.axis != "step")
    return [*said, "zoomed"] if view.zoomed else said


def empty_words(found: MetricCurves, view: ChartView, *, hidden: bool) -> str:
    """Why there is no line."""
    if hidden:
        return "no value above 0:\na log axis shows none"
    if view.zoomed and found.low is not None:
        return "no point in this stretch"
    return "no finite value yet"


def extent_of(found: Sequence[MetricCurves | None]) -> tuple[float, float] | None:
    """What all points of some metrics span; None when there is none."""
    spans = [(each.low, each.high) for each in found if each and each.low is not None and each.high is not None]
    return (min(low for low, _ in spans), max(high for _, high in spans)) if spans else None


def cursor_xs(found: MetricCurves | None) -> tuple[float, ...]:
    """Where the cursor can stand: the bins of the line in front."""
    if found is None or not found.curves:
        return ()
    return (found.mean or found.curves[-1]).xs
