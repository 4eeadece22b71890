"""`footplate service`: have the daemon started at boot, and kept after logout."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from console import daemon_process
from console.cli import output
from console.client import ClientError
from console.tui.text_format import visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

UNIT: Final = "footplate.service"
OURS: Final = "# Written by `footplate service install`; `footplate service remove` deletes it."
"""The first line of a unit of ours; one without it is never overwritten or deleted."""
SYSTEMCTL_TIMEOUT_S: Final = 90.0
ANSWERING_STATES: Final = ("running", "degraded", "starting", "initializing", "maintenance", "stopping")
"""What `systemctl --user is-system-running` says where a user manager answers (systemctl(1))."""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("what", choices=("install", "remove", "status"))
    parser.add_argument("--json", action="store_true", help="print the state of the service as JSON")


def execute(options: Namespace) -> int:
    """Do what was asked for."""
    try:
        if options.what == "install":
            install(quiet=options.json)
        elif options.what == "remove":
            remove(quiet=options.json)
        if options.json or options.what == "status":
            found = facts()
            output.print_json(found) if options.json else print_facts(found)
    except OSError as error:
        raise ClientError(f"cannot use {error.filename or unit_path()}: {error.strerror or error}") from error
    return 0


def install(*, quiet: bool) -> None:
    """Write the unit and start it, or say what to paste into the crontab."""
    if not manager_answers():
        if not quiet:
            print("no systemd user manager answers here; to have the daemon started at boot, add this line with")
            print("`crontab -e`:\n")
            print(crontab_line())
        return
    path = unit_path()
    there = read_unit(path)
    if there is not None and not is_ours(there):
        raise ClientError(
            f"{path} is there and was not written by footplate", "move it away, then `footplate service install` again"
        )
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(unit_text())
    os.replace(temporary, path)
    systemctl("daemon-reload")
    systemctl("enable", "--now", UNIT)
    if there is not None:
        systemctl("restart", UNIT)
    if not quiet:
        print(f"installed {visible(path)}: the daemon runs now, and from your next login on")
        print(linger_words(linger()))


def remove(*, quiet: bool) -> None:
    """Stop the service and delete its unit, if it is ours; runs go on."""
    path = unit_path()
    there = read_unit(path)
    if there is not None and not is_ours(there):
        raise ClientError(f"{path} was not written by footplate, so it stays", "delete it yourself if you want it gone")
    if there is not None:
        if manager_answers():
            systemctl("disable", "--now", UNIT)
        os.unlink(path)
        if manager_answers():
            systemctl("daemon-reload")
    if not quiet:
        print(f"removed {visible(path)}; runs go on" if there is not None else "no service of footplate is installed")
        print("if you pasted a line into your crontab, `crontab -e` takes it away")


def facts() -> dict[str, Any]:
    """Unit, manager and linger as they are."""
    path = unit_path()
    there = read_unit(path)
    answers = manager_answers()
    installed = there is not None and is_ours(there)
    return {
        "unit": path,
        "installed": installed,
        "foreign_unit": there is not None and not installed,
        "outdated": installed and there != unit_text(),
        "manager_answers": answers,
        "active": ask_systemctl("is-active", UNIT) if answers and installed else None,
        "enabled": ask_systemctl("is-enabled", UNIT) if answers and installed else None,
        "linger": linger(),
        "crontab_line": crontab_line(),
    }


def print_facts(found: dict[str, Any]) -> None:
    """The facts for people."""
    if found["foreign_unit"]:
        print(f"{visible(found['unit'])} is there, but not written by footplate")
    elif found["installed"]:
        print(f"{visible(found['unit'])}: {found['enabled'] or 'n/a'}, {found['active'] or 'n/a'}")
        if found["outdated"]:
            print("it starts another footplate than this one; `footplate service install` renews it")
    else:
        print("no service is installed: the daemon is started by the first command that needs it")
    if found["manager_answers"]:
        print(linger_words(found["linger"]))
    else:
        print("no systemd user manager answers here; for a start at boot, `crontab -e` and this line:")
        print(visible(found["crontab_line"]))


def linger_words(enabled: bool | None) -> str:
    """What linger is, whether it is on, and what to do."""
    if enabled:
        return "linger is on: the daemon starts at boot and stays after logout"
    known = "linger is off" if enabled is False else "whether linger is on could not be found out"
    return (
        f"{known}: without it systemd ends your services at your last logout and starts none at boot.\n"
        "`loginctl enable-linger` turns it on, `loginctl show-user $USER -p Linger` says how it is"
    )


def linger() -> bool | None:
    """Whether logind keeps our user manager without a login; None when it does not say."""
    said = ask(["loginctl", "show-user", str(os.getuid()), "--property=Linger", "--value"])
    return {"yes": True, "no": False}.get(said or "")


def unit_path() -> str:
    """Where units of a user lie (systemd.unit(5))."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):
        base = os.path.expanduser("~/.config")
    return os.path.join(base, "systemd", "user", UNIT)


