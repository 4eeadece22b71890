"""What the threads that speak to the daemon tell the screens; handlers on the event loop own all state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from console.artifact_preview import Preview
    from console.asked_of_runs import ClonePlan, JobPlan
    from console.devices import Devices
    from console.protocol import Hit, LogPage, RunDetail, RunRow, Series, Status
    from console.run_columns import ColumnPage, TablePage
    from console.run_curves import MetricCurves
    from console.run_diff import Sides
    from console.run_parts import Capture, MarkKind
    from console.triage import Triage
    from console.views import Broken, View
    from console.watched_projects import Project


@dataclass
class ChangeSeen(Message):
    """A view shows something else than before."""

    view: str

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, ChangeSeen) and message.view == self.view


class LinkQuiet(Message):
    """The daemon answered that nothing changed, so what is shown is fresh."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, LinkQuiet)


@dataclass
class LinkLost(Message):
    """The daemon does not answer; the feed tries again by itself."""

    reason: str

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, LinkLost)


@dataclass
class RequestFailed(Message):
    """A request was refused, or its answer could not be read."""

    kind: str
    reason: str
    hint: str
    unavailable: bool
    """There is no daemon to refuse anything."""


@dataclass
class StatusArrived(Message):
    """The counts of the header."""

    status: Status


@dataclass
class PageArrived(Message):
    """A window of the run table."""

    query_no: int
    """Of the filter and order that were asked for; answers to older ones are dropped."""
    table_page: TablePage


@dataclass
class ColumnsArrived(Message):
    """What can be columns for the runs under a filter."""

    query_no: int
    page: ColumnPage


@dataclass
class ColumnListArrived(Message):
    """A window of what can be columns, for the picker."""

    query_no: int
    offset: int
    page: ColumnPage


@dataclass
class ViewsArrived(Message):
    """The saved views, those that cannot be used with the reason."""

    views: tuple[View | Broken, ...]
    words: str = ""
    """What was done to them."""


@dataclass
class SidesArrived(Message):
    """Runs side by side."""

    sides: Sides


@dataclass
class ChartArrived(Message):
    """Curves, in the order asked for; None where a run has no such metric."""

    request_no: int
    curves: tuple[tuple[str, Series | None], ...]


@dataclass
class CurvesArrived(Message):
    """Metrics of one run, in the order asked for; None for those that it has not."""

    request_no: int
    keys: tuple[str, ...]
    found: tuple[MetricCurves | None, ...]


@dataclass
class DetailArrived(Message):
    """Everything about one run."""

    detail: RunDetail


@dataclass
class StopTargetsArrived(Message):
    """The runs that a person wants to stop, as they are now."""

    details: tuple[RunDetail, ...]


@dataclass
class MarksRecalled(Message):
    """The runs that were marked when the console was last open, as far as they are still there."""

    rows: tuple[RunRow, ...]


@dataclass
class RunRecalled(Message):
    """The run whose screen was in front when the console was last open."""

    row: RunRow


@dataclass
class ClonePlanned(Message):
    """What a run with another command would be."""

    asked_no: int
    """Of the text it was asked for; answers to older ones are dropped."""
    plan: ClonePlan


@dataclass
class JobPlanned(Message):
    """What a job with these params would execute."""

    asked_no: int
    plan: JobPlan


@dataclass
class ActDone(Message):
    """Something that was asked of runs is done, or under way in the daemon."""

    words: str
    draft: str = ""
    """The key of the unsent text that has been sent now."""


@dataclass
class ActFailed(Message):
    """Something that was asked of runs was refused, or nobody was there to ask."""

    kind: str
    failing: str
    """What could not be done, after "could not"."""
    reason: str
    hint: str

    @property
    def words(self) -> str:
        """The whole sentence."""
        return f"could not {self.failing}: {self.reason}" + (f": {self.hint}" if self.hint else "")


@dataclass
class MetricPinned(Message):
    """A metric stands for a project from now on."""

    project: str
    title: str


@dataclass
class LogArrived(Message):
    """A stretch of the log."""

    page: LogPage


@dataclass
class HitArrived(Message):
    """Where a search in the log ended."""

    text: str
    backward: bool
    wrapped: bool
    hit: Hit


@dataclass
class MarkArrived(Message):
    """Where the search for a line that tells of an error or a warning ended."""

    kind: MarkKind
    backward: bool
    wrapped: bool
    hit: Hit


@dataclass
class CaptureArrived(Message):
    """What was captured of a run's code and environment."""

    capture: Capture


@dataclass
class PatchArrived(Message):
    """The beginning of a run's patch."""

    page: LogPage


@dataclass
class PreviewArrived(Message):
    """One of the files that a run left behind, as far as it can be shown."""

    place: int
    """In the list of them."""
    preview: Preview


@dataclass
class TriageArrived(Message):
    """What wants a person, runs, waits and has ended."""

    triage: Triage


@dataclass
class DevicesArrived(Message):
    """How busy the machine is."""

    devices: Devices


@dataclass
class ProjectsWanted(Message):
    """A person wants to see a project among the watched ones."""

    root: str


@dataclass
class ProjectsArrived(Message):
    """Every watched project."""

    projects: tuple[Project, ...]


@dataclass
class ProjectChanged(Message):
    """Something that was asked of a project is done."""

    words: str


@dataclass
class ProjectOpened(Message):
    """A person wants to see the runs of a project."""

    name: str
