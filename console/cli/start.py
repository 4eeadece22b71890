"""`footplate start`: enqueue a job of footplate.toml, and what comes after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.cli import output, params, shell
from console.client import Client
from console.tui.text_format import visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from console.protocol import Json


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("job", help="a job of the footplate.toml here or in a folder above")
    parser.add_argument(
        "-p", "--param", action="append", default=[], metavar="NAME=VALUE", help="instead of its default"
    )
    parser.add_argument("--only", action="store_true", help="without the jobs that come after it")
    parser.add_argument("--priority", type=int, default=None, metavar="N", help="-100 to 100, higher goes first")
    parser.add_argument("--name", default="", help="what to call the run (default: the job)")
    parser.add_argument("--json", action="store_true", help="print the runs as JSON")


def execute(options: Namespace) -> int:
    """Enqueue it and say what became of it."""
    asked = shell.context() | {
        "folder": shell.working_dir(),
        "job": options.job,
        "params": params.assignments(options.param),
        "followers": not options.only,
        "priority": options.priority,
        "name": options.name,
    }
    found = Client().post("/jobs", asked)
    if options.json:
        output.print_json(found)
    else:
        print_started(found)
    return 0


def print_started(found: dict[str, Json]) -> None:
    """The runs that a job became, for people."""
    for run in found["runs"]:
        said = f": {visible(run['reason'])}" if run["reason"] else ""
        print(f"r{run['no']}  {visible(run['name'])}  {run['state']}{said}")
    for note in found["notes"]:
        print(visible(note))
