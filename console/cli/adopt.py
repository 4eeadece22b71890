"""`footplate adopt`: make a process that already runs a run from now on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.cli import output
from console.client import Client
from console.person import whoami

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("pid", type=int, help="of a process of yours, such as a training started by hand")
    parser.add_argument("--name", default="", help="what to call it (default: the script)")
    parser.add_argument("--project", default="", help="what it belongs to (default: the name of its folder)")
    parser.add_argument("--json", action="store_true", help="print the run as JSON")
    parser.epilog = "Its end is noticed, its exit code is not known; its log is shown where stdout is a file."


def execute(options: Namespace) -> int:
    """Adopt the process and print the run."""
    client = Client()
    asked = {"pid": options.pid, "name": options.name, "project": options.project, "actor": whoami()}
    new = client.post("/adopt", asked)
    if options.json:
        output.print_json(client.run(new["id"]))
    else:
        print(f"r{new['no']}")
    return 0
