"""The rules that say why a command failed, in the order of the table in `exit_cause`. Standard library only."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from typing import TYPE_CHECKING, Final

from console.jobs import divergence, tracebacks
from console.jobs.words import SIGNALS_IN_WORDS, name_of_signal, size

if TYPE_CHECKING:
    from console.jobs.exit_cause import Evidence

CUDA_MEMORY: Final = re.compile(
    r"torch\.(?:cuda\.)?OutOfMemoryError|c10::(?:CUDA)?OutOfMemoryError|(?:CUDA|HIP|MPS|XPU) (?:backend )?out of memory"
    r"|CUDA error: out of memory|cudaErrorMemoryAllocation|CUDA_ERROR_OUT_OF_MEMORY"
    r"|CU(?:BLAS|DNN|SOLVER)_STATUS_ALLOC_FAILED"
    r"|(?<!StatusCode\.)\bRESOURCE_EXHAUSTED\b.*(?:memory|alloc|OOM)|ResourceExhaustedError.*(?:OOM|memory|alloc)"
    r"|cupy\.\S*OutOfMemoryError",
    re.IGNORECASE,
)
TRIED: Final = re.compile(r"(?:tried to allocate|memory allocating|allocating) ([\d.]+ ?\w+)", re.IGNORECASE)
NO_MEMORY: Final = re.compile(
    r"MemoryError|bad_alloc|can(?:not|'t) allocate memory|\bENOMEM\b|out of memory|virtual memory exhausted"
    r"|failed to allocate|memory allocation of \d+ bytes failed",
    re.IGNORECASE,
)
DISK_FULL: Final = re.compile(
    r"(?P<quota>Disk quota exceeded|\bEDQUOT\b|\[Errno 122\])|No space left on device"
    r"|\bENOSPC\b|\[Errno 28\]|database or disk is full",
    re.IGNORECASE,
)
NOT_A_DISK: Final = re.compile(r"inotify|watches|semaphore|\bIPC\b", re.IGNORECASE)
"""ENOSPC also means: no more watches, no more semaphores."""
KILLED: Final = re.compile(
    r"killed by signal: Killed|\bSIGKILL\b|exitcode: -9\b|exit code -9\b|signal 9\b", re.IGNORECASE
)
"""What a parent (DataLoader, torchrun, multiprocessing, subprocess) says of a process that got SIGKILL."""
SURROUNDING_LIMIT: Final = "Memory cgroup out of memory"
"""The kernel's words for a limit of a control group, its own being told by `limit_kills`."""
VICTIM_PART: Final = 500
"""The kernel kills the largest processes; one with less than this part of the memory is none of them."""
THROWN: Final = re.compile(r"terminate called after throwing an instance of '(?P<name>[^']+)'")
FATAL: Final = "Fatal Python error: "
LAST_LINES: Final = 20
LINES_AFTER_EXCEPTION: Final = 40
LINES_AFTER_OTHER_CODE: Final = 3
SHELL_SIGNAL_BASE: Final = 128
"""A shell whose command died of signal n ends with exit code 128 + n."""


class Failure:
    """An exit status that is not 0, with what the log says about it."""

    def __init__(self, evidence: Evidence, status: int) -> None:
        self.evidence = evidence
        self.status = status
        raised = tracebacks.last_raised(evidence.log_tail)
        most_after = LINES_AFTER_EXCEPTION if status in (1, -signal.SIGABRT) else LINES_AFTER_OTHER_CODE
        self.raised = raised if raised is not None and raised.lines_after <= most_after else None
        self.closing = tracebacks.closing_lines(evidence.log_tail, LAST_LINES)
        shells = SHELL_SIGNAL_BASE < status <= SHELL_SIGNAL_BASE + signal.SIGRTMAX
        self.signal_number = -status if status < 0 else status - SHELL_SIGNAL_BASE if shells else 0
        """Of the command, or of the command of the shell that it was; 0 for none."""

    @property
    def telling(self) -> list[str]:
        """The lines that may say why: of the exception that ended it, else the last ones."""
        return list(self.raised.chain) if self.raised is not None else self.closing

    @property
    def proof(self) -> str:
        """The traceback, else the last line."""
        return self.raised.text if self.raised is not None else "\n".join(self.closing[-1:])

    def line_with(self, pattern: re.Pattern[str]) -> str:
        """The last telling line that the pattern is found in; empty for none."""
        return next((line for line in reversed(self.telling) if pattern.search(line)), "")


Said = tuple[str, str, str] | None
"""Kind, cause and evidence; None: the rule does not fit."""


def of_own_limit(failure: Failure) -> Said:
    """The kernel counts the processes that it killed for the limit of a control group."""
    evidence = failure.evidence
    if evidence.limit_kills <= 0:
        return None
    processes = "1 process" if evidence.limit_kills == 1 else f"{evidence.limit_kills} processes"
    proof = f"the kernel killed {processes} of the run at its memory limit{peak(evidence)}"
    return "oom_limit", f"out of memory (limit{limit(evidence)}): killed by the kernel", proof


