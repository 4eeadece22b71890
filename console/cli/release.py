"""`footplate release`: let runs start that are held since a reboot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.cli import output
from console.client import Client
from console.person import whoami

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("runs", nargs="*", metavar="run", help="r12, 12, its id, or the first characters of the id")
    parser.add_argument("--all", action="store_true", help="every held run")
    parser.add_argument("--json", action="store_true", help="print the runs as JSON")


def execute(options: Namespace) -> int:
    """Release every named run."""
    client = Client()
    if options.all == bool(options.runs):
        return output.usage_error("name the runs, or give --all")
    if options.all:
        entries = client.get("/queue", {"limit": 20_000})["entries"]
        references = [entry["id"] for entry in entries if entry["releasable"]]
    else:
        # All names are looked up first: a typo in the third must not leave the first two released.
        references = [client.run(reference).row.id for reference in options.runs]
    details = [client.release(reference, whoami()) for reference in references]
    if options.json:
        output.print_json(details)
    elif details:
        output.print_runs([detail.row for detail in details], details[0].now_s)
    else:
        print("no run is held")
    return 0
