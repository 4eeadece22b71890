"""The doctor against built places, machines and terminals, and as a command."""

from __future__ import annotations

import json
import os
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from console import config_edit
from console.devices import Devices, Gpu
from console.doctor import bundle, machine, places, screen, staying
from console.tui.terminal_answer import Answer
from tests.support import FOOTPLATE
from tests.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from console.doctor.finding import Finding
    from tests.support import Home

SERVICE = {"manager_answers": True, "linger": True, "installed": True, "outdated": False, "active": "active"}
NO_GPUS = Devices(None, 1.0, (), None, None, None, None, "", (), (), "no NVIDIA driver: it is not there", None, None)


def put(root: Path, path: str, text: str = "") -> None:
    """A file below a root."""
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def verdicts(findings: list[Finding]) -> dict[str, str]:
    """By name of the check."""
    return {each.name: each.verdict for each in findings}


def test_where_systemd_does_not_run_nothing_ends_processes_at_logout(tmp_path: Path) -> None:
    found = staying.checks({**SERVICE, "installed": False, "manager_answers": False}, "ana", str(tmp_path))
    assert verdicts(found) == {"logout": "ok", "service": "warn"}
    assert "crontab" in found[1].advice


@pytest.mark.parametrize(
    ("service", "logind", "expected"),
    [
        ({}, "", {"user manager": "ok", "linger": "ok", "logout": "ok", "service": "ok"}),
        ({}, "KillUserProcesses=yes", {"user manager": "ok", "linger": "ok", "logout": "ok", "service": "ok"}),
        (
            {"linger": False, "installed": False},
            "[Login]\nKillUserProcesses = yes\n",
            {"user manager": "ok", "linger": "warn", "logout": "fail", "service": "warn"},
        ),
        (
            {"linger": None, "manager_answers": False},
            "#KillUserProcesses=yes",
            {"user manager": "warn", "linger": "warn", "logout": "ok", "service": "ok"},
        ),
        ({"outdated": True}, "", {"user manager": "ok", "linger": "ok", "logout": "ok", "service": "warn"}),
        ({"active": "failed"}, "", {"user manager": "ok", "linger": "ok", "logout": "ok", "service": "warn"}),
    ],
)
def test_staying_after_logout(tmp_path: Path, service: dict[str, Any], logind: str, expected: dict[str, str]) -> None:
    put(tmp_path, "/run/systemd/system/x")
    put(tmp_path, "/etc/systemd/logind.conf", logind)
    found = staying.checks({**SERVICE, **service}, "ana", str(tmp_path))
    assert verdicts(found) == expected
    assert all(each.advice for each in found if each.verdict != "ok")


def test_drop_ins_of_logind_overrule_and_exclude(tmp_path: Path) -> None:
    root = str(tmp_path)
    put(tmp_path, "/etc/systemd/logind.conf", "KillUserProcesses=no")
    put(tmp_path, "/usr/lib/systemd/logind.conf.d/50-kill.conf", "KillUserProcesses=yes\nKillExcludeUsers=root ana")
    assert staying.kills_at_logout("bob", root) == (True, "/usr/lib/systemd/logind.conf.d/50-kill.conf")
    assert staying.kills_at_logout("ana", root)[0] is False
    put(tmp_path, "/etc/systemd/logind.conf.d/50-kill.conf", "KillUserProcesses=no")  # hides the other of its name
    assert staying.kills_at_logout("bob", root)[0] is False
    put(tmp_path, "/run/systemd/logind.conf.d/60.conf", "KillUserProcesses=1\nKillOnlyUsers=eve")
    assert (staying.kills_at_logout("eve", root)[0], staying.kills_at_logout("bob", root)[0]) == (True, False)


