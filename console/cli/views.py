"""`footplate views`: the saved views of the run table."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from console import views
from console.cli import output
from console.tui.text_format import visible
from console.views import View, ViewError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--json", action="store_true", help="print them as JSON")


def execute(options: Namespace) -> int:
    """List them; 1 when one of them cannot be used."""
    try:
        found = views.read_all()
    except ViewError as error:
        print(f"footplate: {visible(str(error))}", file=sys.stderr)
        return 1
    whole = [each for each in found if isinstance(each, View)]
    broken = [each for each in found if not isinstance(each, View)]
    if options.json:
        output.print_json({"folder": views.folder(), "views": whole, "broken": broken})
    else:
        for view in whole:
            print(f"{view.name:<16} {order_words(view):<24} {columns_words(view)}  {visible(view.filter)}".rstrip())
        if not found:
            print(f"no views yet; v in the table of runs keeps one in {visible(views.folder())}")
    for each in broken:
        print(f"footplate: {visible(each.problem)}", file=sys.stderr)
    return 1 if broken else 0


def order_words(view: View) -> str:
    """By what a view sorts."""
    return f"by {visible(view.sort)}" + ("" if view.descending else ", smallest first")


def columns_words(view: View) -> str:
    """Which columns a view has."""
    return "automatic columns" if view.columns is None else f"{len(view.columns)} columns"
