"""Runs as cells, lines and facts: pure functions from snapshots to what the screens show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.content import Content

from console import trackers
from console.protocol import ENDED_STATES, LIVE_STATES, WAITING_STATES
from console.tui.actions import key_for
from console.tui.styles import MUTED
from console.tui.table_layout import Cell, TableColumn, TableRow
from console.tui.text_format import (
    bytes_size,
    cell_width,
    clock,
    duration,
    fit,
    number,
    outcome,
    pin_glyph,
    spread,
    state_glyph,
    visible,
)
from console.tui.widgets.facts import Fact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.protocol import MetricSummary, RunDetail, RunRow

ARROWS: Final = {"maximize": "↑", "minimize": "↓"}
KEY_CELLS: Final = 14
"""Of the key of a metric in the table."""
SORT_CYCLE: Final[tuple[str, ...]] = (
    "started",
    "metric",
    "duration",
    "step",
    "name",
    "project",
    "state",
    "no",
)
"""The order in which `s` goes through the columns, most wanted first."""
ASCENDING_FIRST: Final[frozenset[str]] = frozenset({"name", "project"})
FIRST_STEPS: Final = Content.assemble(
    ("No runs yet\n\n", "bold $foreground"),
    ("footplate run -- python train.py", "bold $accent"),
    ("   runs your script and follows it\n", MUTED),
    ("footplate demo                  ", "bold $accent"),
    ("   three small runs to look at   \n\n", MUTED),
    ("This screen fills by itself.", MUTED),
)
"""What stands where the table would be, until there is a run."""


def arrowed(metric: MetricSummary) -> str:
    """A metric's key with the direction that is better, and whether a person added it."""
    return f"{metric.key} {ARROWS.get(metric.goal, '')}" + " by hand" * metric.by_hand


def source_word(metric: MetricSummary | None) -> str:
    """How sure one can be of metric and goal: "guessed" until somebody has said so."""
    return "guessed" if metric is not None and metric.goal_source == "guessed" else ""


def fold_facts(metric: MetricSummary | None) -> tuple[Fact, ...]:
    """What the folds of a metric come to; nothing for a metric without folds."""
    if metric is None or metric.folds is None:
        return ()
    folds = metric.folds
    return (Fact("cv", f"{arrowed(metric)} {spread(folds.mean, folds.sd)} over {len(folds.bests)} folds"),)


def tail(text: str, width_cells: int) -> str:
    """The end of a metric's key, where keys differ."""
    shown = visible(text)
    return shown if cell_width(shown) <= width_cells else f"…{shown[1 - width_cells :]}"


def elapsed_s(row: RunRow, now_s: float) -> float | None:
    """How long the run has taken, or took."""
    if row.started_at_s is None:
        return None
    if row.ended_at_s is not None:
        return row.ended_at_s - row.started_at_s
    return now_s - row.started_at_s if row.state in LIVE_STATES else None


def ticks(row: RunRow) -> bool:
    """Whether the duration of the run grows by itself."""
    return row.state in LIVE_STATES and row.started_at_s is not None and row.ended_at_s is None


def outcome_text(row: RunRow) -> str:
    """How the run ended, or why it has not begun."""
    if row.state in WAITING_STATES:
        return visible(row.cause) if row.cause else row.state
    if row.state in ("unknown", "stale"):
        return row.state  # the facts of the run say why, which is too long for a column
    text = outcome(row.state, row.cause, row.exit_code, row.signal)
    if not text and row.state in ENDED_STATES:
        return "ok" if row.state == "finished" else row.state
    return text or row.state


def outcome_style(row: RunRow) -> str:
    """A theme colour for the outcome, quiet when all went well."""
    if row.state in ("failed", "stopped", "interrupted", "stale", "held"):
        return f"${state_glyph(row.state)[1]}"
    return "$text-muted"


def best_cell(metric: MetricSummary | None) -> Cell:
    """The best value; `~` and the last one of an imported run whose points nobody has asked for yet."""
    if metric is None or (metric.best is None and metric.point_count):
        return Cell("-", "$foreground")
    if metric.best is None:
        return Cell(f"~{number(metric.last, 7)}", "$text-muted")
    return Cell(number(metric.best, 8), "$foreground")


