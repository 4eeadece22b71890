"""What triage shows, as titled lists of rows in exact widths. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from console.protocol import LIVE_STATES
from console.tui.gap_words import gap_words
from console.tui.run_cells import arrowed, elapsed_s, outcome_text, tail
from console.tui.run_names import name_of, named, params_alike
from console.tui.sections import Row, Section, width_of
from console.tui.sparkline import sparkline
from console.tui.text_format import cell_width, clock, duration, fit, number, state_glyph, visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from console.protocol import MetricSummary, RunRow
    from console.triage import EndedRun, Gap, LiveRun, Need, Triage, WaitingRun
    from console.tui.run_names import Alike
    from console.tui.sections import Piece

NARROW_CELLS: Final = 74
NORMAL_CELLS: Final = 110
WIDE_CELLS: Final = 150
ARROWS: Final = {"maximize": "↑", "minimize": "↓"}
GAP_CELLS: Final = 16
NAME_CELLS_MAX: Final = 64
URGENT: Final = 2
"""Weight of what wants a person and what runs, before what has ended and what waits."""
NEED_GLYPHS: Final = {"failed": "failed", "interrupted": "interrupted", "held": "held", "paused": "held"}
"""Kinds of needs that look like a state of a run."""
MUTED: Final = "text-muted"


class Look:
    """How wide the lines are, and what the terminal can show."""

    def __init__(self, width: int, keys: Mapping[str, str], *, ascii_only: bool) -> None:
        """`keys` are names of keys by the act of a need, and by `seen` and `clear`."""
        self.width = width
        self.keys = keys
        self.ascii = ascii_only

    @property
    def is_narrow(self) -> bool:
        """There is room for the needful only."""
        return self.width < NARROW_CELLS

    @property
    def is_normal(self) -> bool:
        """There is room for more than the needful."""
        return self.width >= NORMAL_CELLS

    @property
    def is_wide(self) -> bool:
        """There is room for everything."""
        return self.width >= WIDE_CELLS

    def cell(self, text: str, cells: int, style: str = "", *, align: str = "left") -> Piece:
        """A text in exact width and a gap behind it."""
        return fit(text, cells, align=align, ellipsis="~" if self.ascii else "…") + " ", style


def sections_of(triage: Triage, now_s: float, look: Look) -> tuple[Section, ...]:
    """The four lists; those of what waits and what has ended only when there is any."""
    found = [needs_section(triage, now_s, look), live_section(triage, now_s, look)]
    if triage.ended:
        found.append(ended_section(triage, now_s, look))
    if triage.waiting:
        found.append(queue_section(triage, now_s, look))
    return tuple(found)


def needs_section(triage: Triage, now_s: float, look: Look) -> Section:
    """What wants a person."""
    count = triage.need_count
    title: tuple[Piece, ...] = (("Needs you", "bold foreground"),)
    if not count:
        return Section("needs", title, (("nothing does", "success"),))
    widest = max(cell_width(visible(need.subject)) for need in triage.needs)
    cells = min(widest, 36 if look.is_wide else 28 if look.is_normal else 18)
    rows = tuple(Row(f"need {need.key}", need_pieces(need, cells, now_s, look)) for need in triage.needs)
    note: tuple[Piece, ...] = (("key acts on the row", MUTED),)
    return Section("needs", (*title, (f" {count}", "bold warning")), note, rows, count - len(triage.needs), URGENT)


def need_glyph(need: Need, look: Look) -> tuple[str, str]:
    """The mark of a need and its colour."""
    if need.kind in NEED_GLYPHS:
        glyph, colour = state_glyph(NEED_GLYPHS[need.kind], ascii_only=look.ascii)
        return glyph, f"bold {colour}"
    return "!", "bold error" if need.severe else "bold warning"


def need_pieces(need: Need, subject_cells: int, now_s: float, look: Look) -> tuple[Piece, ...]:
    """Mark, subject, when, cause and evidence, and the key that acts, which is never cut."""
    glyph, style = need_glyph(need, look)
    act = act_words(need, look)
    when = short_clock(need.at_s, now_s)
    room = look.width - 1 - 2 - (subject_cells + 2) - 7 - (len(act) + 1)
    cause = visible(need.cause)
    evidence = evidence_line(need)
    pieces: list[Piece] = [
        (f"{glyph} ", style),
        look.cell(need.subject, subject_cells, "bold foreground"),
        (" ", ""),
        look.cell(when, 6, MUTED),
    ]
    cells = cell_width(cause)
    if evidence and cells + 12 < room:
        pieces += [(cause, "foreground"), ("  ", ""), look.cell(evidence, room - cells - 3, MUTED)]
    else:
        pieces.append(look.cell(cause, room - 1, "foreground"))
    key, _, word = act.partition(" ")
    return (*pieces, (key, "bold accent"), (f" {word}" if word else "", MUTED))


def act_words(need: Need, look: Look) -> str:
    """The key that acts on a need, and what it does."""
    word = "look" if need.act == "open" else need.act
    if need.act and need.act in look.keys:
        return f"{look.keys[need.act]} {word}"
    return f"{look.keys['seen']} seen" if need.dismissable else ""


def evidence_line(need: Need) -> str:
    """The last line of the evidence, unless the cause says the same."""
    lines = need.evidence.strip().splitlines()
    line = visible(lines[-1].strip()) if lines else ""
    return "" if not line or line in need.cause or need.cause in line else line


def short_clock(at_s: float | None, now_s: float) -> str:
    """The time of a moment today, else its day."""
    text = clock(at_s, now_s)
    return text if len(text) <= 5 else text[:10] if text[:2] == "20" else text[:6].strip()


def live_section(triage: Triage, now_s: float, look: Look) -> Section:
    """What runs."""
    title: list[Piece] = [("Running", "bold foreground")]
    if not triage.live_count:
        return Section("live", tuple(title), (("nothing runs", MUTED),))
    title.append((f" {triage.live_count}", MUTED))
    metrics = {(run.row.metric.key, run.row.metric.goal) for run in triage.live if run.row.metric is not None}
    common = next(iter(metrics)) if len(metrics) == 1 else None
    if common is not None:
        metric = next(run.row.metric for run in triage.live if run.row.metric is not None)
        guessed = " guessed" * (metric.goal_source == "guessed")
        title.append((f"  {visible(arrowed(metric))}{guessed}", MUTED))
    alike = params_alike((run.row.project, run.row.name, run.row.params) for run in triage.live)
    rows = tuple(
        Row(f"run {run.row.id}", live_pieces(run, now_s, look, alike, with_key=common is None)) for run in triage.live
    )
    return Section("live", tuple(title), best_note(triage), rows, triage.live_count - len(triage.live), URGENT)


def best_note(triage: Triage) -> tuple[Piece, ...]:
    """The best ended run, where all live ones belong to one project."""
    if len(triage.best) != 1:
        return ()
    best = triage.best[0]
    return (("best so far ", MUTED), (number(best.value, 7), "bold foreground"), (f" r{best.no}", MUTED))


def live_pieces(run: LiveRun, now_s: float, look: Look, alike: Alike, *, with_key: bool) -> tuple[Piece, ...]:
    """A live run: name, curve, where its metric stands and how far from the best, how far it is, how long it takes."""
    row, metric = run.row, run.row.metric
    glyph, colour = state_glyph(row.state, ascii_only=look.ascii)
    last = number(metric.last, 7) if metric is not None else "-"
    odd = metric is not None and not math.isfinite(metric.last)
    curve_cells = 0 if look.is_narrow else 12 if look.is_wide else 6
    after: list[Piece] = [
        (sparkline(run.curve, curve_cells, ascii_only=look.ascii) + " ", "primary"),
        look.cell(last, 7, "bold error" if odd else "bold foreground", align="right"),
        *gap_pieces(run.gap, look),
        look.cell(progress_text(run), 9, "foreground" if run.progress else MUTED, align="right"),
    ]
    if look.is_normal:
        rate = "" if run.rate_per_s is None else f"{rough(run.rate_per_s)}/s"
        after.append(look.cell(rate, 8, MUTED, align="right"))
    after.append(look.cell(duration(elapsed_s(row, now_s)), 6, "foreground", align="right"))
    if not look.is_narrow:
        after.append(look.cell(left_words(run.left_s), 6, MUTED, align="right"))
    if look.is_normal:
        after.append(look.cell(" ".join(run.devices), 10, MUTED))
    head: list[Piece] = [(f"{glyph} ", f"bold {colour}"), look.cell(row.label, 5, "foreground")]
    if look.is_wide:
        after.append(look.cell(row.project, 12, MUTED))
    if with_key and look.is_normal:
        head.append(look.cell(tail(metric.key, 12) if metric else "", 12, MUTED))
    room = look.width - 1 - width_of((*head, *after))
    return (*head, look.cell(name_of(row, alike), name_cells(room), "bold foreground"), *after)


def rough(per_s: float) -> str:
    """A rate in three digits: more of them are noise, and change with every look."""
    return number(float(f"{per_s:.3g}"), 6)


def name_cells(room: int) -> int:
    """How wide a name may be, with a gap behind it: figures far from their name belong to nobody."""
    return max(4, min(NAME_CELLS_MAX, room - 1))


def gap_pieces(gap: Gap | None, look: Look) -> list[Piece]:
    """`+0.6? ahead`: the sign of the number, and what it means in a word; one seed each, so always with a `?`."""
    if gap is None:
        return [look.cell("", GAP_CELLS)]
    if gap.ahead is None:
        return [look.cell(" 0?       level", GAP_CELLS, MUTED)]
    sign = "+" if gap.value > 0 else "-"
    words, style = f"{sign}{number(abs(gap.value), 6)}?", "success" if gap.ahead else "warning"
    return [look.cell(f" {words:<8} {'ahead' if gap.ahead else 'behind'}", GAP_CELLS, style)]


def progress_text(run: LiveRun) -> str:
    """How far it is: as its output says, else the step."""
    if run.progress is not None:
        text = run.progress.text
        return text if cell_width(text) <= 9 else f"{100 * run.progress.done / run.progress.total:.0f}%"
    metric = run.row.metric
    return f"{metric.last_step}" if metric is not None else "-"


def left_words(seconds: float | None) -> str:
    """About how long it still takes, so coarse that it seldom changes; at most six characters, empty when unknown."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    minutes = max(0.0, seconds) / 60
    if minutes < 1:
        return "~<1m"
    if minutes < 60:
        return f"~{minutes:.0f}m"
    if minutes < 24 * 60:
        coarse = round(minutes / 5) * 5
        return f"~{coarse // 60}h{coarse % 60:02d}"
    return f"~{minutes / 1440:.0f}d"


