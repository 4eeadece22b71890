"""What crosses the socket between the daemon and its clients: snapshots that nobody changes, and shared words.

Named tuples, because every command imports them: 14 frozen dataclasses cost 18 ms of the 60 of `footplate ps`. Their
annotations are no texts, which typing would compile one by one.

Times are Unix seconds (float), sizes bytes, durations seconds; every such field says so in its name. Text that came
from outside (commands, keys, log lines) is carried as it is: whoever shows it makes control characters visible first.
JSON has no NaN and no infinity, so numbers that may be one travel as "NaN", "Infinity" and "-Infinity".
"""

import math
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeVar

PROTOCOL_VERSION: Final = 1
"""Grows when a field changes its meaning or goes away; new fields do not count."""

State: TypeAlias = Literal[
    "blocked",
    "queued",
    "held",
    "starting",
    "running",
    "stopping",
    "finished",
    "failed",
    "stopped",
    "interrupted",
    "skipped",
    "stale",
    "unknown",
]
Goal: TypeAlias = Literal["minimize", "maximize"]
GoalSource: TypeAlias = Literal["guessed", "pinned", "manifest"]
SortKey: TypeAlias = Literal["no", "name", "project", "state", "metric", "step", "duration", "started"]
Json: TypeAlias = Any
"""A decoded JSON value; the decoders below check what they take out of it."""

LIVE_STATES: Final[frozenset[State]] = frozenset({"starting", "running", "stopping"})
"""States in which processes of the run may be alive."""
WAITING_STATES: Final[frozenset[State]] = frozenset({"blocked", "queued", "held"})
ENDED_STATES: Final[frozenset[State]] = frozenset({"finished", "failed", "stopped", "interrupted", "skipped"})
"""States that a run does not leave by itself."""
SORT_KEYS: Final[tuple[SortKey, ...]] = ("no", "name", "project", "state", "metric", "step", "duration", "started")


class FoldSummary(NamedTuple):
    """A metric that restarts inside one process, as cross-validation does: what its folds come to."""

    bests: tuple[float | None, ...]
    """The best finite value of each fold by the goal, in their order; None where there is none."""
    mean: float | None
    """Of the bests."""
    sd: float | None
    """Standard deviation of the bests with n - 1; None with fewer than two."""


class MetricSummary(NamedTuple):
    """One metric of one run: where it stands and how good it ever was."""

    key: str
    goal: Goal
    """Guessed from the key unless somebody pinned it."""
    last: float
    """The newest value; NaN and infinities are values a job may report."""
    last_step: int
    minimum: float | None
    """Of the finite values; None while there is none."""
    maximum: float | None
    point_count: int
    goal_source: GoalSource = "guessed"
    by_hand: bool = False
    """A person added it with `footplate log`."""
    folds: FoldSummary | None = None
    """None for a metric that never restarted, as nearly all are."""

    @property
    def best(self) -> float | None:
        """The best finite value by the goal; the mean of the folds' bests where there are folds."""
        if self.folds is not None:
            return self.folds.mean
        return self.maximum if self.goal == "maximize" else self.minimum


class RunRow(NamedTuple):
    """One run as a line of the run table."""

    id: str
    """ULID, 26 characters."""
    no: int
    """The number people say: 12 is shown and accepted as r12."""
    name: str
    """As given with --name, else made from the command."""
    project: str
    state: State
    cause: str
    """Why it ended, in words; empty while it runs or when it finished well."""
    command: str
    """The argv quoted for a shell."""
    created_at_s: float
    started_at_s: float | None
    ended_at_s: float | None
    exit_code: int | None
    """None while it runs, when it could not be measured, and when a signal ended it."""
    signal: str
    """Name of the signal that ended it, such as SIGKILL; else empty."""
    params: dict[str, str]
    metric: MetricSummary | None
    """The primary metric; None while the run has reported none."""
    cause_kind: str = ""
    """The cause for programs, one of `console.jobs.exit_cause.KINDS`; empty while it runs."""
    attempt: int = 1
    attempts_max: int = 1
    pinned: bool = False
    archived: bool = False
    """Its files are packed away; metrics stay, the log comes back with `footplate archive --restore`."""
    tags: tuple[str, ...] = ()
    sweep: str = ""
    """The label of its sweep, such as s3."""
    job: str = ""
    """The job of a manifest that it was made from."""
    param_sources: dict[str, str] = {}  # noqa: RUF012 - never changed
    """Where params were read that the command line does not state: a file's name, `.hydra`, `train.py:12`."""
    tracker: str = ""
    """Who wrote it down, such as mlflow or tensorboard; empty for a run that footplate started."""
    written_at_s: float | None = None
    """Of an imported run: when its files were last written to."""

    @property
    def label(self) -> str:
        """The short name that every command accepts."""
        return f"r{self.no}"


