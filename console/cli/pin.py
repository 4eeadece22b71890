"""`footplate pin`: keep runs from being deleted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from console import protocol
from console.cli import output
from console.client import Client
from console.person import whoami

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("runs", nargs="+", metavar="run", help="r12, 12, its id, or the first characters of the id")
    parser.add_argument("--off", action="store_true", help="let go of them")
    parser.add_argument("--json", action="store_true", help="print the runs as JSON")


def execute(options: Namespace) -> int:
    """Pin every named run, or none when one of the names is wrong."""
    asked = {"runs": options.runs, "pinned": not options.off, "actor": whoami()}
    rows = [protocol.decode_row(row) for row in Client().post_known("/pins", asked)["rows"]]
    if options.json:
        output.print_json(rows)
    else:
        output.print_runs(rows, time.time())
    return 0
