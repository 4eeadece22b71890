"""`footplate sweeps`: all sweeps, or the runs of one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from console import protocol
from console.cli import output
from console.client import Client, quote
from console.tui import text_format
from console.tui.text_format import visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from console.protocol import Json


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("sweep", nargs="?", default="", help="such as s3 (default: all of them)")
    parser.add_argument("--json", action="store_true", help="print as JSON")


def execute(options: Namespace) -> int:
    """List them."""
    client = Client()
    found = client.get(f"/sweeps/{quote(options.sweep)}" if options.sweep else "/sweeps")
    if options.json:
        output.print_json(found)
    elif options.sweep:
        print_sweep(found | {"counts": counts_of(found["rows"])}, time.time())
        output.print_runs([protocol.decode_row(row) for row in found["rows"]], time.time())
    elif found["sweeps"]:
        for sweep in found["sweeps"]:
            print_sweep(sweep, time.time())
    else:
        print("no sweeps yet; enqueue one: footplate sweep train -p lr=1e-3,1e-4")
    return 0


def counts_of(rows: list[dict[str, Json]]) -> dict[str, int]:
    """Runs by state."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["state"]] = counts.get(row["state"], 0) + 1
    return counts


def print_sweep(sweep: dict[str, Json], now_s: float) -> None:
    """One sweep on a line, and why it is paused on another."""
    counts = ", ".join(f"{number} {state}" for state, number in sorted(sweep["counts"].items())) or "no runs left"
    axes = "  ".join(map(visible, sweep.get("axes", [])))
    when = text_format.clock(sweep["created_at_s"], now_s)
    print(
        f"{sweep['label']:<5} {visible(sweep['project'])} {visible(sweep['name'])}  {when}  {counts}  {axes}".rstrip()
    )
    if sweep["paused"]:
        print(f"      {visible(sweep['paused'])}; `footplate resume {sweep['label']}` lets it go on")
