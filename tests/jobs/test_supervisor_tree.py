"""The end of a run's processes, whatever they do to stay: real trees, with a control group and without one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from console.jobs import containment
from store import identity
from tests.jobs.supervised import (
    NO_GROUPS,
    Runs,
    all_killed,
    ask_to_stop,
    final_status,
    log_of,
    tagged,
    wait_log,
    wait_state,
)
from tests.support import FOOTPLATE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support import Home

DOUBLE_FORK = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(1000)
    os._exit(0)
os.wait()
"""
TREE = f"""
trap '' TERM
setsid sh -c "trap '' TERM; while :; do sleep 1; done" &
{sys.executable} -c '{DOUBLE_FORK}'
(setsid nohup sleep 1000 >/dev/null 2>&1 &)
sleep 1000 &
echo ready
wait
sleep 1000
"""
HIDDEN = """
import ctypes, os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
library = ctypes.CDLL(None)
library.prctl(15, b"kworker/0:1", 0, 0, 0)                      # PR_SET_NAME
start, end = (int(open("/proc/self/stat").read().rsplit(")", 1)[1].split()[at]) for at in (47, 48))
ctypes.memset(start, 0, end - start)                            # the memory behind /proc/self/environ
print("ready", flush=True)
for descriptor in range(1024):
    try:
        os.close(descriptor)
    except OSError:
        pass
time.sleep(1000)
"""
FORKS = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for number in range(500):
    if os.fork() == 0:
        if number % 10 == 0:
            os.setsid()
        while True:
            time.sleep(0.5)
            if number % 50 == 0 and os.fork():                  # flees: the parent ends, the child goes on
                os._exit(0)
print("ready", flush=True)
time.sleep(1000)
"""
GRACE_S = 1.0
HAS_GROUPS = any(containment.own_groups()) and os.access("/sys/fs/cgroup", os.W_OK)
ALLOWANCE_S = 1.0
"""What the issue allows on top of the grace time."""


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    """A state directory; everything in it ends with the test."""
    opened = Runs(tmp_path / "state")
    yield opened
    opened.close()


def groups_left() -> list[str]:
    """Control groups of supervisors that this test process started and that are dead."""
    return [
        entry
        for base in containment.own_groups()
        if base
        for entry in os.listdir(containment.outside_of_runs(base))
        if entry.startswith(f"footplate.01TEST{os.getpid():08d}")
    ]


@pytest.mark.parametrize("before", ["", NO_GROUPS], ids=["control group", "no control group"])
@pytest.mark.parametrize(
    ("argv", "count"),
    [
        (["sh", "-c", TREE], 6),
        ([sys.executable, "-c", HIDDEN], 0),
        ([sys.executable, "-c", FORKS], 480),
    ],
    ids=["tree", "hidden", "500 children"],
)
def test_a_tree_that_ignores_term_is_gone_soon_after_the_grace_time(
    runs: Runs, before: str, argv: list[str], count: int
) -> None:
    run_dir = runs.make(*argv, grace_s=GRACE_S)
    process = runs.start(run_dir, before=before)
    wait_log(run_dir, "ready")
    wait_until(lambda: len(tagged(run_dir)) >= count)
    main = identity.from_json(wait_state(run_dir, "running")["command"])
    assert main is not None
    asked_s = time.monotonic()
    ask_to_stop(run_dir, process)
    runs.wait(process, run_dir)
    took_s = time.monotonic() - asked_s
    assert not identity.is_alive(main)
    assert tagged(run_dir) == []
    status = final_status(run_dir)
    assert (status["state"], status["cause"], status["signal"]) == ("stopped", "stopped by ana", "SIGKILL")
    assert groups_left() == []
    # By the supervisor's own clock, as a busy machine may take its time to start and to reap.
    assert took_s < GRACE_S + ALLOWANCE_S + 10
    print(f"{count} processes gone in {took_s:.2f} s with a grace time of {GRACE_S} s")


@pytest.mark.parametrize("before", ["", NO_GROUPS], ids=["control group", "no control group"])
def test_what_a_command_leaves_behind_is_ended_and_the_command_decides_how_the_run_ended(
    runs: Runs, before: str
) -> None:
    code = "(setsid sh -c \"trap '' TERM; sleep 1000; sleep 1000\" &); sleep 0.2; exit 3"
    run_dir = runs.make("sh", "-c", code, grace_s=GRACE_S)
    process = runs.start(run_dir, before=before)
    shown = wait_state(run_dir, "stopping")
    assert shown["cause"] == "the command has ended; ending what it left behind"
    runs.wait(process, run_dir)
    status = final_status(run_dir)
    assert (status["state"], status["exit_code"]) == ("failed", 3)
    assert tagged(run_dir) == []


DAEMON = """
import os, subprocess, sys
environment = {key: value for key, value in os.environ.items() if not key.startswith("FOOTPLATE_")}
inner = "import subprocess, os, time; subprocess.Popen(['sleep', '1000'], start_new_session=True, env={**os.environ,"
inner += " 'FOOTPLATE_RUN_ID': 'another'}); open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(1000)"
argv = [sys.executable, "-c", "import sys; " + inner, sys.argv[1]]
subprocess.Popen(argv, start_new_session=True, env=environment | {"FOOTPLATE_PROCESS": "daemon"})
print("ready", flush=True)
if sys.argv[2:]:
    import time
    time.sleep(1000)
