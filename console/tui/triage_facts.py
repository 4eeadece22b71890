"""What is known about the row of triage under the cursor, for terminals with room for it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.tui.gap_words import gap_words
from console.tui.run_cells import elapsed_s, outcome_text, params_text
from console.tui.run_names import name_of
from console.tui.text_format import clock, duration, number
from console.tui.triage_cells import act_words, left_words
from console.tui.widgets.facts import Fact

if TYPE_CHECKING:
    from console.triage import LiveRun, Need, Triage, WaitingRun
    from console.tui.triage_cells import Look


def facts_of(triage: Triage, key: str, now_s: float, look: Look) -> tuple[Fact, ...]:
    """What is known about the row under the cursor, for terminals with room for it."""
    kind, _, name = key.partition(" ")
    if kind == "need":
        need = next((each for each in triage.needs if each.key == name), None)
        return need_facts(need, now_s, look) if need is not None else ()
    live = next((each for each in triage.live if each.row.id == name), None)
    if live is not None:
        return live_facts(live, now_s)
    ended = next((each for each in triage.ended if each.row.id == name), None)
    if ended is not None:
        row = ended.row
        how = outcome_text(row) if row.state != "finished" else gap_words(ended.gap)
        return (
            Fact("run", f"{row.label} {name_of(row)}  {row.project}"),
            Fact("ended", f"{clock(row.ended_at_s, now_s)} after {duration(elapsed_s(row, now_s))}: {how}", wraps=True),
            Fact("command", row.command, wraps=True),
        )
    waiting = next((each for each in triage.waiting if each.id == name), None)
    return waiting_facts(waiting, now_s) if waiting is not None else ()


def need_facts(need: Need, now_s: float, look: Look) -> tuple[Fact, ...]:
    """Subject, cause, all of the evidence, and what helps."""
    when = f"{clock(need.at_s, now_s)}  " if need.at_s is not None else ""
    helps = [act_words(need, look)] if need.act else []
    helps += [need.command] if need.command else []
    helps += [f"{look.keys['seen']} marks it as seen"] if need.dismissable else ["goes by itself once it is mended"]
    return (
        Fact("what", need.subject, "bold $foreground"),
        Fact("cause", f"{when}{need.cause}", "$error" if need.severe else "$warning", wraps=True),
        Fact("helps", "   ".join(helps)),
        *([Fact("evidence", need.evidence.strip(), wraps=True)] if need.evidence.strip() else []),
    )


def live_facts(run: LiveRun, now_s: float) -> tuple[Fact, ...]:
    """A live run in full."""
    row = run.row
    left = f"{left_words(run.left_s)} left, {run.left_method}" if run.left_s is not None else run.left_method
    progress = run.progress_reason or "n/a"
    if run.progress is not None:
        unit = f" {run.progress.unit}" if run.progress.unit else ""
        progress = f"{100 * run.progress.done / run.progress.total:.0f}%, {run.progress.text}{unit}"
    rate = f"  {number(run.rate_per_s, 6)} steps/s of late" if run.rate_per_s is not None else ""
    gap = run.gap_reason
    if run.gap is not None:
        at = f"up to step {run.gap.step}" if run.gap.step is not None else "as both ended"
        gap = f"{gap_words(run.gap)} {at}; one seed each, so no verdict"
    return (
        Fact("run", f"{row.label} {name_of(row)}  {row.project}"),
        Fact("progress", f"{progress}{rate}"),
        Fact("left", left),
        Fact("gap", gap, wraps=True),
        *([Fact("devices", " ".join(run.devices))] if run.devices else []),
        Fact("started", f"{clock(row.started_at_s, now_s)}  {row.state}"),
        Fact("command", row.command, wraps=True),
    )


def waiting_facts(run: WaitingRun, now_s: float) -> tuple[Fact, ...]:
    """A waiting run in full."""
    starts = "n/a: what stands in front of it has never finished yet"
    if run.expected_start_s is not None:
        starts = f"~{clock(run.expected_start_s, now_s)}, by the median time of runs of each name"
    return (
        Fact("run", f"r{run.no} {run.name}  {run.project}"),
        Fact("waits", f"{run.state}: {run.reason}" if run.reason else run.state, wraps=True),
        Fact("starts", starts),
        *([Fact("params", params_text(run.params))] if run.params else []),
    )
