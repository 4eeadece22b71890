"""`footplate archive`: pack the files of runs that have ended, and unpack them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.cli import long_work, output
from console.client import Client
from console.tui import text_format

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("runs", nargs="+", metavar="run", help="r12, 12, its id, or the first characters of the id")
    parser.add_argument("--restore", action="store_true", help="unpack: logs and files can be read again")
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")


def execute(options: Namespace) -> int:
    """One run after the other."""
    client = Client()
    # All names are looked up first: a typo in the third must not leave the first two packed.
    run_ids = dict.fromkeys(client.run(reference).row.id for reference in options.runs)
    done = []
    for run_id in run_ids:
        done.append(long_work.carry_out(client, "restore" if options.restore else "archive", run=run_id))
        if not options.json:
            print(words_of(done[-1]))
    if options.json:
        output.print_json(done)
    return 0


def words_of(done: dict[str, Any]) -> str:
    """One run in one line."""
    run = f"r{done['no']} {text_format.visible(done['name'])}"
    if "taken_bytes" in done:
        return f"restored {run}: {text_format.bytes_size(done['taken_bytes'])}"
    left_out = ", ".join(map(text_format.visible, done["left_out"]))
    rest = f"; left out, as they have no content: {left_out}" if left_out else ""
    return f"archived {run}: {text_format.bytes_size(done['freed_bytes'])} freed{rest}"
