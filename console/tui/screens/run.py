"""One run: what it is, its metrics, the curve of one of them, and its output as it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import Horizontal, Vertical
from textual.content import Content

from console.protocol import ENDED_STATES
from console.tui import memory
from console.tui.actions import bindings
from console.tui.messages import ChangeSeen, DetailArrived
from console.tui.pace import Pace
from console.tui.run_cells import (
    elapsed_s,
    metric_columns_for,
    metric_row,
    no_log_words,
    run_facts,
    ticks,
)
from console.tui.screens import layouts
from console.tui.screens.run_keys import ChartKeys, LogKeys
from console.tui.text_format import duration, state_glyph, visible
from console.tui.widgets.chart_pane import ChartPane
from console.tui.widgets.facts import Fact, Facts
from console.tui.widgets.header_line import HeaderLine
from console.tui.widgets.key_bar import KeyBar
from console.tui.widgets.log_pane import LogPane
from console.tui.widgets.metrics_table import MetricsTable
from console.tui.widgets.rule import Rule
from console.tui.widgets.tab_bar import TabBar
from console.tui.widgets.virtual_table import VirtualTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.widget import Widget

    from console.client import Client
    from console.protocol import Json, MetricSummary, RunDetail, RunRow
    from console.tui.actions import Scope
    from console.tui.session import Session


class RunScreen(ChartKeys, LogKeys):
    """Follows one run with a feed of its own, which ends with the screen."""

    scope: ClassVar[Scope] = "run"
    DEFAULT_CSS = layouts.RUN
    BINDINGS: ClassVar[list[BindingType]] = bindings("run")

    def __init__(self, session: Session, row: RunRow) -> None:
        super().__init__(session)
        self._row = row
        self._detail: RunDetail | None = None
        self._heard_at_s = session.monotonic()
        self._key = ""
        self._recalled_key = ""
        self._focus_before_zoom: Widget | None = None
        self._feed = session.feed(f"run:{row.id}", self)

    def compose(self) -> ComposeResult:
        """Head, metrics beside their chart, log."""
        yield HeaderLine()
        yield TabBar()
        yield Rule("Run", id="run-rule")
        yield Facts(id="run-head")
        with Horizontal(id="run-middle"):
            with Vertical(id="run-left"):
                yield Rule("Metrics", id="metrics-rule")
                yield MetricsTable(id="run-metrics", empty="no metric yet")
                yield Rule("Parameters", id="params-rule")
                yield Facts(id="run-params", name_width_cells=16)
            yield ChartPane(self.session, id="run-right")
        yield LogPane(self.session, self._row.id, absent=no_log_words(self._row), id="log-pane")
        yield KeyBar("run")

    def on_mount(self) -> None:
        """Begin to follow the run."""
        session, profile = self.session, self.session.profile
        self._detail_pace = Pace(self, profile.log_interval_s, self._ask_detail, session.monotonic)
        table = self._table
        table.ascii = session.ascii_only
        table.focus()
        self._show_head()
        self._feed.start()

    def on_unmount(self) -> None:
        """Nobody looks any more."""
        self._feed.stop()

    @property
    def _table(self) -> VirtualTable:
        return self.query_one(VirtualTable)

    @property
    def awaits_rows(self) -> bool:
        """Metrics or the end of the log have not come yet."""
        return self._detail is None or not self.query_one(LogPane).loaded

    @property
    def run_under_cursor(self) -> RunRow | None:
        """The run of this screen."""
        return self._row

    @property
    def trail(self) -> str:
        """The run's name after the tab."""
        return f"{self._row.label} {self._row.name}"

    def remember(self) -> dict[str, Json]:
        """The run, and which metric is in the chart."""
        return {"run": self._row.id, "metric": self._key}

    def recall(self, kept: Mapping[str, Any]) -> None:
        """The metric that was in the chart."""
        if memory.text(kept, "run") == self._row.id:
            self._recalled_key = memory.text(kept, "metric")

    def on_change_seen(self, message: ChangeSeen) -> None:
        """Something new about this run."""
        message.stop()
        if self.present and self.in_front and not self.session.link.paused:
            self.refresh_data()

    def refresh_data(self) -> None:
        """Ask for the run and the end of its log."""
        self._detail_pace.soon()
        self.query_one(LogPane).grow()

    def refresh_live_cells(self) -> None:
        """Count the seconds."""
        if ticks(self._row):
            self._show_title()

    def _ask_detail(self) -> None:
        reference = self._row.id

        def fetch(client: Client) -> DetailArrived:
            return DetailArrived(client.run(reference))

        self.session.courier.ask(f"detail:{reference}", self, fetch)

    def on_detail_arrived(self, message: DetailArrived) -> None:
        """Show the run as it is now."""
        message.stop()
        if not self.present:
            return
        self._detail, self._heard_at_s = message.detail, self.session.monotonic()
        self._row = message.detail.row
        self.session.link.touch()
        self._show_head()
        self._show_metrics()
        self.query_one(LogPane).say_size(message.detail.log_size_bytes, ended=self._row.state in ENDED_STATES)
        self._charts.show_metrics(self._row, self._metrics, self._key)
        self.show_header()

    def _show_head(self) -> None:
        detail = self._detail
        self._show_title()
        if detail is not None:
            self.query_one("#run-head", Facts).show(run_facts(detail))
        params = tuple(Fact(key, value) for key, value in self._row.params.items())
        self.query_one("#run-params", Facts).show(params or (Fact("none", "seen in the command"),))

    def _show_title(self) -> None:
        row = self._row
        now_s = self._detail.now_s + self.session.monotonic() - self._heard_at_s if self._detail else row.created_at_s
        glyph, colour = state_glyph(row.state, ascii_only=self.session.ascii_only)
        note = Content.assemble((f"{glyph} {row.state}", f"bold ${colour}"), f" {duration(elapsed_s(row, now_s))}")
        title = Content.assemble((row.label, "$accent"), f" {visible(row.name)}")
        self.query_one("#run-rule", Rule).set_title(title, note)

    @property
    def _metrics(self) -> tuple[MetricSummary, ...]:
        return self._detail.metrics if self._detail else ()

    def _show_metrics(self) -> None:
        metrics = self._metrics
        self._key = self._key if any(metric.key == self._key for metric in metrics) else ""
        if metrics and not self._key:
            self._key = metrics[0].key
        self.query_one("#metrics-rule", Rule).set_title("Metrics", str(len(metrics)) if metrics else "")
        self._table.set_row_count(len(metrics))
        self._put_metrics(0)
        keys = [metric.key for metric in metrics]
        if self._recalled_key in keys:
            self._table.move_cursor(keys.index(self._recalled_key))
        self._recalled_key = ""

    def _put_metrics(self, offset: int) -> None:
        self._table.put_page(offset, [metric_row(each, shown=each.key == self._key) for each in self._metrics[offset:]])

    def on_virtual_table_page_wanted(self, message: VirtualTable.PageWanted) -> None:
        """All metrics are here already."""
        message.stop()
        self._put_metrics(message.offset)

    def on_virtual_table_cursor_moved(self, message: VirtualTable.CursorMoved) -> None:
        """The metric under the cursor is the one in the chart."""
        message.stop()
        if message.key is not None and message.key != self._key and self.present:
            self._key = message.key
            self._put_metrics(0)
            self._charts.choose(self._key)

    def on_virtual_table_row_opened(self, message: VirtualTable.RowOpened) -> None:
        """Enter on a metric gives its chart the room."""
        message.stop()
        self.action_zoom()

    def on_resize(self) -> None:
        """More columns want more bins."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        if not self.present:
            return
        self._table.set_columns(metric_columns_for(self._table.size.width))

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Show which pane the keys go to."""
        self.query_one("#metrics-rule", Rule).set_active(event.widget.id == "run-metrics")
        self.query_one("#log-rule", Rule).set_active(event.widget.id == "run-log")

    @property
    def metric_shown(self) -> MetricSummary | None:
        """The metric in the chart."""
        return next((each for each in self._metrics if each.key == self._key), None)

    def action_next_metric(self) -> None:
        """Chart the next metric."""
        self._move_metric(1)

    def action_previous_metric(self) -> None:
        """Chart the previous metric."""
        self._move_metric(-1)

    def _move_metric(self, step: int) -> None:
        if self._metrics:
            self._table.move_cursor((self._table.cursor_row + step) % len(self._metrics))

    def action_next_pane(self) -> None:
        """Focus the next pane."""
        self.focus_next()

    def action_previous_pane(self) -> None:
        """Focus the previous pane."""
        self.focus_previous()

    def action_zoom(self) -> None:
        """Give the pane in focus the whole screen, or take it back."""
        if self._zoomed:
            self._leave_zoom()
        else:
            self._focus_before_zoom = self.focused
            self.add_class("-zoom-log" if self.focused and self.focused.id == "run-log" else "-zoom-chart")

    def _leave_zoom(self) -> None:
        self.remove_class("-zoom-log", "-zoom-chart")
        # A pane that was hidden has lost the focus.
        if self._focus_before_zoom is not None:
            self._focus_before_zoom.focus()

    @property
    def _zoomed(self) -> bool:
        return self.has_class("-zoom-log") or self.has_class("-zoom-chart")

    def action_details(self) -> None:
        """Everything about the run that is text."""
        self._open_details("ending")

    def action_diff(self) -> None:
        """The code that ran against its commit."""
        self._open_details("diff")

    def _open_details(self, section: str) -> None:
        if self._detail is None:
            self.say("the run is not here yet")
            return
        from console.tui.screens.run_details import RunDetailsScreen  # here: the first frame does not need it

        self.app.push_screen(RunDetailsScreen(self.session, self._detail, section))

    def action_artifacts(self) -> None:
        """List what the run left behind."""
        if self._detail is None or not self._detail.artifacts:
            self.say(f"{self._row.label} left no files behind that are known of")
            return
        from console.tui.screens.artifacts import ArtifactsScreen  # here: the first frame does not need it

        self.app.push_screen(ArtifactsScreen(self.session, self._detail))

    def action_back(self) -> None:
        """Leave the cursor, the stretch of x, the zoom, the search, then the run."""
        if self._charts.leave():
            return
        if self._zoomed:
            self._leave_zoom()
        elif not self.query_one(LogPane).clear_search():
            self.dismiss(None)
