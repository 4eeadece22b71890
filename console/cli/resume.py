"""`footplate resume`: go on with what was paused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.cli import output
from console.cli.pause import scope_of, words_of
from console.client import Client
from console.person import whoami

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("what", nargs="?", default="", help="a sweep (s3) or a project (default: the whole queue)")
    parser.add_argument("--json", action="store_true", help="print the queue as JSON")


def execute(options: Namespace) -> int:
    """Let it go on."""
    found = Client().post("/queue/resume", {"scope": scope_of(options.what), "actor": whoami()})
    if options.json:
        output.print_json(found)
    else:
        print(f"{words_of(options.what)} goes on")
    return 0
