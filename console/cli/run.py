"""`footplate run`: start a command as a run, and watch it for as long as one likes."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import stat
import sys
from typing import TYPE_CHECKING, Any, Final

from console import quantities
from console.cli import output, shell
from console.cli.stop import wait_for_end
from console.client import Client, ClientError
from console.project import interpreter

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
    parser.add_argument("--timeout", default="", metavar="TIME", help="end it after this long: 90s, 15m, 2h, 1d")
    parser.add_argument("--memory", default="", metavar="SIZE", help="most memory of all its processes: 500MB, 2GB")
    parser.add_argument(
        "--checkpoint", default="", metavar="SIGNAL", help="signal to send before a stop or timeout, such as USR1"
    )
    parser.add_argument(
        "--checkpoint-time", default="30s", metavar="TIME", help="how long the checkpoint may take (default: 30s)"
    )
    parser.add_argument(
        "--log-limit", default="", metavar="SIZE", help="punch out the middle of the log (default: 2GiB)"
    )
    parser.add_argument(
        "--retry", default="", metavar="CAUSES", help="try again after: interrupted, failure, oom, timeout, ... (a,b,c)"
    )
    parser.add_argument("--retries", type=int, default=1, metavar="N", help="attempts after the first (default: 1)")
    parser.add_argument("--retry-delay", default="10s", metavar="TIME", help="doubles each time (default: 10s)")
    parser.add_argument("--resume", default="", metavar="COMMAND", help="what further attempts execute, quoted as one")
    parser.add_argument("--isolate", default="", choices=["worktree"], help="run in a copy of the code as it is now")
    parser.add_argument("--autoresume", action="store_true", help="start by itself after a reboot, instead of held")
    parser.add_argument("--queue", action="store_true", help="wait for a slot, as jobs and sweeps do")
    parser.add_argument(
        "--after", action="append", default=[], metavar="RUN[:ok|any|not-ok]", help="start once that run has ended so"
    )
    parser.add_argument("--priority", type=int, default=0, metavar="N", help="-100 to 100, higher goes first")
    parser.add_argument("--devices", type=int, default=0, metavar="N", help="how many declared devices to have alone")
    parser.add_argument("--mutex", action="append", default=[], metavar="NAME", help="never at once with others of it")
    parser.add_argument("--json", action="store_true", help="print the run as JSON: at once with -d, else at its end")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command, after --")
    parser.epilog = (
        "The exit code is that of the command, and 0 with -d. In the live view any key detaches; the run goes on."
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
    try:
        limits = options_of(options)
        queueing = queueing_of(client, options)
    except ValueError as error:
        return output.usage_error(str(error))
    asked = request(
        argv, name=options.name, project=options.project, grace_s=options.grace, environment=dict(os.environ)
    )
    new = client.submit(asked | {"options": limits, "queueing": queueing})
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


def options_of(options: Namespace) -> dict[str, Any]:
    """The options of the run as the daemon takes them; raises ValueError naming the one that is wrong."""
    asked: dict[str, Any] = {"isolate": options.isolate, "autoresume": options.autoresume}
    if options.timeout:
        asked["timeout_s"] = quantities.seconds("--timeout", options.timeout)
    if options.memory:
        asked["memory_bytes"] = quantities.size_bytes("--memory", options.memory)
    if options.log_limit:
        asked["log_limit_bytes"] = quantities.size_bytes("--log-limit", options.log_limit)
    if options.checkpoint:
        asked["checkpoint_signal"] = "SIG" + options.checkpoint.upper().removeprefix("SIG")
        asked["checkpoint_s"] = quantities.seconds("--checkpoint-time", options.checkpoint_time)
    if options.retry:
        asked["retry"] = {
            "on": options.retry.split(","),
            "max": options.retries,
            "delay_s": quantities.seconds("--retry-delay", options.retry_delay),
            "resume": shlex.split(options.resume),
        }
    elif options.resume:
        raise ValueError("--resume needs --retry, which says after what")
    return asked


def request(argv: list[str], *, name: str, project: str, grace_s: float, environment: dict[str, str]) -> dict[str, Any]:
    """The run as the daemon takes it, with the context of this process but for its environment."""
    folder = shell.working_dir()
    return shell.context() | {
        "argv": argv,
        "working_dir": folder,
        "interpreter": interpreter.choose(argv, environment, folder),
        "environment": environment,
        "name": name,
        "project": project,
        "grace_s": grace_s,
    }


def queueing_of(client: Client, options: Namespace) -> dict[str, Any]:
    """What the run asks of the queue. Raises ClientError for a run that is not there, ValueError for a condition."""
    after = []
    for word in options.after:
        reference, _, on = word.partition(":")
        if on not in ("", "ok", "any", "not-ok"):
            raise ValueError(f"--after {word}: the condition must be ok, any or not-ok")
        after.append({"run": client.run(reference).row.id, "on": on or "ok"})
    return {
        "takes_slot": options.queue,
        "priority": options.priority,
        "after": after,
        "devices": options.devices,
        "mutex": options.mutex,
    }


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
