"""From start to stop to hand-over: whoever starts it, ends it or replaces it, no run is touched."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from console import client as client_module
from console import daemon_process
from console.client import Client, DaemonUnavailable
from console.version import VERSION, is_newer, release_of
from store import identity, paths
from tests.daemons import ask_at_once
from tests.support import FOOTPLATE, Home, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent


def status_of(home: Home) -> dict[str, Any]:
    done = home.footplate("daemon", "status", "--json", check=False)
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if found["running"] else 1)
    return found


def running(home: Home, *argv: str) -> tuple[str, int]:
    """Id of a run that lives, and the pid of its command."""
    run_id = home.submit(*(argv or ("sleep", "1000")))
    detail = home.wait_run(run_id, lambda detail: detail.row.state == "running" and detail.pid is not None)
    assert detail.pid is not None
    return run_id, detail.pid


# start, status, stop, run


def test_status_starts_and_removes_nothing(home: Home) -> None:
    assert status_of(home)["running"] is False
    assert not os.path.exists(home.path)
    home.footplate("daemon", "stop")
    found = status_of(home)
    assert (found["running"], found["stopped"]["actor"], found["failing"]) == (False, getpass.getuser(), None)
    assert os.path.exists(paths.stopped_path(home.path))
    assert "stopped" in home.footplate("daemon", "status", check=False).stdout


def test_start_stop_and_what_status_says(home: Home) -> None:
    assert "the daemon runs, pid" in home.footplate("daemon", "start").stdout
    assert "already" in home.footplate("daemon", "start").stdout
    run_id, pid = running(home)
    home.client().close()
    found = status_of(home)
    assert found["pid"] == home.daemon_pid()
    assert (found["version"], found["live_count"], found["state_dir"]) == (VERSION, 1, home.path)
    assert (found["socket"], found["stopped"], found["notice"]) == (f"{home.path}/daemon.sock", None, "")
    assert found["uptime_s"] > 0
    said = home.footplate("daemon", "status").stdout
    assert f"pid      {found['pid']}\n" in said
    stopped = home.footplate("daemon", "stop").stdout
    assert f"pid {found['pid']}" in stopped
    assert not home.is_locked()
    assert not os.path.exists(f"{home.path}/index.duckdb.wal")
    last_words = Path(f"{home.path}/daemon.log").read_text(encoding="utf-8").splitlines()[-1]
    assert last_words.endswith("told to end: leaving, runs go on"), "nothing of what modules say that are taken down"
    note = json.loads(Path(paths.stopped_path(home.path)).read_text())
    assert note["format"] == 1
    assert note["actor"]
    assert abs(note["at_s"] - time.time()) < 600
    # The run neither ended nor was it lost, and the next command brings the daemon back.
    assert identity.identify(pid) is not None
    assert run_id in home.footplate("ps", "--json").stdout
    assert not os.path.exists(paths.stopped_path(home.path))


def test_stop_without_a_daemon_leaves_the_note_all_the_same(home: Home) -> None:
    assert "no daemon was running" in home.footplate("daemon", "stop").stdout
    assert os.path.exists(paths.stopped_path(home.path))
    home.footplate("daemon", "start")
    assert not os.path.exists(paths.stopped_path(home.path))


def test_start_clears_the_note_of_supervisors_that_gave_up(home: Home) -> None:
    paths.ensure_state_dir(home.path)
    Path(paths.failing_path(home.path)).write_text('{"format": 1}')
    assert status_of(home)["failing"] == {"format": 1}
    home.footplate("daemon", "start")
    assert status_of(home)["failing"] is None


def test_a_console_that_is_open_does_not_bring_back_what_was_stopped(home: Home) -> None:
    client = home.client()
    client.status()
    home.footplate("daemon", "stop")
    for _ in range(3):
        with pytest.raises(DaemonUnavailable, match="was stopped by") as caught:
            client.status()
        assert "footplate daemon start" in caught.value.hint
    assert not home.is_locked()
    home.footplate("ps")
    assert client.status().version == VERSION


def test_a_lock_that_cannot_be_seen_through_is_one_sentence(home: Home) -> None:
    import fcntl

    paths.ensure_state_dir(home.path)
    with open(paths.lock_path(home.path), "w", encoding="utf-8") as lock:
        json.dump({"pid": 2**22 - 3, "boot_id": "another", "start_ticks": 1, "host": "gpu-07"}, lock)
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = home.footplate("daemon", "stop", check=False)
    assert done.returncode == 1
    assert "gpu-07" in done.stderr
    assert "Traceback" not in done.stderr


@contextlib.contextmanager
def foreground(home: Home) -> Iterator[subprocess.Popen[str]]:
    """`footplate daemon run` as a service manager starts it."""
    with subprocess.Popen(
        [FOOTPLATE, "daemon", "run"],
        env=home.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()


def test_run_stays_in_the_foreground_speaks_on_stderr_and_ends_well_at_a_term(home: Home) -> None:
    with foreground(home) as process:
        wait_until(lambda: home.daemon_pid() == process.pid)
        _, pid = running(home)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate()
        assert process.returncode == 0
    assert "told to end" in said
    assert identity.identify(pid) is not None


def test_run_takes_over_from_the_daemon_that_a_client_started(home: Home) -> None:
    _, pid = running(home)
    before = home.daemon_pid()
    with foreground(home) as process:
        wait_until(lambda: home.daemon_pid() == process.pid)
        assert process.pid != before
        assert home.client().get("/ping")["pid"] == process.pid
        assert identity.identify(pid) is not None


def test_the_daemon_has_no_mark_of_the_run_that_started_it(home: Home) -> None:
    marks = {f"FOOTPLATE_{name}": "1" for name in daemon_process.OF_A_RUN}
    home.footplate("ps", env=home.environment(**marks))
    environment = Path(f"/proc/{home.daemon_pid()}/environ").read_bytes().split(b"\0")
    names = {line.partition(b"=")[0].decode() for line in environment}
    assert not names & marks.keys()
    assert b"FOOTPLATE_PROCESS=daemon" in environment


def test_a_run_that_asks_for_the_daemon_can_end_while_that_daemon_stays(home: Home, tmp_path: Path) -> None:
    script = f'while [ ! -e "{tmp_path}/go" ]; do sleep 0.05; done; "{FOOTPLATE}" ps; exit 3'
    run_id = home.submit("sh", "-c", script)
    home.wait_run(run_id, lambda detail: detail.row.state == "running")
    home.end_daemon()
    Path(paths.stopped_path(home.path)).write_text("{}")  # so that nobody but the run's own command starts one
    (tmp_path / "go").touch()
    wait_until(home.is_locked)
    pid = wait_until(home.daemon_pid)
    row = home.wait_ended(run_id).row
    assert (row.state, row.exit_code) == ("failed", 3)
    assert home.daemon_pid() == pid


# Versions and hand-over


def test_the_version_is_that_of_the_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION


@pytest.mark.parametrize(
    ("one", "other"),
    [("0.10.0", "0.9.3"), ("1.0", "0.99.99"), ("1.0.1", "1.0"), ("2.0rc1", "1.9"), ("v1.2", "1.1"), ("0.1", "0.0.0")],
)
def test_a_later_release_is_newer(one: str, other: str) -> None:
    assert is_newer(one, other)
    assert not is_newer(other, one)


@pytest.mark.parametrize(("one", "other"), [("1.0", "1.0.0"), ("1.0rc1", "1.0"), ("", "1.0"), ("1.0", ""), ("x", "y")])
def test_neither_is_newer(one: str, other: str) -> None:
    assert not is_newer(one, other)
    assert not is_newer(other, one)


def test_the_release_of_a_version() -> None:
    assert release_of("1.20.0.dev3+local") == (1, 20)


def installation(folder: Path, version: str) -> Path:
    """footplate as another version, installed apart: returns its Python."""
    tree = folder / "tree"
    for package in ("console", "store"):
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__", "sample_projects"))
    module = tree / "console" / "version.py"
    module.write_text(module.read_text().replace(f'"{VERSION}"', f'"{version}"'))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "env")], check=True)
    library = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = Path(sys.prefix) / "lib" / library / "site-packages"
    own = folder / "env" / "lib" / library / "site-packages"
    (own / "footplate.pth").write_text(f"{tree}\n{packages}\n")
    return folder / "env" / "bin" / "python"


def command(home: Home, python: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run `footplate` of another installation."""
    argv = [str(python), "-I", "-m", "console", *arguments]
    return subprocess.run(
        argv, env=home.environment(), check=check, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installation(tmp_path_factory.mktemp("newer"), "99.0.1")


def test_a_newer_client_replaces_the_daemon_and_an_older_one_talks_to_it(home: Home, newer: Path) -> None:
    run_id, pid = running(home)
    old_daemon = home.daemon_pid()
    home.client().close()
    assert run_id in command(home, newer, "ps", "--json").stdout
    found = status_of(home)
    assert (found["version"], found["pid"] != old_daemon) == ("99.0.1", True)
    assert json.loads(Path(f"{home.path}/daemon.json").read_text())["version"] == "99.0.1"
    # The run was neither ended nor started again, and its daemon-to-be is the newer one.
    detail = home.client().run(run_id)
    assert (detail.row.state, detail.pid) == ("running", pid)
    assert home.daemon_pid() == found["pid"]
    assert not os.path.exists(paths.stopped_path(home.path))
    # An older client only talks, also when it writes.
    home.footplate("stop", run_id)
    assert status_of(home)["pid"] == found["pid"]


def test_the_newest_installed_version_is_started_by_whoever_needs_a_daemon(home: Home, newer: Path) -> None:
    command(home, newer, "ps")
    home.end_daemon()
    home.footplate("ps")
    assert status_of(home)["version"] == "99.0.1"
    # A daemon of an older version that is started by hand leaves the note alone.
    home.end_daemon()
    with foreground(home) as process:
        wait_until(lambda: home.daemon_pid() == process.pid)
        assert home.client().get("/ping")["version"] == VERSION
    assert json.loads(Path(f"{home.path}/daemon.json").read_text())["version"] == "99.0.1"


def test_a_newer_version_that_is_gone_is_not_started(home: Home, tmp_path: Path) -> None:
    command(home, installation(tmp_path / "gone", "99.0.1"), "ps")
    home.end_daemon()
    shutil.rmtree(tmp_path / "gone" / "tree")
    home.footplate("ps")
    assert status_of(home)["version"] == VERSION
    assert json.loads(Path(f"{home.path}/daemon.json").read_text())["version"] == VERSION


def test_a_client_replaces_a_daemon_once_in_its_life_even_when_the_next_one_is_no_newer(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_handed_over", False)
    monkeypatch.setattr(client_module, "VERSION", "99.0.2")
    first = home.client().get("/ping")["pid"]
    second = home.client().get("/ping")["pid"]
    assert second != first
    assert [home.client().get("/ping")["pid"] for _ in range(3)] == [second] * 3


def test_a_route_that_an_older_daemon_does_not_know_is_asked_again_at_the_newer_one(home: Home, newer: Path) -> None:
    home.client().status()
    app = newer.parent.parent.parent / "tree" / "console" / "daemon" / "app.py"
    routes = app.read_text()
    try:
        app.write_text(routes.replace('Route("/daemon", ', 'Route("/daemon-of-tomorrow", '))
        code = "from console.client import Client; print(Client().get('/daemon-of-tomorrow')['version'])"
        argv = [str(newer), "-I", "-c", code]
        done = subprocess.run(argv, env=home.environment(), check=True, capture_output=True, text=True)
    finally:
        app.write_text(routes)
    assert done.stdout == "99.0.1\n"


def test_twelve_newer_clients_at_once_leave_one_newer_daemon(home: Home, newer: Path) -> None:
    run_id, pid = running(home)
    answers = ask_at_once(home, 12, [str(newer), "-I", "-m", "console", "ps", "--json"])
    assert all(run_id in answer for answer in answers)
    assert status_of(home)["version"] == "99.0.1"
    detail = home.client().run(run_id)
    assert (detail.row.state, detail.pid) == ("running", pid)


def test_the_console_without_a_start_of_its_own_does_not_replace(home: Home) -> None:
    home.client().status()
    client = Client(start_daemon=False)
    assert client.get("/daemon")["version"] == VERSION
    client.close()


def test_the_client_does_not_pay_for_its_version() -> None:
    code = "import console.client, console.__main__, sys; print('importlib.metadata' in sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
