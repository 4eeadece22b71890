"""`footplate show`: everything about one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.cli import output
from console.client import Client

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("run", help="r12, 12, its id, or the first characters of the id")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def execute(options: Namespace) -> int:
    """Print one run."""
    detail = Client().run(options.run)
    if options.json:
        output.print_json(detail)
    else:
        output.print_detail(detail)
    return 0
