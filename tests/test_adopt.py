"""`footplate adopt`: a process that was started by hand becomes a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support import Home

TRAIN = """
import os, sys, time
step = 0
while not os.path.exists(sys.argv[1]):
    print(f"step={step} loss={1 / (step + 1)}", flush=True)
    step += 1
    time.sleep(0.05)
"""


@pytest.fixture
def by_hand(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A training that somebody started in a shell, its output in a file; ends when `enough` is there."""
    script = tmp_path / "train.py"
    script.write_text(TRAIN, encoding="utf-8")
    with open(tmp_path / "train.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(script), str(tmp_path / "enough")], stdout=log, stderr=log, cwd=tmp_path
        )
    yield process
    process.kill()
    process.wait()


def test_a_process_started_by_hand_is_a_run_from_then_on(
    home: Home, by_hand: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    done = json.loads(home.footplate("adopt", str(by_hand.pid), "--json").stdout)
    run_id = done["row"]["id"]
    running = home.wait_run(run_id, lambda detail: detail.row.state == "running" and bool(detail.metrics))
    assert (running.row.name, running.row.project, running.pid) == ("train.py", tmp_path.name, by_hand.pid)
    assert running.working_dir == str(tmp_path)
    assert "step=0 loss=1.0" in home.footplate("logs", run_id).stdout
    (tmp_path / "enough").touch()
    by_hand.wait()
    detail = home.wait_ended(run_id)
    assert (detail.row.exit_code, detail.row.cause_kind) == (None, "exit_unknown")
    assert "exit code" in detail.row.cause
    # The log is the user's file: all of it was read, and it stays when the run's directory goes.
    assert detail.metrics[0].point_count == (tmp_path / "train.log").read_text(encoding="utf-8").count("loss=")


def test_an_adopted_process_outlives_daemon_and_supervisor(home: Home, by_hand: subprocess.Popen[bytes]) -> None:
    home.footplate("adopt", str(by_hand.pid))
    running = home.wait_run("r1", lambda detail: detail.row.state == "running" and detail.supervisor_pid is not None)
    assert running.supervisor_pid is not None
    home.kill_daemon()
    os.kill(running.supervisor_pid, signal.SIGKILL)
    alone = home.wait_run("r1", lambda detail: detail.supervisor_pid is None)
    assert (alone.row.state, alone.pid, by_hand.poll()) == ("running", by_hand.pid, None)


def test_an_adopted_process_can_be_stopped(home: Home, by_hand: subprocess.Popen[bytes]) -> None:
    home.footplate("adopt", str(by_hand.pid))
    home.wait_run("r1", lambda detail: detail.row.state == "running")
    home.footplate("stop", "r1", "--no-wait")
    assert wait_until(lambda: by_hand.poll() is not None)
    assert by_hand.returncode == -signal.SIGTERM
    assert home.wait_ended("r1").row.state == "stopped"


def test_what_cannot_be_adopted_is_refused_in_one_sentence(home: Home, by_hand: subprocess.Popen[bytes]) -> None:
    run_id = home.python("import time; time.sleep(600)")
    running = home.wait_run(run_id, lambda detail: detail.row.state == "running" and detail.pid is not None)
    home.footplate("adopt", str(by_hand.pid))
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    cases = [
        (4_194_000, "there is no process"),
        (zombie.pid, "there is no process"),
        (1, "cannot become a run" if os.getuid() == 0 else "belongs to uid"),
        (by_hand.pid, "is a run already"),
        (running.pid or 0, "is part of run"),
        (running.supervisor_pid or 0, "is a part of footplate"),
        (home.daemon_pid() or 0, "cannot become a run"),
        (0, "must be the number of a process"),
    ]
    for pid, said in cases:
        done = home.footplate("adopt", str(pid), check=False)
        assert (done.returncode, said in done.stderr) == (1, True), (pid, done.stderr)
    assert home.client().runs().total_count == 2
    zombie.wait()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start a process of somebody else")
def test_a_process_of_somebody_else_is_not_ours_to_watch(home: Home) -> None:
    process = subprocess.Popen(["sleep", "600"], user=65534)
    done = home.footplate("adopt", str(process.pid), check=False)
    process.kill()
    process.wait()
    assert (done.returncode, "belongs to uid 65534" in done.stderr) == (1, True)
