"""`footplate triage`: what wants you, what runs, what waits, what has ended while you were away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from console import triage
from console.cli import output
from console.client import Client, DaemonRefused
from console.person import whoami
from console.tui import text_format
from console.tui.gap_words import gap_words
from console.tui.sparkline import sparkline
from console.tui.text_format import visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from console.triage import LiveRun, Need, Triage

INDENT_CELLS: Final = 2
NEED_COLUMNS: Final = (("", "<", 1), ("", "<", 32), ("", "<", 12), ("", "<", 70), ("", "<", 60))
LIVE_COLUMNS: Final = (
    ("", "<", 7),
    ("", "<", 32),
    ("", "<", 12),
    ("", ">", 9),
    ("", "<", 22),
    ("", ">", 10),
    ("", ">", 7),
    ("", ">", 7),
)
ENDED_COLUMNS: Final = (("", "<", 7), ("", "<", 32), ("", "<", 11), ("", ">", 9), ("", ">", 7), ("", "<", 60))
WAITING_COLUMNS: Final = (("", "<", 7), ("", "<", 32), ("", "<", 9), ("", "<", 10), ("", "<", 60))


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--seen", nargs="+", metavar="KEY", help="mark these as seen: a run (r12), or keys of --json")
    parser.add_argument("--clear", action="store_true", help="what has ended until now was looked at")
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")


def execute(options: Namespace) -> int:
    """Print it; mark or clear first when that was asked for."""
    client, actor = Client(), whoami()
    if options.seen:
        needs = triage.fetch(client, actor).needs
        triage.mark_seen(client, [key_named(needs, name) for name in options.seen], actor)
    if options.clear:
        triage.clear(client, actor)
    found = triage.fetch(client, actor)
    if options.json:
        output.print_json(found)
    else:
        print_triage(found)
    return 0


def key_named(needs: Sequence[Need], name: str) -> str:
    """The key of a need by itself, or by the run that it is about. Raises DaemonRefused."""
    for need in needs:
        if need.dismissable and (name == need.key or need.subject.split(" ")[0] == name):
            return need.key
    raise DaemonRefused(
        f"nothing that can be marked as seen is named {name!r}", "`footplate triage` lists what is", 404
    )


def print_triage(found: Triage) -> None:
    """All of it for people."""
    print(f"needs you {found.need_count}" if found.need_count else "nothing needs you")
    output.print_cells([need_cells(need, found.now_s) for need in found.needs], NEED_COLUMNS, indent_cells=INDENT_CELLS)
    left_out(found.need_count - len(found.needs))
    print(f"\nrunning {found.live_count}" if found.live_count else "\nnothing runs")
    output.print_cells([live_cells(run, found.now_s) for run in found.live], LIVE_COLUMNS, indent_cells=INDENT_CELLS)
    left_out(found.live_count - len(found.live))
    if found.ended:
        since = text_format.clock(found.absence.since_s, found.now_s)
        away = found.absence.away_s
        words = f"ended since {since}"
        if away is not None:
            words = f"since you left {since}, away {text_format.duration(away)}"
        print(f"\n{words}: {found.ended_count}")
        rows = []
        for run in found.ended:
            row = run.row
            value = row.metric.best if row.metric is not None else None
            took_s = None if row.started_at_s is None or row.ended_at_s is None else row.ended_at_s - row.started_at_s
            how = visible(row.cause) if row.state != "finished" or row.cause else gap_words(run.gap)
            number = "-" if value is None else text_format.number(value)
            rows.append([row.label, visible(row.name), row.state, number, text_format.duration(took_s), how])
        output.print_cells(rows, ENDED_COLUMNS, indent_cells=INDENT_CELLS)
        left_out(found.ended_count - len(found.ended))
    if found.waiting:
        print(f"\nqueue {found.waiting_count}")
        rows = []
        for waiting in found.waiting:
            starts_s = waiting.expected_start_s
            in_s = "n/a" if starts_s is None else f"~{text_format.duration(max(0.0, starts_s - found.now_s))}"
            name, reason = visible(waiting.name), visible(waiting.reason)
            rows.append([f"r{waiting.no}", name, waiting.state, in_s, reason])
        output.print_cells(rows, WAITING_COLUMNS, indent_cells=INDENT_CELLS)
        left_out(found.waiting_count - len(found.waiting))


def need_cells(need: Need, now_s: float) -> list[str]:
    """One need as texts that are safe to print."""
    helps = f"->  {visible(need.command)}" if need.command else ""
    when = text_format.clock(need.at_s, now_s)
    return ["x" if need.severe else "!", visible(need.subject), when, visible(need.cause), helps]


def live_cells(run: LiveRun, now_s: float) -> list[str]:
    """One live run as texts that are safe to print."""
    row = run.row
    took_s = None if row.started_at_s is None else now_s - row.started_at_s
    left = "" if run.left_s is None else f"~{text_format.duration(run.left_s)}"
    return [
        row.label,
        visible(row.name),
        sparkline(run.curve, 12, ascii_only=output.ascii_only()),
        text_format.number(row.metric.last) if row.metric is not None else "-",
        gap_words(run.gap) if run.gap is not None else "",
        visible(run.progress.text) if run.progress is not None else "n/a",
        text_format.duration(took_s),
        left,
    ]


def left_out(count: int) -> None:
    """How many rows are not shown."""
    if count > 0:
        print(f"  {count} more: --json has what the daemon sends")
