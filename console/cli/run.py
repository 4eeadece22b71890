"""`footplate run`: start a command as a run, and watch it for as long as one likes."""

from __future__ import annotations

import argparse
import getpass
import os
import resource
import shutil
import stat
import sys
from typing import TYPE_CHECKING, Any, Final

from console.cli import output
from console.cli.stop import wait_for_end
from console.client import Client, ClientError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from console.protocol import RunRow

EXIT_OWN_ERROR: Final = 125
"""footplate itself failed; 126 and 127 are the shell's words for a command that cannot be executed or found."""
SIGNAL_BASE: Final = 128


class CommandError(ClientError):
    """The command cannot be executed; known before anything was enqueued."""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("-d", "--detach", action="store_true", help="print the run and return at once")
    parser.add_argument("--name", default="", help="what to call it (default: the script)")
    parser.add_argument("--project", default="", help="what it belongs to (default: the folder's name)")
    parser.add_argument("--grace", type=float, default=10.0, metavar="SECONDS", help="from TERM to KILL (default: 10)")
    parser.add_argument("--json", action="store_true", help="print the run as JSON: at once with -d, else at its end")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command, after --")
    parser.epilog = (
        "Exit code: that of the command; 128 + n when signal n ended it; 126 and 127 when it cannot be executed or "
        "found; 125 when footplate itself failed. Keys in the live view: any key detaches, the run goes on."
    )


def execute(options: Namespace) -> int:
    """Enqueue the command; then show it until it ends or a key is pressed."""
    argv = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not argv:
        print("footplate: no command given; for example: footplate run -- python train.py", file=sys.stderr)
        return 2
    problem = cannot_execute(argv[0])
    if problem:
        message, exit_code = problem
        print(f"footplate: {message}", file=sys.stderr)
        return exit_code
    client = Client()
    new = client.submit(
        request(argv, name=options.name, project=options.project, grace_s=options.grace, environment=environment())
    )
    if options.detach:
        if options.json:
            output.print_json(new)
        else:
            print(f"r{new.no}")
        return 0
    if options.json:
        detail = wait_for_end(client, new.id)
        output.print_json(detail)
        return exit_code_of(detail.row)
    from console.cli import follow

    return follow.follow(client, new)


def request(argv: list[str], *, name: str, project: str, grace_s: float, environment: dict[str, str]) -> dict[str, Any]:
    """The run as the daemon takes it, with the context of this process."""
    limits = {
        limit: list(resource.getrlimit(getattr(resource, limit)))
        for limit in dir(resource)
        if limit.startswith("RLIMIT_") and limit != "RLIMIT_OFILE"
    }
    umask = os.umask(0o077)
    os.umask(umask)
    return {
        "argv": argv,
        "working_dir": working_dir(),
        "environment": environment,
        "umask": umask,
        "limits": limits,
        "name": name,
        "project": project,
        "grace_s": grace_s,
        "actor": getpass.getuser(),
    }


def environment() -> dict[str, str]:
    """The environment of this process, which the command gets."""
    return dict(os.environ)


def working_dir() -> str:
    """Where we are; raises ClientError when that folder is gone."""
    try:
        return os.getcwd()
    except FileNotFoundError as error:
        raise ClientError("the current directory was removed", "cd to one that exists") from error


def cannot_execute(program: str) -> tuple[str, int] | None:
    """What is wrong with a program and the exit code that a shell would give; None when it can be started."""
    from console.tui.text_format import visible

    found = shutil.which(program)
    if found is not None:
        if is_text_without_interpreter(found):
            return f"not executable: {visible(program)}: a text file without #! (name its interpreter before it)", 126
        return None
    if os.sep not in program:
        return f"command not found: {visible(program)} (looked in every folder of PATH)", 127
    try:
        mode = os.stat(program).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return f"command not found: {visible(program)}: no such file", 127
    except OSError as error:
        return f"not executable: {visible(program)}: {error.strerror}", 126
    what = "is a directory" if stat.S_ISDIR(mode) else "no execute permission (chmod +x, or name its interpreter)"
    return f"not executable: {visible(program)}: {what}", 126


def is_text_without_interpreter(path: str) -> bool:
    """Whether the kernel would not know how to execute a file that has the permission: a script that lacks its #!."""
    try:
        with open(path, "rb") as file:
            head = file.read(256)
    except OSError:
        return False  # execute-only: the kernel knows more than we
    return not head.startswith((b"\x7fELF", b"#!")) and b"\0" not in head


def exit_code_of(row: RunRow) -> int:
    """The exit code by which a shell would know how the run ended."""
    import signal

    if row.exit_code is not None:
        return row.exit_code
    if row.signal.startswith("signal "):  # one that has no name
        return SIGNAL_BASE + int(row.signal.removeprefix("signal "))
    try:
        return SIGNAL_BASE + signal.Signals[row.signal]
    except KeyError:
        return EXIT_OWN_ERROR
