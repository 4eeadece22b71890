"""Why a command ended, in words, and what that was read from. Standard library only: the supervisor uses it.

`classify` asks the rules of this table from the top; the first that fits decides.

    kind          what it needs                                                                       state
    timeout       the supervisor says that the timeout ended the run, whatever the command made of it  failed
    stopped       somebody asked for the end before it came                                           stopped
    exit_unknown  the exit status was reaped by somebody else, or the process was adopted             failed, finished
    diverged      exit code 0, and the last value of a loss is NaN or infinite                        finished
    ok            exit code 0, whatever the log holds: what was logged and survived is no cause       finished
    oom_limit     the kernel killed a process for the memory limit of the run's own cgroup            failed
    oom_host      the kernel's log names a process of the run as killed; or SIGKILL (also as exit      failed
                  code 137, or reported by a parent), oom_kill in /proc/vmstat grew meanwhile, and a
                  process of the run had a 500th of the memory at least
    oom_cuda      the words of torch, JAX, TensorFlow, CUDA for it *                                  failed
    oom_limit     MemoryError, std::bad_alloc and the like *, under an address space limit            failed
    disk_full     ENOSPC or EDQUOT in words or as an error number *                                   failed
    diverged      words about a loss that is no number *                                              failed
    signal        a signal ended it, and nothing above says why                                       failed
    exception     a traceback that the end followed upon                                              failed
    disk_full     no word at all, and nothing is free where its files or its log are                  failed
    exit_code     anything else                                                                       failed

    * in the last traceback with those it is chained to, when the end followed upon it; else in the last lines.

An end follows upon a traceback when at most 40 further lines were printed; with another exit code than 1, which is
Python's for an uncaught exception, at most 3.
"""

from __future__ import annotations

import errno
import os
from typing import Final, NamedTuple

from console.jobs import divergence
from console.jobs.failure_rules import RULES, Failure
from console.jobs.words import name_of_signal as name_of_signal
from console.jobs.words import one_line, span

LOG_TAIL_BYTES: Final = 65536
"""How much of the end of a log, and of a metrics file, is looked at."""

KINDS: Final = (
    "ok",
    "exception",
    "exit_code",
    "oom_limit",
    "oom_host",
    "oom_cuda",
    "signal",
    "timeout",
    "stopped",
    "disk_full",
    "diverged",
    "not_started",
    "reboot",
    "supervisor_lost",
    "exit_unknown",
)
"""What a cause can be, for programs; `Ending.cause` says it in words."""
RETRY_GROUPS: Final[dict[str, frozenset[str]]] = {
    "failure": frozenset({"exception", "exit_code", "signal", "disk_full", "diverged"}),
    "oom": frozenset({"oom_limit", "oom_host", "oom_cuda"}),
    "interrupted": frozenset({"reboot", "supervisor_lost"}),
    "gpu_lost": frozenset({"gpu_lost"}),
    **{kind: frozenset({kind}) for kind in KINDS if kind not in ("ok", "stopped", "not_started")},
}
"""Words of `retry.on`, and the kinds of causes that each stands for. What somebody stopped is never tried again."""


class Ending(NamedTuple):
    """How a run ended."""

    state: str
    """finished, failed or stopped."""
    exit_code: int | None
    """None when a signal ended it, nothing was started, or it cannot be known."""
    signal: str
    """Such as SIGKILL, else empty."""
    cause: str
    """One line; empty when the command did what it should."""
    evidence: str
    """What the cause was read from; may be empty. Of a traceback the last line is that of the exception."""
    kind: str = ""
    """One of KINDS."""


class Evidence(NamedTuple):
    """What is known when a command has ended."""

    exit_status: int | None
    """As of os.waitstatus_to_exitcode: negative for a signal; None when somebody else reaped it."""
    log_tail: str = ""
    """The last LOG_TAIL_BYTES of the log, and nothing that an earlier attempt wrote."""
    metrics_tail: str = ""
    """The last LOG_TAIL_BYTES of metrics.jsonl, and nothing that an earlier attempt wrote."""
    stopped_by: str | None = None
    """Who asked for the end before it came; None when nobody did."""
    timeout_s: float | None = None
    """Set when the timeout ended the run."""
    memory_limit_bytes: int | None = None
    limit_kills: int = 0
    """Processes that the kernel killed for the memory limit of the run's own cgroup."""
    limit_enforced: str = ""
    """How the memory limit is held: `cgroup`, `address space`, or empty when it is not."""
    host_kills: int | None = None
    """Growth of oom_kill in /proc/vmstat during the run; None when it cannot be read."""
    kernel_log: str = ""
    """A line of the kernel log that names one of the run's pids as killed."""
    max_resident_bytes: int | None = None
    working_dir: str = ""
    run_dir: str = ""
    adopted: bool = False
    """A process that was not started by us: its exit code cannot be read."""


def classify(evidence: Evidence) -> Ending:
    """How a started command ended, and why: by the table at the top of this module."""
    status = evidence.exit_status
    code = status if status is not None and status >= 0 else None
    signal_name = name_of_signal(-status) if status is not None and status < 0 else ""
    if evidence.timeout_s is not None:
        return Ending("failed", code, signal_name, f"timeout after {span(evidence.timeout_s)}", "", "timeout")
    if evidence.stopped_by is not None:
        return Ending("stopped", code, signal_name, f"stopped by {evidence.stopped_by}", "", "stopped")
    if status is None and evidence.adopted:
        cause = "ended; the exit code of an adopted process cannot be read"
        return Ending("finished", None, "", cause, "", "exit_unknown")
    if status is None:
        return Ending("failed", None, "", "ended, its exit code was lost", "", "exit_unknown")
    if status == 0:
        found = divergence.of_last_values(evidence.metrics_tail, evidence.log_tail, LOG_TAIL_BYTES)
        if found is not None:
            return Ending("finished", 0, "", f"finished, but {found.words}", found.line, "diverged")
        return Ending("finished", 0, "", "", "", "ok")
    failure = Failure(evidence, status)
    kind, cause, proof = next(said for rule in RULES if (said := rule(failure)) is not None)
    return Ending("failed", code, signal_name, one_line(cause), proof, kind)


def of_start_failure(program: str, working_dir: str, error: Exception) -> Ending:
    """A command that could not be executed; exit codes as POSIX shells give them (127 not found, 126 found)."""
    code = 126
    if not isinstance(error, OSError):
        cause = f"could not be started: {error}"
    elif error.filename == working_dir and error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
        cause = f"cannot enter the working directory {working_dir}: {error.strerror}"
    elif error.errno == errno.ENOENT and "/" in program and os.path.exists(os.path.join(working_dir, program)):
        cause = f"not executable: {program}: the interpreter after #! does not exist"
    elif error.errno in (errno.ENOENT, errno.ENOTDIR):
        code, cause = 127, f"command not found: {program}"
    elif error.errno == errno.ENOEXEC:
        cause = f"not executable: {program} is neither a program nor a script with #!"
    else:
        cause = f"not executable: {program}: {error.strerror}"
    return Ending("failed", code, "", cause, str(error), "not_started")


def last_line(log_tail: str) -> str:
    """The last line that is not blank, at most 500 characters."""
    return next((line.strip()[:500] for line in reversed(log_tail.split("\n")) if line.strip()), "")
