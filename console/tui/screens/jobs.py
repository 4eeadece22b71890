"""Jobs of the watched projects: one is chosen here, its params are filled in on the next form."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from console import watched_projects
from console.tui.actions import hints
from console.tui.messages import ProjectsArrived
from console.tui.screens.form import FormScreen
from console.tui.table_layout import Cell, TableColumn, TableRow
from console.tui.widgets.prompt import FieldInput
from console.tui.widgets.virtual_table import VirtualTable

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.widgets import Input

    from console.client import Client
    from console.tui.session import Session
    from console.watched_projects import Project, ProjectJob

COLUMNS: Final = (
    TableColumn("job", "job", 16, sortable=False, pinned=True),
    TableColumn("project", "project", 14, sortable=False),
    TableColumn("command", "what it does", 20, flexible=True, sortable=False),
)


class Choice(NamedTuple):
    """One job of one project."""

    project: Project
    job: ProjectJob

    @property
    def key(self) -> str:
        """What tells it from all others."""
        return f"{self.project.root}\0{self.job.name}"

    def matches(self, words: str) -> bool:
        """Whether every word occurs in it."""
        text = f"{self.job.name} {self.project.name} {self.job.command} {self.job.description}".lower()
        return all(word in text for word in words.lower().split())


class JobsScreen(FormScreen):
    """Typing narrows the list, arrows move in it."""

    title_words: ClassVar[str] = "Start a job"
    DEFAULT_CSS = """
    JobsScreen VirtualTable {
        height: 12;
        margin-top: 1;
    }
    """

    def __init__(self, session: Session, project_name: str) -> None:
        super().__init__(session)
        self._project_name = project_name
        self._choices: tuple[Choice, ...] | None = None
        self._is_chosen = False
        """Enter was pressed before there was anything to choose."""
        self._shown: tuple[Choice, ...] = ()

    @property
    def keys_words(self) -> str:
        """What the keys do."""
        return hints("type to narrow", "↑ ↓ move", "enter chooses", ("form.close", "closes"))

    def fields(self) -> ComposeResult:
        """A line to narrow the list, and the list."""
        yield FieldInput(placeholder="job, project or command")
        table = VirtualTable(COLUMNS, empty="waiting for the daemon…")
        table.ascii = self.session.ascii_only
        table.can_focus = False
        yield table

    def on_mount(self) -> None:
        """Ask what there is."""
        self.query_one(FieldInput).focus()

        def fetch(client: Client) -> ProjectsArrived:
            return ProjectsArrived(watched_projects.all_of(client))

        self.session.courier.ask("jobs", self, fetch)

    def on_projects_arrived(self, message: ProjectsArrived) -> None:
        """Those of the project that a person looks at come first."""
        message.stop()
        found = [Choice(project, job) for project in message.projects for job in project.jobs]
        found.sort(key=lambda each: (each.project.name != self._project_name, each.project.name.lower()))
        self._choices = tuple(found)
        self._show()
        if self._is_chosen:
            self._is_chosen = False
            self.action_submit()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow the list."""
        event.stop()
        self._show()

    def _show(self) -> None:
        table = self.query_one(VirtualTable)
        words = self.query_one(FieldInput).value
        if self._choices is None:
            return
        self._shown = tuple(each for each in self._choices if each.matches(words))
        table.empty = (
            "no job matches" if self._choices else "no watched project has a job\nfootplate init DIR proposes some"
        )
        table.set_row_count(len(self._shown))
        table.put_page(0, [row_of(each) for each in self._shown])
        table.move_cursor(0)

    def on_virtual_table_page_wanted(self, message: VirtualTable.PageWanted) -> None:
        """All rows are in memory."""
        message.stop()

    def on_virtual_table_row_opened(self, message: VirtualTable.RowOpened) -> None:
        """A double click."""
        message.stop()
        self.action_submit()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        event.stop()
        self.action_submit()

    def on_key(self, event: events.Key) -> None:
        """Arrows move in the list although the line has the focus."""
        table = self.query_one(VirtualTable)
        moves = {"down": 1, "up": -1}
        if event.key in moves:
            event.stop()
            table.action_move(moves[event.key])
        elif event.key in ("pagedown", "pageup"):
            event.stop()
            table.action_page(1 if event.key == "pagedown" else -1)

    def action_submit(self) -> None:
        """Go on to its params."""
        if self._choices is None:
            self._is_chosen = True
            return
        row = self.query_one(VirtualTable).cursor_row
        if row >= len(self._shown):
            self.say("there is no job under the cursor", severe=True)
            return
        from console.tui.screens.job import JobScreen  # here: its module is needed only now

        chosen = self._shown[row]
        self.app.switch_screen(JobScreen(self.session, chosen.project, chosen.job))


def row_of(choice: Choice) -> TableRow:
    """A job as a line of the list."""
    job = choice.job
    return TableRow(
        choice.key,
        (
            Cell(job.name, "bold"),
            Cell(choice.project.name, "text-muted"),
            Cell(job.description or job.command),
        ),
    )
