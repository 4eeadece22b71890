"""`footplate stop`: end runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from console import protocol
from console.cli import output
from console.cli.pause import SWEEP
from console.client import Client, DaemonUnavailable
from console.person import whoami

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from console.protocol import RunDetail

WAIT_MAX_ROUNDS: Final = 10_000


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("runs", nargs="+", metavar="run", help="r12, 12, its id or its start, or a sweep: s3")
    parser.add_argument("--no-wait", action="store_true", help="return once the request is recorded")
    parser.add_argument("--json", action="store_true", help="print the runs as JSON")


def execute(options: Namespace) -> int:
    """Ask every named run to end, then wait for the ends."""
    client = Client()
    # All names are looked up first: a typo in the third must not leave the first two stopped.
    found = [client.run(reference) for reference in options.runs if not SWEEP.fullmatch(reference)]
    labels = [reference for reference in options.runs if SWEEP.fullmatch(reference)]
    for label in labels:
        client.get(f"/sweeps/{label}")
    ids = [client.stop(detail.row.id, whoami()).row.id for detail in found]
    for label in labels:
        ids += client.post(f"/sweeps/{label}/stop", {"actor": whoami()})["runs"]
    details = [client.run(run_id) if options.no_wait else wait_for_end(client, run_id) for run_id in ids]
    if options.json:
        output.print_json(details)
    else:
        output.print_runs([detail.row for detail in details], details[0].now_s)
    return 0


def wait_for_end(client: Client, run_id: str) -> RunDetail:
    """The run once it has ended, however often the daemon is replaced meanwhile."""
    position = 0
    while True:
        try:
            detail = client.run(run_id)
            if detail.row.state in protocol.ENDED_STATES:
                return detail
            position = client.changes(f"run:{run_id}", position).position
        except DaemonUnavailable:
            position = 0
