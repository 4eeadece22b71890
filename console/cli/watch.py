"""`footplate watch`: look after a folder: read its manifest, see when its files change, know its runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from console.cli import output, projects
from console.client import Client
from console.person import whoami
from console.tui.text_format import visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("folder", nargs="?", default=".", help="a project, or a folder of projects (default: here)")
    parser.add_argument("--name", default="", help="what to call it (default: as its manifest, else its folder)")
    parser.add_argument("--here", action="store_true", help="that folder itself, whatever lies in it")
    parser.add_argument("--json", action="store_true", help="print the projects as JSON")
    parser.epilog = "Watching executes nothing: a manifest starts things by itself only once `footplate trust` says so."


def execute(options: Namespace) -> int:
    """Watch it."""
    asked = {"folder": os.path.abspath(options.folder), "name": options.name, "here": options.here}
    found = Client().post("/projects/watch", asked | {"actor": whoami()})
    if options.json:
        output.print_json(found)
        return 0
    for project in found["projects"]:
        projects.print_project(project)
    for reason in found["passed_over"]:
        print(f"passed over: {visible(reason)}")
    return 0
