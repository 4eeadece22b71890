"""`footplate service` against stand-ins of systemctl and loginctl that note how they were called."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from console.cli import service
from tests.support import FOOTPLATE, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Home

SYSTEMCTL = """#!/bin/sh
echo "$@" >> "$SEEN"
case "$*" in
    "--user is-system-running") echo "${MANAGER:-running}"; [ "${MANAGER:-running}" = running ];;
    "--user is-active footplate.service") echo active;;
    "--user is-enabled footplate.service") echo enabled;;
    *) if [ -n "$FAILING" ]; then echo "Failed to do it: $FAILING" >&2; exit 1; fi;;
esac
"""
LOGINCTL = """#!/bin/sh
echo "${LINGER:-no}"
"""


class Manager:
    """A user manager that only takes notes."""

    def __init__(self, home: Home, folder: Path) -> None:
        self._home = home
        self.seen = folder / "seen"
        self.seen.touch()
        self.programs = folder / "programs"
        self.programs.mkdir()
        for name, text in (("systemctl", SYSTEMCTL), ("loginctl", LOGINCTL)):
            (self.programs / name).write_text(text)
            (self.programs / name).chmod(0o755)
        self.config = folder / "config"
        self.unit = self.config / "systemd" / "user" / "footplate.service"

    def footplate(self, *arguments: str, check: bool = True, **changes: str) -> subprocess.CompletedProcess[str]:
        """A command of a user with this manager."""
        environment = self._home.environment(
            PATH=f"{self.programs}:{os.environ['PATH']}", SEEN=str(self.seen), XDG_CONFIG_HOME=str(self.config)
        )
        return self._home.footplate("service", *arguments, check=check, env=environment | changes)

    def facts(self) -> dict[str, Any]:
        """What status says."""
        found: dict[str, Any] = json.loads(self.footplate("status", "--json").stdout)
        return found

    def orders(self) -> list[str]:
        """What it was told to do, questions left out."""
        lines = self.seen.read_text().splitlines()
        return [line.removeprefix("--user ") for line in lines if " is-" not in line]


@pytest.fixture
def manager(home: Home, tmp_path: Path) -> Manager:
    return Manager(home, tmp_path)


def setting(unit: str, name: str) -> str:
    """The one value of a setting."""
    (value,) = [line.partition("=")[2] for line in unit.splitlines() if line.startswith(f"{name}=")]
    return value


def test_install_writes_a_unit_that_leaves_runs_alone_and_starts_it(manager: Manager, home: Home) -> None:
    said = manager.footplate("install").stdout
    unit = manager.unit.read_text()
    assert shlex.split(setting(unit, "ExecStart")) == [FOOTPLATE, "daemon", "run"]
    assert os.path.isabs(FOOTPLATE)
    assert setting(unit, "KillMode") == "process"
    assert setting(unit, "Restart") == "on-failure"
    assert setting(unit, "Environment") == f"FOOTPLATE_HOME={home.path}"
    assert manager.orders() == ["daemon-reload", "enable --now footplate.service"]
    assert str(manager.unit) in said
    assert "linger is off" in said
    assert "loginctl enable-linger" in said
    found = manager.facts()
    assert (found["installed"], found["active"], found["enabled"]) == (True, "active", "enabled")
    assert not found["outdated"]


def test_what_the_unit_starts_is_the_daemon(manager: Manager, home: Home) -> None:
    manager.footplate("install")
    argv = shlex.split(setting(manager.unit.read_text(), "ExecStart"))
    with subprocess.Popen(argv, env=home.environment(), stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: home.daemon_pid() == process.pid)
        assert home.client().get("/ping")["pid"] == process.pid
        process.terminate()
    assert process.returncode == 0


def test_linger_that_is_on_needs_no_words_about_turning_it_on(manager: Manager) -> None:
    said = manager.footplate("install", LINGER="yes").stdout
    assert "linger is on" in said
    assert "enable-linger" not in said


def test_a_second_install_renews_the_unit_and_restarts(manager: Manager) -> None:
    manager.footplate("install")
    manager.unit.write_text(manager.unit.read_text().replace(FOOTPLATE, "/gone/bin/footplate"))
    assert manager.facts()["outdated"]
    manager.seen.write_text("")
    manager.footplate("install")
    assert FOOTPLATE in manager.unit.read_text()
    assert manager.orders() == ["daemon-reload", "enable --now footplate.service", "restart footplate.service"]


def test_remove_takes_away_what_install_made(manager: Manager) -> None:
    manager.footplate("install")
    manager.seen.write_text("")
    assert "removed" in manager.footplate("remove").stdout
    assert not manager.unit.exists()
    assert manager.orders() == ["disable --now footplate.service", "daemon-reload"]
    assert "no service" in manager.footplate("remove").stdout
    assert manager.facts()["installed"] is False


@pytest.mark.parametrize("what", ["install", "remove"])
def test_a_unit_of_somebody_else_is_never_touched(manager: Manager, what: str) -> None:
    manager.unit.parent.mkdir(parents=True)
    manager.unit.write_text("[Service]\nExecStart=/usr/bin/something\n")
    done = manager.footplate(what, check=False)
    assert done.returncode == 1
    assert "not written by footplate" in done.stderr
    assert manager.unit.read_text() == "[Service]\nExecStart=/usr/bin/something\n"
    assert manager.orders() == []
    assert manager.facts()["foreign_unit"]


@pytest.mark.parametrize("manager_says", ["offline", "unknown", ""])
def test_without_a_user_manager_there_is_a_line_for_the_crontab(
    manager: Manager, home: Home, manager_says: str
) -> None:
    said = manager.footplate("install", MANAGER=manager_says or "offline").stdout
    (line,) = [line for line in said.splitlines() if line.startswith("@reboot ")]
    assert not manager.unit.exists()
    assert manager.orders() == []
    assert line in manager.footplate("status", MANAGER="offline").stdout
    # As cron does it: a shell, hardly any environment.
    subprocess.run(["sh", "-c", line.removeprefix("@reboot ")], env={"PATH": "/usr/bin:/bin"}, check=True)
    assert home.daemon_pid() is not None


def test_a_machine_without_systemd_gets_the_same_line(manager: Manager, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "@reboot" in manager.footplate("install", PATH=str(empty)).stdout


def test_what_systemctl_says_when_it_fails_is_passed_on(manager: Manager) -> None:
    done = manager.footplate("install", check=False, FAILING="no such luck")
    assert done.returncode == 1
    assert "no such luck" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_itself_finds_no_fault_in_the_unit(manager: Manager) -> None:
    manager.footplate("install")
    verify = ["systemd-analyze", "--user", "verify", str(manager.unit)]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    about_ours = [line for line in done.stderr.splitlines() if "footplate" in line]
    assert about_ours == []


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("/usr/bin/footplate", "/usr/bin/footplate"),
        ("/home/ana b/footplate", '"/home/ana b/footplate"'),
        ("/x/100%/$HOME", '"/x/100%%/$$HOME"'),
        ('/x/"y"\\z', '"/x/\\"y\\"\\\\z"'),
    ],
)
def test_odd_paths_are_quoted_as_systemd_reads_them(word: str, written: str) -> None:
    assert service.unit_word(word) == written


def test_a_percent_sign_does_not_end_the_line_of_a_crontab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTPLATE_HOME", "/x/100%/state")
    assert "FOOTPLATE_HOME=/x/100\\%/state " in service.crontab_line()
