"""The daemon's life: one at a time, ours alone, gone and back without anybody losing anything."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from blake3 import blake3

from console.client import Client, ClientError, DaemonRefused, DaemonUnavailable
from console.daemon.command_journal import CommandJournal
from console.jobs import reconcile, spec
from console.jobs.reconcile import Facts, Judgement
from store import database, identity, journal, paths
from store.identity import ProcessIdentity
from tests.support import FOOTPLATE, Home, PastRun, opened_home, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534

as_second_user = pytest.mark.skipif(os.getuid() != 0, reason="only root can act as a second user")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home for tests that leave its daemon alive."""
    with opened_home(tmp_path_factory.mktemp("daemon") / "state") as opened:
        opened.client().status()
        yield opened


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="footplate-test-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def daemons_of(home: Home) -> list[int]:
    """Every daemon of a home, the losers of a start race included while they live."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
                if b"console.daemon" in words and os.fsencode(home.path) in words:
                    found.append(int(name))
    return found


def pid_of_daemon(home: Home) -> int:
    """The daemon's pid by its own word, over a connection of its own."""
    client = Client()
    try:
        pid = int(client.get("/ping")["pid"])
    finally:
        client.close()
    assert pid == home.daemon_pid()
    return pid


def sleeping_run(home: Home) -> tuple[str, int, int]:
    """Id of a run that sleeps, and the pids of its command and its supervisor."""
    run_id = home.submit("sleep", "1000")
    detail = home.wait_run(run_id, lambda detail: detail.row.state == "running" and detail.pid is not None)
    assert detail.pid is not None
    assert detail.supervisor_pid is not None
    return run_id, detail.pid, detail.supervisor_pid


def is_gone(pid: int) -> bool:
    fields = identity.stat_fields(pid)
    return fields is None or fields[0] in ("Z", "X")


# The socket: where it lies, who may talk


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


# One at a time, and back again


