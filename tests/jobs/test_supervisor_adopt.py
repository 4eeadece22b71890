"""A process that somebody started by hand, accompanied from the middle of its life."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from console.jobs import reconcile
from store import identity
from tests.jobs.supervised import Runs, ask_to_stop, final_status, log_of, wait_state
from tests.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store.identity import ProcessIdentity

TREE = """
import os, signal, sys, time
print("hello", flush=True)
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(sys.argv[1], "w").write(str(os.getpid()))
    time.sleep(1000)
time.sleep(1000)
"""


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    """A state directory; everything in it ends with the test."""
    opened = Runs(tmp_path / "state")
    yield opened
    opened.close()


def adopted(process: ProcessIdentity, log_path: str = "") -> dict[str, Any]:
    """The field of spec.json."""
    return {"process": process.to_json(), "log_path": log_path}


def begin(*argv: str, **options: Any) -> tuple[subprocess.Popen[bytes], ProcessIdentity]:
    """A process that was started by hand."""
    process = subprocess.Popen(argv, **options)
    found = identity.identify(process.pid)
    assert found is not None
    return process, found


def test_its_end_is_noticed_and_its_log_is_the_same_file(runs: Runs, tmp_path: Path) -> None:
    go, log = tmp_path / "go", tmp_path / "log"
    code = f"echo hello; while [ ! -e {go} ]; do sleep 0.05; done; echo bye; exit 3"
    with log.open("wb") as output:
        process, found = begin("sh", "-c", code, stdout=output)
    run_dir = runs.make("sh", adopted=adopted(found, str(log)), options={"log_limit_bytes": 4 << 20})
    supervisor = runs.start(run_dir)
    status = wait_state(run_dir, "running")
    assert (status["command"]["pid"], status["notice"]) == (process.pid, "")
    assert status["started_at_s"] <= time.time()
    assert reconcile.judge(reconcile.gather(run_dir)) == "adopt"
    go.touch()
    process.wait()
    runs.wait(supervisor, run_dir)
    status = final_status(run_dir)
    assert (status["state"], status["exit_code"], status["cause_kind"]) == ("finished", None, "exit_unknown")
    assert "exit code of an adopted process" in status["cause"]
    assert log_of(run_dir) == log.read_text() == "hello\nbye\n"
    assert os.path.samefile(log, f"{run_dir}/output.log")


def test_a_stop_ends_it_with_its_descendants(runs: Runs, tmp_path: Path) -> None:
    note = tmp_path / "child"
    process, found = begin(sys.executable, "-c", TREE, str(note), stdout=subprocess.DEVNULL)
    wait_until(lambda: note.exists() and note.read_text())
    child = identity.identify(int(note.read_text()))
    assert child is not None
    run_dir = runs.make("python", adopted=adopted(found), grace_s=0.5)
    supervisor = runs.start(run_dir)
    assert wait_state(run_dir, "running")["notice"] == "its output goes to no file, so there is no log"
    ask_to_stop(run_dir, supervisor)
    process.wait()
    runs.wait(supervisor, run_dir)
    status = final_status(run_dir)
    assert (status["state"], status["cause"]) == ("stopped", "stopped by ana")
    assert not identity.is_alive(child)
    assert process.returncode == -signal.SIGTERM


def test_what_it_leaves_behind_when_it_ends_by_itself_is_left_alone(runs: Runs, tmp_path: Path) -> None:
    note = tmp_path / "child"
    process, found = begin(sys.executable, "-c", TREE, str(note), stdout=subprocess.DEVNULL)
    wait_until(lambda: note.exists() and note.read_text())
    child = identity.identify(int(note.read_text()))
    assert child is not None
    run_dir = runs.make("python", adopted=adopted(found))
    supervisor = runs.start(run_dir)
    wait_state(run_dir, "running")
    process.kill()
    process.wait()
    runs.wait(supervisor, run_dir)
    assert identity.is_alive(child)
    identity.send_signal(child, signal.SIGKILL)


def test_a_timeout_and_a_checkpoint_hold_for_it_too(runs: Runs, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    code = f"trap 'touch {saved}' USR1; while :; do sleep 0.05; done"
    process, found = begin("sh", "-c", code)
    options = {"timeout_s": 0.5, "checkpoint_signal": "SIGUSR1", "checkpoint_s": 0.5}
    run_dir = runs.make("sh", adopted=adopted(found), options=options)
    supervisor = runs.start(run_dir)
    process.wait()
    runs.wait(supervisor, run_dir)
    assert saved.exists()
    assert final_status(run_dir)["cause_kind"] == "timeout"


@pytest.mark.parametrize("kind", ["ended", "another"])
def test_a_process_that_is_gone_or_whose_pid_came_round_is_not_touched(runs: Runs, kind: str) -> None:
    process, found = begin("sleep", "1000")
    if kind == "ended":
        process.kill()
        process.wait()
    else:
        found = found._replace(start_ticks=found.start_ticks - 1)
    run_dir = runs.make("sleep", adopted=adopted(found))
    supervisor = runs.start(run_dir)
    runs.wait(supervisor, run_dir)
    assert final_status(run_dir)["cause_kind"] == "exit_unknown"
    assert (process.poll() is None) == (kind == "another")
    process.kill()
    process.wait()


@pytest.mark.parametrize("kind", ["missing", "device", "link"])
def test_a_log_that_cannot_be_shared_stays_where_it_is(runs: Runs, tmp_path: Path, kind: str) -> None:
    path = {"missing": str(tmp_path / "missing"), "device": os.devnull, "link": str(tmp_path / "link")}[kind]
    if kind == "link":
        os.symlink("/etc/hostname", path)
    process, found = begin("sleep", "1000")
    run_dir = runs.make("sleep", adopted=adopted(found, path))
    supervisor = runs.start(run_dir)
    assert wait_state(run_dir, "running")["notice"].startswith(f"its output stays in {path} alone: ")
    assert not os.path.lexists(f"{run_dir}/output.log")
    process.kill()
    process.wait()
    runs.wait(supervisor, run_dir)


def test_usage_is_what_was_last_seen_of_it(runs: Runs) -> None:
    code = "held = bytearray(b'x' * (64 << 20))\nprint('ready', flush=True)\nimport time\ntime.sleep(1000)"
    process, found = begin(sys.executable, "-c", code, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    run_dir = runs.make("python", adopted=adopted(found))
    supervisor = runs.start(run_dir)
    wait_state(run_dir, "running")
    process.kill()
    process.communicate()
    runs.wait(supervisor, run_dir)
    usage = final_status(run_dir)["usage"]
    assert usage["max_resident_bytes"] > 64 << 20
    assert usage["user_cpu_s"] + usage["system_cpu_s"] > 0
