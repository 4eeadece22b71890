"""How every cause of an end is produced: a real process, and what happens to it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.support import FOOTPLATE, Home, PastRun, wait_until

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
