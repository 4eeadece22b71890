"""Curves of several runs for one chart: what to ask for, and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from console.client import DaemonRefused
from console.tui.chart_layout import ChartLine
from console.tui.messages import ChartArrived
from console.tui.theme import SERIES_COLOURS

if TYPE_CHECKING:
    from console.client import Client
    from console.protocol import MetricSummary, Series

MOST_CURVES: Final = 10
"""As many as there are colours that can be told apart."""
REMEMBERED_CURVES: Final = 64


@dataclass(frozen=True, slots=True)
class Curve:
    """One run in the chart."""

    run_id: str
    label: str
    ended: bool
    """Its points change no more, as long as `known_by` is the same."""
    colour_no: int = 0
    """A run keeps its colour while others come and go."""
    known_by: str = ""
    """What its row says of its points. They may come after its end: the daemon was behind, or its log is read anew."""


def known_by(metric: MetricSummary | None) -> str:
    """What a row says of its points, to be compared; a text, because NaN is not the same as NaN."""
    return repr(metric)


class CurveCache:
    """Curves of runs that have ended; lives in the courier's thread only."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, int, str], Series | None] = {}

    def load(self, client: Client, request_no: int, curves: tuple[Curve, ...], key: str, bins: int) -> ChartArrived:
        """Ask for every curve that is not known for good."""
        loaded: list[tuple[str, Series | None]] = []
        for curve in curves:
            place = (curve.run_id, key, bins, curve.known_by)
            if curve.ended and place in self._kept:
                series = self._kept[place]
            else:
                series = series_or_none(client, curve.run_id, key, bins)
            if curve.ended:
                self._kept[place] = series
                if len(self._kept) > REMEMBERED_CURVES:
                    del self._kept[next(iter(self._kept))]
            loaded.append((curve.run_id, series))
        return ChartArrived(request_no, tuple(loaded))


def series_or_none(client: Client, run_id: str, key: str, bins: int) -> Series | None:
    """The series, or None for a run that has no such metric or is gone."""
    try:
        series = client.series(run_id, key, bins)
    except DaemonRefused as error:
        if error.status == 404:
            return None
        raise
    return series if series.steps else None


def bins_for(columns: int) -> int:
    """At most two bins a column: as fine as braille can show."""
    return max(2 * columns, 16)


def chart_lines(
    curves: tuple[Curve, ...], loaded: dict[str, Series | None], focused_id: str
) -> tuple[list[ChartLine], int]:
    """What to draw, and which of it has the focus; runs without points are left out."""
    lines: list[ChartLine] = []
    focus = 0
    for curve in curves:
        series = loaded.get(curve.run_id)
        if series is None:
            continue
        if curve.run_id == focused_id:
            focus = len(lines)
        colour = SERIES_COLOURS[curve.colour_no % len(SERIES_COLOURS)]
        lines.append(chart_line(curve.label, colour, series))
    return lines, focus


def chart_line(label: str, colour: str, series: Series) -> ChartLine:
    """The line through the means, each in the middle of its bin, from the very first to the very last point."""
    if not series.first_steps:
        return ChartLine(label, colour, series.steps, series.means, series.minimums, series.maximums)
    xs = [first / 2 + last / 2 for first, last in zip(series.first_steps, series.steps, strict=True)]
    means, lows, highs = list(series.means), list(series.minimums), list(series.maximums)
    if series.first_steps[0] < xs[0]:
        xs, means = [series.first_steps[0], *xs], [series.firsts[0], *means]
        lows, highs = [lows[0], *lows], [highs[0], *highs]
    if series.steps[-1] > xs[-1]:
        xs, means = [*xs, series.steps[-1]], [*means, series.lasts[-1]]
        lows, highs = [*lows, lows[-1]], [*highs, highs[-1]]
    return ChartLine(label, colour, xs, means, lows, highs)
