"""What a manifest says, as plain frozen values, and the error that a bad one gives. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from console.jobs.options import DEFAULT_LOG_LIMIT_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.jobs.options import Retry

FILE_NAME: Final = "footplate.toml"
ON_WORDS: Final = ("ok", "any", "not-ok")

Value = str | int | float | bool
"""What a parameter may be."""


class ManifestError(ValueError):
    """A manifest that cannot be used: file, line and key of what is wrong, and what was expected there."""

    def __init__(self, path: str, line: int, key: str, problem: str, expected: str) -> None:
        place = f"{path}:{line}" if line else path
        super().__init__(": ".join(part for part in (place, key, f"{problem}; expected {expected}") if part))
        self.path = path
        self.line = line
        """0 when the file as a whole is wrong."""
        self.key = key
        """Dotted, such as `jobs.train.memory`; empty when no key could be read."""
        self.problem = problem
        self.expected = expected


class Typed(float):
    """A float that keeps the form it was written in: 1e-3 stays 1e-3."""

    text: str

    def __new__(cls, text: str) -> Typed:
        new = super().__new__(cls, text)
        new.text = text.replace("_", "")
        return new


def value_text(value: Value) -> str:
    """A parameter as a command line gets it; booleans are true and false."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.text if isinstance(value, Typed) else str(value)


@dataclass(frozen=True, slots=True)
class PrimaryMetric:
    """The metric that stands for a run of this project."""

    key: str
    goal: str
    """`minimize` or `maximize`."""


@dataclass(frozen=True, slots=True)
class After:
    """A job that must have ended before."""

    job: str
    on: str = "ok"
    """`ok`: it finished; `not-ok`: it ended in any other way; `any`: it ended."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """What queues a job by itself, once the manifest is trusted."""

    on_change: tuple[str, ...] = ()
    """Globs relative to the project's folder, see `console.project.globs`."""
    cron: str = ""
    """Five fields, as checked by `console.project.cron`; empty for none."""
    cooldown_s: float = 60.0
    """From one start by itself to the next at least."""


@dataclass(frozen=True, slots=True)
class Job:
    """A named command template with its defaults."""

    name: str
    command: str | tuple[str, ...]
    """With placeholders, see `console.project.command_template`."""
    shell: bool = False
    params: Mapping[str, Value] = field(default_factory=dict)
    gpus: int = 0
    memory_bytes: int | None = None
    timeout_s: float | None = None
    grace_s: float = 10.0
    retry: Retry | None = None
    """Its `resume` is empty: the template of it is `resume` below."""
    resume: str | tuple[str, ...] = ()
    """What further attempts execute, a template like `command`; empty: the same again."""
    after: tuple[After, ...] = ()
    trigger: Trigger | None = None
    priority: int = 0
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = ""
    """Relative to the project's folder and inside it; empty for the folder itself."""
    outputs: tuple[str, ...] = ()
    """Globs like those of a trigger."""
    mutex: tuple[str, ...] = ()
    """Runs that share one of these names never run at the same time."""
    isolate: str = ""
    log_limit_bytes: int = DEFAULT_LOG_LIMIT_BYTES
    checkpoint_signal: str = ""
    checkpoint_s: float = 30.0
    autoresume: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A `footplate.toml` that was read and found right."""

    path: str
    text: str
    text_hash: str
    """blake3 of the bytes, in hexadecimal: what trust is given to."""
    name: str = ""
    """Of the project; empty where the manifest gives none."""
    interpreter: str = ""
    """Path of the Python that `{python}` stands for, relative to the folder; empty to have it found."""
    primary_metric: PrimaryMetric | None = None
    log_pattern: str = ""
    """What reads metrics from the output of its runs; empty for the grammar."""
    jobs: Mapping[str, Job] = field(default_factory=dict)
    """In the order of the file."""
    cost: Mapping[str, object] = field(default_factory=dict)
    """As written; not interpreted yet."""
    monitors: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """As written; not interpreted yet."""
    notices: tuple[str, ...] = ()
    """Sentences about what is right and yet worth saying."""
