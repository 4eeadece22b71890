"""`footplate daemon`: start, stop and look at the process in the background."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from console import daemon_process
from console.cli import output
from console.client import Client, ClientError, DaemonUnavailable
from console.person import whoami
from console.tui import text_format

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EXIT_NOT_RUNNING = 1


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "what",
        choices=("start", "stop", "status", "run"),
        help="run: stay in the foreground, as a service does; a daemon that runs already is asked to make room",
    )
    parser.add_argument("--json", action="store_true", help="print what the daemon says of itself as JSON")


def execute(options: Namespace) -> int:
    """Do what was asked for."""
    home = daemon_process.state_dir()
    try:
        if options.what == "run":
            return run(home)
        if options.what == "stop":
            stop(home, quiet=options.json)
        elif options.what == "start":
            start(home, quiet=options.json)
    except daemon_process.DaemonProcessError as error:
        raise ClientError(str(error), f"see {daemon_process.log_path(home)}") from error
    except OSError as error:
        words = f"cannot use the state directory {home}: {error.strerror or error}"
        raise ClientError(words, "make it writable, or set FOOTPLATE_HOME to a folder that is") from error
    if options.what != "status" and not options.json:
        return 0
    found = facts(home)
    if options.json:
        output.print_json(found)
    else:
        print_facts(found)
    return 0 if found["running"] or options.what == "stop" else EXIT_NOT_RUNNING


def run(home: str) -> int:
    """Become the daemon: this process is it from now on."""
    daemon_process.clear_notes(home)
    argv = [*daemon_process.own_argv(home), "--take-over"]
    os.execve(argv[0], argv, daemon_process.environment(os.environ))


def start(home: str, *, quiet: bool) -> None:
    """Make sure that a daemon runs."""
    before = daemon_process.holder(home)
    daemon_process.clear_notes(home)
    found = Client().get("/daemon")
    if not quiet:
        same = before is not None and before.process is not None and before.process.pid == found["pid"]
        print(f"the daemon runs already, pid {found['pid']}" if same else f"the daemon runs, pid {found['pid']}")


def stop(home: str, *, quiet: bool) -> None:
    """End the daemon and see that it stays down; runs go on."""
    daemon_process.write_stopped(home, whoami())
    pid = daemon_process.end(home)
    if not quiet:
        ended = "no daemon was running" if pid is None else f"the daemon (pid {pid}) has ended, runs go on"
        print(f"{ended}; it stays down until the next footplate command needs it")


def facts(home: str) -> dict[str, Any]:
    """What the daemon says of itself, and what its state directory says of it; starts nothing."""
    try:
        found = dict(Client(start_daemon=False).get("/daemon"))
        found["running"] = True
    except DaemonUnavailable:
        found = {"running": False}
        holder = daemon_process.holder(home)
        if holder is not None:
            found["starting_pid"] = holder.process.pid if holder.process is not None else None
    return found | {
        "state_dir": home,
        **daemon_process.notes(home),
    }


def print_facts(found: dict[str, Any]) -> None:
    """The facts for people."""
    visible = text_format.visible
    lines = [("daemon", "running" if found["running"] else "not running")]
    if found["running"]:
        lines += [
            ("pid", str(found["pid"])),
            ("version", f"{visible(str(found['version']))}, protocol {found['protocol']}"),
            ("up for", text_format.duration(found["uptime_s"])),
            ("runs", f"{found['live_count']} alive or waiting"),
            ("socket", visible(found["socket"])),
            ("index", visible(found["index"])),
            ("notice", visible(found["notice"])),
        ]
    elif "starting_pid" in found:
        lines.append(("lock", f"held by pid {found['starting_pid'] or 'n/a'}, which does not answer yet"))
    lines.append(("state", visible(found["state_dir"])))
    if found["stopped"] is not None:
        actor, at_s = found["stopped"].get("actor", "somebody"), found["stopped"].get("at_s")
        when = f" at {text_format.clock(at_s, time.time())}" if isinstance(at_s, int | float) else ""
        lines.append(("stopped", visible(f"by {actor}{when}: stays down until a command needs it")))
    if found["failing"] is not None:
        lines.append(("failing", "it died again and again, nobody starts it by itself; `footplate daemon start` tries"))
    for title, text in lines:
        if text:
            print(f"{title:<8} {text}")
    sys.stdout.flush()
