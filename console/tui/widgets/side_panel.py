"""Beside the table: the primary metric of the run under the cursor and of the marked ones, and the run's facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.content import Content

from console.protocol import ENDED_STATES
from console.tui.curves import MOST_CURVES, Curve, CurveCache, bins_for, chart_lines, known_by
from console.tui.pace import Pace
from console.tui.presence import is_present
from console.tui.run_cells import arrowed, side_facts, source_word
from console.tui.text_format import visible
from console.tui.widgets.facts import Facts
from console.tui.widgets.line_chart import LineChart
from console.tui.widgets.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.app import ComposeResult

    from console.protocol import MetricSummary, RunRow, Series, State
    from console.tui.messages import ChartArrived
    from console.tui.session import Session


class SidePanel(Vertical):
    """Asks for curves by itself; facts come with the row."""

    DEFAULT_CSS = """
    SidePanel > LineChart {
        height: 1fr;
        min-height: 6;
    }
    SidePanel > Facts {
        height: 11;
    }
    """

    def __init__(self, session: Session, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._session = session
        self._row: RunRow | None = None
        self._marked: Mapping[str, RunRow] = {}
        self._curves: tuple[Curve, ...] = ()
        self._loaded: dict[str, Series | None] = {}
        self._key = ""
        self._request_no = 0
        self._cache = CurveCache()

    def compose(self) -> ComposeResult:
        """Chart above, facts below."""
        yield Rule("Chart", id="chart-rule")
        yield LineChart(id="runs-chart")
        yield Rule("Run", id="facts-rule")
        yield Facts(id="runs-facts")

    def on_mount(self) -> None:
        """Curves of live runs are asked for again at the pace of the terminal."""
        interval_s = self._session.profile.chart_interval_s
        self._pace = Pace(self, interval_s, self.ask_chart, self._session.monotonic)
        self.query_one(LineChart).ascii = self._session.ascii_only

    def show_run(self, row: RunRow | None, now_s: float) -> None:
        """Show the facts of the run under the cursor."""
        before, self._row = self._row, row
        if row and before and row.id == before.id and has_news(row.metric, before.metric, row.state):
            self.grow_chart()
        self.query_one(Facts).show(side_facts(row, now_s))
        title = Content.assemble((row.label, "$accent"), f" {visible(row.name)}") if row else "Run"
        self.query_one("#facts-rule", Rule).set_title(title)

    def grow_chart(self) -> None:
        """The data changed: ask for the curves when the last answer is old enough."""
        self._pace.soon()

    def mark(self, marked: Mapping[str, RunRow]) -> None:
        """These runs are drawn too."""
        self._marked = marked

    def ask_chart(self) -> None:
        """Ask for the curves of the run under the cursor and of those that are marked."""
        row = self._row
        if not (self.display and is_present(self, self.screen)):
            return
        metric = next((each.metric for each in (row, *self._marked.values()) if each and each.metric), None)
        if row is None or metric is None:
            self._curves, self._key = (), ""
            self._draw()
            return
        key = self._key = metric.key
        curves = self._curves = wanted_curves(row, self._marked)
        self._request_no += 1
        request_no, cache, bins = self._request_no, self._cache, bins_for(self.query_one(LineChart).size.width)
        self._session.courier.ask("chart", self, lambda client: cache.load(client, request_no, curves, key, bins))

    def on_chart_arrived(self, message: ChartArrived) -> None:
        """Draw, unless the cursor has moved on."""
        message.stop()
        if message.request_no == self._request_no and is_present(self, self.screen):
            self._loaded = dict(message.curves)
            self._draw()

    def _draw(self) -> None:
        row = self._row
        lines, focus = chart_lines(self._curves, self._loaded, row.id if row else "")
        empty = f"{row.label} has reported no metric yet" if row else ""
        self.query_one(LineChart).set_lines(lines, focus=focus, empty=empty)
        metric = row.metric if row else None
        title = arrowed(metric) if metric else (self._key or "Chart")
        self.query_one("#chart-rule", Rule).set_title(
            title, f"goal {source}" if (source := source_word(metric)) else ""
        )


def has_news(metric: MetricSummary | None, before: MetricSummary | None, state: State) -> bool:
    """Whether a row that has come tells of a curve that nobody asks for otherwise: those of live runs are asked for
    whenever something changes, which is before their rows come."""
    if state in ENDED_STATES:
        return known_by(metric) != known_by(before)
    return metric is not None and (before is None or metric.key != before.key)


def wanted_curves(row: RunRow, marked: Mapping[str, RunRow]) -> tuple[Curve, ...]:
    """Marked runs keep the colour of their place; the run under the cursor has the first one unless it is marked."""
    colours = {run_id: number for number, run_id in enumerate(marked, start=1)}
    others = [each for run_id, each in marked.items() if run_id != row.id][: MOST_CURVES - 1]
    return tuple(
        Curve(
            each.id,
            f"{each.label} {each.name}",
            each.state in ENDED_STATES,
            colours.get(each.id, 0),
            known_by(each.metric),
        )
        for each in (row, *others)
    )