def read_unit(path: str) -> str | None:
    """The text of a unit; None when there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return None


def is_ours(text: str) -> bool:
    """Whether we wrote this unit."""
    return text.startswith(OURS)


def program() -> list[str]:
    """The absolute argv of `footplate` as it was started now."""
    started = os.path.abspath(sys.argv[0])
    if os.path.basename(started) == "footplate" and os.access(started, os.X_OK):
        return [started]
    return [sys.executable, "-I", "-m", "console"]


def unit_text() -> str:
    """The unit: killed alone (KillMode=process), so that runs survive its end."""
    home = daemon_process.state_dir()
    argv = " ".join(map(unit_word, [*program(), "daemon", "run"]))
    return f"""{OURS}
[Unit]
Description=footplate daemon: runs, metrics and queue of this user

[Service]
Type=exec
ExecStart={argv}
Environment={unit_word(f"FOOTPLATE_HOME={home}", variables=False)}
Restart=on-failure
RestartSec=5
KillMode=process

[Install]
WantedBy=default.target
"""


def unit_word(word: str, *, variables: bool = True) -> str:
    """One word of a unit, quoted (systemd.service(5), systemd.syntax(7)); `$` means variables in a command only."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    if variables:
        escaped = escaped.replace("$", "$$")
    return f'"{escaped}"' if escaped != word or set(word) & set(" '\t;") else word


def crontab_line() -> str:
    """What starts the daemon at boot where no user manager does; `%` ends a command in a crontab (crontab(5))."""
    argv = shlex.join([*program(), "daemon", "start"])
    home = shlex.quote(daemon_process.state_dir())
    return f"@reboot FOOTPLATE_HOME={home} {argv}".replace("%", "\\%")


def manager_answers() -> bool:
    """Whether a systemd user manager can be talked to."""
    return ask_systemctl("is-system-running") in ANSWERING_STATES


def ask_systemctl(*words: str) -> str | None:
    """The first line of an answer of the user manager, also of one that stands for no; None when there is none."""
    return ask(["systemctl", "--user", *words])


def ask(argv: list[str]) -> str | None:
    """The first line that a program prints; None when it cannot be started or prints nothing."""
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=SYSTEMCTL_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip().split("\n")[0] or None


def systemctl(*words: str) -> None:
    """Have the user manager do something. Raises ClientError with its words."""
    argv = ["systemctl", "--user", *words]
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=SYSTEMCTL_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise ClientError(f"`{' '.join(argv)}` did not come back within {SYSTEMCTL_TIMEOUT_S:.0f} s") from error
    if done.returncode:
        said = done.stderr.strip().split("\n")[-1] or f"exit code {done.returncode}"
        raise ClientError(f"`{' '.join(argv)}` failed: {said}", "`systemctl --user status footplate` may say more")
