"""The app: composes nothing itself, keeps the link to the daemon, and passes what it hears to the screen in front."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual import events

from console.config import DEFAULTS
from console.tui import endings, memory, recalling, terminal, type_ahead
from console.tui.actions import bindings
from console.tui.attendance import Attendance
from console.tui.collecting import Collecting
from console.tui.courier import own_daemon
from console.tui.guarded_app import GuardedApp
from console.tui.messages import (
    ActDone,
    ActFailed,
    ConfigWrong,
    LinkLost,
    ProjectOpened,
    ProjectsWanted,
    RequestFailed,
    RunRecalled,
    StatusArrived,
)
from console.tui.pace import Pace
from console.tui.palette import ActionCommands
from console.tui.screens.base import FootplateScreen
from console.tui.screens.too_small import TooSmallScreen, fits
from console.tui.screens.triage import TriageScreen
from console.tui.session import Session
from console.tui.terminal import TerminalProfile
from console.tui.text_format import visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType
    from textual.binding import BindingType
    from textual.command import Provider
    from textual.screen import Screen

    from console.config import Loaded, Settings
    from console.tui.courier import ClientFactory
    from console.tui.early_frame import EarlyFrame
    from console.tui.memory import Memory
    from console.tui.screens.runs import RunsScreen

ZONE_INTERVAL_S: Final = 60
"""So often it is looked whether the machine has another time zone now."""
SWITCH_S: Final = 0.0005
"""The threads that carry requests and that write to the terminal do little at a time and should not wait for their turn
as long (5 ms, four times a key) as they would behind somebody who calculates."""
REPEATED_NOTICE_S: Final = 30.0
"""The same complaint is not said again within this time."""


class FootplateApp(GuardedApp):
    """Screens of the box; a client of the daemon that may die at any moment."""

    TITLE = "footplate"
    CSS_PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "footplate.tcss")
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {ActionCommands}
    BINDINGS: ClassVar[list[BindingType]] = bindings("app")

    def __init__(
        self,
        *,
        client_factory: ClientFactory = own_daemon,
        profile: TerminalProfile | None = None,
        filter_text: str = "",
        monotonic: Callable[[], float] = time.monotonic,
        settings: Settings = DEFAULTS,
        suspect: Loaded | None = None,
        opens_runs: bool = False,
        kept: Memory | None = None,
        early: EarlyFrame | None = None,
    ) -> None:
        """`opens_runs`: begin with the table of runs, as with a filter. `suspect`: the configuration when something in
        it could not be used, to say so once there is a picture. `kept`: what the last console left behind, and where to
        keep this one; None to come and go without a trace. `early`: the frame that may be on the terminal already."""
        super().__init__(early)
        self._memory = kept
        self._content: dict[str, Any] = kept.kept if kept is not None else {}
        self._seconds = 0
        self._untouched = True
        self.session = Session(client_factory, profile or TerminalProfile(), monotonic, settings)
        self._suspect = suspect
        self._filter_text = filter_text
        self._opens_runs = opens_runs or bool(filter_text)
        self._kept: dict[str, FootplateScreen] = {}
        self.begin_theme(memory.table(kept.kept if kept is not None else {}, "theme"))
        if kept is not None:
            self.session.drafts.update(memory.drafts(kept.kept))
        self._complaint = ("", -REPEATED_NOTICE_S)
        self._feed = self.session.feed("runs", self)

    def get_default_screen(self) -> Screen[Any]:
        """What wants a person, or the table of runs; it lies below all others."""
        self._kept["runs" if self._opens_runs else "triage"] = first = (
            self._made_runs_screen() if self._opens_runs else self._as_left(TriageScreen(self.session))
        )
        return first

    def _made_runs_screen(self) -> RunsScreen:
        from console.tui.screens.runs import RunsScreen  # here: the first frame does not need it

        screen = RunsScreen(self.session, self._filter_text)
        self._as_left(screen)
        return screen

    def _as_left(self, screen: FootplateScreen) -> FootplateScreen:
        """A new screen as the last console left it."""
        if self._memory is not None:
            screen.recall(memory.table(self._memory.kept, "screens", screen.scope))
        return screen

    @property
    def _runs_screen(self) -> RunsScreen:
        """The table of runs with its filter, marks and cursor, which outlast every other screen."""
        from console.tui.screens.runs import RunsScreen

        if "runs" not in self._kept:
            self._kept["runs"] = self._made_runs_screen()
            self.install_screen(self._kept["runs"], "runs")
        found = self._kept["runs"]
        assert isinstance(found, RunsScreen)
        return found

    @property
    def _triage_screen(self) -> FootplateScreen:
        if "triage" not in self._kept:
            self._kept["triage"] = self._as_left(TriageScreen(self.session))
            self.install_screen(self._kept["triage"], "triage")
        return self._kept["triage"]

    def on_mount(self) -> None:
        """Start the threads once there is something to show their answers."""
        session = self.session
        self._status_pace = Pace(self, session.profile.status_interval_s, self._ask_status, session.monotonic)
        self._attendance = Attendance(session, self)
        self._collecting = Collecting(session.monotonic)
        self.set_interval(1.0, self._count_seconds)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        """The first frame is painted."""
        if self.has_to_leave_now():
            return
        if self.early_frame is not None:
            self._content["first_frame"] = recalling.first_frame(self, self.early_frame)
        self._collecting.begin()
        self.session.courier.start()
        self._attendance.pressed()
        self._feed.start()
        if self._suspect is not None:
            from console.tui import config_notice  # here: few configurations are

            config_notice.look(self._suspect, self)
        if self._memory is not None:
            self._come_back(self._memory)

    def _come_back(self, kept: Memory) -> None:
        """The screen that was in front, and what is worth a word."""
        if not self._filter_text:
            recalling.reopen(self, kept.kept)
        if kept.problem:
            self.notify(visible(kept.problem)[:400], severity="warning", markup=False, timeout=10)
        unsent = len(self.session.drafts)
        if unsent:
            words = "an unsent note is" if unsent == 1 else f"{unsent} unsent notes are"
            self.front.say(f"{words} kept: open a note at the run to go on")

    def _keep(self) -> None:
        if self._memory is not None:
            self._content = recalling.content_of(self, self._content)
            self._memory.offer(self._content)

    def settle_memory(self) -> None:
        """Keep what the screens show now: it is the end."""
        if self._memory is not None:
            self._memory.settle(recalling.content_of(self, self._content))

    def exit(self, result: int | None = None, return_code: int = 0, message: RenderableType | None = None) -> None:
        """Leave; what the screens show now is kept."""
        self.settle_memory()
        super().exit(result, return_code, message)

    def on_run_recalled(self, message: RunRecalled) -> None:
        """The run that was open, unless the person has gone somewhere else by now."""
        if self._untouched:
            from console.tui.screens.run import RunScreen  # here: the first frame does not need it

            self.push_screen(self._as_left(RunScreen(self.session, message.row)))

    def on_config_wrong(self, message: ConfigWrong) -> None:
        """What could not be used is said, the rest is in force."""
        self.notify(visible(message.words)[:400], title="configuration", severity="warning", markup=False, timeout=20)

    async def on_event(self, event: events.Event) -> None:
        """Every key and click shows that somebody is there; of a key it is remembered what it was typed at."""
        if isinstance(event, events.Key | events.MouseDown):
            self._attendance.pressed()
            self._collecting.pressed()
            self._untouched = False
        if isinstance(event, events.Key) and not event.is_forwarded:
            type_ahead.aim(event, self.focused or self.screen)
            if isinstance(self.screen, FootplateScreen):
                self.screen.answer_at_once()
        await super().on_event(event)

    def on_unmount(self) -> None:
        """The threads end by themselves."""
        self._feed.stop()
        self.session.courier.close()

    @property
    def front(self) -> FootplateScreen:
        """The full screen in front, below any question or help."""
        return next(
            (each for each in reversed(self.screen_stack) if isinstance(each, FootplateScreen)),
            next(iter(self._kept.values())),
        )

    def on_resize(self, event: events.Resize) -> None:
        """Cover everything while there is no room, and uncover it again."""
        room = fits(event.size.width, event.size.height)
        covered = isinstance(self.screen, TooSmallScreen)
        if not room and not covered:
            self.push_screen(TooSmallScreen())
        elif room and covered:
            self.pop_screen()

    def _count_seconds(self) -> None:
        """Once a second; writes nothing to the terminal unless something counts."""
        self._seconds += 1
        if self._seconds % ZONE_INTERVAL_S == 0:
            time.tzset()
        self._keep()
        front, every_s = self.front, self.session.profile.seconds_interval_s
        if front.present and not self.session.link.paused and self._seconds % every_s == 0:
            front.refresh_live_cells()
        front.show_header()
        self._collecting.tick()

    def on_change_seen(self) -> None:
        """Some run changed."""
        recovered = self.session.link.facts().link == "reconnecting"
        if self.session.link.paused:
            return
        self._status_pace.soon()
        if self.front.present and (recovered or self.front.lists):
            self.front.refresh_data()

    def on_link_quiet(self) -> None:
        """Nothing changed, so the picture is fresh; how many GPUs work is no change of a run."""
        self.session.link.touch()
        if not self.session.link.paused:
            self._status_pace.soon()
        self.front.show_header()

    def on_link_lost(self, message: LinkLost) -> None:
        """The last data stay; the feed tries again."""
        self.session.link.lose()
        self.front.show_header()
        if not self.session.link.status:
            self._complain(message.reason)

    def on_request_failed(self, message: RequestFailed) -> None:
        """A daemon that is away is said in the header; a refusal is said once."""
        if message.unavailable:
            self.session.link.lose()
            self.front.show_header()
        else:
            self._complain(f"{message.reason}: {message.hint}" if message.hint else message.reason)

    def _complain(self, reason: str) -> None:
        now_s = self.session.monotonic()
        said, said_at_s = self._complaint
        if reason != said or now_s - said_at_s > REPEATED_NOTICE_S:
            self._complaint = (reason, now_s)
            self.notify(visible(reason)[:300], severity="error", markup=False)

    def _ask_status(self) -> None:
        self.session.courier.ask("status", self, lambda client: StatusArrived(client.status()))

    def on_status_arrived(self, message: StatusArrived) -> None:
        """New counts for the header."""
        shown = self.session.settings.hosts.get(message.status.host, message.status.host)
        self.session.link.status = message.status._replace(host=shown)
        self.session.link.touch()
        self.front.show_header()

    def on_act_done(self, message: ActDone) -> None:
        """Say so wherever the person is now; rows follow by themselves."""
        self.session.drafts.pop(message.draft, None)
        self.front.say(message.words)
        self.front.refresh_data()

    def on_act_failed(self, message: ActFailed) -> None:
        """An act that failed is said even while the daemon is away."""
        self.front.say(message.words, severe=True)

    def action_pause(self) -> None:
        """Freeze the picture, or let it go on from now."""
        link = self.session.link
        link.paused = not link.paused
        self.front.show_header()
        if not link.paused:
            self._status_pace.soon()
            if self.front.present:
                self.front.refresh_data()

    def action_help(self) -> None:
        """What every key does."""
        from console.tui.screens.help import HelpScreen  # here: the first frame does not need it

        self.push_screen(HelpScreen(self.front.scope, readonly=self.session.settings.readonly))

    def action_start_job(self) -> None:
        """Choose a job, fill in its params, look at the command, start it."""
        from console.tui.screens.jobs import JobsScreen  # here: the first frame does not need it

        self.push_screen(JobsScreen(self.session, self.front.project_name))

    def on_project_opened(self, message: ProjectOpened) -> None:
        """The table of runs, filtered by a project's name."""
        from console import run_queries  # here: the first frame does not need it

        self.action_show_runs()
        self._runs_screen.show_only(run_queries.as_word(message.name))

    def action_show_projects(self, root: str = "") -> None:
        """The watched projects, in place of whatever lies above the table of runs; the cursor is on that at `root`."""
        from console.tui.screens.projects import ProjectsScreen  # here: the first frame does not need it

        self._bring(self._runs_screen)
        self.push_screen(self._as_left(ProjectsScreen(self.session, root)))

    def on_projects_wanted(self, message: ProjectsWanted) -> None:
        """The watched projects with the cursor on one of them."""
        self.action_show_projects(message.root)

    def action_show_runs(self) -> None:
        """The table of runs, as it was left."""
        self._bring(self._runs_screen)

    def action_show_triage(self) -> None:
        """What wants a person."""
        self._bring(self._triage_screen)

    def _bring(self, wanted: FootplateScreen) -> None:
        """Leave whatever lies above a screen that is kept, or all but the lowest, and put it there."""
        while len(self.screen_stack) > 1 and self.screen is not wanted:
            self.pop_screen()
        if self.screen is not wanted:
            self.push_screen(wanted)


def run_tui(
    *,
    client_factory: ClientFactory | None = None,
    profile: TerminalProfile | None = None,
    filter_text: str = "",
    settings: Settings = DEFAULTS,
    suspect: Loaded | None = None,
    kept: Memory | None = None,
    early: EarlyFrame | None = None,
) -> int:
    """Show the screens until the person quits; returns the exit code. `terminal.apply_environment` comes before the
    import of this module."""
    profile = profile or terminal.detect(os.environ, has_terminal=terminal.has_terminal())
    refusal = terminal.refuse(profile)
    if refusal is not None:
        print(f"footplate: {refusal}", file=sys.stderr)
        return 2
    if settings.readonly:
        from console.readonly import ReadOnlyClient

        client_factory = ReadOnlyClient
    app = FootplateApp(
        client_factory=client_factory or own_daemon,
        profile=profile,
        filter_text=filter_text,
        settings=settings,
        suspect=suspect,
        kept=kept,
        early=early,
    )
    app.paint_for_terminal()
    sys.setswitchinterval(SWITCH_S)
    with endings.heeded(app.settle_memory, app.leave):
        if early is not None:
            early.heed_interrupt()
        app.run(mouse=settings.mouse)
    return app.return_code or 0
