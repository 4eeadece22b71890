"""The charts of a run: what they are looked at with, the way to the daemon, and their title."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.containers import Vertical

from console import run_curves
from console.protocol import ENDED_STATES
from console.tui.chart_view import ChartView
from console.tui.curves import bins_for
from console.tui.messages import CurvesArrived
from console.tui.pace import Pace
from console.tui.presence import is_present
from console.tui.run_cells import arrowed, source_word
from console.tui.run_charts import chart_of, cursor_xs, extent_of, view_facts
from console.tui.text_format import number, spread
from console.tui.widgets.chart_grid import ChartGrid
from console.tui.widgets.rule import Rule

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from console.client import Client
    from console.protocol import MetricSummary, RunRow
    from console.run_curves import Ask, MetricCurves
    from console.tui.session import Session

REMEMBERED: Final = 64
"""Answers about runs that have ended and so change no more."""


class ChartPane(Vertical):
    """Asks for the curves of the metrics in view and draws them."""

    def __init__(self, session: Session, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._session = session
        self._row: RunRow | None = None
        self._metrics: tuple[MetricSummary, ...] = ()
        self._key = ""
        self.view = ChartView()
        self._found: dict[str, MetricCurves | None] = {}
        self._asked: tuple[object, ...] = ()
        """What was asked for last: metrics, their numbers of points, and how."""
        self._request_no = 0
        self._kept: dict[tuple[object, ...], tuple[MetricCurves | None, ...]] = {}
        """Lives in the courier's thread only."""

    def compose(self) -> ComposeResult:
        """Title and charts."""
        yield Rule("Chart", id="chart-rule")
        yield ChartGrid(id="run-chart")

    def on_mount(self) -> None:
        """Live data come at the pace of the terminal."""
        self._home = self.screen
        self._pace = Pace(self, self._session.profile.chart_interval_s, self.ask_now, self._session.monotonic)
        self._grid.ascii = self._session.ascii_only

    @property
    def _grid(self) -> ChartGrid:
        return self.query_one(ChartGrid)

    @property
    def metric(self) -> MetricSummary | None:
        """The chosen metric."""
        return next((each for each in self._metrics if each.key == self._key), None)

    def show_metrics(self, row: RunRow, metrics: tuple[MetricSummary, ...], key: str) -> None:
        """The run as it is now; curves follow at the pace of the terminal."""
        self._row, self._metrics, self._key = row, metrics, key
        self._pace.soon()

    def choose(self, key: str) -> None:
        """Another metric: what is here of it is shown at once."""
        if key != self._key:
            self._key = key
            self.ask_now()

    def on_resize(self) -> None:
        """More columns want more bins, and more room has more charts."""
        self.call_after_refresh(self.ask_now)

    def _in_view(self) -> tuple[MetricSummary, ...]:
        """The metrics that are drawn: the chosen one, or the page of the grid that it is on."""
        keys = [metric.key for metric in self._metrics]
        if self._key not in keys:
            return ()
        at = keys.index(self._key)
        if not self.view.grid:
            return (self._metrics[at],)
        across, down = self._grid.room
        page = max(1, across * down)
        first = at // page * page
        return self._metrics[first : first + page]

    def ask_now(self) -> None:
        """Ask for what is not here yet, then draw."""
        if not is_present(self, self._home) or not self._grid.size:
            return
        row, metrics = self._row, self._in_view()
        if row is None or not metrics:
            self._draw()
            return
        keys = tuple(metric.key for metric in metrics)
        ask = self.view.ask(bins_for(self._grid.cell_columns(single=not self.view.grid)))
        wish = (row.id, keys, tuple(metric.point_count for metric in metrics), row.started_at_s, ask)
        if wish == self._asked:
            self._draw()
            return
        self._asked = wish
        self._request_no += 1
        request_no, ended = self._request_no, row.state in ENDED_STATES

        def fetch(client: Client) -> CurvesArrived:
            return CurvesArrived(request_no, keys, self._load(client, row.id, keys, ask, wish, ended=ended))

        self._session.courier.ask("run-curves", self, fetch)

    def _load(
        self, client: Client, run_id: str, keys: tuple[str, ...], ask: Ask, wish: tuple[object, ...], *, ended: bool
    ) -> tuple[MetricCurves | None, ...]:
        if ended and wish in self._kept:
            return self._kept[wish]
        found = run_curves.fetch(client, run_id, keys, ask)
        if ended:
            self._kept[wish] = found
            if len(self._kept) > REMEMBERED:
                del self._kept[next(iter(self._kept))]
        return found

    def on_curves_arrived(self, message: CurvesArrived) -> None:
        """Draw, unless something else was asked for meanwhile."""
        message.stop()
        if message.request_no == self._request_no and is_present(self, self._home):
            self._found = dict(zip(message.keys, message.found, strict=True))
            self._draw()

    def _draw(self) -> None:
        metrics, view = self._in_view(), self.view
        charts = tuple(
            chart_of(
                found if (found := self._found.get(metric.key)) is None or found.axis == view.axis else None,
                view,
                title=("" if not view.grid else metric.key if self._grid.ascii else arrowed(metric)),
                active=metric.key == self._key,
                last=last_words(metric),
            )
            for metric in metrics
        ) or (chart_of(None, view),)
        self._grid.show(charts, single=not view.grid)
        self._show_title(metrics)

    def _show_title(self, shown: tuple[MetricSummary, ...]) -> None:
        metric = self.metric
        if metric is None:
            self.query_one(Rule).set_title("Chart")
            return
        if self.view.grid:
            at = self._metrics.index(shown[0])
            said = view_facts(self.view)
            if len(self._metrics) > len(shown):
                said.append(f"{at + 1}-{at + len(shown)} of {len(self._metrics)}")
            self.query_one(Rule).set_title(arrowed(metric), " · ".join(said))
            return
        best = f"best {number(metric.best)}" if metric.best is not None else ""
        if metric.folds:
            best = f"cv {spread(metric.folds.mean, metric.folds.sd)}, {len(metric.folds.bests)} folds"
        source = source_word(metric)
        words = " · ".join(filter(None, (best, f"goal {source}" if source else "")))
        self.query_one(Rule).set_title(arrowed(metric), words)

    def change(self, view: ChartView) -> None:
        """Look at the charts in another way."""
        if view != self.view:
            self.view = view
            self.ask_now()

    def _extent(self) -> tuple[float, float] | None:
        found = self._found.get(self._key)
        return extent_of([found]) if found is None or found.axis == self.view.axis else None

    def zoom(self, direction: int) -> bool:
        """Nearer (+1) or farther (-1); False when there is nothing to zoom."""
        extent = self._extent()
        if extent is not None:
            self.change(self.view.zoom(extent, direction))
        return extent is not None

    def pan(self, direction: int) -> bool:
        """To the left (-1) or right (+1); False when all is in view."""
        extent = self._extent()
        if extent is None or not self.view.zoomed:
            return False
        self.change(self.view.pan(extent, direction))
        return True

    def move_cursor(self, steps: int) -> None:
        """Along the bins of the chosen metric."""
        self.view = self.view.move_cursor(cursor_xs(self._found.get(self._key)), steps)
        self._draw()

    def leave(self) -> bool:
        """Give up the cursor, else the zoom; False when there is neither."""
        if self.view.cursor is not None:
            self.view = self.view.move_cursor((), 0)
            self._draw()
            return True
        if self.view.zoomed:
            self.change(self.view.whole())
            return True
        return False


def last_words(metric: MetricSummary) -> str:
    """Where a metric stands."""
    return f"{number(metric.last)} at step {metric.last_step}"
