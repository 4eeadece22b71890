"""What keys do to runs, in words: which run an act fits, why it does not fit another, what is asked before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from textual.content import Content

from console import trackers
from console.protocol import ENDED_STATES, WAITING_STATES
from console.tui.styles import MUTED
from console.tui.text_format import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.asked_of_runs import NewRun
    from console.protocol import RunDetail, RunRow

NAMED_RUNS: Final = 10
"""Lines of a question that names runs; of more, the last line holds the numbers."""
NAMED_NUMBERS: Final = 40


class Act(NamedTuple):
    """One thing that can be done to runs."""

    name: str
    verb: str
    """As in "stop 3 runs?"."""
    consequence: str
    """What a question says beneath the names."""


ACTS: Final = {
    act.name: act
    for act in (
        Act("stop", "stop", ""),
        Act("retry", "retry", "Each is enqueued once more as a new run, with the environment of this terminal."),
        Act("clone", "clone", ""),
        Act("requeue", "requeue", "Those that wait go to the front; those that ended wait for a slot once more."),
        Act("release", "release", "Each starts as soon as there is room."),
        Act("note", "note", ""),
        Act("tag", "tag", ""),
        Act("pin_run", "pin", "Nothing deletes a pinned run."),
        Act("unpin_run", "unpin", "A budget may delete what is not pinned."),
        Act("archive", "archive", "Log and files are packed away; metrics, notes and the row stay."),
    )
}


def refusal(act: str, row: RunRow, stop_key: str) -> str:
    """Why an act does not fit a run, in one sentence; empty when it does. `stop_key` stops it here."""
    named = f"{row.label} {row.name}"
    ended, foreign = has_ended(row), bool(row.tracker)
    if foreign and act in ("stop", "retry", "clone", "requeue", "release", "archive"):
        return f"{named} was imported from {trackers.name_of(row.tracker)}: only its own tool can {ACTS[act].verb} it"
    if act == "stop" and ended:
        return f"{named} has ended already: {row.state}"
    if act in ("retry", "archive") and not ended:
        return f"{named} has not ended ({row.state}): {stop_key} stops it"
    if act == "requeue" and not ended and row.state not in WAITING_STATES:
        return f"{named} does not wait, it is {row.state}: {stop_key} stops it"
    if act == "release" and row.state != "held":
        return f"{named} is not held, it is {row.state}"
    if act in ("retry", "clone", "requeue", "archive") and row.archived:
        return f"{named} is packed away: footplate archive --restore {row.label} brings its files back"
    return ""


def named_rows(rows: Sequence[RunRow]) -> Content:
    """Runs by number and name, one a line; every one of them is named as far as there is room."""
    shown = rows if len(rows) <= NAMED_RUNS else rows[: NAMED_RUNS - 1]
    lines = [
        Content.assemble((f"{row.label} ", "bold $accent"), (visible(row.name)[:60], "$foreground")) for row in shown
    ]
    if rest := rows[len(shown) :]:
        numbers = " ".join(row.label for row in rest[:NAMED_NUMBERS])
        more = f" and {len(rest) - NAMED_NUMBERS} more" if len(rest) > NAMED_NUMBERS else ""
        lines.append(Content.assemble((numbers, "bold $accent"), (more, "$foreground")))
    return Content("\n").join(lines)


def act_title(act: Act, rows: Sequence[RunRow]) -> str:
    """The title of a question; holds nothing from outside, as it is read as markup."""
    what = rows[0].label if len(rows) == 1 else f"{len(rows)} runs"
    return f"{act.verb.capitalize()} {what}?"


def act_question(act: Act, rows: Sequence[RunRow], left_out: Sequence[str] = ()) -> Content:
    """What an act on these runs means."""
    parts = [named_rows(rows)]
    if act.consequence:
        parts += [Content(""), Content(act.consequence)]
    if left_out:
        count = len(left_out)
        words = f"{count} marked run{'s' if count > 1 else ''} left out: {visible(left_out[0])}"
        parts.append(Content.styled(words[:200] + (", …" if count > 1 else ""), MUTED))
    return Content("\n").join(parts)


def stop_question(details: Sequence[RunDetail], left_out: Sequence[str] = ()) -> Content:
    """What stopping these runs means."""
    signals = Content.assemble(
        ("SIGTERM", "bold $warning"),
        " now to every process of the run" if len(details) == 1 else " now to every process of these runs",
        ", ",
        ("SIGKILL", "bold $error"),
        " to what is left after the grace time.",
    )
    if len(details) == 1:
        (detail,) = details
        row = detail.row
        pid = f"pid {detail.pid}" if detail.pid is not None else "no pid known"
        head = Content.assemble(
            (f"{row.label} ", "bold $accent"),
            (visible(row.name), "bold $foreground"),
            (f"  {pid} on {visible(detail.host)}\n", MUTED),
            (visible(row.command)[:400], "$foreground"),
        )
        return Content.assemble(head, "\n\n", signals)
    asked = act_question(ACTS["stop"], [detail.row for detail in details], left_out)
    return Content.assemble(asked, "\n\n", signals)


def has_ended(row: RunRow) -> bool:
    """It will not run any more."""
    return row.state in ENDED_STATES


def names(rows: Sequence[RunRow]) -> str:
    """`r12 train`, or `3 runs: r12 r13 r14`."""
    if len(rows) == 1:
        return f"{rows[0].label} {rows[0].name}"
    return f"{len(rows)} runs: {' '.join(row.label for row in rows)}"


def started_words(made: Sequence[NewRun]) -> str:
    """How new runs stand."""
    if len(made) == 1:
        (run,) = made
        said = f": {run.reason}" if run.reason else ""
        return f"r{run.no} {run.name} is {run.state}{said}"
    return f"{len(made)} new runs: {' '.join(f'r{run.no}' for run in made)}"
