"""`footplate runs`: the run table."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from console import run_columns, run_queries, views
from console.cli import output, query_words
from console.client import Client, DaemonRefused
from console.run_columns import ColumnError
from console.tui import text_format
from console.views import View, ViewError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

PAGE_ROWS = 10_000


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "query", nargs="*", help="only runs that fit: words, or conditions such as 'val/acc > 0.8 and lr < 1e-3'"
    )
    parser.add_argument("--state", default="", help="only these states, separated by commas")
    parser.add_argument(
        "--sort",
        metavar="FIELD",
        help="order by a fact, a param or a metric, such as duration, lr or 'best(val/acc)' (default: started)",
    )
    parser.add_argument(
        "--columns",
        metavar="LIST",
        help="such as 'param:lr,metric:val/acc:best,duration'; a backslash goes before a comma in a key",
    )
    parser.add_argument("--view", metavar="NAME", help="filter, order and columns of a saved view")
    parser.add_argument("--reverse", action="store_true", help="smallest, or oldest, first")
    parser.add_argument("-n", "--limit", type=int, default=20, help="how many (default: %(default)s)")
    parser.add_argument("--all", action="store_true", help="all of them")
    parser.add_argument("--json", action="store_true", help="print the page as JSON")


def execute(options: Namespace) -> int:
    """Print a page of runs."""
    text = " ".join(options.query)
    if fault := run_queries.too_long(text):
        return query_words.say_fault(text, fault)
    try:
        view = views.read(options.view) if options.view else View("")
        columns = view.columns if options.columns is None else column_names(options.columns)
    except (ViewError, ColumnError) as error:
        return output.usage_error(text_format.visible(str(error)))
    if view.filter:
        text = f"({view.filter}) {text}".rstrip() if text else view.filter
    sort = options.sort or view.sort
    try:
        table = run_columns.table_page(
            Client(),
            text=text,
            states=options.state,
            sort=sort,
            descending=view.descending != options.reverse,
            limit=PAGE_ROWS if options.all else max(1, options.limit),
            columns=[name for name in columns or () if ":" in name],
            whole=columns is None,
        )
    except DaemonRefused as error:
        return query_words.say_refusal(error, text, sort)
    page = table.page
    if options.json:
        output.print_json(page if columns is None else {**page._asdict(), "cells": table.cells})
    elif page.rows:
        if columns is None:
            output.print_runs(page.rows, page.now_s)
        else:
            from console.cli import column_table

            column_table.print_table(table, columns)
        if page.matched_count > len(page.rows):
            print(f"{page.matched_count - len(page.rows)} more: --all", file=sys.stderr)
    elif page.total_count:
        print(f"none of the {page.total_count} runs fits")
    else:
        print("no runs yet; start one: footplate run -- python train.py, or look around: footplate demo")
    return 0


def column_names(text: str) -> tuple[str, ...]:
    """The columns of a list. Raises ColumnError."""
    return tuple(column.name for column in run_columns.parse_columns(text))
