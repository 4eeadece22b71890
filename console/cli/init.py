"""`footplate init`: propose a `footplate.toml` from what lies in a folder. Works without the daemon."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from console.cli import output
from console.client import ClientError
from console.tui.text_format import visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

FILE_NAME = "footplate.toml"


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("folder", nargs="?", default=".", metavar="DIR", help="the project (default: this folder)")
    parser.add_argument("--print", action="store_true", help="print the proposal; nothing is written")
    parser.add_argument("--json", action="store_true", help="print what was found and written as JSON")
    parser.epilog = "A footplate.toml that is there already is never changed."


def execute(options: Namespace) -> int:
    """Write the proposal, or print it."""
    folder = os.path.abspath(options.folder)
    if not os.path.isdir(folder):
        raise ClientError(f"{options.folder} is no folder", "footplate init DIR")
    path = os.path.join(folder, FILE_NAME)
    if not options.print and os.path.lexists(path):
        raise exists(path)
    from console.project.proposal import propose

    found = propose(folder)
    if not options.print:
        write_new(path, found.text)
    if options.json:
        answer = {"path": path, "written": not options.print, "jobs": found.jobs, "notes": found.notes}
        output.print_json(answer | {"text": found.text})
    elif options.print:
        print(found.text, end="")
    else:
        report(path, found.jobs, found.notes)
    return 0


def exists(path: str) -> ClientError:
    """What to say about a manifest that is there."""
    return ClientError(f"{path} is there and stays as it is", "footplate init --print shows what would be proposed")


def write_new(path: str, text: str) -> None:
    """Write a file that must not be there yet; raises ClientError when it is, or cannot be written."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        raise exists(path) from None
    except OSError as error:
        raise ClientError(f"{path} cannot be written: {error.strerror}", "footplate init --print") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        # Half a manifest would be there and stay as it is.
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise ClientError(f"{path} cannot be written: {error.strerror}", "footplate init --print") from None


def report(path: str, jobs: tuple[str, ...], notes: tuple[str, ...]) -> None:
    """Say what was written and what comes next."""
    if jobs:
        print(
            f"wrote {visible(path)} with {len(jobs)} {'job' if len(jobs) == 1 else 'jobs'}: {visible(', '.join(jobs))}"
        )
    else:
        print(f"wrote {visible(path)} without a job: nothing was found that could be one")
    for note in notes:
        print(f"left out: {visible(note)}")
    print(
        "next: read it and change what is wrong, then footplate watch the folder; footplate trust lets its triggers run"
    )
