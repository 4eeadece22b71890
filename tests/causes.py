"""Every cause of an end, produced by a real process under a real daemon: `python -m tests.causes` prints the table.

Where this machine cannot produce a cause the table says why. One is imitated: there is no GPU here, so a script raises
an exception with the class name and the words of torch.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.support import FOOTPLATE, Home, PastRun, opened_home, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

MIB: Final = 1 << 20
V1_MEMORY: Final = "/sys/fs/cgroup/memory"


class Unavailable(Exception):
    """This machine cannot produce the cause; the message says why."""


class Seen(NamedTuple):
    """How a run ended, as `footplate show --json` says it."""

    state: str
    exit_code: int | None
    signal: str
    kind: str
    cause: str
    evidence: str


@dataclass(frozen=True)
class Stage:
    """What a case works with."""

    home: Home
    folder: Path

    def python(self, code: str, **changes: Any) -> str:
        """Enqueue a script with a file of its own, as users have; returns the run's id."""
        script = self.folder / f"train_{len(os.listdir(self.folder))}.py"
        script.write_text(code, encoding="utf-8")
        return self.home.submit(sys.executable, str(script), working_dir=str(self.folder), **changes)

    def running(self, run_id: str) -> int:
        """The pid of the command once it runs and has said something."""
        wait_until(lambda: self.home.client().raw_log(run_id, 0, wait=False)[0])
        pid = self.home.wait_run(run_id, lambda detail: detail.pid is not None).pid
        assert pid is not None
        return pid

    def ended(self, run_id: str) -> Seen:
        """How it ended."""
        detail = self.home.wait_ended(run_id)
        row = detail.row
        return Seen(row.state, row.exit_code, row.signal, row.cause_kind, row.cause, detail.evidence)


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


def script(code: str, **changes: Any) -> Callable[[Stage], Seen]:
    """A run of some Python."""
    return lambda stage: stage.ended(stage.python(code, **changes))


def shell(text: str, **changes: Any) -> Callable[[Stage], Seen]:
    """A run of a line of shell."""
    return lambda stage: stage.ended(stage.home.submit("sh", "-c", text, **changes))


def killed_from_outside(number: int) -> Callable[[Stage], Seen]:
    """A run whose command gets a signal from somebody."""

    def produce(stage: Stage) -> Seen:
        run_id = stage.home.submit("sh", "-c", "echo ready; exec sleep 1000")
        os.kill(stage.running(run_id), number)
        return stage.ended(run_id)

    return produce


def stopped(stage: Stage) -> Seen:
    """A run that a person stops."""
    run_id = stage.home.submit("sh", "-c", "echo ready; exec sleep 1000")
    stage.running(run_id)
    stage.home.client().stop(run_id, "ana")
    return stage.ended(run_id)


def supervisor_lost(stage: Stage) -> Seen:
    """kill -9 of the supervisor, then of what it left alone."""
    run_id = stage.home.submit("sh", "-c", "echo ready; exec sleep 1000")
    pid = stage.running(run_id)
    supervisor_pid = stage.home.client().run(run_id).supervisor_pid
    assert supervisor_pid is not None
    os.kill(supervisor_pid, 9)
    stage.home.wait_run(run_id, lambda detail: detail.supervisor_pid is None)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 9)
    return stage.ended(run_id)


def rebooted(stage: Stage) -> Seen:
    """A run directory as a machine leaves it that went down: still running, by a boot that is over."""
    stage.home.end_daemon()
    run_id = stage.home.write_run(PastRun(no=9001, state="running", exit_code=None))
    path = f"{stage.home.run_dir(run_id)}/status.json"
    with open(path, encoding="utf-8") as file:
        status = json.load(file)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(status | {"ended_at_s": None}, file)
    return stage.ended(run_id)


def adopted(stage: Stage) -> Seen:
    """A process that was started by hand, adopted, and ends."""
    process = subprocess.Popen(["sleep", "1000"], cwd=stage.folder)
    try:
        done = stage.home.footplate("adopt", str(process.pid), "--json")
        run_id = json.loads(done.stdout)["row"]["id"]
        stage.home.wait_run(run_id, lambda detail: detail.row.state == "running")
    finally:
        process.kill()
        process.wait()
    return stage.ended(run_id)


