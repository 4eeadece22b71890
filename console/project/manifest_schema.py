"""The keys of `footplate.toml`: names, kinds and defaults, checked by pydantic. The text under each is its reference.

Import this late: pydantic takes a tenth of a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator

from console.jobs.exit_cause import RETRY_GROUPS
from console.jobs.options import (
    DEFAULT_LOG_LIMIT_BYTES,
    LOG_LIMIT_MIN_BYTES,
    MEMORY_MIN_BYTES,
    RETRY_MAX,
    TIMEOUT_MAX_S,
)
from console.project import manifest_values as values
from console.project.manifest_model import ON_WORDS, Value

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Kind:
    """What a key takes, in words for people."""

    words: str


def kind(words: str, check: Callable[[Any], Any]) -> tuple[Kind, PlainValidator]:
    """What makes a field one that `check` reads; it raises `manifest_values.Wrong`."""
    return Kind(words), PlainValidator(check)


DAY_S: Final = 86400.0
Text = Annotated[str, *kind("text", values.text)]
Flag = Annotated[bool, *kind("true or false", values.flag)]
Duration = Annotated[float, *kind("time", values.duration(0.001, TIMEOUT_MAX_S))]
Wait = Annotated[float, *kind("time", values.duration(0, DAY_S))]
Names = Annotated[tuple[str, ...], *kind("name or list of names", values.names)]
Globs = Annotated[tuple[str, ...], *kind("pattern or list of patterns", values.patterns)]
Command = Annotated[str | tuple[str, ...], *kind("text or list of words", values.command)]


class Section(BaseModel):
    """A table of the manifest: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class MetricTable(Section):
    """`primary_metric` of a project."""

    key: Text = Field(examples=['"valid/auc"'])
    """The metric that stands for a run, such as `valid/auc`."""
    goal: Annotated[str, *kind("minimize or maximize", values.one_of("minimize", "maximize"))] = Field(
        "", examples=['"maximize"']
    )
    """Which direction is better; without it, the name of the metric decides."""


class ProjectTable(Section):
    """`[project]`: about the folder as a whole."""

    name: Text = Field("", examples=['"churn"'])
    """What the project is called; without it, the name of its folder."""
    primary_metric: MetricTable | None = Field(None, examples=['{ key = "valid/auc" }'])
    """The metric that stands for a run of this project."""
    interpreter: Text = Field("", examples=['"env/bin/python"'])
    """The Python that `{python}` stands for, a path relative to the folder; without it, one is looked for."""
    log_pattern: Annotated[str, *kind("regular expression", values.log_pattern)] = Field(
        "", examples=[r"'it (?P<step>\d+) loss (?P<loss>\S+)'"]
    )
    """What reads metrics from the output of runs, in place of the grammar; see [below](#log-lines)."""


class AfterTable(Section):
    """An entry of `after`."""

    job: Text = Field(examples=['"train"'])
    """The job that must have ended before."""
    on: Annotated[str, *kind(", ".join(ON_WORDS), values.one_of(*ON_WORDS))] = Field("ok", examples=['"not-ok"'])
    """How it must have ended: `ok` finished, `not-ok` in any other way, `any` either."""


class RetryTable(Section):
    """`retry` of a job."""

    on: Annotated[tuple[str, ...], *kind("list of causes", values.some_of(*RETRY_GROUPS))] = Field(
        ("interrupted",), examples=['["interrupted", "oom"]']
    )
    """After which causes another attempt is made; see [Why a run ended](causes.md)."""
    max: Annotated[int, *kind(f"number, 1 to {RETRY_MAX}", values.whole(1, RETRY_MAX))] = Field(1, examples=["2"])
    """Attempts after the first one."""
    delay: Wait = Field(10.0, examples=['"1m"'])
    """Before the second attempt; doubles with each further one, up to an hour."""
    resume: Annotated[str | tuple[str, ...], *kind("text or list of words", values.command)] = Field(
        (), examples=['"{python} train.py --resume"']
    )
    """What further attempts execute, with the placeholders of `command`; without it, the command again."""


class TriggerTable(Section):
    """`trigger` of a job: what queues it by itself, once the manifest is trusted."""

    on_change: Globs = Field((), examples=['["data/*.parquet"]'])
    """Files whose changed content queues the job."""
    cron: Annotated[str, *kind("five fields", values.cron)] = Field("", examples=['"0 3 * * *"'])
    """Times at which the job is queued, such as `0 3 * * *`, in the machine's time zone."""
    cooldown: Wait = Field(60.0, examples=['"10m"'])
    """The shortest time from one start by this trigger to the next."""


class CheckpointTable(Section):
    """`checkpoint` of a job."""

    signal: Annotated[str, *kind("signal", values.signal_name)] = Field(examples=['"USR1"'])
    """Sent to the command before a stop or at its timeout, such as `USR1`."""
    time: Wait = Field(30.0, examples=['"2m"'])
    """How long the command may take for it before it gets TERM."""


