"""What all full screens share: header, tab bar, key bar, the way to the daemon, copying, pinning a metric."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.reactive import Reactive

from console.tui.messages import MetricPinned, RequestFailed
from console.tui.presence import is_present
from console.tui.screens.acting import ActsOnRuns
from console.tui.widgets.header_line import HeaderLine
from console.tui.widgets.tab_bar import TabBar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.widget import Widget

    from console.client import Client
    from console.protocol import Json, MetricSummary
    from console.tui.session import Session

WIDTH_CLASSES: Final = [(0, "-compact"), (110, "-normal"), (160, "-wide")]
ANSWER_S: Final = 0.5
"""So long after a key its answer is waited for."""
HOLD_S: Final = 0.15
"""So long one does not notice that a prompt still stands there."""
HOPS: Final = 12
"""Turns of the event loop in which a widget that is hidden has told the screen so."""
HEIGHT_CLASSES: Final = [(0, "-short"), (35, "-tall")]
"""From how many columns and lines on a screen has which class; the style sheet says what they mean."""


class FootplateScreen(ActsOnRuns):
    """A screen with the two lines above and the one below that all share."""

    tab: ClassVar[str] = "Runs"
    """The name of its entry in the tab bar."""
    lists: ClassVar[bool] = False
    """It lists what may change with any run or project; others have a feed of their own."""
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """Textual sends the whole screen again whenever the focus moves; widgets that look different do so themselves."""
    HORIZONTAL_BREAKPOINTS = WIDTH_CLASSES
    VERTICAL_BREAKPOINTS = HEIGHT_CLASSES
    DEFAULT_CSS = """
    FootplateScreen {
        background: $background;
    }
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._answers_until_s = 0.0
        self._painted_at_s = 0.0
        self._held_until_s = 0.0

    @property
    def project_name(self) -> str:
        """The project whose jobs a person means here; empty for none in particular."""
        return row.project if (row := self.run_under_cursor) is not None else ""

    @property
    def present(self) -> bool:
        """Its parts are there."""
        return is_present(self, self)

    @property
    def awaits_rows(self) -> bool:
        """What it lists has not come yet; keys wait for it."""
        return False

    @property
    def trail(self) -> str:
        """What the tab bar says after the name of the tab."""
        return ""

    def remember(self) -> dict[str, Json]:
        """What the next console needs to show this screen as it is; small, and plain JSON."""
        return {}

    def recall(self, kept: Mapping[str, Any]) -> None:
        """Come back as the last console left it, before anything is asked for; nothing in `kept` was checked."""

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
        self.query_one(TabBar).show(
            self.tab, self.trail, facts.status.notice if facts.status else "", self.session.away
        )

    @property
    def in_front(self) -> bool:
        """No other full screen lies on top; a question or the help may."""
        return getattr(self.app, "front", self) is self

    def _compositor_refresh(self) -> None:
        """Paint, unless another full screen covers this one.

        Textual lets the screen on top send again whatever changed below it, seen or not, and then asks the one below to
        paint everything whenever it wakes up, so that nothing would ever be still.
        """
        self._painted_at_s = time.monotonic()
        if self.app.screen is self:
            super()._compositor_refresh()
        elif self.in_front:
            super()._compositor_refresh()
            self._repaint_required = False

    def answer_at_once(self) -> None:
        """A key was pressed: paint what it brings when it is there.

        Textual waits for the next tick of its frame clock, as long again as all the rest takes. Over a line, where
        frames are few on purpose, the first answer comes at once and those to keys that are held down at that pace.
        """
        self._answers_until_s = time.monotonic() + ANSWER_S

    def hold(self) -> None:
        """Paint nothing until the answer is there, or has not come in time: what else a key changes, such as the
        focus, is painted together with it rather than before."""
        self._held_until_s = time.monotonic() + HOLD_S

    async def release(self) -> None:
        """The answer is there. What it makes room for is asked after first, as moved lines would be sent twice."""
        for _ in range(HOPS):
            if self._layout_required:
                break
            await asyncio.sleep(0)
        self._held_until_s = 0.0
        self.check_idle()

    def _on_timer_update(self) -> None:
        """Called at every frame while something is to be painted."""
        if time.monotonic() >= self._held_until_s:
            super()._on_timer_update()

    def on_idle(self) -> None:
        """All messages are dealt with. Textual's own handler is called next and has nothing left to wait for."""
        now_s = time.monotonic()
        pause_s = 1 / self.session.profile.frames_per_second if self.session.profile.over_line else 0.0
        owed = self._dirty_widgets or self._layout_required or self._scroll_required or self._repaint_required
        if owed and self._held_until_s <= now_s < self._answers_until_s and now_s - self._painted_at_s >= pause_s:
            self._on_timer_update()

    def on_screen_resume(self) -> None:
        """Data may have changed while another screen was on top."""
        if self.present:
            self.show_header()
            self.refresh_data()

    def on_request_failed(self, message: RequestFailed) -> None:
        """An act that failed must be said even while the daemon is away; the rest the app decides."""
        acts = {"stop-target": "stop the run", "pin-metric": "pin the metric", "project": "do that"}
        what = acts.get(message.kind.partition(":")[0])
        if what:
            message.stop()
            hint = f": {message.hint}" if message.hint else ""
            self.say(f"could not {what}: {message.reason}{hint}", severe=True)

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
        from console.tui.run_cells import arrowed  # here: the first frame does not need them
        from console.tui.screens.confirm import ConfirmScreen, pin_question

        if metric.goal_source == "pinned":
            hint = f"; `footplate metric --unpin {row.label}` takes it back"
            self.say(f"{arrowed(metric)} is pinned for {row.project} already{hint}")
            return

        def decided(pin: bool | None) -> None:
            if pin:
                self._pin_metric(row.project, metric, arrowed(metric))

        monotonic = self.session.monotonic
        self.app.push_screen(
            ConfirmScreen("Pin the metric?", pin_question(row.project, metric), "pin it", monotonic), decided
        )

    def _pin_metric(self, project: str, metric: MetricSummary, title: str) -> None:
        actor = self.session.actor

        def pin(client: Client) -> MetricPinned:
            client.pin_metric(project, metric.key, metric.goal, actor)
            return MetricPinned(project, title)

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
