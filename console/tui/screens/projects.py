"""Watched projects: their manifests, what may start by itself, what wants a person; the key that trusts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from console import watched_projects
from console.tui.actions import bindings
from console.tui.messages import ProjectChanged, ProjectOpened, ProjectsArrived
from console.tui.project_cells import COLUMNS, detail_lines, row_of, trust_question, unwatch_question
from console.tui.screens import layouts
from console.tui.screens.base import FootplateScreen
from console.tui.screens.confirm import ConfirmScreen
from console.tui.styles import MUTED
from console.tui.widgets.header_line import HeaderLine
from console.tui.widgets.key_bar import KeyBar
from console.tui.widgets.rule import Rule
from console.tui.widgets.tab_bar import TabBar
from console.tui.widgets.virtual_table import VirtualTable

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from console.client import Client
    from console.tui.actions import Scope
    from console.tui.session import Session
    from console.watched_projects import Project


class ProjectsScreen(FootplateScreen):
    """What wants a person comes first."""

    scope: ClassVar[Scope] = "projects"
    tab: ClassVar[str] = "Projects"
    lists: ClassVar[bool] = True
    DEFAULT_CSS = layouts.PROJECTS
    BINDINGS: ClassVar[list[BindingType]] = bindings("projects")

    def __init__(self, session: Session, root: str = "") -> None:
        """`root`: the project on which the cursor is first."""
        super().__init__(session)
        self._wanted_root = root
        self._projects: tuple[Project, ...] | None = None

    def compose(self) -> ComposeResult:
        """A table above, everything about the project under the cursor below."""
        yield HeaderLine()
        yield TabBar()
        yield Rule("Projects", id="projects-rule")
        yield VirtualTable(COLUMNS, id="projects-table", empty="waiting for the daemon…", open_row=self.action_open)
        yield Rule("", id="project-rule")
        with VerticalScroll(id="project-scroll"):
            yield Static(id="project-detail", markup=False)
        yield KeyBar("projects")

    def on_mount(self) -> None:
        """The cursor starts in the table."""
        table = self.query_one(VirtualTable)
        table.ascii = self.session.ascii_only
        table.focus()

    @property
    def awaits_rows(self) -> bool:
        """Nothing has come yet."""
        return self._projects is None

    @property
    def project(self) -> Project | None:
        """The one under the cursor."""
        key = self.query_one(VirtualTable).cursor_key
        return next((each for each in self._projects or () if each.root == key), None)

    @property
    def project_name(self) -> str:
        """That of the one under the cursor."""
        return project.name if (project := self.project) is not None else ""

    def refresh_data(self) -> None:
        """Ask for all of them; there are few."""

        def fetch(client: Client) -> ProjectsArrived:
            return ProjectsArrived(watched_projects.all_of(client))

        self.session.courier.ask("projects", self, fetch)

    def on_projects_arrived(self, message: ProjectsArrived) -> None:
        """Those that want a person first, then by name."""
        if not self.present:
            return
        self.session.link.touch()
        projects = tuple(sorted(message.projects, key=lambda each: (not each.attention, each.name.lower())))
        self._projects = projects
        table = self.query_one(VirtualTable)
        table.empty = "no folder is watched\nfootplate watch DIR looks after one"
        table.set_row_count(len(projects))
        table.put_page(0, [row_of(each, time.time(), ascii_only=self.session.ascii_only) for each in projects])
        if self._wanted_root:
            places = [place for place, each in enumerate(projects) if each.root == self._wanted_root]
            self._wanted_root = ""
            table.move_cursor(places[0] if places else 0)
        wanting = sum(len(each.attention) for each in projects)
        title = [("Projects", ""), (f" {len(projects)}", MUTED)]
        if wanting:
            title.append((f"  ! {wanting} want{'s' if wanting == 1 else ''} you", "bold $warning"))
        self.query_one("#projects-rule", Rule).set_title(Content.assemble(*title), "")
        self._show_project()
        self.show_header()

    def on_virtual_table_page_wanted(self, message: VirtualTable.PageWanted) -> None:
        """All rows are in memory; they are asked for again when something changes."""
        message.stop()

    def on_virtual_table_cursor_moved(self, message: VirtualTable.CursorMoved) -> None:
        """Another project."""
        message.stop()
        self._show_project()

    def _show_project(self) -> None:
        project = self.project
        title = Content(project.name if project is not None else "")
        self.query_one("#project-rule", Rule).set_title(title, project.root if project is not None else "")
        lines = detail_lines(project, time.time(), ascii_only=self.session.ascii_only) if project else Content("")
        self.query_one("#project-detail", Static).update(lines)

    def action_open(self) -> None:
        """The runs of the project."""
        if (project := self.project) is not None:
            self.post_message(ProjectOpened(project.name))

    def action_back(self) -> None:
        """The table of runs."""
        self.app.pop_screen()

    def action_copy_root(self) -> None:
        """Send the path to the terminal's clipboard."""
        if (project := self.project) is not None:
            self._copy(project.root)

    def action_trust(self) -> None:
        """Show what it is about, ask, trust exactly that text."""
        project = self.project
        if project is None:
            self.say("there is no project under the cursor")
            return
        if project.trust in ("none", "broken", "unsafe", "trusted"):
            said = {"none": "has no footplate.toml", "trusted": "is trusted already"}
            self.say(f"{project.name} {said.get(project.trust) or 'cannot be trusted: ' + project.trust_reason}")
            return

        def decided(trust: bool | None) -> None:
            if trust:
                self._trust(project)

        question = ConfirmScreen("Trust footplate.toml?", trust_question(project), "trust it", self.session.monotonic)
        self.app.push_screen(question, decided)

    def _trust(self, project: Project) -> None:
        context = self.session.context()  # what it starts gets the environment of this terminal

        def trust(client: Client) -> ProjectChanged:
            watched_projects.trust(client, project.root, project.text_hash, context)
            return ProjectChanged(f"{project.name}: footplate.toml is trusted as it is now")

        self.session.courier.ask(f"project:{project.root}", self, trust)

    def action_unwatch(self) -> None:
        """Ask, then let go of the folder."""
        project = self.project
        if project is None:
            self.say("there is no project under the cursor")
            return

        def decided(unwatch: bool | None) -> None:
            if unwatch:
                self._unwatch(project)

        question = ConfirmScreen("Watch it no more?", unwatch_question(project), "let go", self.session.monotonic)
        self.app.push_screen(question, decided)

    def _unwatch(self, project: Project) -> None:
        actor = self.session.actor

        def unwatch(client: Client) -> ProjectChanged:
            watched_projects.unwatch(client, project.root, actor)
            return ProjectChanged(f"{project.name} is watched no more; its runs stay")

        self.session.courier.ask(f"project:{project.root}", self, unwatch)

    def on_project_changed(self, message: ProjectChanged) -> None:
        """Say so, and look again."""
        self.say(message.words)
        self.refresh_data()
