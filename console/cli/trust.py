"""`footplate trust`: let the footplate.toml of a watched project start commands by itself, as it is now."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from console.cli import output, shell
from console.cli.projects import TRUST_WORDS, job_words, print_project
from console.cli.unwatch import named
from console.client import Client, ClientError
from console.tui.text_format import visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from console.protocol import Json


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("project", nargs="?", default="", help="its name or its folder (default: the one around here)")
    parser.add_argument("--show", action="store_true", help="say what would be trusted, change nothing")
    parser.add_argument("--revoke", action="store_true", help="let it start nothing by itself any more")
    parser.add_argument("-y", "--yes", action="store_true", help="without asking")
    parser.add_argument("--json", action="store_true", help="print the project as JSON")
    parser.epilog = (
        "What a trusted manifest starts gets the environment of this shell. Any change of the file ends the trust."
    )


def execute(options: Namespace) -> int:
    """Show what it is about, ask, trust it."""
    client = Client()
    asked = named(options.project)
    if options.revoke:
        found = client.post("/projects/revoke", asked | {"actor": shell.context()["actor"]})
    else:
        project = look_up(client, asked)
        if options.show:
            show(project, options)
            return 0
        if not options.yes and not options.json:
            show(project, options)
            if not sys.stdin.isatty():
                raise ClientError("nothing was trusted: nobody is there to confirm it", "--yes trusts without asking")
            print(f"trust it? [y/N] ({visible(project['root'])}/footplate.toml) ", end="", file=sys.stderr, flush=True)
            if sys.stdin.readline().strip().lower() not in ("y", "yes"):
                print("nothing was trusted", file=sys.stderr)
                return 1
        found = client.post("/projects/trust", asked | shell.context() | {"text_hash": project["text_hash"]})
    if options.json:
        output.print_json(found)
    else:
        print_project(found)
    return 0


def look_up(client: Client, asked: dict[str, str]) -> dict[str, Json]:
    """The project as it is now. Raises ClientError."""
    return client.post("/projects/look", asked)


def show(project: dict[str, Json], options: Namespace) -> None:
    """What would be trusted: the difference to what was, or all jobs."""
    if options.json:
        output.print_json(project)
        return
    print(f"{visible(project['root'])}/footplate.toml: {TRUST_WORDS.get(project['trust'], project['trust'])}")
    for line in project["diff"]:
        print(f"  {visible(line)}")
    for job in project["jobs"]:
        print(f"  job {job_words(job)}")
        print(f"      {visible(job['command'])}")
