"""Why a command ended, in words, and what that was read from. Standard library only: the supervisor uses it."""

from __future__ import annotations

import errno
import os
import re
import signal
from typing import Final, NamedTuple

LOG_TAIL_BYTES: Final = 65536
"""How much of the end of a log is looked at."""

TRACEBACK: Final = "Traceback (most recent call last):"
EXCEPTION_LINE: Final = re.compile(r"^(?P<name>[A-Za-z_][\w.]*)(?::\s(?P<message>.*))?$")


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
    """None when a signal ended it or nothing was started."""
    signal: str
    """Such as SIGKILL, else empty."""
    cause: str
    """One line; empty when the command did what it should."""
    evidence: str
    """What the cause was read from; may be empty."""
    kind: str = ""
    """One of KINDS."""


def of_start_failure(program: str, working_dir: str, error: Exception) -> Ending:
    """A command that could not be executed; exit codes as POSIX shells give them (127 not found, 126 found)."""
    evidence = str(error)
    if not isinstance(error, OSError):
        return Ending("failed", 126, "", f"could not be started: {evidence}", evidence)
    if error.filename == working_dir and error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
        return Ending(
            "failed", 126, "", f"cannot enter the working directory {working_dir}: {error.strerror}", evidence
        )
    if error.errno == errno.ENOENT and "/" in program and os.path.exists(os.path.join(working_dir, program)):
        return Ending(
            "failed", 126, "", f"not executable: {program}: the interpreter after #! does not exist", evidence
        )
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return Ending("failed", 127, "", f"command not found: {program}", evidence)
    if error.errno == errno.ENOEXEC:
        return Ending(
            "failed", 126, "", f"not executable: {program} is neither a program nor a script with #!", evidence
        )
    return Ending("failed", 126, "", f"not executable: {program}: {error.strerror}", evidence)


def of_wait_status(exit_status: int | None, log_tail: str, stopped_by: str | None) -> Ending:
    """How a started command ended; `exit_status` is negative for a signal (os.waitstatus_to_exitcode).

    None: somebody else reaped it. `stopped_by` names who asked for the end before it came; None when nobody did.
    """
    if exit_status is None:
        return Ending("failed", None, "", "ended, its exit code was lost", "")
    exit_code = exit_status if exit_status >= 0 else None
    signal_name = "" if exit_status >= 0 else name_of_signal(-exit_status)
    if stopped_by is not None:
        return Ending("stopped", exit_code, signal_name, f"stopped by {stopped_by}", "")
    if exit_status == 0:
        return Ending("finished", 0, "", "", "")
    found = last_exception(log_tail)
    if exit_code is None:
        return Ending("failed", None, signal_name, f"killed by {signal_name}", found)
    if found:
        return Ending("failed", exit_code, "", found.split("\n", 1)[0], found)
    return Ending("failed", exit_code, "", f"exit code {exit_code}", last_line(log_tail))


def name_of_signal(number: int) -> str:
    """SIGTERM for 15; a number without a name as it is."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def last_exception(log_tail: str) -> str:
    """The final line of the last Python traceback, such as `ValueError: bad`; empty when there is none."""
    _, found, after = log_tail.rpartition(TRACEBACK)
    if not found:
        return ""
    for line in after.split("\n")[1:]:
        if line[:1] not in ("", " ", "\t") and EXCEPTION_LINE.match(line):
            return line.strip()[:500]
    return ""


def last_line(log_tail: str) -> str:
    """The last line that is not blank, at most 500 characters."""
    return next((line.strip()[:500] for line in reversed(log_tail.split("\n")) if line.strip()), "")
