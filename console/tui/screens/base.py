"""What all full screens share: header, tab bar, key bar, the way to the daemon, stopping and copying a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.screen import Screen

from console.tui.messages import MetricPinned, RequestFailed, StopAccepted, StopTargetArrived
from console.tui.presence import is_present
from console.tui.run_cells import arrowed
from console.tui.screens.confirm import ConfirmScreen, pin_question, stop_question
from console.tui.text_format import visible
from console.tui.widgets.header_line import HeaderLine
from console.tui.widgets.tab_bar import TabBar

if TYPE_CHECKING:
    from console.client import Client
    from console.protocol import MetricSummary, RunDetail, RunRow
    from console.tui.actions import Scope
    from console.tui.session import Session

WIDTH_CLASSES: Final = [(0, "-compact"), (110, "-normal"), (160, "-wide")]
HEIGHT_CLASSES: Final = [(0, "-short"), (35, "-tall")]
"""From how many columns and lines on a screen has which class; the style sheet says what they mean."""


class FootplateScreen(Screen[None]):
    """A screen with the two lines above and the one below that all share."""

    scope: ClassVar[Scope] = "app"
    tab: ClassVar[str] = "Runs"
    """The name of its entry in the tab bar."""
    lists: ClassVar[bool] = False
    """It lists what may change with any run or project; others have a feed of their own."""
    HORIZONTAL_BREAKPOINTS = WIDTH_CLASSES
    VERTICAL_BREAKPOINTS = HEIGHT_CLASSES
    DEFAULT_CSS = """
    FootplateScreen {
        background: $background;
    }
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._stop_asked_for = ""

    @property
    def run_under_cursor(self) -> RunRow | None:
        """The run that stop and copy are about."""
        return None

    @property
    def present(self) -> bool:
        """Its parts are there."""
        return is_present(self, self)

    @property
    def trail(self) -> str:
        """What the tab bar says after the name of the tab."""
        return ""

    def refresh_data(self) -> None:
        """Ask for what this screen shows, because it changed or the screen came back."""

    def refresh_live_cells(self) -> None:
        """Count the seconds of what runs; called once a second."""

    def show_header(self) -> None:
        """Bring header and tab bar up to date."""
        if not self.present:
            return
        facts = self.session.link.facts()
        self.query_one(HeaderLine).show(facts)
        self.query_one(TabBar).show(self.tab, self.trail, facts.status.notice if facts.status else "")

    def on_screen_resume(self) -> None:
        """Data may have changed while another screen was on top."""
        if self.present:
            self.show_header()
            self.refresh_data()

    def action_stop(self) -> None:
        """Look at the run as it is now, then ask."""
        row = self.run_under_cursor
        if row is None:
            self.say("there is no run under the cursor")
            return
        reference = row.id

        def fetch(client: Client) -> StopTargetArrived:
            return StopTargetArrived(client.run(reference))

        self._stop_asked_for = reference
        self.session.courier.ask("stop-target", self, fetch)

    def on_stop_target_arrived(self, message: StopTargetArrived) -> None:
        """Ask before stopping; say why when there is nothing to stop."""
        row = message.detail.row
        if row.id != self._stop_asked_for or self.app.screen is not self:
            return
        self._stop_asked_for = ""
        if row.ended_at_s is not None:
            self.say(f"{row.label} {row.name} has ended already: {row.state}")
            return

        def decided(stop: bool | None) -> None:
            if stop:
                self._stop(message.detail)

        question = ConfirmScreen(f"Stop {row.label}?", stop_question(message.detail), "stop it", self.session.monotonic)
        self.app.push_screen(question, decided)

    def _stop(self, detail: RunDetail) -> None:
        status = self.session.link.status
        actor = status.user if status else "tui"

        def stop(client: Client) -> StopAccepted:
            return StopAccepted(client.stop(detail.row.id, actor))

        self.session.courier.ask(f"stop:{detail.row.id}", self, stop)

    def on_stop_accepted(self, message: StopAccepted) -> None:
        """The supervisor acts now; the state follows by itself."""
        row = message.detail.row
        self.say(f"{row.label} {row.name} is being stopped")

    def on_request_failed(self, message: RequestFailed) -> None:
        """An act that failed must be said even while the daemon is away; the rest the app decides."""
        what = {"stop": "stop the run", "pin-metric": "pin the metric", "project": "do that"}.get(
            message.kind.partition(":")[0]
        )
        if what or message.kind.startswith("stop"):
            message.stop()
            hint = f": {message.hint}" if message.hint else ""
            self.say(f"could not {what or 'stop the run'}: {message.reason}{hint}", severe=True)

    @property
    def metric_shown(self) -> MetricSummary | None:
        """The metric that pinning is about."""
        row = self.run_under_cursor
        return row.metric if row is not None else None

    def action_pin_metric(self) -> None:
        """Ask, then have the metric stand for the runs of the project."""
        row, metric = self.run_under_cursor, self.metric_shown
        if row is None or metric is None:
            self.say("there is no metric to pin")
            return
        if metric.goal_source == "pinned":
            hint = f"; `footplate metric --unpin {row.label}` takes it back"
            self.say(f"{arrowed(metric)} is pinned for {row.project} already{hint}")
            return

        def decided(pin: bool | None) -> None:
            if pin:
                self._pin_metric(row.project, metric)

        monotonic = self.session.monotonic
        self.app.push_screen(
            ConfirmScreen("Pin the metric?", pin_question(row.project, metric), "pin it", monotonic), decided
        )

    def _pin_metric(self, project: str, metric: MetricSummary) -> None:
        status = self.session.link.status
        actor = status.user if status else "tui"

        def pin(client: Client) -> MetricPinned:
            client.pin_metric(project, metric.key, metric.goal, actor)
            return MetricPinned(project, arrowed(metric))

        self.session.courier.ask(f"pin-metric:{project}", self, pin)

    def on_metric_pinned(self, message: MetricPinned) -> None:
        """Rows follow by themselves."""
        self.say(f"{message.title} stands for the runs of {message.project}")

    def action_copy_command(self) -> None:
        """Send the command to the terminal's clipboard."""
        if row := self.run_under_cursor:
            self._copy(row.command)

    def action_copy_id(self) -> None:
        """Send the run's id to the terminal's clipboard."""
        if row := self.run_under_cursor:
            self._copy(row.id)

    def _copy(self, text: str) -> None:
        self.app.copy_to_clipboard(text)
        # Whether the terminal took it cannot be known: tmux drops it unless set-clipboard is on.
        hint = "\ntmux passes it on after: set -g set-clipboard on" if self.session.profile.in_tmux else ""
        self.say(f"sent to terminal: {text}", hint)

    def say(self, text: str, ours: str = "", *, severe: bool = False) -> None:
        """A short notice; `text` may come from outside, `ours` may hold line ends."""
        shown = visible(text)
        shown = shown if len(shown) <= 300 else f"{shown[:299]}…"
        self.notify(f"{shown}{ours}", severity="error" if severe else "information", markup=False, timeout=6)
