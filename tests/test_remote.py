"""The daemon of another host through ssh: a stand-in for ssh, and the real one where there is an sshd."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from console import client, remote
from console.client import ClientError
from tests.support import FOOTPLATE, Home, wait_until
from tests.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator


class Box:
    """A second state directory, reached by a program called ssh."""

    def __init__(self, home: Home, folder: Path) -> None:
        self.there = home
        self.log = folder / "ssh.log"
        self.log.touch()
        programs = folder / "bin"
        programs.mkdir()
        (programs / "ssh").write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).parent}/fake_ssh.py "$@"\n')
        (programs / "ssh").chmod(0o755)
        self.here = Home(folder / "here")
        self.environment = self.here.environment(
            PATH=f"{programs}:{os.path.dirname(FOOTPLATE)}:/usr/bin:/bin",
            FAKE_SSH_HOME=home.path,
            FAKE_SSH_LOG=str(self.log),
            TERM="xterm-256color",
        )

    def footplate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the person who sits elsewhere."""
        return self.here.footplate(*arguments, check=False, env=self.environment)

    def forwards(self) -> list[int]:
        """The processes that forward."""
        found = subprocess.run(
            ["pgrep", "-f", f"fake_ssh.py.*-L.*{self.there.path}"], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in found.stdout.split()]


@pytest.fixture
def box(home: Home, tmp_path: Path) -> Iterator[Box]:
    """It ends with the test, and nothing of ours may have started a daemon here."""
    made = Box(home, tmp_path)
    yield made
    client.elsewhere = None
    assert made.here.daemon_pid() is None


def test_commands_speak_to_the_daemon_there(box: Box) -> None:
    done = box.footplate("--host", "box", "ps", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == []
    assert box.there.daemon_pid() is not None  # it was started there
    run_id = box.there.python("print('hello'); import time; time.sleep(60)")
    assert "python" in box.footplate("ps", "--host=box").stdout
    assert box.footplate("--host", "box", "note", run_id, "from", "afar").returncode == 0
    assert box.there.client().run(run_id).notes[0].text == "from afar"
    assert box.footplate("--host", "box", "diff", run_id, run_id).stderr.find("on the box itself") < 0
    assert box.footplate("--host", "box", "stop", run_id).returncode == 0
    assert "hello" in box.footplate("--host", "box", "logs", run_id).stdout
    assert '"runs"' in box.footplate("--host", "box", "export", "--json").stdout
    asked = box.log.read_text().splitlines()
    assert any("ExitOnForwardFailure=yes" in line and f"{box.there.path}/daemon.sock box" in line for line in asked)
    assert any("ControlPersist=60" in line for line in asked)  # one password is enough
    assert all("BatchMode=yes" in line for line in asked if "-G" not in line)  # nobody is there to type one
    assert box.forwards() == []


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("gone", "ssh cannot reach gone: ssh: Could not resolve hostname gone"),
        ("bare", "bare has no footplate"),
        ("old", "footplate 0.0.1 on old is older than this one"),
        ("new", "footplate 99.0 on new is newer than this one"),
        ("strict", "the socket of strict cannot be forwarded: Error: remote port forwarding failed"),
        ("-oProxyCommand=x", "is no host"),
        ("", "is no host"),
    ],
)
def test_what_stands_in_the_way_is_one_sentence(box: Box, host: str, words: str) -> None:
    done = box.footplate(f"--host={host}", "ps")
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2


def test_a_login_shell_that_greets_does_no_harm(box: Box) -> None:
    done = box.footplate("--host", "chatty", "ps")
    assert done.returncode == 0, done.stderr


def test_without_ssh_it_says_so(box: Box, tmp_path: Path) -> None:
    empty = tmp_path / "none"
    empty.mkdir()
    done = box.here.footplate("--host", "box", "ps", check=False, env=box.environment | {"PATH": str(empty)})
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1,
        "footplate: there is no `ssh` in PATH, and --host goes through it",
    )


def test_what_ssh_says_of_its_configuration_need_not_be_utf_8(box: Box) -> None:
    done = box.footplate("--host", os.fsdecode(b"b\xff"), "ps")
    assert done.returncode == 0, done.stderr


def test_what_needs_the_box_itself_is_not_sent(box: Box) -> None:
    done = box.footplate("--host", "box", "run", "--", "true")
    assert done.returncode == 2
    assert "`footplate run` works on the box itself" in done.stderr
    with pytest.raises(ClientError, match="on the box itself"):
        remote.without_shell({"environment": {}})


def test_paths_that_ssh_cannot_forward_are_named() -> None:
    said = json.dumps({"socket": "/home/a:b/daemon.sock", "version": "0.1.0", "protocol": 1})
    with pytest.raises(ClientError, match="cannot forward the socket"):
        remote.there_of("box", said, "")
    with pytest.raises(ClientError, match="did not start: no space"):
        remote.there_of("box", "", "no space left")


