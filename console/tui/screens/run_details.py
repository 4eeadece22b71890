"""Everything about one run that is text: how it ended, params, environment, packages, code, diff, notes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.content import Content

from console import run_parts, run_sections
from console.tui.actions import bindings, key_for
from console.tui.messages import CaptureArrived, ChangeSeen, DetailArrived, PatchArrived, RequestFailed
from console.tui.pace import Pace
from console.tui.screens.base import FootplateScreen
from console.tui.styles import MUTED
from console.tui.widgets.header_line import HeaderLine
from console.tui.widgets.key_bar import KeyBar
from console.tui.widgets.line import EMPTY, Line
from console.tui.widgets.prompt import Prompt
from console.tui.widgets.tab_bar import TabBar
from console.tui.widgets.text_pane import TextPane

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from console.client import Client
    from console.protocol import LogPage, RunDetail, RunRow
    from console.run_parts import Capture
    from console.run_sections import Lines
    from console.tui.actions import Scope
    from console.tui.session import Session

SECTIONS: Final = ("ending", "about", "params", "environment", "packages", "code", "diff")
TITLES: Final = {
    "ending": "How it ended",
    "about": "About",
    "params": "Params",
    "environment": "Environment",
    "packages": "Packages",
    "code": "Code",
    "diff": "Diff",
}
SHORT_TITLES: Final = TITLES | {"ending": "Ended", "environment": "Env", "packages": "Pkgs"}
WAITS: Final = [run_sections.TextLine("asking the daemon ...", "muted")]


class RunDetailsScreen(FootplateScreen):
    """One section at a time, each as long as it is."""

    scope: ClassVar[Scope] = "details"
    BINDINGS: ClassVar[list[BindingType]] = bindings("details")

    def __init__(self, session: Session, detail: RunDetail, section: str = SECTIONS[0]) -> None:
        super().__init__(session)
        self._detail = detail
        self._section = section
        self._capture: Capture | None = None
        self._patch: LogPage | None = None
        self._refusal = ""
        """Why there is no capture."""
        self._asked_patch = False
        self._feed = session.feed(f"run:{detail.row.id}", self)

    def compose(self) -> ComposeResult:
        """Sections by name, then the lines of one."""
        yield HeaderLine()
        yield TabBar()
        yield Line(id="details-tabs")
        yield Prompt("/", "text to find here", id="details-search")
        yield TextPane(id="details-text")
        yield KeyBar("details")

    def on_mount(self) -> None:
        """Ask for what is not here yet."""
        session = self.session
        self._pace = Pace(self, session.profile.log_interval_s, self._ask_detail, session.monotonic)
        self._pane.ascii = session.ascii_only
        self._pane.focus()
        self._turn_to(self._section)
        self._ask_capture()
        self._feed.start()

    def on_unmount(self) -> None:
        """Nobody looks any more."""
        self._feed.stop()

    @property
    def _pane(self) -> TextPane:
        return self.query_one(TextPane)

    @property
    def run_under_cursor(self) -> RunRow | None:
        """The run of this screen."""
        return self._detail.row

    @property
    def trail(self) -> str:
        """The run's name after the tab."""
        return f"{self._detail.row.label} {self._detail.row.name}"

    def on_change_seen(self, message: ChangeSeen) -> None:
        """Something new about this run."""
        message.stop()
        if self.present and not self.session.link.paused:
            self.refresh_data()

    def refresh_data(self) -> None:
        """Ask for the run as it is now."""
        self._pace.soon()

    def _ask_detail(self) -> None:
        reference = self._detail.row.id

        def fetch(client: Client) -> DetailArrived:
            return DetailArrived(client.run(reference))

        self.session.courier.ask(f"detail:{reference}", self, fetch)

    def on_detail_arrived(self, message: DetailArrived) -> None:
        """The run as it is now."""
        message.stop()
        if self.present:
            self._detail = message.detail
            self.session.link.touch()
            self._show(again=True)
            self.show_header()

    def _ask_capture(self) -> None:
        reference = self._detail.row.id

        def fetch(client: Client) -> CaptureArrived:
            return CaptureArrived(run_parts.capture(client, reference))

        self.session.courier.ask("capture", self, fetch)

    def on_capture_arrived(self, message: CaptureArrived) -> None:
        """What was captured never changes, except while it is being made."""
        message.stop()
        if self.present:
            self._capture = message.capture
            self._show(again=True)

    def _ask_patch(self) -> None:
        reference = self._detail.row.id

        def fetch(client: Client) -> PatchArrived:
            return PatchArrived(run_parts.patch(client, reference))

        self._asked_patch = True
        self.session.courier.ask("patch", self, fetch)

    def on_patch_arrived(self, message: PatchArrived) -> None:
        """The first MiB of it."""
        message.stop()
        if self.present:
            self._patch = message.page
            self._show(again=True)

    def on_request_failed(self, message: RequestFailed) -> None:
        """Say it in place of what was asked for; that the daemon is away is said in the header too."""
        if message.kind in ("capture", "patch") and self.present:
            if not message.unavailable:
                message.stop()
            self._refusal = f"n/a: {message.reason}" + (f"; {message.hint}" if message.hint else "")
            self._show(again=True)
        else:
            super().on_request_failed(message)

    def _lines(self) -> Lines:
        detail, capture = self._detail, self._capture
        match self._section:
            case "ending":
                return run_sections.ending(detail)
            case "about":
                return run_sections.about(detail)
            case "params":
                return run_sections.params(detail)
        if self._refusal:
            return [run_sections.TextLine(self._refusal, "muted")]
        if capture is None:
            return WAITS
        match self._section:
            case "environment":
                return run_sections.environment(capture)
            case "packages":
                return run_sections.packages(capture)
            case "code":
                return run_sections.code(capture, detail)
        return run_sections.patch(self._patch, capture) if self._patch is not None else WAITS

    def _turn_to(self, section: str) -> None:
        self._section = section
        if section == "diff" and not self._asked_patch:
            self._ask_patch()
        self._show(again=False)

    def _show(self, *, again: bool) -> None:
        self._pane.show(self._lines(), again=again)
        self._show_tabs()

    def _show_tabs(self) -> None:
        titles = TITLES if self.size.width >= 100 else SHORT_TITLES
        parts = [
            (f" {titles[name]} ", "bold $background on $primary" if name == self._section else MUTED)
            for name in SECTIONS
        ]
        self.query_one("#details-tabs", Line).set_parts(Content.assemble(" ", *parts), EMPTY)

    def on_resize(self) -> None:
        """Shorter names on a narrow screen."""
        if self.present:
            self._show_tabs()

    def action_next_section(self) -> None:
        """Turn to the next section."""
        self._move(1)

    def action_previous_section(self) -> None:
        """Turn to the section before."""
        self._move(-1)

    def _move(self, step: int) -> None:
        self._turn_to(SECTIONS[(SECTIONS.index(self._section) + step) % len(SECTIONS)])

    def action_search(self) -> None:
        """Type what to search for."""
        self.query_one(Prompt).open("")

    def on_prompt_typed(self, message: Prompt.Typed) -> None:
        """Mark it while it is typed."""
        message.stop()
        self._pane.look_for(message.text)

    def on_prompt_left(self, message: Prompt.Left) -> None:
        """Go to the first line that matches."""
        message.stop()
        self._pane.look_for(message.text if message.kept else "")
        self._pane.focus()
        if self._pane.searches:
            self._go(backward=False)

    def action_next_hit(self) -> None:
        """Go to the next line that matches."""
        self._go(backward=False)

    def action_previous_hit(self) -> None:
        """Go to the line before that matches."""
        self._go(backward=True)

    def _go(self, *, backward: bool) -> None:
        if not self._pane.searches:
            self.say(f"nothing to search for yet: {key_for('details.search')} asks")
        elif not self._pane.next_hit(backward=backward):
            self.say("no line here holds it")

    def action_back(self) -> None:
        """Give up the search, then go back to the run."""
        if self._pane.searches:
            self._pane.look_for("")
        else:
            self.dismiss(None)
