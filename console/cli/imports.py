"""`footplate imports`: the folders whose runs were taken in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console import trackers
from console.cli import output
from console.client import Client
from console.tui.text_format import visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from console.protocol import Json


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--json", action="store_true", help="print them as JSON")


def execute(options: Namespace) -> int:
    """List them."""
    rows = Client().get("/imports")["imports"]
    if options.json:
        output.print_json({"imports": rows})
    elif rows:
        for row in rows:
            print_import(row)
    else:
        print("nothing was imported yet: footplate import PATH takes in what other trackers have written")
    return 0


def print_import(row: Json) -> None:
    """One import for people."""
    found = ", ".join(f"{count} {trackers.name_of(name)}" for name, count in sorted(row["by_tracker"].items()))
    runs = f"{row['run_count']} runs: {found}" if row["run_count"] else "no runs"
    print(f"{visible(row['root'])}  {runs}  ({phase_of(row)})")
    states = ", ".join(f"{count} {state}" for state, count in sorted(row["by_state"].items()))
    if states:
        print(f"  {states}")
    if row["joined_count"]:
        print(f"  {row['joined_count']} more are runs that footplate started, which have these metrics now")
    if row["twin_count"]:
        print(f"  {row['twin_count']} more are the same runs, seen by another tracker")
    if row["elsewhere_count"]:
        others = ", ".join(map(visible, row["elsewhere"]))
        print(f"  {row['elsewhere_count']} more are the same as runs of {others}")
    if row["stopped"]:
        print(f"  ! not everything was looked at: {visible(row['stopped'])}")
    for words in row["problems"]:
        print(f"  ! {visible(words)}")
    if not row["run_count"] and not row["problems"] and row["looked"]:
        print("  nothing of a tracker that is known was found below it")


def phase_of(row: Json) -> str:
    """What is being done with it."""
    if row["cancelled"]:
        return "left off"
    if row["reading"]:
        return "followed" if row["looked"] else "being read"
    return "waits for its turn" if row["waiting"] else "watched" if row["watched"] else "read"