def full_disk(stage: Stage) -> Seen:
    """A checkpoint into a file system of 1 MiB."""
    folder = stage.folder / "small disk"
    folder.mkdir()
    if os.getuid() != 0:
        raise Unavailable("mounting a small disk takes root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        raise Unavailable(f"a small disk cannot be mounted: {mounted.stderr.strip()}")
    try:
        code = "open('checkpoint.bin', 'wb').write(b'x' * (4 << 20))"
        return stage.ended(stage.home.submit(sys.executable, "-c", code, working_dir=str(folder)))
    finally:
        subprocess.run(["umount", folder], check=True)


def over_cgroup_limit(stage: Stage) -> Seen:
    """More memory than asked for, in a control group of the run's own."""
    seen = stage.ended(stage.python(GREEDY, options={"memory_bytes": 64 * MIB}))
    if "address" in seen.evidence or "MemoryError" in seen.cause:
        raise Unavailable("no control group can be made here")
    return seen


def over_address_space(stage: Stage) -> Seen:
    """The same where no control group can be made: the limit is one of the address space."""
    if os.getuid() != 0 or shutil.which("unshare") is None:
        raise Unavailable("hiding the control groups takes root and unshare (package util-linux)")
    home = Home(stage.folder / "state")
    hide = 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"'
    command = [FOOTPLATE, "run", "--json", "--memory", "512MB", "--", sys.executable, "-c", GREEDY]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", hide, "sh", *command],
        env=home.environment(),
        cwd=stage.folder,
        check=False,
        capture_output=True,
        text=True,
    )
    home.close()
    if not done.stdout.startswith("{"):
        raise Unavailable(f"a run without control groups cannot be had: {done.stderr.strip()[-200:]}")
    detail = json.loads(done.stdout)
    row = detail["row"]
    return Seen(row["state"], row["exit_code"], row["signal"], row["cause_kind"], row["cause"], detail["evidence"])


def killed_by_the_kernel(stage: Stage) -> Seen:
    """The kernel kills the command for memory that is not limited by us: in a group that the command is moved into."""
    group = f"{V1_MEMORY}/causes-{os.getpid()}"
    try:
        os.mkdir(group)
        Path(f"{group}/memory.limit_in_bytes").write_text(str(96 * MIB), encoding="ascii")
        with contextlib.suppress(OSError):
            Path(f"{group}/memory.memsw.limit_in_bytes").write_text(str(96 * MIB), encoding="ascii")
    except OSError as error:
        raise Unavailable(f"a control group of memory cannot be made: {error.strerror}") from error
    try:
        join = f"open('{group}/cgroup.procs', 'w').write('0')\n"
        return stage.ended(stage.python(join + GREEDY))
    finally:
        wait_until(lambda: removed(group))


def removed(group: str) -> bool:
    """Whether the control group is gone."""
    with contextlib.suppress(OSError):
        os.rmdir(group)
    return not os.path.exists(group)


GREEDY = """
import time
print("takes more and more", flush=True)
kept = []
while len(kept) < 1024:
    kept.append(bytearray(8 << 20))
"""
CHAINED = """
def load(path):
    try:
        return {}["weights"]
    except KeyError as error:
        raise RuntimeError(f"cannot load {path}") from error
load("model.pt")
"""
SURVIVED = """
import logging
try:
    raise ConnectionError("tracking server is away")
except ConnectionError:
    logging.exception("goes on without it")
print("step=1 loss=0.5")
"""
SURVIVED_THEN_FAILED = SURVIVED + "for step in range(100):\n    print(f'step={step} loss=0.5')\nraise SystemExit(3)\n"
CUDA = """
OutOfMemoryError = type("OutOfMemoryError", (RuntimeError,), {"__module__": "torch.cuda"})
raise OutOfMemoryError(
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.15 GiB of which 1.52 GiB is free."
)
"""
NAN_AT_THE_END = """
import json, os
with open(os.environ["FOOTPLATE_METRICS"], "a") as file:
    for step in range(60):
        value = float("nan") if step >= 41 else 1 / (step + 1)
        file.write(json.dumps({"step": step, "train/loss": value, "lr": 0.1}) + "\\n")
"""
NAN_PRINTED = (
    "for step in range(5):\n    print(f'epoch {step} train_loss: {float(\"nan\") if step > 2 else 0.5:.4f}')\n"
)
NAN_RAISED = "raise ValueError('The loss returned in `training_step` is nan or inf.')\n"
NAN_STOPPED = "import sys\nprint('Loss is nan, stopping training')\nsys.exit(1)\n"
SEGFAULT = "import ctypes\nctypes.string_at(0)\n"

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
