"""`footplate rebuild`: build the index anew from the run directories and the command journal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Final

from console.cli import output
from console.client import Client, ClientError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

LOOK_INTERVAL_S: Final = 0.2
LEAVE_TIMEOUT_S: Final = 60.0
"""How long the old daemon may take to end what it is at."""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="print what the index holds afterwards as JSON")


def execute(options: Namespace) -> int:
    """Ask, have the daemon start over, wait until every run is in."""
    if not options.yes and not confirmed():
        return 1
    client = Client()
    old_pid = client.get("/ping")["pid"]
    client.post("/store/rebuild", {})
    wait_for_another(client, old_pid)
    facts = wait_until_in(client, shown=sys.stderr.isatty())
    if options.json:
        output.print_json({name: facts[name] for name in ("counts", "quarantines")})
        return 0
    counts = facts["counts"]
    print(
        f"the index holds {counts['runs']:,} runs, {counts['points']:,} points, "
        f"{counts['notes']:,} notes and {counts['tags']:,} tags"
    )
    if facts["quarantines"]:
        print(f"the index of before is kept in {facts['quarantines'][-1]} of the state directory")
    return 0


def confirmed() -> bool:
    """Whether the person at the terminal agrees. Raises ClientError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise ClientError("rebuild asks first, and there is nobody to ask", "give --yes")
    print("The index is moved aside and built anew; runs go on meanwhile. Go on? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def wait_for_another(client: Client, old_pid: int) -> None:
    """Until a daemon answers that is not the old one."""
    deadline_s = time.monotonic() + LEAVE_TIMEOUT_S
    while client.get("/ping")["pid"] == old_pid:
        client.close()
        if time.monotonic() > deadline_s:
            message = f"the daemon (pid {old_pid}) did not leave within {LEAVE_TIMEOUT_S:.0f} s"
            raise ClientError(message, "`footplate daemon stop`, then any command: it builds the index anew")
        time.sleep(LOOK_INTERVAL_S)


def wait_until_in(client: Client, *, shown: bool) -> dict[str, Any]:
    """Until every run is in the index; returns the facts of then. `shown`: with the progress on stderr."""
    while True:
        facts = client.get("/store")
        progress = facts["catching_up"]
        total, left = progress["total_count"], progress["left_count"]
        if shown:
            print(f"\r{total - left:,} of {total:,} runs " if total else "\r", end="", file=sys.stderr, flush=True)
        if not total:
            return facts
        time.sleep(LOOK_INTERVAL_S)
