"""`footplate uninstall`: stop, take the service away, and with --purge everything that footplate ever wrote."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from console import protocol, uninstalling
from console.cli import daemon, long_work, output, service
from console.client import Client, ClientError
from console.daemon_process import DaemonProcessError
from console.tui import text_format
from console.tui.text_format import visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from console.uninstalling import Places

WORD: Final = "footplate"
PIP: Final = "pip uninstall footplate"
LISTED: Final = 20


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--purge", action="store_true", help="delete all runs, the index and the configuration too")
    parser.add_argument("-y", "--yes", action="store_true", help="with --purge: do not ask")
    parser.add_argument("--json", action="store_true", help="print what was found and done as JSON")


def execute(options: Namespace) -> int:
    """Say what is there, then stop and remove what was asked for."""
    found = uninstalling.places()
    unit = service.facts()
    if options.purge and not options.yes and not long_work.can_ask():
        return output.usage_error("without a terminal nobody can be asked; --purge --yes deletes without asking")
    if options.purge and found.state:
        refuse_live_runs()
        uninstalling.refuse_obstacles(found)
    sizes = long_work.carry_out(Client(), "disk_use") if found.state else {}
    if not options.json:
        print_places(found, unit, sizes)
    asked = options.purge and not options.yes
    if asked and not long_work.type_to_confirm(f"delete all of that for good? Type {WORD}:", WORD):
        print("footplate: nothing was changed", file=sys.stderr)
        return 1
    left = remove(found, unit, purge=options.purge, quiet=options.json)
    if options.json:
        done = {"purged": options.purge, "kept": left, "service": unit, "disk_use": sizes}
        output.print_json({**found._asdict(), **done})
    return 0


def refuse_live_runs() -> None:
    """Raises ClientError when runs live or wait."""
    states = ",".join(sorted({*protocol.LIVE_STATES, *protocol.WAITING_STATES}))
    page = Client().runs(states=states, limit=LISTED)
    if page.rows:
        names = ", ".join(f"{row.label} {row.name} ({row.state})" for row in page.rows)
        more = f" and {page.matched_count - len(page.rows)} more" if page.matched_count > len(page.rows) else ""
        raise ClientError(
            f"runs have not ended: {names}{more}", "`footplate stop RUN` ends one; then repeat the command"
        )


def print_places(found: Places, unit: dict[str, Any], sizes: dict[str, Any]) -> None:
    """What footplate has on this machine."""
    lines = []
    if unit["installed"]:
        lines.append(("service", visible(unit["unit"])))
    if found.state:
        amount = f"{text_format.bytes_size(sizes['total_bytes'])}, {len(sizes['runs'])} runs"
        lines.append(("state", f"{visible(found.state)} ({amount})"))
    lines += [("beside", visible(path)) for path in found.outside]
    if found.config:
        lines.append(("config", visible(found.config)))
    for title, text in lines:
        print(f"{title:<8} {text}")
    if not lines:
        print("footplate has written nothing here")


def remove(found: Places, unit: dict[str, Any], *, purge: bool, quiet: bool) -> list[str]:
    """Stop, and take away; returns the paths of what stays although a purge was asked for. Raises ClientError."""
    if unit["installed"]:
        service.remove(quiet=quiet)
    left: list[str] = []
    try:
        if found.state:
            long_work.carry_out(Client(), "finish_captures")
            daemon.stop(found.state, quiet=quiet)
        if purge:
            line = long_work.ProgressLine()
            left = uninstalling.purge(found, lambda count: line.show(f"{count:,} entries removed"))
            line.clear()
    except DaemonProcessError as error:
        raise ClientError(str(error), "nothing was deleted") from error
    except OSError as error:
        words = f"{error.filename or found.state} cannot be removed: {error.strerror or error}"
        raise ClientError(words, "see why, then repeat the command") from error
    if not quiet:
        print_end(found, left, purge=purge)
    return left


def print_end(found: Places, left: list[str], *, purge: bool) -> None:
    """What is left and how to get rid of that."""
    if not purge and found.state:
        print(f"all runs are kept in {visible(found.state)}; `footplate uninstall --purge` deletes them")
    if left:
        print("not written by footplate, so it stays:")
        for path in left[:LISTED]:
            print(f"  {visible(path)}")
        if len(left) > LISTED:
            print(f"  and {len(left) - LISTED} more")
    after = "nothing of footplate is left" if purge and not left else "the program is gone"
    print(f"`{PIP}` (or `uv tool uninstall footplate`) takes the program away; after it {after}")