def test_twelve_clients_at_once_start_one_daemon_and_are_all_answered(home: Home) -> None:
    clients = [
        subprocess.Popen(
            [FOOTPLATE, "ps", "--json"],
            env=home.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(12)
    ]
    for client in clients:
        said, complaint = client.communicate()
        assert client.returncode == 0, complaint
        assert json.loads(said)["rows"] == []
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


# Run directories as killed machines leave them


def write_run_dir(home: Home, no: int, supervisor: Any, status: Any = None, command: Any = None) -> str:
    """A run that a supervisor had taken; `status` overrides what it last wrote, False: it wrote nothing."""
    run_id = home.write_run(PastRun(no=no))
    folder = home.run_dir(run_id)
    os.unlink(f"{folder}/status.json")
    Path(f"{folder}/attempt-1.claim").write_text(json.dumps(supervisor))
    if status is None:
        status = {
            "format": 1,
            "attempt": 1,
            "state": "running",
            "supervisor": supervisor,
            "command": command,
            "started_at_s": 1_760_000_000.0,
            "ended_at_s": None,
            "exit_code": None,
            "signal": "",
            "cause": "",
            "evidence": "",
        }
    if status is not False:
        Path(f"{folder}/status.json").write_text(status if isinstance(status, str) else json.dumps(status))
    return run_id


def dead_process() -> dict[str, Any]:
    """The identity of a process of this boot that is gone."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        found = identity.identify(process.pid)
        process.kill()
    assert found is not None
    return found.to_json()


def test_runs_whose_processes_are_all_dead_get_the_end_that_can_be_known(home: Home) -> None:
    dead = dead_process()
    other_boot = dead | {"boot_id": "of-another-time"}
    # Alive now, but of another boot: only the boot id tells.
    ours = identity.identify(os.getpid())
    assert ours is not None
    rebooted_alike = ours.to_json() | {"boot_id": "of-another-time"}
    reused = ours.to_json() | {"start_ticks": ours.start_ticks - 1}
    expected = {
        write_run_dir(home, 1, dead, command=dead): ("failed", "supervisor lost"),
        write_run_dir(home, 2, dead, status=False): ("failed", "supervisor lost"),
        write_run_dir(home, 3, reused, command=reused): ("failed", "supervisor lost"),
        write_run_dir(home, 4, other_boot, command=other_boot): ("interrupted", "rebooted"),
        write_run_dir(home, 5, other_boot, status=False): ("interrupted", "rebooted"),
        write_run_dir(home, 6, rebooted_alike, command=rebooted_alike): ("interrupted", "rebooted"),
    }
    for run_id, (state, words) in expected.items():
        row = home.wait_ended(run_id).row
        assert row.state == state, run_id
        assert words in row.cause
        assert row.exit_code is None
        assert row.ended_at_s is not None
    # The verdict is in the run directory: the index can go.
    pid = pid_of_daemon(home)
    before = [home.client().get(f"/runs/{run_id}")["row"] for run_id in expected]
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: is_gone(pid))
    os.unlink(f"{home.path}/index.duckdb")
    for run_id in expected:
        home.wait_ended(run_id)
    assert [home.client().get(f"/runs/{run_id}")["row"] for run_id in expected] == before


@pytest.mark.parametrize(
    "status",
    ["{}", "[]", "null", "{", "", "\0" * 100, '{"ended_at_s": 1}', '{"supervisor": "me", "ended_at_s": null}',
     '{"supervisor": {"pid": 1}, "ended_at_s": null}', '{"ended_at_s": "soon", "state": 7, "cause": null}'],
)  # fmt: skip
def test_a_damaged_status_costs_its_own_run_and_nothing_else(tmp_path: Path, status: str) -> None:
    facts_or_refusal(tmp_path, "status.json", status)


@pytest.mark.parametrize("claim", ["{}", "[]", "{", "", '"me"', '{"pid": "one", "boot_id": 1, "start_ticks": null}'])
def test_a_damaged_claim_costs_its_own_run_and_nothing_else(tmp_path: Path, claim: str) -> None:
    facts_or_refusal(tmp_path, "attempt-1.claim", claim)


def facts_or_refusal(folder: Path, name: str, content: str) -> Judgement:
    """The verdict about a run directory with one damaged file; whatever it is, it must come without an exception."""
    dead = dead_process()
    (folder / "attempt-1.claim").write_text(json.dumps(dead))
    (folder / name).write_text(content)
    return reconcile.judge(reconcile.gather(str(folder)))


BAD_SPECS: list[dict[str, Any]] = [
    {"no": "three"},
    {"params": None},
    {"params": ["lr"]},
    {"name": None},
    {"name": "\ud800"},
    {"argv": None},
    {"argv": [1]},
    {"argv": []},
    {"created_at_s": "then"},
    {"grace_s": "long"},
    {"id": "somebody-else"},
]


@pytest.mark.parametrize("change", BAD_SPECS, ids=ascii)
def test_a_spec_of_the_wrong_types_is_refused_before_anybody_uses_it(tmp_path: Path, change: dict[str, Any]) -> None:
    home = Home(tmp_path / "state")
    run_dir = home.run_dir(home.write_run(PastRun(no=1)))
    whole = json.loads(Path(f"{run_dir}/spec.json").read_text())
    assert spec.read_spec(run_dir).no == 1
    Path(f"{run_dir}/spec.json").write_text(json.dumps(whole | change))
    with pytest.raises(ValueError, match=r"spec\.json"):
        spec.read_spec(run_dir)


def test_damaged_run_directories_do_not_keep_the_daemon_from_the_sound_ones(home: Home) -> None:
    dead = dead_process()
    sound = home.write_run(PastRun(no=1, points=[(1, {"loss": 0.5})]))
    write_run_dir(home, 2, dead, status="{}")
    write_run_dir(home, 3, dead, status='{"ended_at_s": 1}')
    runs = Path(home.path) / "runs"
    for no, content in enumerate(("", "{", "[]", '{"format": 1}', '{"format": 99}')):
        folder = runs / PastRun(no=100 + no).id
        folder.mkdir()
        (folder / "spec.json").write_text(content)
    whole = json.loads((runs / sound / "spec.json").read_text())
    for no, change in enumerate(BAD_SPECS):
        folder = runs / PastRun(no=200 + no).id
        folder.mkdir()
        (folder / "spec.json").write_text(json.dumps(whole | {"id": folder.name, "no": 200 + no} | change))
    (runs / "a stray file").write_text("")
    (runs / "empty folder").mkdir()
    try:
        wait_until(lambda: home.client().run(sound).row.state == "finished", timeout_s=15)
        fresh = home.submit("true")
        wait_until(lambda: home.client().run(fresh).row.state == "finished", timeout_s=15)
    finally:
        home.kill_daemon()


# State directories that cannot be used

AS_NOBODY = """
import os, sys
import argparse, getpass, importlib.metadata, json, signal, socket, subprocess, unicodedata
import console.cli.output, console.cli.ps, console.cli.run, console.client, console.tui.text_format
from console.__main__ import main
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sys.exit(main(sys.argv[1:]))
"""


def assert_one_sentence(done: subprocess.CompletedProcess[str], exit_code: int = 1) -> None:
    """Said on stderr: what is wrong, and perhaps a hint; no traceback."""
    assert done.returncode == exit_code, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith("footplate: "), done.stderr
    assert 1 <= len(lines) <= 2
    assert len(lines) == 1 or lines[1].startswith("    ")


@as_second_user
@pytest.mark.parametrize("kind", ["no right to create it", "of another user", "not writable", "not to be entered"])
def test_a_state_directory_without_the_right_to_write_is_one_sentence(open_folder: Path, kind: str) -> None:
    state = open_folder / "state"
    if kind != "no right to create it":
        state.mkdir(mode=0o700)
        (state / "runs").mkdir(mode=0o700)
        if kind != "of another user":
            os.chown(state, NOBODY, NOBODY)
            os.chown(state / "runs", NOBODY, NOBODY)
        state.chmod({"of another user": 0o755, "not writable": 0o500, "not to be entered": 0o600}[kind])
    environment = {key: value for key, value in os.environ.items() if key != "FOOTPLATE_HOME"}
    for command in (["ps"], ["run", "--", "true"]):
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, *command],
            env=environment | {"FOOTPLATE_HOME": str(state), "HOME": "/nonexistent"},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        assert_one_sentence(done, 1 if command == ["ps"] else 125)
        assert str(state) in done.stderr


@pytest.mark.parametrize("name", ["state", "state/runs", "parent"])
def test_a_file_in_place_of_the_state_directory_is_one_sentence(tmp_path: Path, name: str) -> None:
    state = tmp_path / ("parent/state" if name == "parent" else "state")
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    place.write_text("in the way")
    home = Home(state)
    done = home.footplate("ps", check=False)
    assert_one_sentence(done)
    assert str(place) in done.stderr
    assert place.read_text() == "in the way"


def test_a_daemon_started_by_hand_where_a_file_lies_ends_with_one_sentence(tmp_path: Path) -> None:
    place = tmp_path / "state"
    place.write_text("in the way")
    command = [sys.executable, "-I", "-m", "console.daemon", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert str(place) in done.stderr


def test_a_read_only_file_system_is_one_sentence(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o ro none {tmp_path}"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("may not mount a read-only file system here")
    home = Home(tmp_path / "state")
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{mount} && exec "$0" ps', FOOTPLATE],
        env=home.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert_one_sentence(done)
    assert "ead-only file system" in done.stderr


def test_an_index_of_a_newer_footplate_is_one_sentence_and_stays_as_it_is(home: Home) -> None:
    paths.ensure_state_dir(home.path)
    path = paths.database_path(home.path)
    database.open_database(path).close()
    with duckdb.connect(path) as connection:
        connection.execute("insert into schema_version values (999, 0)")
    done = home.footplate("ps", check=False)
    assert_one_sentence(done)
    assert "schema 999" in done.stderr
    assert "newer footplate" in done.stderr
    with duckdb.connect(path) as connection:
        assert connection.execute("select max(version) from schema_version").fetchone() == (999,)


def test_a_damaged_index_is_set_aside_and_said(home: Home) -> None:
    paths.ensure_state_dir(home.path)
    Path(paths.database_path(home.path)).write_bytes(b"this was never a database" * 1000)
    home.footplate("ps")
    notice = home.client().status().notice
    assert notice.startswith("the index was damaged (kept in quarantine-")
    folder = notice.partition("(kept in ")[2].partition(")")[0]
    assert Path(home.path, folder, "index.duckdb").read_bytes().startswith(b"this was never a database")


# Waiting for changes


@pytest.mark.parametrize("since", [0, 1, 10**17])
def test_a_position_of_another_daemon_is_answered_at_once_as_a_change(house: Home, since: int) -> None:
    change = house.client().changes("runs", since)
    assert change.changed
    assert change.position not in (0, since)


def test_a_view_that_does_not_change_is_answered_all_the_same(house: Home) -> None:
    position = house.client().changes("runs", 0).position
    change = house.client().changes("run:nothing", position)
    assert (change.position, change.changed) == (position, False)


def test_a_new_run_wakes_a_waiting_view(house: Home) -> None:
    position = house.client().changes("runs", 0).position
    found = []

    def wait() -> None:
        client = Client()
        change = client.changes("runs", position)
        while not change.changed:
            change = client.changes("runs", change.position)
        found.append(change)
        client.close()

    waiting = threading.Thread(target=wait)
    waiting.start()
    house.wait_ended(house.submit("true"))
    waiting.join()
    assert found[0].position > position


def test_a_run_that_writes_all_the_time_is_told_at_most_four_times_a_second(house: Home) -> None:
    run_id = house.submit("sh", "-c", "while :; do echo line; sleep 0.005; done")
    house.wait_run(run_id, lambda detail: detail.row.state == "running")
    client = house.client()
    position = client.changes(f"run:{run_id}", 0).position
    told = 0
    started_s = time.monotonic()
    while told < 6:
        change = client.changes(f"run:{run_id}", position)
        position = change.position
        told += change.changed
    elapsed_s = time.monotonic() - started_s
    # The first may come at once; a slow machine only makes them fewer.
    assert elapsed_s >= (told - 1) * 0.25 * 0.9
    client.stop(run_id, "tester")
    house.wait_ended(run_id)


@pytest.mark.parametrize("since", ["-1", "x", "", "9" * 30, "1.5"])
def test_a_position_that_is_no_number_is_refused(house: Home, since: str) -> None:
    with pytest.raises(DaemonRefused, match="since must be a whole number"):
        house.client().get("/changes", {"view": "runs", "since": since})


def test_a_client_that_must_not_start_a_daemon_says_that_none_runs(home: Home) -> None:
    with pytest.raises(DaemonUnavailable, match="no daemon is running"):
        Client(start_daemon=False).status()
    assert not os.path.exists(home.path)


# Verdicts

SOMEBODY = ProcessIdentity("this-boot", 4, 2)
RUNNING = {"state": "running", "ended_at_s": None}
OVER = {"state": "finished", "ended_at_s": 1.0}
VERDICT = {"state": "failed", "ended_at_s": 1.0}


def facts(**known: Any) -> Facts:
    nothing: dict[str, Any] = {
        "status": None,
        "reconciled": None,
        "supervisor": None,
        "survivors": (),
        "supervisor_alive": False,
        "same_boot": False,
    }
    return Facts(**(nothing | known))


TAKEN: dict[str, Any] = {"supervisor": SOMEBODY, "same_boot": True}
STARTED: dict[str, Any] = TAKEN | {"status": RUNNING}


@pytest.mark.parametrize(
    ("known", "verdict"),
    [
        ({}, "start"),
        ({"reconciled": VERDICT}, "ended"),
        (TAKEN, "lost"),
        (TAKEN | {"supervisor_alive": True}, "adopt"),
        (STARTED, "lost"),
        (STARTED | {"supervisor_alive": True}, "adopt"),
        (STARTED | {"supervisor_alive": True, "survivors": (SOMEBODY,)}, "adopt"),
        (STARTED | {"survivors": (SOMEBODY,)}, "unattended"),
        (TAKEN | {"survivors": (SOMEBODY,)}, "unattended"),
        ({"taken": True}, "lost"),
        ({"held": True}, "held"),
        (TAKEN | {"held": True, "supervisor_alive": True}, "adopt"),
        (STARTED | {"status": OVER}, "ended"),
        (STARTED | {"status": OVER, "supervisor_alive": True}, "ended"),
        (STARTED | {"status": OVER, "same_boot": False}, "ended"),
        (TAKEN | {"same_boot": False}, "reboot"),
        (STARTED | {"same_boot": False}, "reboot"),
        (STARTED | {"reconciled": VERDICT}, "ended"),
        (STARTED | {"reconciled": VERDICT, "same_boot": False}, "ended"),
    ],
)
def test_the_verdict_about_a_run_follows_from_what_is_found(known: dict[str, Any], verdict: Judgement) -> None:
    assert reconcile.judge(facts(**known)) == verdict


def test_an_end_is_never_said_of_a_run_that_lives_and_no_run_starts_twice() -> None:
    import itertools

    booleans = (False, True)
    for status, alive, command_alive, same_boot in itertools.product((None, RUNNING), booleans, booleans, booleans):
        if (alive or command_alive) and not same_boot:
            continue  # nothing of another boot lives
        known = facts(
            status=status,
            supervisor=SOMEBODY,
            supervisor_alive=alive,
            survivors=(SOMEBODY,) if command_alive else (),
            same_boot=same_boot,
        )
        verdict = reconcile.judge(known)
        assert verdict != "start"
        if alive or command_alive:
            assert verdict in ("adopt", "unattended")


def test_a_pid_that_came_round_again_is_somebody_else() -> None:
    me = identity.identify(os.getpid())
    assert me is not None
    assert identity.is_alive(me)
    for other in (
        me._replace(start_ticks=me.start_ticks + 1),
        me._replace(start_ticks=me.start_ticks - 1),
        me._replace(boot_id="of-another-time"),
    ):
        assert not identity.is_alive(other)
        assert not identity.send_signal(other, signal.SIGKILL)


def test_a_process_that_has_ended_but_was_not_reaped_is_not_alive() -> None:
    process = subprocess.Popen(["sleep", "1000"])
    found = identity.identify(process.pid)
    assert found is not None
    assert identity.send_signal(found, signal.SIGKILL)
    wait_until(lambda: (fields := identity.stat_fields(process.pid)) is not None and fields[0] == "Z")
    assert not identity.is_alive(found)
    assert not identity.send_signal(found, signal.SIGKILL)
    process.wait()
    assert not identity.is_alive(found)
    assert identity.identify(process.pid) != found


@pytest.mark.parametrize("name", ["a) b (c", ") Z 1 2 3", "sp ace\tand\ttab"])
def test_a_process_is_recognised_whatever_it_calls_itself(tmp_path: Path, name: str) -> None:
    program = tmp_path / name
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([str(program), "1000"]) as process:
        found = identity.identify(process.pid)
        assert found is not None
        assert identity.is_alive(found)
        fields = identity.stat_fields(process.pid)
        assert fields is not None
        assert int(fields[1]) == os.getpid()
        process.kill()


# The audit trail


def chain_of(path: Path) -> list[dict[str, Any]]:
    """The records of a command journal; fails where a line does not hold the hash of the line before it."""
    found: list[dict[str, Any]] = []
    previous = ""
    for line in path.read_bytes().split(b"\n"):
        body = journal.checked_body(line)
        if body is None:
            continue
        record = json.loads(body)
        assert record["previous"] == previous, record
        previous = blake3(line).hexdigest()
        found.append(record)
    return found


def test_every_line_of_the_command_journal_holds_the_hash_of_the_line_before_it(tmp_path: Path) -> None:
    for life in range(3):
        commands = CommandJournal(str(tmp_path))
        for number in range(4):
            commands.append("tester", "run", life=life, number=number, argv=["é", "\udcff", "a\nb"])
        commands.close()
    found = chain_of(tmp_path / "commands.jsonl")
    assert [(record["life"], record["number"]) for record in found] == [(a, b) for a in range(3) for b in range(4)]


def test_the_chain_of_the_command_journal_holds_after_a_line_was_torn_at_any_byte(tmp_path: Path) -> None:
    path = tmp_path / "commands.jsonl"
    commands = CommandJournal(str(tmp_path))
    commands.append("tester", "run", number=0)
    first_size = path.stat().st_size
    commands.append("tester", "run", number=1)
    commands.close()
    whole = path.read_bytes()
    broken = []
    for size in range(first_size, len(whole) + 1):
        path.write_bytes(whole[:size])
        commands = CommandJournal(str(tmp_path))
        commands.append("tester", "stop", number=2)
        commands.close()
        try:
            numbers = [record["number"] for record in chain_of(path)]
        except AssertionError:
            broken.append(len(whole) - size)
        else:
            assert numbers in ([0, 2], [0, 1, 2])
    assert broken == [], "bytes that the last line lacked"


def test_what_people_ask_for_is_in_the_command_journal_across_lives_of_the_daemon(home: Home) -> None:
    run_id, _, _ = sleeping_run(home)
    home.kill_daemon()
    home.client().status()  # a request to stop is never repeated by itself: the new daemon must be there
    home.client().stop(run_id, "ana")
    home.wait_ended(run_id)
    found = chain_of(Path(home.path) / "commands.jsonl")
    assert [(record["action"], record["actor"], record["run"]) for record in found] == [
        ("run", "tester", run_id),
        ("stop", "ana", run_id),
    ]
