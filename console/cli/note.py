"""`footplate note`: write down something about a run, or read what was."""

from __future__ import annotations

import os
import stat
import sys
import time
from typing import TYPE_CHECKING, Final

from console import protocol
from console.cli import output
from console.client import Client
from console.person import whoami

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from console.protocol import Note

STDIN_MAX_BYTES: Final = 1 << 20
"""More than any note may have, so that the daemon says what is wrong with a longer one."""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("run", help="r12, 12, its id, or the first characters of the id")
    parser.add_argument("text", nargs="*", help="what to write down; else standard input, where it is a pipe or a file")
    parser.add_argument("--list", action="store_true", help="print the notes; nothing is read from standard input")
    parser.add_argument("--remove", metavar="ID", help="remove the note with this id, or with an id that ends in it")
    parser.add_argument("--json", action="store_true", help="print the notes as JSON")


def execute(options: Namespace) -> int:
    """Add a note, remove one, or print them all."""
    if bool(options.text) + bool(options.list) + (options.remove is not None) > 1:
        return output.usage_error("give a text, or --list, or --remove")
    client = Client()
    asked = {"runs": [options.run], "actor": whoami()}
    if options.remove is not None:
        answer = client.post_known("/notes/remove", {**asked, "notes": [options.remove]})
    elif options.text or (not options.list and (piped := piped_text())):
        answer = client.post_known("/notes", {**asked, "text": " ".join(options.text) if options.text else piped})
    else:
        return show(client.run(options.run).notes, as_json=options.json)
    return show([protocol.pick(protocol.Note, note) for note in answer["notes"]], as_json=options.json)


def piped_text() -> str:
    """What stands on standard input, where somebody put it there; empty on a terminal and without input."""
    try:
        kind = os.fstat(0).st_mode
    except OSError:
        return ""
    if not (stat.S_ISFIFO(kind) or stat.S_ISREG(kind) or stat.S_ISSOCK(kind)):
        return ""
    text = sys.stdin.buffer.read(STDIN_MAX_BYTES).decode("utf-8", "surrogateescape")
    return text if text.strip() else ""


def show(notes: Sequence[Note], *, as_json: bool) -> int:
    """Print notes, oldest first."""
    if as_json:
        output.print_json(notes)
    elif notes:
        output.print_notes(notes, time.time())
    else:
        print("no note yet: footplate note RUN 'what is worth knowing'")
    return 0
