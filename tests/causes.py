"""Every cause of an end, produced by a real process under a real daemon: `python -m tests.causes` prints the table.

Where this machine cannot produce a cause the table says why. One is imitated: there is no GPU here, so a script raises
an exception with the class name and the words of torch.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.cause_stages import (
    CHAINED,
    CUDA,
    NAN_AT_THE_END,
    NAN_PRINTED,
    NAN_RAISED,
    NAN_STOPPED,
    SEGFAULT,
    SURVIVED,
    SURVIVED_THEN_FAILED,
    Seen,
    Stage,
    Unavailable,
    adopted,
    full_disk,
    killed_by_the_kernel,
    killed_from_outside,
    over_address_space,
    over_cgroup_limit,
    rebooted,
    script,
    shell,
    stopped,
    supervisor_lost,
)
from tests.support import Home, opened_home

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Case:
    """One cause, how it is produced, and what must be said about it."""

    name: str
    produce: Callable[[Stage], Seen]
    kind: str
    words: str
    """What the cause must hold; empty: it must be empty."""
    proof: str = ""
    """What the evidence must hold."""
    state: str = "failed"
    exit_code: int | None = None
    note: str = ""
    """For the table."""

    def wrong(self, seen: Seen) -> str:
        """What is wrong with it; empty for nothing."""
        expected = (self.state, self.exit_code, self.kind)
        found = (seen.state, seen.exit_code, seen.kind)
        if found != expected:
            return f"{found} instead of {expected}"
        if self.words not in seen.cause or (not self.words and seen.cause):
            return f"the cause lacks {self.words!r}"
        return "" if self.proof in seen.evidence else f"the evidence lacks {self.proof!r}"


CASES: Final = (
    Case("ends well", script("print('step=1 loss=0.5')"), "ok", "", state="finished", exit_code=0),
    Case("an exception, logged and survived", script(SURVIVED), "ok", "", state="finished", exit_code=0),
    Case(
        "an exception",
        script("raise ValueError('bad batch')"),
        "exception",
        "ValueError: bad batch",
        "line 1",
        exit_code=1,
    ),
    Case(
        *("a chained exception", script(CHAINED), "exception"),
        "RuntimeError: cannot load model.pt (caused by KeyError: 'weights')",
        "direct cause",
        exit_code=1,
    ),
    Case("a syntax error", script("for x in\n"), "exception", "SyntaxError: ", "for x in", exit_code=1),
    Case(
        *("an exception below a shell", shell(f"{sys.executable} -c 'import no_such_module'; exit $?"), "exception"),
        "ModuleNotFoundError: No module named 'no_such_module'",
        "Traceback",
        exit_code=1,
    ),
    Case("an exit code", shell("echo cannot go on; exit 7"), "exit_code", "exit code 7", "cannot go on", exit_code=7),
    Case(
        "survived, then an exit code", script(SURVIVED_THEN_FAILED), "exit_code", "exit code 3", "step=99", exit_code=3
    ),
    Case("a bad pointer", script(SEGFAULT), "signal", "segmentation fault (SIGSEGV)"),
    Case(
        *("the same with faulthandler", script("import faulthandler\nfaulthandler.enable()\n" + SEGFAULT), "signal"),
        *("segmentation fault (SIGSEGV)", "Fatal Python error: Segmentation fault"),
    ),
    Case(
        "a bad pointer below a shell",
        shell("sh -c 'kill -SEGV $$'; exit $?"),
        "exit_code",
        "segmentation fault",
        exit_code=139,
    ),
    Case(
        "a bus error",
        script("import os, signal\nos.kill(os.getpid(), signal.SIGBUS)\n"),
        "signal",
        "bus error (SIGBUS)",
    ),
    Case("abort()", script("import os\nos.abort()\n"), "signal", "aborted (SIGABRT)"),
    Case("kill -9 by itself", shell("kill -9 $$"), "signal", "killed by SIGKILL, by whom is not known"),
    Case("kill -9 by somebody", killed_from_outside(9), "signal", "killed by SIGKILL, by whom is not known"),
    Case("TERM by somebody", killed_from_outside(15), "signal", "killed by SIGTERM"),
    Case(
        *("over its memory limit, in a control group", over_cgroup_limit, "oom_limit"),
        *("out of memory (limit 64.0 MiB): killed by the kernel", "the kernel killed 1 process of the run"),
    ),
    Case(
        *("over its memory limit, address space", over_address_space, "oom_limit"),
        *("out of memory (limit ", "MemoryError"),
        exit_code=1,
        note="where control groups are hidden",
    ),
    Case(
        *("killed by the kernel for a limit not ours", killed_by_the_kernel, "oom_host"),
        "killed by the kernel",
        note="in a control group made for it, so that the machine is spared",
    ),
    Case(
        *("the GPU's memory is full", script(CUDA), "oom_cuda"),
        *("out of memory (CUDA): tried to allocate 2.00 GiB", "torch.cuda.OutOfMemoryError: CUDA out of memory."),
        exit_code=1,
        note="imitated: no GPU here, a script raises torch's class and words",
    ),
    Case("a full disk", full_disk, "disk_full", "disk full: OSError: [Errno 28]", "small disk: 0 B", exit_code=1),
    Case(
        *("over its time", shell("echo ready; sleep 1000", options={"timeout_s": 1}), "timeout"),
        "timeout after 1s",
    ),
    Case("stopped", stopped, "stopped", "stopped by ana", state="stopped"),
    Case(
        *("the loss is NaN at the end", script(NAN_AT_THE_END), "diverged"),
        *("finished, but train/loss is nan since step 41", '"step": 59'),
        state="finished",
        exit_code=0,
    ),
    Case(
        *("the same, only printed", script(NAN_PRINTED), "diverged"),
        *("finished, but train_loss is nan since step 3", "epoch 4"),
        state="finished",
        exit_code=0,
    ),
    Case(
        "a check for NaN raises",
        script(NAN_RAISED),
        "diverged",
        "diverged: ValueError: The loss",
        "nan or inf",
        exit_code=1,
    ),
    Case("a check for NaN exits", script(NAN_STOPPED), "diverged", "Loss is nan", "stopping training", exit_code=1),
    Case(
        *("cannot be started", lambda stage: stage.ended(stage.home.submit("/no/such/program")), "not_started"),
        "command not found: /no/such/program",
        exit_code=127,
    ),
    Case(
        "adopted, then gone",
        adopted,
        "exit_unknown",
        "the exit code of an adopted process cannot be read",
        state="finished",
    ),
    Case("the supervisor is killed", supervisor_lost, "supervisor_lost", "supervisor lost"),
    Case("the machine is rebooted", rebooted, "reboot", "rebooted", state="interrupted", note="files of another boot"),
)


def stage_for(home: Home, folder: Path) -> Stage:
    """A stage whose daemon runs."""
    folder.mkdir(exist_ok=True)
    return Stage(home, folder)


def table(rows: list[tuple[Case, Seen | None, str]]) -> str:
    """What was produced, what was said about it and whether that is right."""
    lines = ["produced by | kind | cause | evidence (last line) | verdict", "---|---|---|---|---"]
    for case, seen, problem in rows:
        name = case.name + (f" ({case.note})" if case.note else "")
        if seen is None:
            lines.append(f"{name} | {case.kind} | - | - | not produced: {problem}")
            continue
        proof = (seen.evidence.splitlines() or [""])[-1].strip()
        verdict = f"WRONG: {problem}" if problem else "right"
        lines.append(f"{name} | {seen.kind} | {seen.cause[:100]} | {proof[:100]} | {verdict}")
    cells = [line.split(" | ") for line in lines[:1] + lines[2:]]
    widths = [max(len(row[column]) for row in cells if len(row) == 5) for column in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in cells
    )


def main() -> int:
    """Produce every cause and print the table; 1 when one is named wrong."""
    rows: list[tuple[Case, Seen | None, str]] = []
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="causes-") as folder, opened_home(Path(folder) / "state") as home:
        for index, case in enumerate(CASES):
            try:
                seen = case.produce(stage_for(home, Path(folder) / f"work-{index}"))
                rows.append((case, seen, case.wrong(seen)))
            except Unavailable as why:
                rows.append((case, None, str(why)))
    print(table(rows))
    wrong = sum(bool(problem) for _, seen, problem in rows if seen is not None)
    absent = sum(seen is None for _, seen, _ in rows)
    spent_s = time.monotonic() - began_s
    print(f"\n{len(rows) - wrong - absent} right, {wrong} wrong, {absent} not produced here, in {spent_s:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