class JobTable(Section):
    """`[jobs.NAME]`: a command with a name and defaults."""

    command: Command = Field(examples=['"{python} train.py --lr {lr}"'])
    """What is executed, with placeholders; as a list, one entry for each word."""
    shell: Flag = Field(False, examples=["true"])
    """Hand the command to `/bin/sh`: for pipes, redirections, `&&` and variables of the shell."""
    description: Text = Field("", examples=['"the model of the month"'])
    """What it is for, in a sentence."""
    params: Annotated[dict[str, Value], *kind("table of text, numbers, true or false", values.params)] = Field(
        {}, examples=["{ lr = 1e-3, leaves = 31 }"]
    )
    """The placeholders of the command with their defaults; the script also finds them in `FOOTPLATE_PARAM_<name>`."""
    gpus: Annotated[int, *kind("number, 0 to 64", values.whole(0, 64))] = Field(0, examples=["1"])
    """How many GPUs a run needs."""
    memory: Annotated[int | None, *kind("size", values.size(MEMORY_MIN_BYTES))] = Field(None, examples=['"2GB"'])
    """The most memory of all processes of a run together; without it, no limit."""
    timeout: Annotated[float | None, *kind("time", values.duration(0.001, TIMEOUT_MAX_S))] = Field(
        None, examples=['"2h"']
    )
    """A run is ended after this long; without it, never."""
    grace: Wait = Field(10.0, examples=['"30s"'])
    """How long a stopped run may take to end before it is killed."""
    retry: RetryTable | None = Field(None, examples=['{ on = ["interrupted", "oom"], max = 2 }'])
    """When another attempt is made by itself; without it, never."""
    after: Annotated[tuple[AfterTable, ...], Kind("job, table, or list of both"), BeforeValidator(values.after)] = (
        Field((), examples=['["prepare", { job = "lint", on = "any" }]'])
    )
    """Jobs that must have ended before a run of this one starts."""
    trigger: TriggerTable | None = Field(None, examples=['{ on_change = "data", cooldown = "10m" }'])
    """What queues the job by itself, once the manifest is trusted."""
    priority: Annotated[int, *kind("number, -100 to 100", values.whole(-100, 100))] = Field(0, examples=["10"])
    """Runs of higher priority start first."""
    env: Annotated[dict[str, str], *kind("table of text", values.env)] = Field({}, examples=["{ OMP_NUM_THREADS = 4 }"])
    """Variables on top of the environment."""
    cwd: Annotated[str, *kind("folder inside the project", values.folder)] = Field("", examples=['"training"'])
    """Where the command is started; without it, in the project's folder."""
    outputs: Globs = Field((), examples=['["model.txt", "plots/"]'])
    """Files that the job writes: they never set off a trigger of the job itself."""
    mutex: Names = Field((), examples=['"database"'])
    """Runs that share a name here never run at the same time."""
    isolate: Annotated[str, *kind("worktree", values.one_of("worktree"))] = Field("", examples=['"worktree"'])
    """`worktree`: run in a copy of the code as it is when the run is queued; see [Capture](capture.md)."""
    log_limit: Annotated[int, *kind("size", values.size(LOG_LIMIT_MIN_BYTES))] = Field(
        DEFAULT_LOG_LIMIT_BYTES, examples=['"500MB"']
    )
    """Over it, the middle of the log is given up."""
    checkpoint: CheckpointTable | None = Field(None, examples=['{ signal = "USR1", time = "2m" }'])
    """A signal that lets the command save its state before it is ended; without it, none."""
    autoresume: Flag = Field(False, examples=["true"])
    """Start by itself after a reboot, instead of being held."""


class ManifestTable(Section):
    """The whole file."""

    project: ProjectTable = Field(default_factory=lambda: ProjectTable.model_validate({}))
    """About the folder as a whole."""
    jobs: Annotated[dict[str, JobTable], Kind("tables [jobs.NAME]"), BeforeValidator(values.job_names)] = {}
    """The jobs, each in a table `[jobs.NAME]`."""
    cost: Annotated[dict[str, Any], *kind("table", values.table)] = {}
    """Not used yet."""
    monitor: Annotated[dict[str, Any], *kind("tables [monitor.NAME]", values.tables)] = {}
    """Not used yet."""


TABLES: Final[dict[tuple[str, ...], type[Section]]] = {
    (): ManifestTable,
    ("project",): ProjectTable,
    ("project", "primary_metric"): MetricTable,
    ("jobs", "*"): JobTable,
    ("jobs", "*", "retry"): RetryTable,
    ("jobs", "*", "after"): AfterTable,
    ("jobs", "*", "trigger"): TriggerTable,
    ("jobs", "*", "checkpoint"): CheckpointTable,
}
"""Every table by its key; the star stands for the name of a job."""
