"""`footplate runs`: the run table."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from console import run_queries
from console.cli import output, query_words
from console.client import Client, DaemonRefused

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
        default="started",
        help="order by a fact, a param or a metric, such as duration, lr or 'best(val/acc)' (default: %(default)s)",
    )
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
        page = Client().runs(
            text=text,
            states=options.state,
            sort=options.sort,
            descending=not options.reverse,
            limit=PAGE_ROWS if options.all else max(1, options.limit),
        )
    except DaemonRefused as error:
        return query_words.say_refusal(error, text, options.sort)
    if options.json:
        output.print_json(page)
    elif page.rows:
        output.print_runs(page.rows, page.now_s)
        if page.matched_count > len(page.rows):
            print(f"{page.matched_count - len(page.rows)} more: --all", file=sys.stderr)
    elif page.total_count:
        print(f"none of the {page.total_count} runs fits")
    else:
        print("no runs yet; start one: footplate run -- python train.py, or look around: footplate demo")
    return 0