def of_host(failure: Failure) -> Said:
    """Killed for lack of memory by the kernel, said only where the kernel says so."""
    evidence = failure.evidence
    if evidence.kernel_log:
        whose = "host"
        if SURROUNDING_LIMIT in evidence.kernel_log:
            whose = "limit of a surrounding control group"
        return "oom_host", f"out of memory ({whose}): killed by the kernel", evidence.kernel_log.strip()
    got_kill = failure.signal_number == signal.SIGKILL or failure.line_with(KILLED)
    if not got_kill or not evidence.host_kills or is_too_small(evidence):
        return None
    proof = f"SIGKILL, and oom_kill in /proc/vmstat grew by {evidence.host_kills} during the run{peak(evidence)}"
    return "oom_host", "out of memory (host): killed by the kernel", proof


def is_too_small(evidence: Evidence) -> bool:
    """Whether no process of the run was large enough for the kernel to choose it, so that it meant somebody else's."""
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    most = evidence.max_resident_bytes
    return most is not None and most < memory_bytes // VICTIM_PART


def of_cuda(failure: Failure) -> Said:
    """The memory of a GPU."""
    line = failure.line_with(CUDA_MEMORY)
    if not line:
        return None
    tried = TRIED.search(line)
    return "oom_cuda", f"out of memory (CUDA){f': tried to allocate {tried[1]}' if tried else ''}", line


def of_address_space(failure: Failure) -> Said:
    """What programs say when the kernel refuses memory; only under a limit of ours it is that limit."""
    line = failure.line_with(NO_MEMORY) if failure.evidence.limit_enforced == "address space" else ""
    if not line:
        return None
    return "oom_limit", f"out of memory (limit{limit(failure.evidence)}): {line}", line


def of_disk(failure: Failure) -> Said:
    """Error numbers and words of a full disk."""
    found = failure.line_with(DISK_FULL)
    matched = DISK_FULL.search(found)
    if matched is None or NOT_A_DISK.search(found):
        return None
    what = "disk quota exceeded" if matched["quota"] else "disk full"
    return "disk_full", f"{what}: {found}", "\n".join([*free_space(failure.evidence), found])


def of_divergence(failure: Failure) -> Said:
    """Ended by a check of its own for losses that are no numbers."""
    lines = failure.telling if failure.raised is not None else failure.closing[-5:]
    found = divergence.what_it_said(lines)
    return ("diverged", f"diverged: {found}", found) if found else None


def of_signal(failure: Failure) -> Said:
    """A signal without a better explanation, with what a crash handler wrote."""
    if failure.status >= 0:
        return None
    name = name_of_signal(-failure.status)
    cause = SIGNALS_IN_WORDS.get(name, f"killed by {name}")
    lines = failure.closing
    start = next((at for at in reversed(range(len(lines))) if THROWN.search(lines[at]) or FATAL in lines[at]), None)
    if start is None:
        return "signal", cause, failure.raised.text if failure.raised is not None else ""
    if thrown := THROWN.search(lines[start]):
        said = next((line.partition("what():")[2].strip() for line in lines[start:] if "what():" in line), "")
        cause += f": {thrown['name']}{f': {said}' if said else ''}"
    return "signal", cause, "\n".join(lines[start : start + 8])


def of_exception(failure: Failure) -> Said:
    """A Python traceback."""
    raised = failure.raised
    if raised is None:
        return None
    words = raised.line if not raised.origin else f"{raised.line} ({raised.origin})"
    if failure.status != 1:
        words = f"exit code {failure.status} after {words}"
    return "exception", words, raised.text


def of_silent_full_disk(failure: Failure) -> Said:
    """On a full disk the log cannot hold the reason."""
    full = [line for line in free_space(failure.evidence) if line.endswith(" 0 B")]
    return ("disk_full", f"exit code {failure.status}, and the disk is full", "\n".join(full)) if full else None


def of_exit_code(failure: Failure) -> Said:
    """Nothing but the number."""
    cause = f"exit code {failure.status}"
    if failure.signal_number:
        name = name_of_signal(failure.signal_number)
        cause += f", as a shell reports {SIGNALS_IN_WORDS.get(name, name).partition(',')[0]}"
    return "exit_code", cause, failure.proof


RULES: Final = (
    of_own_limit,
    of_host,
    of_cuda,
    of_address_space,
    of_disk,
    of_divergence,
    of_signal,
    of_exception,
    of_silent_full_disk,
    of_exit_code,
)
"""For failures, in the order of the table at the top."""


def limit(evidence: Evidence) -> str:
    """` 512.0 MiB`; empty where it is not known."""
    return "" if evidence.memory_limit_bytes is None else f" {size(evidence.memory_limit_bytes)}"


def peak(evidence: Evidence) -> str:
    """How much memory the largest process had, for the evidence."""
    most = evidence.max_resident_bytes
    return "" if most is None else f"; its largest process had {size(most)}"


def free_space(evidence: Evidence) -> list[str]:
    """What is left for the command where it worked and where its log is; `free in /work: 0 B` below one block."""
    lines = []
    for path in dict.fromkeys((evidence.working_dir, evidence.run_dir)):
        # A directory that is gone says nothing about the disk.
        with contextlib.suppress(OSError):
            if path:
                facts = os.statvfs(path)
                lines.append(f"free in {path}: {size(facts.f_bavail * facts.f_frsize)}")
    return lines
