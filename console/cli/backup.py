"""`footplate backup`: a copy of the index, made while it is in use."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from console.cli import output
from console.client import Client
from console.tui.text_format import bytes_size, visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--list", action="store_true", help="only list the copies that are there")
    parser.add_argument("--json", action="store_true", help="print the copies as JSON")


def execute(options: Namespace) -> int:
    """Make a copy, then list all."""
    client = Client()
    if not options.list:
        client.post("/store/backup", {})
    facts = client.get("/store")
    if options.json:
        output.print_json(facts["backups"])
        return 0
    for copy in facts["backups"]:
        made = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(copy["made_at_s"]))
        print(f"{made}  {bytes_size(copy['size_bytes']):>10}  {visible(copy['path'])}")
    if not facts["backups"]:
        print("there is no backup yet; the daemon makes one a day")
    return 0
