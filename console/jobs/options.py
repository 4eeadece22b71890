"""What a run is allowed and what becomes of it: limits, checkpoint, retry. Standard library only."""

from __future__ import annotations

import math
import signal
from dataclasses import dataclass, field
from typing import Any, Final

from console.jobs.exit_cause import RETRY_GROUPS

DEFAULT_LOG_LIMIT_BYTES: Final = 2 << 30
LOG_LIMIT_MIN_BYTES: Final = 4 << 20
"""The first MiB and a tail worth reading must fit."""
MEMORY_MIN_BYTES: Final = 16 << 20
TIMEOUT_MAX_S: Final = 366 * 86400.0
RETRY_MAX: Final = 100
ISOLATIONS: Final = ("", "worktree")


class OptionsError(ValueError):
    """An option that cannot be used; the message names it and what was expected."""


@dataclass(frozen=True, slots=True)
class Retry:
    """When another attempt is made by itself."""

    on: tuple[str, ...]
    """Kinds of causes or groups of them, see `exit_cause.RETRY_GROUPS`."""
    max: int
    """Attempts after the first one."""
    delay_s: float = 10.0
    """Before the second attempt; doubles with each further one, up to an hour."""
    resume: tuple[str, ...] = ()
    """The argv of further attempts; empty: that of the first."""


@dataclass(frozen=True, slots=True)
class Options:
    """What spec.json says under `options`; the defaults are those of a run that asks for nothing."""

    timeout_s: float | None = None
    memory_bytes: int | None = None
    log_limit_bytes: int = DEFAULT_LOG_LIMIT_BYTES
    """0: no limit."""
    checkpoint_signal: str = ""
    """Sent to the command before a stop or at its timeout, such as SIGUSR1; empty: none."""
    checkpoint_s: float = 30.0
    """How long the command may take for its checkpoint before TERM; ends early when the command does."""
    retry: Retry | None = None
    isolate: str = ""
    """`worktree`: the command runs in a copy of the code as it was when the run was enqueued."""
    autoresume: bool = False
    """Start by itself after a reboot instead of being held."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """A process that somebody started by hand and that is a run from then on."""

    process: dict[str, Any] = field(default_factory=dict)
    """Its identity as in `store.identity`."""
    log_path: str = ""
    """The file that its stdout goes to; empty when that is no regular file."""


def parse_options(data: Any) -> Options:
    """Check the decoded `options` of a request or a spec.json; raises OptionsError naming the first that is wrong.

    Names that this version does not know are passed over: a newer one may have written them.
    """
    if data is None:
        return Options()
    if not isinstance(data, dict):
        raise OptionsError("options must be an object")
    timeout_s = optional_number(data, "timeout_s", 0.001, TIMEOUT_MAX_S)
    memory_bytes = optional_number(data, "memory_bytes", MEMORY_MIN_BYTES, 2**62)
    log_limit_bytes = optional_number(data, "log_limit_bytes", 0, 2**62)
    if log_limit_bytes is None:
        log_limit_bytes = DEFAULT_LOG_LIMIT_BYTES
    if 0 < log_limit_bytes < LOG_LIMIT_MIN_BYTES:
        raise OptionsError(f"log_limit_bytes must be 0 (no limit) or at least {LOG_LIMIT_MIN_BYTES}")
    checkpoint_signal = data.get("checkpoint_signal") or ""
    if not isinstance(checkpoint_signal, str) or (checkpoint_signal and not is_signal(checkpoint_signal)):
        raise OptionsError("checkpoint_signal must name a signal, such as SIGUSR1")
    checkpoint_s = optional_number(data, "checkpoint_s", 0, 86400)
    isolate, autoresume = data.get("isolate") or "", data.get("autoresume") or False
    if isolate not in ISOLATIONS:
        raise OptionsError("isolate must be empty or 'worktree'")
    if not isinstance(autoresume, bool):
        raise OptionsError("autoresume must be true or false")
    return Options(
        timeout_s=timeout_s,
        memory_bytes=None if memory_bytes is None else int(memory_bytes),
        log_limit_bytes=int(log_limit_bytes),
        checkpoint_signal=checkpoint_signal,
        checkpoint_s=30.0 if checkpoint_s is None else checkpoint_s,
        retry=parse_retry(data.get("retry")),
        isolate=isolate,
        autoresume=autoresume,
    )


def parse_retry(data: Any) -> Retry | None:
    """Check the decoded `retry`; raises OptionsError."""
    if data is None:
        return None
    if not isinstance(data, dict):
        raise OptionsError("retry must be an object")
    on, resume = data.get("on", ["interrupted"]), data.get("resume") or []
    if not isinstance(on, list | tuple) or not on or not all(name in RETRY_GROUPS for name in on):
        raise OptionsError(f"retry.on must be a list of {', '.join(RETRY_GROUPS)}")
    if not isinstance(resume, list | tuple) or not all(isinstance(word, str) and "\0" not in word for word in resume):
        raise OptionsError("retry.resume must be a list of strings")
    most = optional_number(data, "max", 1, RETRY_MAX)
    delay_s = optional_number(data, "delay_s", 0, 86400)
    return Retry(tuple(on), 1 if most is None else int(most), 10.0 if delay_s is None else delay_s, tuple(resume))


def optional_number(data: dict[str, Any], name: str, least: float, most: float) -> float | None:
    """A number of `data` within bounds; None where it is missing or null."""
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise OptionsError(f"{name} must be a number")
    if not least <= value <= most:
        raise OptionsError(f"{name} must be from {least:g} to {most:g}")
    return value


def is_signal(name: str) -> bool:
    """Whether this names a signal that a process can be sent."""
    return name.startswith("SIG") and name in signal.Signals.__members__


def retry_delay_s(retry: Retry, attempt: int) -> float:
    """How long to wait after `attempt` has failed before the next one."""
    return float(min(retry.delay_s * 2 ** (attempt - 1), max(retry.delay_s, 3600.0)))