"""


@pytest.mark.parametrize("before", ["", NO_GROUPS], ids=["control group", "no control group"])
@pytest.mark.parametrize("stopped", [False, True], ids=["ends", "stopped"])
def test_a_daemon_that_a_command_started_is_neither_waited_for_nor_killed(
    runs: Runs, tmp_path: Path, before: str, stopped: bool
) -> None:
    note = tmp_path / "daemon"
    run_dir = runs.python(DAEMON, str(note), *(["stay"] if stopped else []), grace_s=0.0)
    process = runs.start(run_dir, before=before)
    wait_until(lambda: note.exists() and note.read_text())
    daemon = identity.identify(int(note.read_text()))
    assert daemon is not None
    child = wait_until(lambda: identity.descendants(daemon.pid))[0]
    try:
        if stopped:
            ask_to_stop(run_dir, process)
        runs.wait(process, run_dir)
        assert final_status(run_dir)["state"] == ("stopped" if stopped else "finished")
        assert identity.is_alive(daemon)
        assert identity.stat_fields(child) is not None
        assert groups_left() == []
    finally:
        for pid in (child, daemon.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_a_command_may_use_footplate_and_what_it_enqueues_outlives_it(home: Home) -> None:
    first = home.submit(
        "sh", "-c", f"while [ ! -e {home.path}/go ]; do sleep 0.05; done; {FOOTPLATE} run -d -- sleep 1000"
    )
    home.wait_run(first, lambda detail: detail.row.state == "running")
    home.client().close()
    home.kill_daemon()
    Path(home.path, "go").touch()
    assert home.wait_ended(first).row.state == "finished"
    second = home.wait_run("r2", lambda detail: detail.row.state == "running")
    assert second.pid is not None
    home.client().stop("r2", "ana")
    assert home.wait_ended("r2").row.cause == "stopped by ana"


def test_a_stopped_process_learns_of_its_end(runs: Runs) -> None:
    code = "import os, signal; signal.signal(15, lambda *_: os._exit(4)); print('ready', flush=True); os.kill(0, 19)"
    run_dir = runs.python(code, grace_s=30.0)
    process = runs.start(run_dir)
    wait_log(run_dir, "ready")
    ask_to_stop(run_dir, process)
    runs.wait(process, run_dir)
    assert final_status(run_dir)["exit_code"] == 4


@pytest.mark.skipif(not HAS_GROUPS, reason="no control group can be made here")
def test_the_group_of_a_dead_supervisor_is_removed_by_the_next_one(runs: Runs) -> None:
    run_dir = runs.make("sleep", "1000")
    process = runs.start(run_dir)
    wait_state(run_dir, "running")
    process.kill()
    process.wait()
    assert len(groups_left()) == 1
    wait_until(lambda: all_killed(run_dir))
    runs.carry_out("true")
    assert groups_left() == []


def test_a_supervisor_killed_before_its_first_status_leaves_a_run_that_is_found_by_its_tag(runs: Runs) -> None:
    from console.jobs import reconcile

    before = """
import os
from console.jobs import status_file
status_file.StatusFile.write = lambda *_: os.kill(os.getpid(), 9)
"""
    run_dir = runs.make("sleep", "1000")
    process = runs.start(run_dir, before=before)
    wait_until(lambda: process.poll() is not None)
    assert process.returncode == -signal.SIGKILL
    assert not os.path.exists(f"{run_dir}/status.json")
    facts = reconcile.gather(run_dir)
    assert reconcile.judge(facts) == "unattended"
    assert [found.pid for found in facts.survivors] == [found.pid for found in tagged(run_dir)]
    second = subprocess.run(
        [sys.executable, "-I", "-S", sys.modules["tests.jobs.supervised"].SUPERVISOR, run_dir, "1"], check=True
    )
    assert (second.returncode, len(tagged(run_dir)), log_of(run_dir)) == (0, 1, "")
