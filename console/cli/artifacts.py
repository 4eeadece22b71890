"""`footplate artifacts`: the files that an imported run left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.cli import output
from console.client import Client
from console.tui import text_format
from console.tui.text_format import visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("run", help="such as r12")
    parser.add_argument("--json", action="store_true", help="print them as JSON")


def execute(options: Namespace) -> int:
    """List them."""
    detail = Client().run(options.run)
    if options.json:
        output.print_json({"artifacts": [each._asdict() for each in detail.artifacts]})
    elif detail.artifacts:
        for each in detail.artifacts:
            print(f"{text_format.bytes_size(each.size_bytes):>9}  {each.kind:<6} {visible(each.path)}")
    elif detail.row.tracker:
        print(f"{detail.row.label} left nothing behind that its tracker lists")
    else:
        print(f"{detail.row.label} was not imported; its own files lie in {visible(detail.working_dir)}")
    return 0