def cell(row: RunRow, name: str, now_s: float, *, ascii_only: bool = False) -> Cell:
    """What the column `name` says of a run."""
    metric = row.metric
    match name:
        case "glyph":
            glyph, colour = state_glyph(row.state, ascii_only=ascii_only)
            return Cell(glyph, f"bold ${colour}")
        case "no":
            return Cell(row.label, "$foreground" if row.state in LIVE_STATES else "$text-muted")
        case "name":
            return Cell(name_text(row, ascii_only=ascii_only), name_style(row))
        case "project":
            return Cell(row.project, "$text-muted")
        case "key":
            return Cell(tail(arrowed(metric), KEY_CELLS) if metric else "", "$text-muted")
        case "metric":
            return Cell(number(metric.last, 8), "bold $foreground") if metric else Cell("-", "$text-muted")
        case "best":
            return best_cell(metric)
        case "step":
            return Cell(str(metric.last_step) if metric else "-", "$text-muted")
        case "duration":
            return Cell(duration(elapsed_s(row, now_s)) or "-", "$foreground" if ticks(row) else "$text-muted")
        case "started":
            return Cell(clock(row.started_at_s or row.created_at_s, now_s), "$text-muted")
        case _:
            return Cell(outcome_text(row), outcome_style(row))


def name_text(row: RunRow, *, ascii_only: bool = False) -> str:
    """The name of a run between the mark of a pin and its tags."""
    return " ".join([pin_glyph(ascii_only=ascii_only)] * row.pinned + [row.name, *(f"#{tag}" for tag in row.tags)])


def long_name(row: RunRow, keys: Sequence[str], *, ascii_only: bool = False) -> Cell:
    """A name with what the run was started with and it does not say already; only these keys, if any."""
    said = row.name.split()
    params = {
        key: row.params[key]
        for key in keys or row.params
        if key in row.params and f"{key}={row.params[key]}" not in said
    }
    text = " ".join([name_text(row, ascii_only=ascii_only)] + [params_text(params, " ")] * bool(params))
    return Cell(text, name_style(row))


def name_style(row: RunRow) -> str:
    """Names of runs that are alive stand out."""
    return "bold $foreground" if row.state in LIVE_STATES else "$foreground"


def params_text(params: dict[str, str], gap: str = "  ") -> str:
    """Parameters on one line."""
    return gap.join(f"{key}={value}" for key, value in params.items())


def card_lines(row: RunRow | None, now_s: float, width_cells: int) -> Content:
    """Two lines about the run under the cursor, for terminals without room for a panel."""
    if row is None:
        return Content("\n")
    head = f" {row.label} {visible(row.name)}  {visible(row.project)}  started {clock(row.started_at_s, now_s) or '-'}"
    tail = params_text(row.params) or row.command
    ending = f"  {outcome_text(row)}" if row.state in ENDED_STATES else f"  {row.state}"
    first = Content.assemble((fit(head + ending, width_cells), "$foreground"))
    return Content.assemble(first, "\n", (fit(f" {tail}", width_cells), MUTED))


def side_facts(row: RunRow | None, now_s: float) -> tuple[Fact, ...]:
    """What the panel beside the table says about the run under the cursor."""
    if row is None:
        return ()
    facts = [
        Fact("state", state_sentence(row), state_style(row)),
        Fact("started", started_sentence(row, now_s)),
        Fact("project", row.project),
        Fact("command", row.command, wraps=True),
    ]
    if row.tracker:
        facts[-1:] = [Fact("source", source_sentence(row, now_s), wraps=True)]
    facts += tag_facts(row)
    facts += fold_facts(row.metric)
    facts += [Fact(key, value) for key, value in row.params.items()]
    return tuple(facts)


def tag_facts(row: RunRow) -> tuple[Fact, ...]:
    """The tags of a run and whether it is pinned; nothing when there is nothing to say."""
    words = ["  ".join(row.tags)] * bool(row.tags) + ["pinned, nothing deletes it"] * row.pinned
    return (Fact("tags", " · ".join(words)),) if words else ()


def source_sentence(row: RunRow, now_s: float) -> str:
    """Who wrote an imported run down, when last, and why more may be on its way."""
    written = f", written {clock(row.written_at_s, now_s)}" if row.written_at_s else ""
    delay = trackers.delay_of(row)
    return f"{trackers.name_of(row.tracker)}{written}" + f"; {delay}" * bool(delay)


def note_facts(detail: RunDetail) -> tuple[Fact, ...]:
    """The newest note of a run; `footplate show` has them all."""
    if not detail.notes:
        return ()
    note = detail.notes[-1]
    who = f"{clock(note.at_s, detail.now_s)} {note.actor}"
    count = f" (newest of {len(detail.notes)})" if len(detail.notes) > 1 else ""
    return (Fact("note", f"{who}{count}: {' '.join(note.text.split())}"),)


def state_style(row: RunRow) -> str:
    """The colour of a state in text."""
    colour = state_glyph(row.state)[1]
    return MUTED if colour == "text-muted" else f"${colour}"