class RunPage(NamedTuple):
    """A window of the run table after filter and sort."""

    total_count: int
    """Runs in the store."""
    matched_count: int
    """Runs that the filter lets through."""
    offset: int
    now_s: float
    """The daemon's clock, for durations of live runs."""
    rows: tuple[RunRow, ...]


class Note(NamedTuple):
    """What a person wrote down about a run."""

    id: str
    at_s: float
    actor: str
    text: str


class Attempt(NamedTuple):
    """One earlier attempt of a run and how it ended."""

    attempt: int
    started_at_s: float | None
    ended_at_s: float | None
    exit_code: int | None
    signal: str
    cause: str
    cause_kind: str


class Artifact(NamedTuple):
    """A file that a run left behind; its kind is image, table, model, text, audio, video or file."""

    path: str
    """Relative to its folder of artifacts, or as the tracker names it."""
    size_bytes: int
    kind: str


class Usage(NamedTuple):
    """What the processes of a run used; None where it was not measured."""

    user_cpu_s: float | None
    system_cpu_s: float | None
    max_resident_bytes: int | None


class RunDetail(NamedTuple):
    """Everything about one run except its points and its log."""

    row: RunRow
    argv: tuple[str, ...]
    working_dir: str
    host: str
    run_dir: str
    pid: int | None
    """Of the command, while it lives."""
    supervisor_pid: int | None
    metrics: tuple[MetricSummary, ...]
    """Every metric, the primary one first, then by key."""
    log_size_bytes: int
    evidence: str
    """What the cause was read from, such as the last line of a traceback; may span lines; may be empty."""
    skipped_line_count: int
    """Lines of the metrics file that could not be read as metrics."""
    skipped_example: str
    """The first such line and what was wrong with it; empty when there is none."""
    now_s: float
    notes: tuple[Note, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    """Earlier attempts, oldest first."""
    usage: Usage = Usage(None, None, None)
    options: Json = None
    """Limits, checkpoint and retry as in spec.json."""
    interpreter: str = ""
    notice: str = ""
    """What a person should know of how the run is accompanied, such as a log that was cut; may be empty."""
    source_path: str = ""
    """Of an imported run: the file or folder that it was read from."""
    source_group: str = ""
    """What its tracker sorts it under, such as an experiment."""
    also: tuple[tuple[str, str], ...] = ()
    """Trackers that wrote the same run down, and where."""
    artifacts: tuple[Artifact, ...] = ()
    """What it left behind, as its tracker lists it."""
    code: Json = None
    """What was captured of the code, an object as in code/capture.json; empty or None when nothing was."""


class Series(NamedTuple):
    """One metric over steps, reduced to bins; all tuples have one entry per bin, in step order."""

    key: str
    point_count: int
    """Points behind the bins, the not finite ones included; of steps that attempts repeat, those of the last."""
    not_finite_count: int
    steps: tuple[int, ...]
    """The last step of each bin."""
    means: tuple[float, ...]
    """Of the finite values of each bin; bins without one are left out."""
    minimums: tuple[float, ...]
    maximums: tuple[float, ...]
    lasts: tuple[float, ...]
    first_steps: tuple[int, ...] = ()
    """Empty from a daemon that does not send them yet; so are `firsts`."""
    firsts: tuple[float, ...] = ()
    fold: int = 1
    """That the bins are of."""
    fold_count: int = 1


class LogLine(NamedTuple):
    """One line of a run's output."""

    offset_bytes: int
    """Where it starts in the log."""
    text: str
    """Decoded as UTF-8 with U+FFFD for what is not; at most 8,192 characters; no line end."""
    cut_bytes: int
    """Bytes of the line that `text` leaves out."""


class LogPage(NamedTuple):
    """Neighbouring lines of a run's output."""

    start_bytes: int
    """Offset of the first line."""
    end_bytes: int
    """Offset after the last line; ask for `start=end_bytes` to read on."""
    size_bytes: int
    """Of the whole log at the time of the answer."""
    ended: bool
    """Nothing will be appended any more."""
    lines: tuple[LogLine, ...]


class Hit(NamedTuple):
    """Where a search in a log ended."""

    offset_bytes: int | None
    """Start of the line that matches; None: no match up to `scanned_to_bytes`."""
    scanned_to_bytes: int
    """Where to go on; the search looks at a bounded stretch per call."""
    exhausted: bool
    """The whole direction has been searched."""


class Status(NamedTuple):
    """The header line of every screen."""

    host: str
    user: str
    version: str
    running_count: int
    queued_count: int
    failed_count: int
    """Runs that failed within the last 24 hours."""
    disk_used_percent: float | None
    """Of the file system that holds the state directory; None when it could not be read."""
    notice: str
    """One sentence when the daemon cannot do its work, such as a full disk; else empty."""
    attention_count: int = 0
    gpus: tuple[int, int] | None = None
    """How many work, and how many there are; None where that is not known."""


class Change(NamedTuple):
    """The answer of the `changes` route."""

    position: int
    """Send it as `since` in the next call."""
    changed: bool
    """False: nothing happened for as long as the route waits."""


class Submitted(NamedTuple):
    """The answer to a new run."""

    id: str
    no: int


def encode_number(value: float | None) -> float | str | None:
    """A number as JSON can carry it."""
    if value is None or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def decode_number(value: Json) -> float:
    """The inverse of `encode_number`; raises ValueError or TypeError for anything else."""
    return float(value)


def optional_number(value: Json) -> float | None:
    """As `decode_number`, with None for null."""
    return None if value is None else decode_number(value)


Snapshot = TypeVar("Snapshot")


def pick(snapshot_type: type[Snapshot], data: dict[str, Json], **decoded: Any) -> Snapshot:
    """Build a snapshot from `data`, which `decoded` overrides; keys of a newer daemon are left out."""
    named_tuple: Any = snapshot_type
    values = data | decoded
    try:
        made: Snapshot = named_tuple._make(map(values.__getitem__, named_tuple._fields))
    except KeyError:  # of an older daemon: what it does not say has a default
        made = named_tuple(**{key: values[key] for key in named_tuple._fields if key in values})
    return made


def decode_metric(data: dict[str, Json]) -> MetricSummary:
    """A metric summary from its JSON object."""
    folds = data.get("folds")
    return pick(
        MetricSummary,
        data,
        folds=pick(FoldSummary, folds, bests=tuple(folds["bests"])) if folds else None,
        last=decode_number(data["last"]),
        minimum=optional_number(data["minimum"]),
        maximum=optional_number(data["maximum"]),
    )


def decode_row(data: dict[str, Json]) -> RunRow:
    """A run row from its JSON object."""
    metric = decode_metric(data["metric"]) if data.get("metric") else None
    return pick(RunRow, data, metric=metric, tags=tuple(data.get("tags", ())))


def decode_page(data: dict[str, Json]) -> RunPage:
    """A page of the run table from its JSON object."""
    return pick(RunPage, data, rows=tuple(map(decode_row, data["rows"])))


def decode_detail(data: dict[str, Json]) -> RunDetail:
    """Everything about one run from its JSON object."""
    return pick(
        RunDetail,
        data,
        row=decode_row(data["row"]),
        argv=tuple(data["argv"]),
        metrics=tuple(map(decode_metric, data["metrics"])),
        notes=tuple(pick(Note, note) for note in data.get("notes", ())),
        attempts=tuple(pick(Attempt, attempt) for attempt in data.get("attempts", ())),
        also=tuple((str(tracker), str(path)) for tracker, path in data.get("also", ())),
        artifacts=tuple(Artifact(*each) for each in data.get("artifacts", ())),
        usage=pick(Usage, data["usage"]) if "usage" in data else Usage(None, None, None),
    )


def decode_series(data: dict[str, Json]) -> Series:
    """A binned series from its JSON object."""
    names = ("steps", "means", "minimums", "maximums", "lasts", "first_steps", "firsts")
    return pick(Series, data, **{name: tuple(data.get(name, ())) for name in names})


def decode_log(data: dict[str, Json]) -> LogPage:
    """A stretch of a log from its JSON object; lines travel as [offset, text, cut] to keep pages small."""
    return pick(LogPage, data, lines=tuple(LogLine(*line) for line in data["lines"]))