def ended_section(triage: Triage, now_s: float, look: Look) -> Section:
    """What ended while the person was away, else of late."""
    absence = triage.absence
    away = absence.away_s is not None
    words = f"Since you left {clock(absence.since_s, now_s)}" if away else "Ended lately"
    title: tuple[Piece, ...] = ((words, "bold foreground"), (f"  {triage.ended_count}", MUTED))
    note: tuple[Piece, ...] = ((look.keys["clear"], "bold accent"), (" clears", MUTED))
    alike = params_alike((run.row.project, run.row.name, run.row.params) for run in triage.ended)
    rows = tuple(Row(f"run {run.row.id}", ended_pieces(run, now_s, look, alike)) for run in triage.ended)
    return Section("ended", title, note, rows, triage.ended_count - len(triage.ended))


def ended_pieces(run: EndedRun, now_s: float, look: Look, alike: Alike) -> tuple[Piece, ...]:
    """An ended run: name, metric, how long it took, and how it ended or how far from the best."""
    row, metric = run.row, run.row.metric
    glyph, colour = state_glyph(row.state, ascii_only=look.ascii)
    well = row.state == "finished" and row.cause_kind != "diverged"
    if row.state == "finished" and not well:
        glyph, colour = "!", "warning"
    head: list[Piece] = [(f"{glyph} ", f"bold {colour}"), look.cell(row.label, 5, "foreground")]
    value = best_of(metric)
    after: list[Piece] = [
        look.cell(number(value, 7) if value is not None else "-", 7, "foreground", align="right"),
        look.cell(duration(elapsed_s(row, now_s)), 6, MUTED, align="right"),
    ]
    if look.is_normal:
        after.append(look.cell(short_clock(row.ended_at_s, now_s), 6, MUTED, align="right"))
    after.append((" ", ""))
    verdict = 52 if look.is_wide else 36 if look.is_normal else 26
    if well:
        after.append(look.cell(gap_words(run.gap), verdict, MUTED))
    else:
        after.append(look.cell(outcome_text(row), verdict, colour))
    if look.is_wide:
        after.append(look.cell(row.project, 12, MUTED))
    room = look.width - 1 - width_of((*head, *after))
    return (*head, look.cell(name_of(row, alike), name_cells(room), "foreground"), *after)


