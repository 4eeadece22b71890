"""`footplate unwatch`: look after a folder no more; its files and its runs stay."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from console.cli import output
from console.client import Client
from console.person import whoami
from console.tui.text_format import visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("project", nargs="?", default="", help="its name or its folder (default: the one around here)")
    parser.add_argument("--json", action="store_true", help="print what is watched no more as JSON")


def execute(options: Namespace) -> int:
    """Let go of it."""
    found = Client().post("/projects/unwatch", named(options.project) | {"actor": whoami()})
    if options.json:
        output.print_json(found)
    else:
        print(f"{visible(found['root'])} is watched no more; its runs stay")
    return 0


def named(project: str) -> dict[str, str]:
    """A project as the daemon takes it: by name, by folder, or the one around the present folder."""
    if not project:
        return {"folder": os.getcwd()}
    is_path = os.sep in project or project in (".", "..") or os.path.isdir(project)
    return {"folder": os.path.abspath(project)} if is_path else {"project": project}
