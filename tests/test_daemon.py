"""The daemon's life: one at a time, gone and back without anybody losing anything."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from store import paths
from tests.daemons import ask_at_once, assert_one_sentence, daemons_of, is_gone, pid_of_daemon, sleeping_run
from tests.support import FOOTPLATE, Home, wait_until


def test_twelve_clients_at_once_start_one_daemon_and_are_all_answered(home: Home) -> None:
    answers = ask_at_once(home, 12, [FOOTPLATE, "ps", "--json"])
    assert [json.loads(answer)["rows"] for answer in answers] == [[]] * 12
    wait_until(lambda: daemons_of(home) == [home.daemon_pid()])


@pytest.mark.parametrize("leftover", ["lock of a dead daemon", "lock that was never written", "garbage in the lock"])
def test_a_stale_lock_and_a_stale_socket_keep_nobody_out(home: Home, leftover: str) -> None:
    paths.ensure_state_dir(home.path)
    dead = subprocess.Popen(["true"])
    dead.wait()
    content = {
        "lock of a dead daemon": json.dumps({"pid": dead.pid, "host": "gone", "started_at_s": 1.0}),
        "lock that was never written": "",
        "garbage in the lock": "\0\xff{",
    }[leftover]
    Path(f"{home.path}/daemon.lock").write_text(content)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(f"{home.path}/daemon.sock")
    assert pid_of_daemon(home) != dead.pid


def test_a_removed_state_directory_ends_its_daemon_and_the_next_client_starts_a_new_one(home: Home) -> None:
    first = pid_of_daemon(home)
    shutil.rmtree(home.path)
    wait_until(lambda: is_gone(first))
    assert home.client().runs().rows == ()
    assert pid_of_daemon(home) != first


def test_a_state_directory_that_was_replaced_gets_a_daemon_of_its_own(home: Home, tmp_path: Path) -> None:
    first = pid_of_daemon(home)
    os.rename(home.path, tmp_path / "moved")
    assert home.client().runs().rows == ()
    second = pid_of_daemon(home)
    assert second != first
    wait_until(lambda: is_gone(first))


def test_a_killed_daemon_is_replaced_and_its_live_run_keeps_its_true_exit_code(home: Home, tmp_path: Path) -> None:
    script = f'while [ ! -e "{tmp_path}/go" ]; do sleep 0.02; done; echo done; exit 7'
    run_id = home.submit("sh", "-c", script)
    before = home.wait_run(run_id, lambda detail: detail.row.state == "running" and detail.pid is not None)
    first = home.daemon_pid()
    home.kill_daemon()
    assert "running" in home.footplate("ps").stdout
    assert home.daemon_pid() not in (None, first)
    after = home.client().run(run_id)
    assert (after.pid, after.supervisor_pid) == (before.pid, before.supervisor_pid)
    (tmp_path / "go").touch()
    row = home.wait_ended(run_id).row
    assert (row.state, row.exit_code) == ("failed", 7)


def test_a_question_right_after_the_daemon_was_killed_is_answered_by_the_next_one(home: Home) -> None:
    for _ in range(4):
        pid = home.client().get("/ping")["pid"]
        os.kill(pid, signal.SIGKILL)
        assert home.client().get("/ping")["pid"] != pid


def test_a_daemon_that_cannot_start_is_told_by_its_own_words_and_not_tried_again_and_again(home: Home) -> None:
    paths.ensure_state_dir(home.path)
    os.mkdir(f"{home.path}/commands.jsonl")
    done = home.footplate("ps", check=False)
    assert_one_sentence(done)
    assert "Is a directory" in done.stderr
    assert "20 s" not in done.stderr


def test_a_run_that_ended_while_no_daemon_lived_has_its_true_end(home: Home) -> None:
    run_id, pid, supervisor_pid = sleeping_run(home)
    home.kill_daemon()
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: is_gone(supervisor_pid))
    row = home.wait_ended(run_id).row
    assert (row.state, row.signal, row.cause) == ("failed", "SIGTERM", "killed by SIGTERM")


def test_a_command_whose_daemon_and_supervisor_were_killed_is_running_and_can_be_stopped(home: Home) -> None:
    run_id, pid, supervisor_pid = sleeping_run(home)
    home.kill_daemon()
    os.kill(supervisor_pid, signal.SIGKILL)
    wait_until(lambda: is_gone(supervisor_pid))
    detail = home.client().run(run_id)
    assert (detail.row.state, detail.pid, detail.supervisor_pid) == ("running", pid, None)
    assert "running" in home.footplate("ps").stdout
    home.client().stop(run_id, "tester")
    ended = home.wait_ended(run_id)
    assert is_gone(pid)
    assert ended.row.state == "stopped"
    assert "tester" in ended.row.cause


def test_a_supervisor_killed_under_a_living_daemon_leaves_the_run_running_until_its_command_ends(home: Home) -> None:
    run_id, pid, supervisor_pid = sleeping_run(home)
    os.kill(supervisor_pid, signal.SIGKILL)
    home.wait_run(run_id, lambda detail: detail.supervisor_pid is None)
    assert home.client().run(run_id).row.state == "running"
    os.kill(pid, signal.SIGKILL)
    row = home.wait_ended(run_id).row
    assert (row.state, row.exit_code) == ("failed", None)
    assert "supervisor lost" in row.cause


def test_a_daemon_told_to_end_leaves_no_write_ahead_log_and_no_socket(home: Home) -> None:
    home.wait_ended(home.submit("sh", "-c", "echo loss=1"))
    pid = pid_of_daemon(home)
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: is_gone(pid))
    assert os.path.exists(f"{home.path}/index.duckdb")
    assert not os.path.exists(f"{home.path}/index.duckdb.wal")
    assert not os.path.exists(f"{home.path}/daemon.sock")


def test_the_hangup_of_a_terminal_does_not_end_the_daemon(house: Home) -> None:
    pid = pid_of_daemon(house)
    os.kill(pid, signal.SIGHUP)
    assert house.client().status().host
    assert pid_of_daemon(house) == pid
    assert os.getsid(pid) == pid
