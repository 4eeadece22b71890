"""What the threads that speak to the daemon tell the screens; handlers on the event loop own all state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform

from textual.message import Message

if TYPE_CHECKING:
    from collections.abc import Iterable

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


@dataclass_transform(eq_default=False)
class News(Message):
    """A message whose fields are annotated as those of a dataclass, of which there are too many before the first frame
    for `@dataclass`: it compiles 0.3 ms a class. That all fields are given is held by mypy alone."""

    _names: ClassVar[tuple[str, ...]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._names = tuple(cls.__annotations__)

    def __init__(self, *values: Any, **named: Any) -> None:
        super().__init__()
        self.__dict__.update(zip(self._names, values, strict=False), **named)

    def __rich_repr__(self) -> Iterable[tuple[str, Any]]:
        return ((name, getattr(self, name)) for name in self._names)


class ChangeSeen(News):
    """A view shows something else than before."""

    view: str

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, ChangeSeen) and message.view == self.view


class LinkQuiet(Message):
    """The daemon answered that nothing changed, so what is shown is fresh."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, LinkQuiet)


class LinkLost(News):
    """The daemon does not answer; the feed tries again by itself."""

    reason: str

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, LinkLost)


class RequestFailed(News):
    """A request was refused, or its answer could not be read."""

    kind: str
    reason: str
    hint: str
    unavailable: bool
    """There is no daemon to refuse anything."""


class StatusArrived(News):
    """The counts of the header."""

    status: Status


class ConfigWrong(News):
    """Something in a configuration file could not be used."""

    words: str


class PageArrived(News):
    """A window of the run table."""

    query_no: int
    """Of the filter and order that were asked for; answers to older ones are dropped."""
    table_page: TablePage


class ColumnsArrived(News):
    """What can be columns for the runs under a filter."""

    query_no: int
    page: ColumnPage


class ColumnListArrived(News):
    """A window of what can be columns, for the picker."""

    query_no: int
    offset: int
    page: ColumnPage


class ViewsArrived(News):
    """The saved views, those that cannot be used with the reason."""

    views: tuple[View | Broken, ...]
    words: str = ""
    """What was done to them."""


class SidesArrived(News):
    """Runs side by side."""

    sides: Sides


class ChartArrived(News):
    """Curves, in the order asked for; None where a run has no such metric."""

    request_no: int
    curves: tuple[tuple[str, Series | None], ...]


class CurvesArrived(News):
    """Metrics of one run, in the order asked for; None for those that it has not."""

    request_no: int
    keys: tuple[str, ...]
    found: tuple[MetricCurves | None, ...]


class DetailArrived(News):
    """Everything about one run."""

    detail: RunDetail


class StopTargetsArrived(News):
    """The runs that a person wants to stop, as they are now."""

    details: tuple[RunDetail, ...]


class MarksRecalled(News):
    """The runs that were marked when the console was last open, as far as they are still there."""

    rows: tuple[RunRow, ...]


class RunRecalled(News):
    """The run whose screen was in front when the console was last open."""

    row: RunRow


class ClonePlanned(News):
    """What a run with another command would be."""

    asked_no: int
    """Of the text it was asked for; answers to older ones are dropped."""
    plan: ClonePlan


class JobPlanned(News):
    """What a job with these params would execute."""

    asked_no: int
    plan: JobPlan


class ActDone(News):
    """Something that was asked of runs is done, or under way in the daemon."""

    words: str
    draft: str = ""
    """The key of the unsent text that has been sent now."""


class ActFailed(News):
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


class MetricPinned(News):
    """A metric stands for a project from now on."""

    project: str
    title: str


class LogArrived(News):
    """A stretch of the log."""

    page: LogPage


class HitArrived(News):
    """Where a search in the log ended."""

    text: str
    backward: bool
    wrapped: bool
    hit: Hit


class MarkArrived(News):
    """Where the search for a line that tells of an error or a warning ended."""

    kind: MarkKind
    backward: bool
    wrapped: bool
    hit: Hit


class CaptureArrived(News):
    """What was captured of a run's code and environment."""

    capture: Capture


class PatchArrived(News):
    """The beginning of a run's patch."""

    page: LogPage


class PreviewArrived(News):
    """One of the files that a run left behind, as far as it can be shown."""

    place: int
    """In the list of them."""
    preview: Preview


class TriageArrived(News):
    """What wants a person, runs, waits and has ended."""

    triage: Triage


class DevicesArrived(News):
    """How busy the machine is."""

    devices: Devices


class ProjectsWanted(News):
    """A person wants to see a project among the watched ones."""

    root: str


class ProjectsArrived(News):
    """Every watched project."""

    projects: tuple[Project, ...]


class ProjectChanged(News):
    """Something that was asked of a project is done."""

    words: str


class ProjectOpened(News):
    """A person wants to see the runs of a project."""

    name: str
