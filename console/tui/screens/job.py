"""A job about to start: its params, and the command that they come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Checkbox, Input, Static

from console import asked_of_runs
from console.tui.actions import hints
from console.tui.messages import ActDone, JobPlanned
from console.tui.pace import Pause
from console.tui.run_acts import started_words
from console.tui.screens.form import FormScreen
from console.tui.styles import MUTED
from console.tui.text_format import duration, fit, visible
from console.tui.widgets.prompt import FieldInput

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from console.asked_of_runs import JobPlan
    from console.client import Client
    from console.protocol import Json
    from console.tui.session import Session
    from console.watched_projects import Project, ProjectJob

TYPING_PAUSE_S: Final = 0.2
NAME_CELLS: Final = 20


class JobScreen(FormScreen):
    """The daemon resolves the command; nothing starts before what would start is shown."""

    title_words: ClassVar[str] = "Start a job"
    DEFAULT_CSS = """
    JobScreen VerticalScroll {
        height: auto;
        max-height: 12;
        margin-top: 1;
        scrollbar-size-vertical: 1;
    }
    JobScreen Horizontal {
        height: 1;
    }
    JobScreen Horizontal > Static {
        width: 21;
        color: $accent;
    }
    JobScreen Horizontal > Input {
        width: 1fr;
    }
    JobScreen #job-command {
        margin-top: 1;
    }
    """

    def __init__(self, session: Session, project: Project, job: ProjectJob) -> None:
        super().__init__(session)
        self._project = project
        self._job = job
        self._shell = session.context()
        self._asked_no = 0
        self._planned_no = -1

    @property
    def keys_words(self) -> str:
        """What the keys do."""
        return hints("tab next field", "enter starts", ("form.close", "closes"))

    def fields(self) -> ComposeResult:
        """What it is, a line for each param, what follows it, the command."""
        job, project = self._job, self._project
        about = f"\n{visible(job.description)[:300]}" if job.description else ""
        yield Static(
            Content.assemble(
                (visible(job.name), "bold $accent"),
                (f"  {visible(project.name)}  {visible(project.root)}", MUTED),
                about,
            )
        )
        with VerticalScroll(can_focus=False):
            for name, value in job.params.items():
                with Horizontal():
                    yield Static(Content(fit(visible(name), NAME_CELLS)))
                    yield FieldInput(visible(value), placeholder="empty")
        if job.followers:
            yield Checkbox(Content(f"then {visible(', '.join(job.followers))[:200]}"), value=True, compact=True)
        yield Static("", id="job-command", markup=False)

    def on_mount(self) -> None:
        """Resolve the command with the defaults."""
        self._pause = Pause(self, TYPING_PAUSE_S, self._ask)
        inputs = list(self.query(FieldInput))
        if inputs:
            inputs[0].focus()
        self.say("resolving the command…")
        self._ask()

    def _asked(self) -> dict[str, Json]:
        defaults = self._job.params
        typed = {name: field.value for name, field in zip(defaults, self.query(FieldInput), strict=True)}
        boxes = list(self.query(Checkbox))
        return {
            "folder": self._project.root,
            "job": self._job.name,
            # What was left alone keeps its type and what cannot be shown.
            "params": {name: value for name, value in typed.items() if value != visible(defaults[name])},
            "followers": bool(boxes and boxes[0].value),
        }

    def _ask(self) -> None:
        asked_no, asked, context = self._asked_no, self._asked(), self._shell

        def plan(client: Client) -> JobPlanned:
            return JobPlanned(asked_no, asked_of_runs.plan_job(client, asked, context))

        self.session.courier.ask("job-plan", self, plan)

    def on_job_planned(self, message: JobPlanned) -> None:
        """Show the command, unless other params were typed meanwhile."""
        message.stop()
        if message.asked_no == self._asked_no:
            self._planned_no = message.asked_no
            self.query_one("#job-command", Static).update(command_text(message.plan))
            self.say("; ".join(message.plan.notes))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Other params: ask once more, after a pause."""
        event.stop()
        self._changed()

    def on_checkbox_changed(self, event: Checkbox.Changed) -> None:
        """With or without what follows."""
        event.stop()
        self._changed()

    def _changed(self) -> None:
        self._asked_no += 1
        self._pause.soon()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        event.stop()
        self.action_submit()

    def action_submit(self) -> None:
        """Start it, once the command that is shown belongs to what was typed."""
        if self._planned_no != self._asked_no:
            self.say("the command is not resolved yet: look at it, then start", severe=True)
            self._ask()
            return
        asked, context, name = self._asked(), self._shell, self._job.name

        def start(client: Client) -> ActDone:
            return ActDone(f"{name}: {started_words(asked_of_runs.start_job(client, asked, context))}")

        self.send(f"start:{self._project.root}:{name}", f"start {name}", start)


def command_text(plan: JobPlan) -> Content:
    """The command, and how long its runs take."""
    took = (
        f"~{duration(plan.typical_s)} as its runs before"
        if plan.typical_s is not None
        else "n/a: none has finished yet"
    )
    return Content.assemble(
        ("runs   ", MUTED), (visible(plan.command)[:1000], "bold $foreground"), "\n", ("takes  ", MUTED), took
    )
