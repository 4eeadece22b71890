"""`footplate env`: interpreter, machine, variables and packages that a run was enqueued with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.cli import output
from console.client import Client

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("run", help="r12, 12, its id, or the first characters of the id")
    parser.add_argument("--attempt", type=int, default=0, metavar="N", help="as it was at the start of that attempt")
    parser.add_argument("--packages", action="store_true", help="only the packages, one a line")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def execute(options: Namespace) -> int:
    """Print what was captured; exit code 1 when nothing was."""
    from console import run_parts, run_sections

    captured = run_parts.capture(Client(), options.run, options.attempt)
    if options.json:
        names = ("environment", "hardware", "interpreter")
        record = {name: captured.record.get(name) for name in names}
        facts = {"attempt": captured.attempt, "attempts": captured.attempts, "reason": captured.packages_reason}
        output.print_json(record | facts | {"packages": captured.packages})
    elif options.packages:
        output.print_lines(run_sections.packages(captured))
    else:
        output.print_lines(run_sections.environment(captured))
    return 0 if captured.record else 1
