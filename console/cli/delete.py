"""`footplate delete`: runs that have ended, for good, with all their files."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from console import protocol
from console.cli import long_work, output
from console.client import Client, ClientError
from console.tui import text_format

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from console.protocol import RunDetail, RunRow


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("runs", nargs="+", metavar="run", help="r12, 12, its id, or the first characters of the id")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask for the names")
    parser.add_argument("--json", action="store_true", help="print what was deleted as JSON")


def execute(options: Namespace) -> int:
    """Look all runs up, ask for each name, then delete one after the other."""
    client = Client()
    found: dict[str, RunDetail] = {}
    for reference in options.runs:
        detail = client.run(reference)
        found[detail.row.id] = detail
    for detail in found.values():
        refuse(detail.row)
    if not options.yes:
        if not long_work.can_ask():
            return output.usage_error("without a terminal nobody can be asked; --yes deletes without asking")
        client.close()
        if not all(asked_for(detail) for detail in found.values()):
            print("footplate: that is not its name; nothing was deleted", file=sys.stderr)
            return 1
    done = []
    for run_id in found:
        done.append(long_work.carry_out(client, "delete", run=run_id))
        if not options.json:
            freed = text_format.bytes_size(done[-1]["freed_bytes"])
            print(f"deleted r{done[-1]['no']} {text_format.visible(done[-1]['name'])}: {freed} freed")
    if options.json:
        output.print_json(done)
    return 0


def refuse(row: RunRow) -> None:
    """Before anything is asked or done. Raises ClientError for a run that may not go."""
    name = f"{row.label} {row.name}"
    if not row.tracker and row.state not in protocol.ENDED_STATES:
        words = f"{name} is {row.state}: only runs that have ended can be deleted"
        raise ClientError(words, f"`footplate stop {row.label}` ends it")
    if row.pinned:
        words = f"{name} is pinned: pinned runs are never deleted"
        raise ClientError(words, f"`footplate pin --off {row.label}` first, if it may go")


def asked_for(detail: RunDetail) -> bool:
    """Whether the person at the terminal types the name of the run."""
    row = detail.row
    facts = [row.state, f"{len(detail.metrics)} metrics"] + ([f"{len(detail.notes)} notes"] if detail.notes else [])
    question = f"delete {row.label} of {row.project} ({', '.join(facts)}) for good? Type its name, {row.name}:"
    return long_work.type_to_confirm(question, row.name)
