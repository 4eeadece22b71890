"""The daemon's socket: where it lies, who may talk, and how it comes back."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from console.client import ClientError
from store import paths
from tests.daemons import NOBODY, as_second_user, daemons_of, pid_of_daemon
from tests.support import Home, opened_home, wait_until


def test_the_socket_is_private_and_lies_beside_the_state(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    before = os.umask(0)
    try:
        home.client().status()
    finally:
        os.umask(before)
    facts = os.lstat(f"{home.path}/daemon.sock")
    assert stat.S_ISSOCK(facts.st_mode)
    assert stat.S_IMODE(facts.st_mode) == 0o600
    assert stat.S_IMODE(os.stat(home.path).st_mode) == 0o700
    assert os.listdir(runtime) == []


STRANGER = """
import os, socket, sys
if sys.argv[2] == "stranger":
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(60)
connection.connect(sys.argv[1])
answer = b""
try:
    connection.sendall(b"GET /ping HTTP/1.1\\r\\nHost: footplate\\r\\n\\r\\n")
    answer = connection.recv(65536)
except (BrokenPipeError, ConnectionResetError):
    pass
print(os.getuid(), len(answer))
"""


@as_second_user
def test_another_user_who_can_reach_the_socket_gets_no_byte_and_the_daemon_goes_on(open_folder: Path) -> None:
    with opened_home(open_folder / "state") as home:
        pid = pid_of_daemon(home)
        path = f"{home.path}/daemon.sock"
        os.chmod(home.path, 0o755)
        os.chmod(path, 0o666)

        def ask(who: str) -> list[int]:
            command = [sys.executable, "-I", "-S", "-c", STRANGER, path, who]
            done = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
            return list(map(int, done.stdout.split()))

        uid, answered_bytes = ask("ourselves")
        assert uid == 0
        assert answered_bytes > 0
        for _ in range(3):
            assert ask("stranger") == [NOBODY, 0]
        assert pid_of_daemon(home) == pid


@as_second_user
def test_a_socket_of_another_user_is_not_talked_to(open_folder: Path) -> None:
    serve = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("ready", flush=True)
connection, _ = listener.accept()
print(len(connection.recv(65536)), flush=True)
"""
    with opened_home(open_folder / "state") as home:
        os.mkdir(home.path)
        os.chown(home.path, NOBODY, NOBODY)
        command = [sys.executable, "-I", "-S", "-c", serve, f"{home.path}/daemon.sock"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd="/") as impostor:
            assert impostor.stdout is not None
            assert impostor.stdout.readline() == "ready\n"
            with pytest.raises(ClientError, match=f"uid {NOBODY}"):
                home.client().status()
            assert impostor.stdout.readline() == "0\n"
        shutil.rmtree(home.path)


def test_a_removed_socket_is_bound_again_by_the_same_daemon(house: Home) -> None:
    pid = pid_of_daemon(house)
    path = f"{house.path}/daemon.sock"
    os.unlink(path)
    wait_until(lambda: os.path.exists(path))
    assert pid_of_daemon(house) == pid
    assert house.client().status().host  # the connection from before lives as well
    assert stat.S_IMODE(os.lstat(path).st_mode) == 0o600


def test_a_client_that_comes_before_the_removed_socket_is_back_waits_for_it(house: Home) -> None:
    pid = pid_of_daemon(house)
    os.unlink(f"{house.path}/daemon.sock")
    assert pid_of_daemon(house) == pid
    wait_until(lambda: daemons_of(house) == [pid])


def test_a_foreign_file_in_place_of_the_socket_is_replaced(house: Home) -> None:
    pid = pid_of_daemon(house)
    path = f"{house.path}/daemon.sock"
    os.unlink(path)
    Path(path).write_text("not a socket")
    wait_until(lambda: stat.S_ISSOCK(os.lstat(path).st_mode) if os.path.lexists(path) else False)
    assert pid_of_daemon(house) == pid


def test_a_path_too_long_for_a_socket_works_and_a_removed_socket_folder_comes_back(tmp_path: Path) -> None:
    with opened_home(tmp_path / ("long-" * 30) / "state") as home:
        pid = pid_of_daemon(home)
        assert home.footplate("ps").returncode == 0
        first = paths.socket_path(home.path)
        folder = os.path.dirname(first)
        assert len(first) < paths.SUN_PATH_BYTES
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        assert os.stat(folder).st_uid == os.getuid()
        try:
            shutil.rmtree(folder)
            wait_until(lambda: os.path.exists(paths.socket_path(home.path)))
            assert pid_of_daemon(home) == pid
            assert home.footplate("ps").returncode == 0
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(os.path.dirname(paths.socket_path(home.path)), ignore_errors=True)


@as_second_user
def test_a_noted_socket_folder_that_belongs_to_somebody_else_is_not_used(tmp_path: Path) -> None:
    with opened_home(tmp_path / ("long-" * 30) / "state") as home:
        paths.ensure_state_dir(home.path)
        foreign = tempfile.mkdtemp(prefix="footplate-test-", dir="/tmp")
        try:
            os.chown(foreign, NOBODY, NOBODY)
            Path(f"{home.path}/socket.path").write_text(f"{foreign}/daemon.sock")
            pid_of_daemon(home)
            assert os.path.dirname(paths.socket_path(home.path)) != foreign
        finally:
            shutil.rmtree(foreign)
            shutil.rmtree(os.path.dirname(paths.socket_path(home.path)), ignore_errors=True)
