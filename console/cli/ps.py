"""`footplate ps`: runs that are alive or waiting."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

from console import protocol
from console.cli import output
from console.client import Client

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

QUICK_OPTIONS: Final = {(): SimpleNamespace(json=False)}
"""What the parser makes of arguments that are given all the time."""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--json", action="store_true", help="print the page as JSON")


def execute(options: Namespace | SimpleNamespace) -> int:
    """Print the live runs, newest first."""
    states = ",".join(sorted(protocol.LIVE_STATES | protocol.WAITING_STATES))
    page = Client().runs(states=states, limit=1000)
    if options.json:
        output.print_json(page)
    elif page.rows:
        output.print_runs(page.rows, page.now_s)
    else:
        print("nothing runs; start something: footplate run -- python train.py")
    return 0
