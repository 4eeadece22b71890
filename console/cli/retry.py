"""`footplate retry`: enqueue ended runs once more, as new runs; of a sweep, those that did not finish."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.cli import output, shell
from console.cli.start import print_started
from console.client import Client

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("runs", nargs="+", metavar="run", help="r12, its id, or a sweep: s3")
    parser.add_argument("--all", action="store_true", help="of a sweep, also those that finished")
    parser.add_argument("--json", action="store_true", help="print the new runs as JSON")
    parser.epilog = "A new run gets the environment of this shell, and the same command, folder, params and options."


def execute(options: Namespace) -> int:
    """Enqueue them."""
    asked = shell.context() | {"runs": options.runs, "all": options.all}
    found = Client().post("/retry", asked)
    if options.json:
        output.print_json(found)
    else:
        print_started(found)
    return 0
