"""What becomes of daemon and runs at logout and at a reboot: service, linger, KillUserProcesses."""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING, Any, Final

from console.doctor.finding import ok, warn

if TYPE_CHECKING:
    from console.doctor.finding import Finding

LOGIND_DIRS: Final = ("/usr/lib/systemd", "/usr/local/lib/systemd", "/run/systemd", "/etc/systemd")
"""From the weakest to the strongest (logind.conf(5))."""
YES: Final = ("1", "yes", "true", "on", "y", "t")
SYSTEMD_RUNS: Final = "/run/systemd/system"
"""Is there where systemd is the init system (sd_booted(3))."""


def checks(service: dict[str, Any], user: str, root: str = "") -> list[Finding]:
    """All of them; `service` is what `footplate service status --json` prints."""
    if not os.path.isdir(f"{root}{SYSTEMD_RUNS}"):
        return [ok("logout", "systemd does not run here: nothing ends your processes at logout"), of_service(service)]
    return [of_manager(service), of_linger(service), of_logout(service, user, root), of_service(service)]


def of_manager(service: dict[str, Any]) -> Finding:
    """Whether runs can be given scopes of their own."""
    if service["manager_answers"]:
        return ok("user manager", "systemd's user manager answers")
    words = "systemd's user manager does not answer: memory limits of runs go without control groups"
    return warn("user manager", words, "log in anew by ssh or console (not su), then `systemctl --user status`")


def of_linger(service: dict[str, Any]) -> Finding:
    """Whether the user manager stays after the last logout."""
    if service["linger"]:
        return ok("linger", "on: your services live without a login")
    known = "off" if service["linger"] is False else "n/a: loginctl does not say"
    found = f"{known}; systemd ends your services and scopes at your last logout"
    return warn("linger", found, "loginctl enable-linger")


def of_logout(service: dict[str, Any], user: str, root: str = "") -> Finding:
    """Whether logind ends what is left of a session."""
    kills, path = kills_at_logout(user, root)
    if not kills:
        return ok("logout", "KillUserProcesses is off: runs and daemon outlive your session")
    if service["manager_answers"] and service["linger"]:
        return ok("logout", "KillUserProcesses is on, and runs live in scopes outside of your session")
    found = f"KillUserProcesses=yes in {path}: all you started ends at logout, tmux and runs too"
    advice = "loginctl enable-linger && footplate service install"
    if not service["manager_answers"]:
        advice = f"ask for KillUserProcesses=no, or KillExcludeUsers={user}, in {path}"
    return warn("logout", found, advice)._replace(verdict="fail")


def of_service(service: dict[str, Any]) -> Finding:
    """Whether the daemon starts at boot."""
    if service["installed"] and service["outdated"]:
        return warn("service", "installed, but it starts another footplate than this one", "footplate service install")
    if service["installed"] and service["active"] != "active":
        advice = "systemctl --user status footplate; footplate service install"
        return warn("service", f"installed and {service['active'] or 'n/a'}", advice)
    if service["installed"]:
        return ok("service", "installed: the daemon starts at boot")
    if service["manager_answers"]:
        found = "not installed: after a reboot queue and triggers wait for your first command"
        return warn("service", found, "footplate service install")
    found = "no user manager, no service: after a reboot queue and triggers wait for your first command"
    return warn("service", found, "`crontab -e`, then the line of `footplate service status`")


def kills_at_logout(user: str, root: str = "") -> tuple[bool, str]:
    """Whether logind ends this user's processes at logout (logind.conf(5)), and the file that says so."""
    values = {"KillUserProcesses": "no", "KillOnlyUsers": "", "KillExcludeUsers": "root"}
    said_in = f"{root}/etc/systemd/logind.conf"
    for path in logind_files(root):
        for name, value in assignments(path):
            if name in values:
                values[name] = value
                said_in = path if name == "KillUserProcesses" else said_in
    only, exclude = values["KillOnlyUsers"].split(), values["KillExcludeUsers"].split()
    kills = values["KillUserProcesses"].lower() in YES and user not in exclude and (not only or user in only)
    return kills, said_in.removeprefix(root)


def logind_files(root: str = "") -> list[str]:
    """logind's files in the order in which they count; of drop-ins of one name only the strongest is read."""
    main = [f"{root}{folder}/logind.conf" for folder in LOGIND_DIRS]
    drop_ins: dict[str, str] = {}
    for folder in LOGIND_DIRS:
        for path in glob.glob(f"{root}{folder}/logind.conf.d/*.conf"):
            drop_ins[os.path.basename(path)] = path
    return [path for path in main if os.path.exists(path)][-1:] + [drop_ins[name] for name in sorted(drop_ins)]


def assignments(path: str) -> list[tuple[str, str]]:
    """The `Name=value` lines of a file of systemd's; none where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file]
    except OSError:
        return []
    pairs = [line.partition("=") for line in lines if "=" in line and line[0] not in "#;["]
    return [(name.strip(), value.strip()) for name, _, value in pairs]