def best_of(metric: MetricSummary | None) -> float | None:
    """The best value, else the last."""
    if metric is None:
        return None
    return metric.best if metric.best is not None else metric.last


def queue_section(triage: Triage, now_s: float, look: Look) -> Section:
    """What waits."""
    title: tuple[Piece, ...] = (("Queue", "bold foreground"), (f" {triage.waiting_count}", MUTED))
    note: tuple[Piece, ...] = ()
    if triage.all_done_s is not None:
        note = ((f"all done ~{clock(triage.all_done_s, now_s)}", MUTED),)
    alike = params_alike((run.project, run.name, run.params) for run in triage.waiting)
    rows = tuple(Row(f"run {run.id}", waiting_pieces(run, now_s, look, alike)) for run in triage.waiting)
    return Section("queue", title, note, rows, triage.waiting_count - len(triage.waiting))


def waiting_pieces(run: WaitingRun, now_s: float, look: Look, alike: Alike) -> tuple[Piece, ...]:
    """A waiting run: name, when it starts, why it has not."""
    glyph, colour = state_glyph(run.state, ascii_only=look.ascii)
    starts = "" if run.expected_start_s is None else starts_words(run.expected_start_s - now_s)
    head: list[Piece] = [(f"{glyph} ", f"bold {colour}"), look.cell(f"r{run.no}", 5, "foreground")]
    room = look.width - 1 - 2 - 6
    cells = min(NAME_CELLS_MAX, room * 2 // 5)
    words = "; ".join(filter(None, [visible(run.reason) or run.state, starts]))
    return (
        *head,
        look.cell(named(run.name, run.project, run.params, alike), cells, "foreground"),
        look.cell(words, room - cells - 2, MUTED),
    )


def starts_words(in_s: float) -> str:
    """About when a run starts."""
    return "starts now" if in_s < 1 else f"starts {left_words(in_s)}"


def ticks(triage: Triage) -> bool:
    """Something of it counts seconds."""
    return any(run.row.state in LIVE_STATES and run.row.started_at_s is not None for run in triage.live)


def rows_of(triage: Triage) -> Sequence[RunRow]:
    """Every run that is known as a row of the run table."""
    needed = [need.row for need in triage.needs if need.row is not None]
    return [*(run.row for run in triage.live), *(run.row for run in triage.ended), *needed]
