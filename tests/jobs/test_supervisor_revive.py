"""A daemon that died is started again by the supervisors of live runs, by the rules; stand-in and real daemons."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from console.jobs import revive
from console.jobs.revive import Reviver
from store import identity
from tests.jobs.supervised import Runs, ask_to_stop, wait_state
from tests.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support import Home

STAND_IN = """
import fcntl, os, signal, sys, time
home = sys.argv[1]
lock = open(home + "/daemon.lock", "a")
fcntl.flock(lock, fcntl.LOCK_EX)
blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
marks = sorted(name for name in os.environ if name.startswith("FOOTPLATE_"))
with open(home + "/born.tmp", "w") as note:
    note.write(f"{os.getpid()} {os.getsid(0)} {len(blocked)} {','.join(marks)} {os.environ['FOOTPLATE_PROCESS']}")
os.rename(home + "/born.tmp", home + "/born")
time.sleep(1000)
"""


KILLED = """
import ctypes, fcntl, json, os, sys, threading, time
from store import identity
lock = open(sys.argv[1] + "/daemon.lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
json.dump(identity.identify(os.getpid()).to_json(), lock)
lock.flush()
threading.Thread(target=time.sleep, args=(1000,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""
"""A process that has ended but for a thread, which keeps the lock: how a killed daemon looks for a moment."""


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    """A state directory; everything in it ends with the test, a stand-in for the daemon too."""
    opened = Runs(tmp_path / "state")
    Path(opened.home, "daemon.lock").touch()
    note_argv(opened.home, sys.executable, "-c", STAND_IN, opened.home)
    yield opened
    opened.close()
    if born(opened.home):
        os.kill(int(born(opened.home)[0]), signal.SIGKILL)


def note_argv(home: str, *argv: str) -> None:
    """Say how the daemon is started."""
    path = Path(home, "daemon.json")
    path.write_text(json.dumps({"format": 1, "argv": argv}))
    path.chmod(0o600)


def born(home: str) -> list[str]:
    """What the stand-in says of itself."""
    try:
        return Path(home, "born").read_text().split(" ")
    except FileNotFoundError:
        return []


def deaths(home: str) -> list[float]:
    """What the supervisors have counted."""
    try:
        found: list[float] = json.loads(Path(home, "daemon.deaths").read_text())["at_boot_s"]
    except FileNotFoundError:
        return []
    return found


def write_deaths(home: str, *ago_s: float, boot_id: str = "") -> None:
    """Count deaths that were so many seconds ago."""
    now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    content = {
        "format": 1,
        "boot_id": boot_id or identity.boot_id(),
        "at_boot_s": sorted(now_s - each_s for each_s in ago_s),
    }
    Path(home, "daemon.deaths").write_text(json.dumps(content))


def reviver(runs: Runs) -> Reviver:
    """One in this process."""
    return Reviver(f"{runs.home}/runs/any", set())


def reap() -> None:
    """What a supervisor does with its children."""
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def test_a_dead_daemon_is_started_while_a_run_lives(runs: Runs) -> None:
    run_dir = runs.make("sleep", "1000")
    process = runs.start(run_dir)
    wait_until(lambda: born(runs.home))
    pid, session, blocked, marks, mark = born(runs.home)
    assert (session, blocked, mark) == (pid, "0", "daemon")
    assert not {"FOOTPLATE_RUN_ID", "FOOTPLATE_RUN_DIR", "FOOTPLATE_METRICS"} & set(marks.split(","))
    ask_to_stop(run_dir, process)
    runs.wait(process, run_dir)
    daemon = identity.identify(int(pid))
    assert daemon is not None
    assert identity.is_alive(daemon)
    assert len(deaths(runs.home)) == 1


def test_a_supervisor_that_ends_starts_it_too_so_that_what_follows_is_looked_after(runs: Runs) -> None:
    Path(runs.home, "daemon.stopped").touch()
    go = Path(runs.home, "go")
    run_dir = runs.make("sh", "-c", f"while [ ! -e {go} ]; do sleep 0.05; done")
    process = runs.start(run_dir)
    wait_state(run_dir, "running")
    os.unlink(f"{runs.home}/daemon.stopped")
    go.touch()
    runs.wait(process, run_dir)
    wait_until(lambda: born(runs.home))


@pytest.mark.parametrize("name", ["daemon.stopped", "daemon.failing"])
def test_a_daemon_that_shall_not_run_is_left_down(runs: Runs, name: str) -> None:
    Path(runs.home, name).touch()
    reviver(runs).look()
    reviver(runs).look(last=True)
    assert deaths(runs.home) == []


def test_a_daemon_that_lives_is_left_alone_and_forgiven_in_time(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(runs.home, "daemon.failing").touch()
    write_deaths(runs.home, 1.0)
    with open(f"{runs.home}/daemon.lock", "a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        looker = reviver(runs)
        looker.look()
        looker.look()
        assert len(deaths(runs.home)) == 1
        monkeypatch.setattr(revive, "CALM_S", 0.0)
        looker.look()
    assert not Path(runs.home, "daemon.failing").exists()
    assert deaths(runs.home) == []


@pytest.mark.parametrize(
    ("ago_s", "due"),
    [
        ([], True),
        ([4.0], False),
        ([6.0], True),
        ([6.0, 20.0], False),
        ([11.0, 20.0], True),
        ([250.0, 700.0, 800.0, 900.0, 1000.0, 1100.0, 1200.0], False),
        ([301.0, 700.0, 800.0, 900.0, 1000.0, 1100.0, 1200.0, 1300.0], True),
        ([6.0, 4000.0, 5000.0], True),
    ],
)
def test_the_delay_doubles_with_each_death_up_to_five_minutes(runs: Runs, ago_s: list[float], due: bool) -> None:
    note_argv(runs.home, "/bin/true")
    write_deaths(runs.home, *ago_s)
    before = len(deaths(runs.home))
    reviver(runs).look()
    reap()
    after = deaths(runs.home)
    assert (time.clock_gettime(time.CLOCK_BOOTTIME) - max(after, default=0.0) < 3.0) == due
    assert len(after) <= before + 1


def test_deaths_of_another_boot_do_not_count(runs: Runs) -> None:
    note_argv(runs.home, "/bin/true")
    write_deaths(runs.home, 1.0, 2.0, 3.0, 4.0, 5.0, boot_id="another")
    reviver(runs).look()
    reap()
    assert len(deaths(runs.home)) == 1


def test_after_five_deaths_in_ten_minutes_nobody_tries_again_and_a_file_says_why(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revive, "DELAY_MIN_S", 0.0)
    note_argv(runs.home, "/bin/sh", "-c", "echo the index is on fire >&2; exit 1")
    began_s = time.time()
    looker = reviver(runs)
    for _ in range(8):
        looker.look()
        reap()
    assert Path(runs.home, "daemon.log").read_text() == "the index is on fire\n" * 5
    note = json.loads(Path(runs.home, "daemon.failing").read_text())
    assert (note["format"], note["last_words"], len(note["times_s"])) == (1, "the index is on fire", 5)
    assert all(began_s - 1 < at_s < time.time() + 1 for at_s in note["times_s"])


def test_an_argv_that_cannot_be_executed_is_the_last_words(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revive, "DELAY_MIN_S", 0.0)
    note_argv(runs.home, "/nowhere/python")
    looker = reviver(runs)
    for _ in range(6):
        looker.look()
    note = json.loads(Path(runs.home, "daemon.failing").read_text())
    assert note["last_words"].startswith("the daemon could not be started: ")
    assert "/nowhere/python" in note["last_words"]


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"argv": []}', '{"argv": "true"}', '{"argv": [1]}'])
def test_a_damaged_note_starts_nothing(runs: Runs, content: str) -> None:
    Path(runs.home, "daemon.json").write_text(content)
    looker = reviver(runs)
    looker.look()
    assert "daemon.json" in looker.trouble
    assert deaths(runs.home) == []


def test_a_note_that_others_could_have_written_starts_nothing(runs: Runs) -> None:
    Path(runs.home, "daemon.json").chmod(0o666)
    looker = reviver(runs)
    looker.look()
    assert looker.trouble.endswith("daemon.json must be a file that only its owner can write, and be ours")
    Path(runs.home, "daemon.json").unlink()
    looker.look()
    assert deaths(runs.home) == []


def test_a_state_directory_that_is_gone_is_no_reason_to_end(tmp_path: Path) -> None:
    looker = Reviver(str(tmp_path / "gone" / "runs" / "any"), set())
    looker.look()
    looker.look(last=True)
    assert not (tmp_path / "gone").exists()


def test_the_real_daemon_comes_back_without_a_client_and_takes_the_run_up(home: Home) -> None:
    run_id = home.submit("sleep", "1000")
    home.wait_run(run_id, lambda detail: detail.row.state == "running")
    before = home.daemon_pid()
    home.client().close()
    home.kill_daemon()
    killed_s = time.monotonic()
    after = wait_until(home.daemon_pid)
    print(f"the daemon was back after {time.monotonic() - killed_s:.1f} s")
    assert after != before
    wait_until(lambda: os.path.exists(f"{home.path}/daemon.sock"))
    home.client().stop(run_id, "ana")
    assert home.wait_ended(run_id).row.cause == "stopped by ana"


def test_a_killed_daemon_whose_last_thread_still_has_the_lock_is_dead(runs: Runs) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, runs.home]) as killed:
        try:
            wait_until(lambda: (identity.stat_fields(killed.pid) or "?")[0] == "Z")
            reviver(runs).look(last=True)
            assert len(deaths(runs.home)) == 1
            assert born(runs.home) == []
        finally:
            killed.kill()
    wait_until(lambda: born(runs.home))