def test_cleaners_of_the_folders_that_are_ours(tmp_path: Path) -> None:
    root, folder = str(tmp_path), "/var/tmp/footplate-1000-ab"
    put(tmp_path, "/usr/lib/tmpfiles.d/tmp.conf", "# x\nq /tmp 1777 root root 10d\nq /var/tmp 1777 root root 30d\n")
    found = places.of_cleaners(["/home/ana/.local/state/footplate", folder], root)
    assert found.verdict == "warn"
    assert "30d is deleted below /var/tmp" in found.found
    assert f"x {folder}" in found.advice
    assert places.of_cleaners(["/home/ana/state"], root).verdict == "ok"
    put(tmp_path, "/etc/tmpfiles.d/footplate.conf", f"x {folder}\n")
    assert places.of_cleaners([folder], root).verdict == "ok"
    put(tmp_path, "/etc/tmpfiles.d/footplate.conf", "x /var/tmp/footplate-*\n")
    assert places.of_cleaners([folder], root).verdict == "ok"
    put(tmp_path, "/etc/tmpfiles.d/footplate.conf", "")
    put(tmp_path, "/etc/tmpfiles.d/tmp.conf", "q /var/tmp 1777 root root -\n")  # in place of the vendor's
    assert places.of_cleaners([folder], root).verdict == "ok"


def test_permissions_and_places(tmp_path: Path) -> None:
    home, config = tmp_path / "state", tmp_path / "config"
    assert places.of_home(str(home)).verdict == "ok"
    home.mkdir(mode=0o700)
    config.mkdir(mode=0o700)
    assert places.of_permissions(str(home), str(config)).verdict == "ok"
    (home / "daemon.log").write_text("", encoding="utf-8")
    (home / "daemon.log").chmod(0o644)
    found = places.of_permissions(str(home), str(config))
    assert (found.verdict, "has mode 0644" in found.found) == ("warn", True)
    (home / "daemon.log").chmod(0o600)
    (config / "config.toml").write_text("", encoding="utf-8")
    (config / "config.toml").chmod(0o666)
    assert "others may write" in places.of_permissions(str(home), str(config)).found
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert places.of_home(str(tmp_path / "file")).verdict == "fail"
    assert places.of_room(str(home)).found.startswith(f"{home}: ")


