"""The command line: puts the environment right, then hands over to one command. Nothing heavy is imported here."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import argparse

COMMANDS: Final[dict[str, str]] = {
    "run": "start a command as a run that survives this terminal",
    "triage": "what wants you, what runs, what waits, what has ended while you were away",
    "status": "how the box stands, in one line for prompts and tmux",
    "ps": "runs that are alive or waiting",
    "runs": "all runs, filtered and sorted",
    "show": "everything about one run",
    "series": "one metric of a run as a curve in the terminal",
    "env": "interpreter, machine, variables and packages of a run",
    "code": "commit, changes and patch of the code that a run ran",
    "logs": "the output of a run, with -f as it grows",
    "stop": "end runs: TERM, then KILL after the grace time",
    "release": "let runs start that are held since a reboot",
    "watch": "look after a folder: its manifest, its files, its runs",
    "import": "take in the runs that MLflow, W&B, TensorBoard and others have written",
    "imports": "the folders whose runs were taken in, and how far that is",
    "artifacts": "the files that an imported run left behind",
    "unwatch": "look after a folder no more",
    "diff": "runs side by side: params that differ, metrics, how they ended",
    "views": "saved views of the run table: filter, order and columns",
    "projects": "watched folders, their jobs and triggers",
    "fingerprint": "one id for what the files of a folder hold",
    "trust": "let a footplate.toml start commands by itself, as it is now",
    "start": "enqueue a job of footplate.toml, and what comes after it",
    "sweep": "enqueue one run for each set of params",
    "sweeps": "all sweeps, or the runs of one",
    "retry": "enqueue ended runs once more",
    "gpus": "how busy GPUs, processors, memory and disks are, and who holds which card",
    "queue": "what waits, why, and about when it starts",
    "pause": "start nothing more of the queue, a project or a sweep",
    "resume": "go on with what was paused",
    "adopt": "make a process that already runs a run from now on",
    "init": "propose a footplate.toml from what lies in a folder",
    "daemon": "start, stop and look at the process in the background",
    "config": "what is configured, and where each of it comes from",
    "doctor": "whether all around footplate is as it should be, and what to do",
    "completion": "a script that completes commands, runs and metrics in your shell",
    "service": "have the daemon started at boot, and kept after logout",
    "note": "write down something about a run, or read what was",
    "tag": "put words on runs, to find them by",
    "pin": "keep runs from being deleted",
    "metric": "choose the metric that stands for the runs of a project",
    "log": "add a metric to a run by hand",
    "reparse": "read the metrics of an ended run from its log once more",
    "audit": "who asked for what and when, and whether that record is whole",
    "export": "runs as CSV, JSON, Parquet or Markdown, or everything about them",
    "backup": "copy the index while it is in use",
    "rebuild": "build the index anew from the run directories",
    "du": "what takes the disk, by project and by run",
    "archive": "pack the files of ended runs, or unpack them",
    "delete": "delete ended runs for good",
    "gc": "bring what is kept within a budget",
    "uninstall": "stop, and take away what footplate made",
    "demo": "run the sample project and look at it",
}
"""Each has a module of its name in `console.cli`."""

COMPLETE: Final = "__complete"
"""What the completion of a shell calls; see `console.cli.completion`."""
EXIT_ERROR: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130


def main(argv: list[str]) -> int:
    """Run `footplate` with these arguments; returns the exit code."""
    sys.path[:] = [entry for entry in sys.path if entry not in ("", ".")]
    for stream in (sys.stdout, sys.stderr):
        # A locale that knows no "…" is no reason to end with a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    problem = foreign_store()
    if problem:
        return fail(problem)
    host: str | None = None
    if any(word.startswith("--host") for word in argv) and argv[0] != COMPLETE:
        from console.remote import take_host

        argv, host = take_host(argv)
    if argv and argv[0] in ("-h", "--help", "help"):
        return explain(argv[1] if argv[0] == "help" and len(argv) > 1 else "")
    if argv and argv[0] in ("-V", "--version"):
        from console.version import VERSION

        print(f"footplate {VERSION}")
        return 0
    if not argv or argv[0].startswith("-"):
        from console.opening import open_console

        return open_console(argv, host)
    if argv[0] == COMPLETE:
        from console.cli import completing

        return completing.main(argv[1:])
    if argv[0] not in COMMANDS:
        return unknown(argv[0])
    if host is not None:
        return run_elsewhere(argv[0], argv[1:], host)
    return run_command(argv[0], argv[1:])


def explain(name: str) -> int:
    """The help of one command, or the list of all."""
    if name and name not in COMMANDS:
        return unknown(name)
    print(parser_of(name, module_of(name), explained=True).format_help().rstrip() if name else usage())
    return 0


def unknown(name: str) -> int:
    """There is no such command."""
    hint = f"one of: {', '.join(COMMANDS)}; `footplate --help` explains"
    return fail(f"unknown command {name!r}", hint, EXIT_USAGE)


def module_of(name: str) -> Any:
    """The module of a command."""
    import importlib

    return importlib.import_module(f"console.cli.{'import_runs' if name == 'import' else name}")


def run_command(name: str, argv: list[str]) -> int:
    """Parse the arguments of one command and carry it out; errors become one sentence and an exit code."""
    from console import client
    from console.client import ClientError

    client.voice = client.Voice(ask if sys.stdin.isatty() and sys.stderr.isatty() else None, say)
    module = module_of(name)
    # Prompts and status bars call some of them all the time: argparse would be a tenth of what it takes.
    quick = getattr(module, "QUICK_OPTIONS", {}).get(tuple(argv))
    options = parse(name, module, argv) if quick is None else quick
    try:
        return int(module.execute(options))
    except ClientError as error:
        return fail(error.message, error.hint, getattr(module, "EXIT_OWN_ERROR", EXIT_ERROR))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output is gone, as with `| head`: not an error, but nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def run_elsewhere(name: str, argv: list[str], host: str) -> int:
    """Carry out a command with the daemon of another host."""
    from console import remote
    from console.client import ClientError

    if name not in remote.COMMANDS:
        return fail(f"`footplate {name}` works on the box itself", f"ssh {host}, then footplate {name}", EXIT_USAGE)
    there = remote.Remote(host)
    try:
        words = there.open(ask=sys.stdin.isatty() and sys.stderr.isatty())
        if words:
            say(words)
        return run_command(name, argv)
    except ClientError as error:
        return fail(error.message, error.hint)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    finally:
        there.close()


def parse(name: str, module: Any, argv: list[str]) -> Any:
    """The options of a command; ends the process with 2 for arguments that it does not know."""
    parser = parser_of(name, module, explained="-h" in argv or "--help" in argv)
    if not getattr(module, "COMMAND_AFTER_DASHES", False):
        return parser.parse_args(argv)
    at = argv.index("--") if "--" in argv else len(argv)
    options = parser.parse_args(argv[:at])
    options.command = argv[at + 1 :]
    return options


def parser_of(name: str, module: Any, *, explained: bool = False) -> argparse.ArgumentParser:
    """The parser of a command; its help ends with the exit codes when it is to be `explained`."""
    import argparse

    parser = argparse.ArgumentParser(prog=f"footplate {name}", description=COMMANDS[name])
    module.add_arguments(parser)
    if explained:
        import shutil
        import textwrap

        from console import exit_codes

        more = textwrap.fill(parser.epilog or "", max(20, shutil.get_terminal_size().columns - 2))
        parser.epilog = "\n\n".join(part for part in (more, exit_codes.words_of(name)) if part)
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
    return parser


def ask(question: str) -> str:
    """Put a question to the person at the terminal; Ctrl-D stands for no answer."""
    print(f"footplate: {question}", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline()


def say(words: str) -> None:
    """Tell something on stderr, where it is in nobody's way."""
    print(f"footplate: {words}", file=sys.stderr)


def foreign_store() -> str:
    """What is wrong when `store` is not the package beside us; empty when all is well."""
    import store

    ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found = os.path.dirname(os.path.dirname(os.path.abspath(store.__file__ or "")))
    if found == ours:
        return ""
    return (
        f"the package 'store' was found in {found}, footplate's own is in {ours}: start it with the command `footplate`"
    )


def fail(message: str, hint: str = "", exit_code: int = EXIT_ERROR) -> int:
    """Say on stderr what is wrong and what to do next."""
    from console.tui.text_format import visible

    print(f"footplate: {visible(message)}", file=sys.stderr)
    if hint:
        print(f"           {visible(hint)}", file=sys.stderr)
    return exit_code


def usage() -> str:
    """The text of --help."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "usage: footplate [--theme T] [--glyphs G] [--readonly] [--slow] [--host BOX] [COMMAND ...]",
            "",
            "Without a command: the console. `footplate help COMMAND` explains one; most take --json.",
            "",
            *lines,
            "",
            "State lives in $FOOTPLATE_HOME, else $XDG_STATE_HOME/footplate, else ~/.local/state/footplate.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
