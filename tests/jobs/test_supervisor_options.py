"""What a run is allowed: timeout, memory, checkpoint; and what the supervisor does when somebody sets the clock."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.jobs.supervised import (
    NO_GROUPS,
    Runs,
    ask_to_stop,
    final_status,
    log_of,
    status_of,
    wait_log,
    wait_state,
)
from tests.jobs.test_supervisor_tree import HAS_GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHECKPOINTING = """
import signal, sys, time
def save(*_):
    print("saving", flush=True)
    time.sleep(0.3)
    print("saved", flush=True)
    if sys.argv[1] == "ends":
        sys.exit(0)
signal.signal(signal.SIGUSR1, save)
signal.signal(signal.SIGTERM, lambda *_: (print("term", flush=True), sys.exit(5)))
print("ready", flush=True)
while True:
    time.sleep(0.05)
"""


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    """A state directory; everything in it ends with the test."""
    opened = Runs(tmp_path / "state")
    yield opened
    opened.close()


def test_a_stop_says_by_whom_and_gives_time_for_a_checkpoint(runs: Runs) -> None:
    options = {"checkpoint_signal": "SIGUSR1", "checkpoint_s": 1.0}
    run_dir = runs.python(CHECKPOINTING, "goes on", options=options, grace_s=30.0)
    process = runs.start(run_dir)
    wait_log(run_dir, "ready")
    ask_to_stop(run_dir, process)
    assert wait_state(run_dir, "stopping")["cause"] == "asked to stop by ana"
    wait_log(run_dir, "saved")
    runs.wait(process, run_dir)
    assert log_of(run_dir).split() == ["ready", "saving", "saved", "term"]
    status = final_status(run_dir)
    assert (status["state"], status["cause"], status["exit_code"]) == ("stopped", "stopped by ana", 5)
    assert status["elapsed_s"] >= 1.0


def test_a_command_that_ends_after_its_checkpoint_is_not_waited_for(runs: Runs) -> None:
    options = {"checkpoint_signal": "SIGUSR1", "checkpoint_s": 3600.0}
    run_dir = runs.python(CHECKPOINTING, "ends", options=options)
    process = runs.start(run_dir)
    wait_log(run_dir, "ready")
    ask_to_stop(run_dir, process)
    runs.wait(process, run_dir)
    status = final_status(run_dir)
    assert (status["state"], status["exit_code"]) == ("stopped", 0)
    assert "term" not in log_of(run_dir)


def test_the_timeout_gives_time_for_a_checkpoint_too_and_is_the_cause(runs: Runs) -> None:
    options = {"checkpoint_signal": "SIGUSR1", "checkpoint_s": 0.6, "timeout_s": 1.0}
    run_dir = runs.python(CHECKPOINTING, "goes on", options=options)
    process = runs.start(run_dir)
    assert wait_state(run_dir, "stopping")["cause"] == "over its time of 1 s"
    runs.wait(process, run_dir)
    status = final_status(run_dir)
    assert (status["state"], status["cause_kind"]) == ("failed", "timeout")
    assert log_of(run_dir).split() == ["ready", "saving", "saved", "term"]


def test_a_run_that_ends_in_time_is_not_concerned(runs: Runs) -> None:
    status = runs.carry_out("true", options={"timeout_s": 3600.0, "checkpoint_signal": "SIGUSR1"})
    assert (status["state"], status["cause_kind"], status["notice"]) == ("finished", "ok", "")


def test_a_stop_that_came_first_keeps_the_command_from_starting(runs: Runs, tmp_path: Path) -> None:
    run_dir = runs.make("touch", str(tmp_path / "started"))
    with open(f"{run_dir}/stop.json", "w", encoding="utf-8") as file:
        file.write('{"format": 1, "actor": "ana"}')
    runs.wait(runs.start(run_dir), run_dir)
    status = final_status(run_dir)
    assert (status["state"], status["cause"]) == ("stopped", "stopped by ana before it started")
    assert not (tmp_path / "started").exists()


def test_a_stop_after_the_command_has_ended_changes_nothing(runs: Runs) -> None:
    code = "(trap '' TERM; sleep 1000; sleep 1000) & echo ready"
    run_dir = runs.make("sh", "-c", code, grace_s=1.0)
    process = runs.start(run_dir)
    wait_state(run_dir, "stopping")
    ask_to_stop(run_dir, process)
    runs.wait(process, run_dir)
    assert final_status(run_dir)["state"] == "finished"


@pytest.mark.skipif(not HAS_GROUPS, reason="no control group can be made here")
def test_the_memory_limit_holds_for_all_processes_together(runs: Runs) -> None:
    code = """