def test_the_machine(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert machine.of_watches(None, root).found.startswith("n/a")
    put(tmp_path, "/proc/sys/fs/inotify/max_user_watches", "8192\n")
    put(tmp_path, "/proc/sys/fs/inotify/max_user_instances", "128\n")
    put(tmp_path, "/proc/7/fdinfo/3", "pos:\t0\ninotify wd:1 ino:2\ninotify wd:2 ino:3\n")
    found = machine.of_watches(7, root)
    assert (found.verdict, found.found) == ("warn", "2 of 8192 watches taken by the daemon, 128 instances allowed")
    assert machine.of_gomp({}, root).verdict == "warn"
    put(tmp_path, "/opt/lib/libgomp.so.1")
    put(tmp_path, "/etc/ld.so.cache", "glibc\0libgomp.so.1\0/opt/lib/libgomp.so.1\0")
    assert machine.of_gomp({}, root).found == "/opt/lib/libgomp.so.1"
    assert machine.of_gpus(None, {}, root).found.startswith("n/a: no NVIDIA driver")
    put(tmp_path, "/usr/lib64/libnvidia-ml.so.1")
    assert "/usr/lib64/libnvidia-ml.so.1 is there" in machine.of_gpus(None, {}, root).found


def test_gpus_as_the_daemon_measures_them() -> None:
    card = Gpu(0, "GPU-1", "H100")
    assert machine.of_gpus(NO_GPUS, {}).verdict == "ok"
    assert machine.of_gpus(NO_GPUS._replace(gpu_reason="the driver is too old"), {}).verdict == "warn"
    assert machine.of_gpus(NO_GPUS._replace(gpus=(card,)), {}).found == "1 measured by NVML"
    assert machine.of_gpus(NO_GPUS._replace(gpus=(card._replace(problem="fell off the bus"),)), {}).verdict == "warn"
    assert machine.of_gpus(NO_GPUS._replace(stalled_s=40.0), {}).verdict == "warn"


def test_the_clock() -> None:
    assert machine.of_clock({"uptime_s": 100.0}, 1100.0, 1000.0, "yes").found == "synchronized"
    stepped = machine.of_clock({"uptime_s": 100.0}, 4700.0, 1000.0, "yes")
    assert (stepped.verdict, "3600 s on" in stepped.found) == ("warn", True)
    assert "60 s back" in machine.of_clock({"uptime_s": 100.0}, 1040.0, 1000.0, "").found
    assert machine.of_clock(None, 1.0, None, "no").verdict == "warn"


def test_daemons_of_other_versions() -> None:
    notes: dict[str, Any] = {"stopped": None, "failing": None}
    assert machine.of_daemon(None, notes, "1.0", "").verdict == "ok"
    assert machine.of_daemon({"version": "0.9", "pid": 1}, notes, "1.0", "").advice == "any command replaces it"
    assert machine.of_daemon({"version": "2.0", "pid": 1}, notes, "1.0", "").advice == "upgrade this footplate"
    dying = machine.of_daemon(None, {**notes, "failing": {}}, "1.0", "no space left")
    assert (dying.verdict, "no space left" in dying.found) == ("fail", True)


def test_terminals() -> None:
    assert screen.of_terminal({"TERM": "dumb"}).verdict == "fail"
    assert screen.of_terminal({"TERM": "vt100"}).verdict == "warn"
    assert screen.of_terminal({"TERM": "xterm-256color"}).found == "xterm-256color, 256 colours"
    assert "5 KiB/s" in screen.of_answer(Answer(1, 0.3), has_terminal=True).found
    assert screen.of_answer(None, has_terminal=False).found.startswith("n/a")
    utf8, plain = {"TERM": "xterm", "LANG": "C.UTF-8"}, {"TERM": "xterm", "LC_ALL": "C"}
    assert screen.of_glyphs(utf8, Answer(len(screen.SAMPLE) + 1, 0.0)).verdict == "ok"
    assert screen.of_glyphs(utf8, Answer(3 * len(screen.SAMPLE) + 1, 0.0)).verdict == "warn"
    assert screen.of_glyphs(plain, Answer(len(screen.SAMPLE) + 1, 0.0)).verdict == "warn"
    assert screen.of_glyphs(utf8, None).verdict == "ok"
    held = screen.of_tmux({"escape-time": "500", "set-clipboard": "off"}.__getitem__)
    assert held.advice == "in ~/.tmux.conf: set -sg escape-time 10; set -g set-clipboard on"
    assert screen.of_tmux({"escape-time": "10", "set-clipboard": "external"}.__getitem__).verdict == "ok"


def test_the_command_says_all_starts_nothing_and_ends_with_what_it_found(home: Home) -> None:
    done = home.footplate("doctor", "--json", check=False)
    checks = {each["name"]: each for each in json.loads(done.stdout)["checks"]}
    assert {"state", "permissions", "disk", "daemon", "logout", "glyphs", "gpus", "openmp", "clock"} <= set(checks)
    assert done.returncode == int(any(each["verdict"] == "fail" for each in checks.values()))
    assert home.daemon_pid() is None
    assert "not running" in checks["daemon"]["found"]
    told = home.footplate("doctor", env=home.environment(TERM="dumb"), check=False)
    assert told.returncode == 1
    assert "export TERM=xterm-256color" in told.stdout
    assert "to repair" in told.stdout.splitlines()[-1]
    home.client().status()
    seen = {each["name"]: each for each in json.loads(home.footplate("doctor", "--json", check=False).stdout)["checks"]}
    assert f"pid {home.daemon_pid()}" in seen["daemon"]["found"]


def test_a_bundle_has_no_secrets_and_no_names(home: Home, tmp_path: Path) -> None:
    home.client().status()
    person = tmp_path / "ana"
    (person / "config" / "footplate").mkdir(parents=True)
    (person / "config/footplate/config.toml").write_text('# token = "hf_abcdefghijklmnopqrstuvwxyz012345"\n', "utf-8")
    with open(os.path.join(home.path, "daemon.log"), "a", encoding="utf-8") as log:
        log.write(f"from 10.1.2.3: {person}/x password=hunter2hunter2 on {os.uname().nodename}\n")
        log.write("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n")
        log.write("from 2001:db8::17 at 12:34:56\n")
    environment = home.environment(
        HOME=str(person), XDG_CONFIG_HOME=str(person / "config"), WANDB_API_KEY="0123abcd" * 5
    )
    target = tmp_path / "report.tar.gz"
    home.footplate("doctor", "--bundle", str(target), env=environment, check=False)
    assert os.stat(target).st_mode & 0o777 == 0o600
    with tarfile.open(target) as packed:
        texts = {each.name: packed.extractfile(each).read().decode() for each in packed}  # type: ignore[union-attr]
    everything = "\n".join(texts.values())
    for secret in ("hf_abcdef", "hunter2", "0123abcd", "10.1.2.3", str(person), "WANDB", "b3BlbnNz", "2001:db8"):
        assert secret not in everything, secret
    assert "from ADDRESS: ~/x password=*** on HOST" in texts["footplate-doctor/daemon.log"]
    assert "from ADDRESS at 12:34:56" in texts["footplate-doctor/daemon.log"]
    assert json.loads(texts["footplate-doctor/doctor.json"])["checks"]
    assert set(texts) == {
        f"footplate-doctor/{name}"
        for name in ("README.txt", "doctor.json", "environment.json", "daemon.json", "daemon.log", "config.toml")
    }
    again = home.footplate("doctor", "--bundle", str(target), env=environment, check=False)
    assert (again.returncode, "is there already" in again.stderr) == (1, True)


def test_a_long_log_is_cut_at_a_line(tmp_path: Path) -> None:
    path = tmp_path / "daemon.log"
    path.write_text("".join(f"line {number}\n" for number in range(60_000)), encoding="utf-8")
    text = bundle.tail(str(path))
    assert text is not None
    assert len(text) <= bundle.LOG_TAIL_BYTES
    assert text.startswith("line ")
    assert text.endswith("line 59999\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", 'glyphs = "ascii"\n'),
        ('theme = "terminal"', 'theme = "terminal"\nglyphs = "ascii"\n'),
        ('glyphs = "auto"  # mine\nmouse = true\n', 'glyphs = "ascii"  # mine\nmouse = true\n'),
        ('# c\n[hosts]\nglyphs = "x"\n', '# c\nglyphs = "ascii"\n\n[hosts]\nglyphs = "x"\n'),
    ],
)
def test_one_key_is_set_and_the_rest_stays(before: str, after: str) -> None:
    assert config_edit.with_key(before, "glyphs", "ascii") == after


