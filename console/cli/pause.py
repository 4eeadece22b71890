"""`footplate pause`: start nothing more of the queue, of a project or of a sweep; what runs goes on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from console.cli import output
from console.client import Client
from console.person import whoami
from console.tui.text_format import visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

SWEEP: Final = re.compile(r"s\d+")


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("what", nargs="?", default="", help="a sweep (s3) or a project (default: the whole queue)")
    parser.add_argument("--reason", default="", help="what those who look at the queue should know")
    parser.add_argument("--json", action="store_true", help="print the queue as JSON")


def execute(options: Namespace) -> int:
    """Pause it."""
    asked = {"scope": scope_of(options.what), "reason": options.reason, "actor": whoami()}
    found = Client().post("/queue/pause", asked)
    if options.json:
        output.print_json(found)
    else:
        command = f"footplate resume {visible(options.what)}".rstrip()
        print(f"{words_of(options.what)} is paused; `{command}` lets it go on")
    return 0


def scope_of(what: str) -> str:
    """A word of the command line as the daemon takes it."""
    if not what:
        return "all"
    return f"sweep:{what}" if SWEEP.fullmatch(what) else f"project:{what}"


def words_of(what: str) -> str:
    """The same for people."""
    return visible(what) if SWEEP.fullmatch(what) else f"the project {visible(what)}" if what else "the queue"
