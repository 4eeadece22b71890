"""What wants a person, what runs, what has ended meanwhile, what waits: one cursor through all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.content import Content
from textual.widgets import Static

from console.tui.actions import bindings, in_scope, key_name
from console.tui.device_calm import calmed
from console.tui.device_cells import title
from console.tui.messages import ActDone, DevicesArrived, ProjectsWanted, TriageArrived
from console.tui.pace import Pace
from console.tui.screens import layouts
from console.tui.screens.base import HEIGHT_CLASSES, FootplateScreen
from console.tui.sections import full_height
from console.tui.styles import MUTED
from console.tui.widgets.device_strip import DeviceStrip
from console.tui.widgets.facts import Facts
from console.tui.widgets.header_line import HeaderLine
from console.tui.widgets.key_bar import KeyBar
from console.tui.widgets.rule import Rule
from console.tui.widgets.section_list import SectionList
from console.tui.widgets.tab_bar import TabBar

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from console.client import Client
    from console.devices import Devices
    from console.protocol import RunRow
    from console.triage import Need
    from console.tui.actions import Scope
    from console.tui.session import Session
    from console.tui.triage_picture import TriagePicture

TALL_LINES: Final = HEIGHT_CLASSES[-1][0]
FIRST_STEPS: Final = Content.assemble(
    ("Nothing has run here yet\n\n", "bold $foreground"),
    ("footplate run -- python train.py", "bold $accent"),
    ("   runs your script and follows it     \n", MUTED),
    ("footplate watch DIR             ", "bold $accent"),
    ("   looks after a folder and its runs   \n", MUTED),
    ("footplate import DIR            ", "bold $accent"),
    ("   takes in what trackers wrote down   \n", MUTED),
    ("footplate demo                  ", "bold $accent"),
    ("   three small runs to look at         \n\n", MUTED),
    ("This screen fills by itself.", MUTED),
)
ACTION_OF: Final = {
    "retry": "retry",
    "release": "release",
    "resume": "release",
    "stop": "stop",
    "copy": "copy_command",
    "open": "open",
    "trust": "open",
    "seen": "seen",
    "clear": "clear",
}
"""Which action does what a need asks for."""
FACTS_LINES: Final = 9
"""Height of what is under the cursor where it shares the screen with long lists."""
IDLE_LOOK_S: Final = 5.0
"""Between looks at a machine on which nothing of ours runs."""


class TriageScreen(FootplateScreen):
    """The first screen."""

    scope: ClassVar[Scope] = "triage"
    tab: ClassVar[str] = "Triage"
    lists: ClassVar[bool] = True
    DEFAULT_CSS = layouts.TRIAGE
    BINDINGS: ClassVar[list[BindingType]] = bindings("triage")

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._picture: TriagePicture | None = None
        self._heard_at_s = 0.0
        self._devices: Devices | None = None
        self._looked_at_s = -IDLE_LOOK_S
        keys = {action.name: key_name(action.keys[0]) for action in in_scope("triage")}
        self._keys = {act: keys[name] for act, name in ACTION_OF.items()}

    def compose(self) -> ComposeResult:
        """One tree for every size; the style sheet hides what has no room."""
        yield HeaderLine()
        yield TabBar()
        yield Rule("Machine", id="devices-rule")
        yield DeviceStrip(id="triage-devices")
        yield Static(FIRST_STEPS, id="triage-empty")
        yield SectionList(id="triage-list", empty="waiting for the daemon…", open_row=self.action_open)
        yield Rule("Under the cursor", id="triage-rule")
        yield Facts(id="triage-facts")
        yield KeyBar("triage")

    def on_mount(self) -> None:
        """News and seconds come at the pace of the terminal."""
        interval_s, monotonic = self.session.profile.chart_interval_s, self.session.monotonic
        self._news = Pace(self, interval_s, self._ask, monotonic)
        self._seconds = Pace(self, interval_s, self._paint, monotonic)
        self._list.ascii = self.query_one(DeviceStrip).ascii = self.session.ascii_only
        self._list.focus()

    @property
    def _list(self) -> SectionList:
        return self.query_one(SectionList)

    @property
    def awaits_rows(self) -> bool:
        """Nothing has come yet."""
        return self._picture is None

    @property
    def now_s(self) -> float:
        """The daemon's clock."""
        if self._picture is None:
            return 0.0
        return self._picture.triage.now_s + self.session.monotonic() - self._heard_at_s

    @property
    def need_under_cursor(self) -> Need | None:
        """What wants a person, when the cursor is on that."""
        return self._picture.need(self._list.cursor_key) if self._picture is not None else None

    @property
    def run_under_cursor(self) -> RunRow | None:
        """The run of the row."""
        if self._picture is None or not self.present:
            return None
        return self._picture.run(self._list.cursor_key)

    def refresh_data(self) -> None:
        """Ask again, soon."""
        self._news.soon()
        self._look_at_devices()

    def _look_at_devices(self) -> None:
        """As often as the terminal takes it while something works, else now and then."""

        def fetch(client: Client) -> DevicesArrived:
            from console import devices  # here and below: nothing is asked before the first frame

            return DevicesArrived(devices.devices(client))

        known, now_s = self._devices, self.session.monotonic()
        lives = self._picture is not None and self._picture.triage.live_count
        works = lives or (known is not None and known.busy_count)
        interval_s = self.session.profile.chart_interval_s if works else IDLE_LOOK_S
        if now_s - self._looked_at_s >= interval_s:
            self._looked_at_s = now_s
            self.session.courier.ask("devices", self, fetch)

    def on_devices_arrived(self, message: DevicesArrived) -> None:
        """Show what differs by more than figures waver."""
        if self.present:
            self._devices = calmed(self._devices, message.devices)
            self._show_devices()

    def _show_devices(self) -> None:
        name, note = title(self._devices)
        self.query_one("#devices-rule", Rule).set_title(name, note)
        self.query_one(DeviceStrip).show(self._devices, compact=self.size.height < TALL_LINES)

    def _ask(self) -> None:
        def fetch(client: Client) -> TriageArrived:
            from console import triage as asked

            return TriageArrived(asked.fetch(client))

        self.session.courier.ask("triage", self, fetch)

    def on_triage_arrived(self, message: TriageArrived) -> None:
        """Show it."""
        if not self.present:
            return
        from console.tui.triage_picture import TriagePicture

        self._picture = TriagePicture(message.triage, self._keys, ascii_only=self.session.ascii_only)
        self._heard_at_s = self.session.monotonic()
        self.session.link.touch()
        self.session.away = self._picture.away
        nothing = self._picture.is_empty
        self.set_class(nothing, "-nothing")
        self._paint()
        self.show_header()
        if not nothing and self.focused is None:
            self.call_after_refresh(self._list.focus)

    def refresh_live_cells(self) -> None:
        """Count the seconds of runs."""
        if self._picture is not None and self._picture.ticks:
            self._seconds.soon()
        self._look_at_devices()

    def on_resize(self) -> None:
        """Other widths, once they are known."""
        self.call_after_refresh(self._paint)
        self._show_devices()

    def _paint(self) -> None:
        if self._picture is None or not self.present:
            return
        sections = self._picture.sections(self.now_s, self._list.size.width)
        self._share_height(full_height(sections))
        self._list.show(sections)
        self._show_facts()

    def _share_height(self, wanted: int) -> None:
        """Where the lists leave room, what is under the cursor stands right below them and has the rest."""
        facts = self.query_one(Facts)
        room = self._list.size.height + facts.size.height - wanted
        roomy = facts.display and room >= FACTS_LINES
        self._list.styles.height = wanted if roomy else "1fr"
        facts.styles.height = "1fr" if roomy else FACTS_LINES

    def _show_facts(self) -> None:
        if self._picture is not None:
            key, width_cells = self._list.cursor_key, self._list.size.width
            self.query_one(Facts).show(self._picture.facts(key, self.now_s, width_cells))

    def on_section_list_cursor_moved(self, message: SectionList.CursorMoved) -> None:
        """Other facts."""
        message.stop()
        self._show_facts()

    def action_open(self) -> None:
        """The run of the row, or the project; what has no screen says which command helps."""
        need, row = self.need_under_cursor, self.run_under_cursor
        if row is not None:
            from console.tui.screens.run import RunScreen  # here: the first frame does not need it

            self.app.push_screen(RunScreen(self.session, row))
        elif need is not None and need.root:
            self.post_message(ProjectsWanted(need.root))
        elif need is not None:
            self.say(f"{need.subject}: {need.cause}", f"\n{need.command} tells more" if need.command else "")

    def action_release(self) -> None:
        """Let a held run start, or a paused part of the queue go on."""
        need = self.need_under_cursor
        if need is None or need.act != "resume":
            super().action_release()
            return
        actor, scope, subject = self.session.actor, need.scope, need.subject

        def resume(client: Client) -> ActDone:
            from console import triage as asked

            asked.resume(client, scope, actor)
            return ActDone(f"{subject} goes on")

        self.send(f"resume:{scope}", "resume it", resume)

    def action_copy_command(self) -> None:
        """Send the command of the run, or what is said of the need, to the terminal's clipboard."""
        need = self.need_under_cursor
        if need is None or self.run_under_cursor is not None:
            super().action_copy_command()
            return
        status = self.session.link.status
        where = f"{status.host}: " if status is not None else ""
        self._copy(f"{where}{need.subject}: {need.cause}" + (f" ({need.evidence})" if need.act == "copy" else ""))

    def action_seen(self) -> None:
        """Take the row off the list of this person."""
        need = self.need_under_cursor
        if need is None:
            self.say("nothing here can be marked as seen")
            return
        if not need.dismissable:
            self.say(f"{need.subject}: it goes by itself once it is mended")
            return
        actor, keys, subject = self.session.actor, (need.key,), need.subject

        def mark(client: Client) -> ActDone:
            from console import triage as asked

            asked.mark_seen(client, keys, actor)
            return ActDone(f"{subject}: seen by {actor}")

        self.send(f"seen:{need.key}", "mark it as seen", mark)

    def action_clear(self) -> None:
        """What has ended until now was looked at."""
        actor = self.session.actor

        def clear(client: Client) -> ActDone:
            from console import triage as asked

            asked.clear(client, actor)
            return ActDone("what ends from now on is listed")

        self.send("clear", "clear the list", clear)