import os, sys, time
for _ in range(3):
    read, write = os.pipe()
    if os.fork() == 0:
        held = bytearray(30 << 20)
        os.write(write, b"x")
        time.sleep(1000)
    os.read(read, 1)
sys.exit(8 if os.waitpid(-1, os.WNOHANG)[1] == 9 else 0)
"""
    status = runs.carry_out(sys.executable, "-c", code, options={"memory_bytes": 64 << 20})
    assert (status["exit_code"], status["cause_kind"]) == (8, "oom_limit")


@pytest.mark.skipif(not HAS_GROUPS, reason="no control group can be made here")
def test_a_kill_for_the_limit_is_evidence_also_when_the_command_survives_it(runs: Runs) -> None:
    code = """
import os, sys
if os.fork() == 0:
    held = bytearray(200 << 20)
    os._exit(0)
sys.exit(9 if os.wait()[1] == 9 else 0)
"""
    status = runs.carry_out(sys.executable, "-c", code, options={"memory_bytes": 64 << 20})
    assert (status["exit_code"], status["cause_kind"]) == (9, "oom_limit")


def test_without_a_control_group_the_limit_is_one_of_the_address_space_and_says_so(runs: Runs) -> None:
    code = "held = bytearray(500 << 20)"
    options = {"memory_bytes": 256 << 20}
    status = runs.carry_out(sys.executable, "-c", code, options=options, before=NO_GROUPS)
    assert status["cause_kind"] == "oom_limit"
    assert status["notice"] == "the memory limit holds for each process alone: no control group could be made"
    assert runs.carry_out("true", before=NO_GROUPS)["notice"] == ""


@pytest.mark.skipif(not HAS_GROUPS, reason="no control group can be made here")
def test_usage_is_that_of_all_processes_also_of_those_that_nobody_reaped(runs: Runs) -> None:
    code = """
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
if os.fork() == 0:
    held = bytearray(b"x" * (64 << 20))
    until_s = time.process_time() + 0.5
    while time.process_time() < until_s:
        pass
    os._exit(0)
try:
    os.wait()
except ChildProcessError:
    pass
"""
    usage = runs.carry_out(sys.executable, "-c", code)["usage"]
    assert usage["user_cpu_s"] + usage["system_cpu_s"] > 0.4


def test_usage_counts_the_largest_process_where_there_is_no_control_group(runs: Runs) -> None:
    code = "held = bytearray(b'x' * (64 << 20))"
    usage = runs.carry_out(sys.executable, "-c", code, before=NO_GROUPS)["usage"]
    assert 64 << 20 < usage["max_resident_bytes"] < 256 << 20
    assert usage["user_cpu_s"] + usage["system_cpu_s"] > 0


def test_a_clock_that_is_set_back_ends_no_run_before_its_start(runs: Runs, tmp_path: Path) -> None:
    started = tmp_path / "started"
    before = f"""
import os, time
real = time.time
time.time = lambda: real() - (86400 if os.path.exists({str(started)!r}) else 0)
"""
    began_s = time.time()
    status = runs.carry_out("sh", "-c", f"touch {started}; sleep 0.6", before=before, options={"timeout_s": 3600.0})
    assert status["state"] == "finished"
    assert began_s <= status["started_at_s"] < status["ended_at_s"]
    assert 0.5 < status["elapsed_s"] < 3600


def test_the_variables_of_a_run_are_not_those_of_the_run_that_enqueued_it(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FOOTPLATE_RUN_ID", "FOOTPLATE_RESUME", "FOOTPLATE_ATTEMPT", "FOOTPLATE_PROCESS"):
        monkeypatch.setenv(name, "of another")
    run_dir = runs.make(
        "sh", "-c", 'echo "$FOOTPLATE_RUN_ID $FOOTPLATE_ATTEMPT ${FOOTPLATE_RESUME-no} ${FOOTPLATE_PROCESS-no}"'
    )
    runs.wait(runs.start(run_dir), run_dir)
    assert log_of(run_dir).split() == [run_dir.rsplit("/", 1)[1], "1", "no", "no"]
    assert status_of(run_dir)["state"] == "finished"