def state_sentence(row: RunRow) -> str:
    """The state with its glyph and how the run ended."""
    text = f"{state_glyph(row.state)[0]} {row.state}"
    how = outcome(row.state, row.cause, row.exit_code, row.signal)
    if how.startswith(row.state):
        text = f"{state_glyph(row.state)[0]} {how}"
    elif how:
        text += f": {how}"
    code = f"exit {row.exit_code}" if row.exit_code is not None else row.signal
    return text if not code or code in how else f"{text}, {code}"


def started_sentence(row: RunRow, now_s: float) -> str:
    """When the run started and how long it took, or since when it waits."""
    if row.started_at_s is None and row.tracker:
        return f"n/a: {trackers.name_of(row.tracker)} does not record it"
    if row.started_at_s is None:
        return f"not yet, waits since {clock(row.created_at_s, now_s)}"
    took = duration(elapsed_s(row, now_s))
    if row.ended_at_s is None:
        return clock(row.started_at_s, now_s)
    return f"{clock(row.started_at_s, now_s)}, took {took}"


def run_facts(detail: RunDetail) -> tuple[Fact, ...]:
    """The head of the run screen; nothing in it ticks."""
    row = detail.row
    where = f"  on {detail.host}" * bool(detail.host) + (f"  pid {detail.pid}" if detail.pid is not None else "")
    facts: list[Fact] = []
    if row.state not in LIVE_STATES:
        facts.append(Fact("state", state_sentence(row), f"bold {state_style(row)}"))
    if evidence := detail.evidence.strip():
        facts.append(Fact("evidence", evidence.splitlines()[-1]))
    facts += [
        Fact("command", row.command),
        Fact("started", f"{started_sentence(row, detail.now_s)}{where}  project {row.project}"),
        *tag_facts(row),
        *fold_facts(row.metric),
        *note_facts(detail),
        Fact("folder", detail.working_dir),
    ]
    if row.tracker:
        group = f"  {detail.source_group}" if detail.source_group else ""
        facts = [fact for fact in facts if fact.name != "command" or fact.value]
        facts[-1:] = [Fact("source", f"{source_sentence(row, detail.now_s)}  {detail.source_path}{group}")]
    if detail.artifacts:
        # Early enough for a screen of 24 lines, which shows three facts and has no room for the key in its footer.
        facts.insert(min(2, len(facts)), Fact("left", artifacts_sentence(detail)))
    if detail.skipped_line_count:
        lines = "line" if detail.skipped_line_count == 1 else "lines"
        said = f"{detail.skipped_line_count} {lines} could not be read as metrics: {detail.skipped_example}"
        facts.insert(min(2, len(facts)), Fact("skipped", said, "$warning"))
    return tuple(facts)


def no_log_words(row: RunRow) -> str:
    """Why a run has no log; empty where it has one."""
    return f"imported from {trackers.name_of(row.tracker)}: no log here" if row.tracker else ""


def artifacts_sentence(detail: RunDetail) -> str:
    """How many files of which kind a run left behind."""
    kinds: dict[str, int] = {}
    for each in detail.artifacts:
        kinds[each.kind] = kinds.get(each.kind, 0) + 1
    total = bytes_size(sum(each.size_bytes for each in detail.artifacts))
    counted = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return f"{counted}, {total}: {key_for('run.artifacts')} shows them"


METRIC_COLUMNS: Final = (
    TableColumn("key", "metric", 8, flexible=True, sortable=False, pinned=True),
    TableColumn("last", "last", 8, align="right", sortable=False),
    TableColumn("best", "best", 8, align="right", sortable=False),
    TableColumn("step", "step", 7, align="right", sortable=False),
    TableColumn("n", "n", 7, align="right", sortable=False),
)


def metric_columns_for(width_cells: int) -> tuple[TableColumn, ...]:
    """The columns of the metrics table; the key keeps the room to be read."""
    return METRIC_COLUMNS if width_cells >= 52 else METRIC_COLUMNS[:4] if width_cells >= 42 else METRIC_COLUMNS[:3]


def metric_row(metric: MetricSummary, *, shown: bool) -> TableRow:
    """A metric as a line of the run screen's table; `shown` marks the one in the chart."""
    return TableRow(
        metric.key,
        (
            Cell(arrowed(metric), "bold $primary" if shown else "$foreground"),
            Cell(number(metric.last, 8), "bold $foreground"),
            Cell(number(metric.best, 8) if metric.best is not None else "-", "$foreground"),
            Cell(str(metric.last_step), "$text-muted"),
            Cell(str(metric.point_count), "$text-muted"),
        ),
    )
