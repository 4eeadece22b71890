"""`footplate tag`: put words on runs, and take them off."""

from __future__ import annotations

import argparse
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
    parser.usage = "footplate tag [-h] [--json] RUN [RUN ...] [+TAG | -TAG ...]"
    parser.add_argument("--json", action="store_true", help="print the runs as JSON")
    parser.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="RUN +TAG -TAG", help="runs, tags to put on, tags to take off"
    )
    parser.epilog = "footplate tag r12 r13 +best -old; without a tag, the runs with their tags are printed."


def execute(options: Namespace) -> int:
    """Tag every named run, or none when one of the names is wrong."""
    # What stands after the first run is taken as it is, because -old would be an option.
    words = [word for word in options.words if word != "--json"]
    runs = [word for word in words if word[:1] not in ("+", "-")]
    add = [word[1:] for word in words if word[:1] == "+"]
    remove = [word[1:] for word in words if word[:1] == "-"]
    if not runs:
        return output.usage_error("name the runs, then the tags: footplate tag r12 +best -old")
    client = Client()
    if add or remove:
        asked = {"runs": runs, "add": add, "remove": remove, "actor": whoami()}
        rows = [protocol.decode_row(row) for row in client.post_known("/tags", asked)["rows"]]
    else:
        rows = [client.run(reference).row for reference in runs]
    if options.json or "--json" in options.words:
        output.print_json(rows)
    else:
        output.print_runs(rows, time.time())
    return 0
