"""`footplate log`: add a metric to a run by hand."""

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
    parser.add_argument("run", help="r12, 12, its id, or the first characters of the id")
    parser.add_argument("values", nargs="+", metavar="KEY=NUMBER", help="lb=0.8041: what the run did not report itself")
    parser.add_argument("--step", type=int, metavar="N", help="the step; else the one after the latest by hand")
    parser.add_argument("--json", action="store_true", help="print the run as JSON")


def execute(options: Namespace) -> int:
    """Add all of them, or none when one is wrong."""
    values: dict[str, float] = {}
    for word in options.values:
        key, equals, text = word.rpartition("=")
        if not equals or not key.strip():
            return output.usage_error(f"{word!r} is not KEY=NUMBER, such as lb=0.8041")
        try:
            values[key] = float(text)
        except ValueError:
            return output.usage_error(f"the value of {key} is not a number: {text!r}")
        if values[key] - values[key] != 0:
            return output.usage_error(f"the value of {key} is not a finite number: {text!r}")
    asked = {"runs": [options.run], "values": values, "step": options.step, "actor": whoami()}
    rows = [protocol.decode_row(row) for row in Client().post_known("/metrics", asked)["rows"]]
    if options.json:
        output.print_json(rows)
    else:
        output.print_runs(rows, time.time())
    return 0
