"""`footplate reparse`: read the metrics of a run that has ended from its log once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.cli import long_work, output
from console.client import Client
from console.tui.text_format import visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("run", help="r12, 12, its id, or the first characters of the id")
    parser.add_argument(
        "--pattern", metavar="REGEX", help="read by this pattern, '' for the grammar; else by that of the project"
    )
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")


def execute(options: Namespace) -> int:
    """Have it read, and say what was found."""
    done = long_work.carry_out(Client(), "reparse", run=options.run, pattern=options.pattern)
    if options.json:
        output.print_json(done)
        return 0
    by = visible(done["pattern"]) or "the grammar"
    points, metrics = done["point_count"], done["metric_count"]
    print(f"r{done['no']} {visible(done['name'])}: {points:,} points of {metrics} metrics in its log, read by {by}")
    return 0