def test_a_file_that_is_no_toml_is_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("theme = \n", encoding="utf-8")
    with pytest.raises(config_edit.ConfigEditError, match="no TOML"):
        config_edit.remember(str(path), "glyphs", "ascii")
    assert path.read_text(encoding="utf-8") == "theme = \n"


def test_a_new_file_is_for_us_alone_and_one_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        new, old = tmp_path / "new" / "config.toml", tmp_path / "config.toml"
        old.write_text("mouse = true\n")
        old.chmod(0o644)
        for path in (new, old):
            config_edit.remember(str(path), "glyphs", "ascii")
    finally:
        os.umask(before)
    assert (new.stat().st_mode & 0o777, old.stat().st_mode & 0o777) == (0o600, 0o644)


def test_on_a_terminal_it_measures_and_remembers_what_is_seen(home: Home, tmp_path: Path) -> None:
    environment = home.environment(XDG_CONFIG_HOME=str(tmp_path / "config"), TERM="xterm-256color", LANG="C.UTF-8")
    terminal = Terminal([FOOTPLATE, "doctor", "--remember"], environment)
    try:
        # A terminal that gives each braille sign three cells: the second question is about the width of the sample.
        columns = iter((1, 3 * len(screen.SAMPLE) + 1))
        terminal.screen.answer = lambda _: terminal.type(f"\x1b[1;{next(columns)}R")
        terminal.read_until(lambda seen: seen.shows("[y/n]"))
        terminal.type("n\n")
        assert terminal.wait() in (0, 1)
        assert "the terminal answers after" in "".join(terminal.screen.display)
        assert "took 39 cells" in "".join(terminal.screen.display)
    finally:
        terminal.close()
    assert (tmp_path / "config/footplate/config.toml").read_text(encoding="utf-8") == 'glyphs = "ascii"\n'