@pytest.mark.parametrize(
    ("argv", "rest", "host"),
    [
        (["--host", "b", "ps"], ["ps"], "b"),
        (["ps", "--host=b", "--json"], ["ps", "--json"], "b"),
        (["run", "--", "x", "--host", "b"], ["run", "--", "x", "--host", "b"], None),
        (["--host"], [], ""),
    ],
)
def test_where_the_host_may_stand(argv: list[str], rest: list[str], host: str | None) -> None:
    assert remote.take_host(argv) == (rest, host)


def test_the_console_follows_a_connection_that_drops(box: Box) -> None:
    box.there.python("import time; time.sleep(60)", name="far-away")
    terminal = Terminal([FOOTPLATE, "--host", "box"], box.environment)
    cut = Path(f"{box.log}.cut")
    try:
        terminal.read_until(lambda seen: seen.shows("far-away") and seen.shows("live"))
        cut.touch()  # no way there, and the way that was there is gone
        [forward] = box.forwards()
        os.kill(forward, 9)
        terminal.read_until(lambda seen: seen.shows("reconnecting"))
        assert terminal.shows("far-away")
        cut.unlink()
        terminal.read_until(lambda seen: seen.shows("live"))
        terminal.type("q")
        assert terminal.wait() == 0
    finally:
        terminal.close()
    wait_until(lambda: not box.forwards())
    # What was left behind is that of the host, not of this machine.
    assert [name for name in os.listdir(box.here.path) if name.startswith("console-")] == ["console-box.json"]


def test_many_connections_at_once_are_no_reason_to_begin_anew(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in box.environment.items():
        monkeypatch.setenv(name, value)
    there = remote.Remote("box")
    try:
        there.open(ask=False)
        for _ in range(12):
            there.connect().close()
        assert len(box.forwards()) == 1
        assert box.log.read_text().count(" -L ") == 1
    finally:
        there.close()


def test_the_end_does_not_wait_for_a_host_that_says_nothing(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in box.environment.items():
        monkeypatch.setenv(name, value)
    there = remote.Remote("box")
    there.open(ask=False)
    Path(f"{box.log}.silent").touch()
    [forward] = box.forwards()
    os.kill(forward, 9)
    wait_until(lambda: not box.forwards())
    refused: list[str] = []

    def ask() -> None:
        with pytest.raises(ClientError) as error:
            there.connect()
        refused.append(error.value.message)

    asking = threading.Thread(target=ask)
    asking.start()
    wait_until(lambda: box.log.read_text().count(remote.START[:20]) == 2)
    there.close()
    asking.join()
    assert "is gone" in refused[0]
    assert "did not answer within" not in refused[0]


def test_a_daemon_that_ends_there_is_started_there(box: Box) -> None:
    assert box.footplate("--host", "box", "ps").returncode == 0
    first = box.there.daemon_pid()
    box.there.end_daemon()
    assert box.footplate("--host", "box", "ps").returncode == 0
    assert box.there.daemon_pid() not in (None, first)


def test_through_a_real_sshd(home: Home, tmp_path: Path) -> None:
    sshd = os.environ.get("FOOTPLATE_TEST_SSHD") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if not sshd or not shutil.which("ssh"):
        pytest.skip("OpenSSH's sshd is not installed")
    for name in ("host", "person"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    shutil.copy(tmp_path / "person.pub", tmp_path / "authorized_keys")
    variables = f'"FOOTPLATE_HOME={home.path}" PATH={os.path.dirname(FOOTPLATE)}:/usr/bin:/bin'
    (tmp_path / "sshd_config").write_text(
        f"HostKey {tmp_path}/host\nAuthorizedKeysFile {tmp_path}/authorized_keys\nStrictModes no\nUsePAM no\n"
        f"PidFile none\nSetEnv {variables}\n"
    )
    # Inetd mode behind ProxyCommand: no port is opened.
    options = (
        f"ProxyCommand {sshd} -i -f {tmp_path}/sshd_config\nIdentityFile {tmp_path}/person\n"
        f"UserKnownHostsFile {tmp_path}/known\nStrictHostKeyChecking accept-new\n"
    )
    (tmp_path / "ssh_config").write_text(f"Host box\n{options}")
    programs = tmp_path / "bin"
    programs.mkdir()
    real = shutil.which("ssh")
    (programs / "ssh").write_text(f'#!/bin/sh\nexec {real} -F {tmp_path}/ssh_config "$@"\n')
    (programs / "ssh").chmod(0o755)
    tried = subprocess.run(
        [programs / "ssh", "-o", "BatchMode=yes", "box", "true"], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"sshd does not run as this user: {tried.stderr.strip()[-200:]}")
    here = Home(tmp_path / "here")
    environment = here.environment(PATH=f"{programs}:{os.environ['PATH']}")
    run_id = home.python("print('far')")
    home.wait_ended(run_id)
    done = here.footplate("--host", "box", "runs", "--json", env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert [row["id"] for row in json.loads(done.stdout)["rows"]] == [run_id]
