"""What the commands print: tables for people, JSON for programs. Text from outside never reaches the terminal raw."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from console import protocol, trackers
from console.cli.code_facts import code_facts
from console.tui import text_format

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.protocol import MetricSummary, Note, RunDetail, RunRow
    from console.run_sections import TextLine

Column: TypeAlias = tuple[str, str, int]
"""Title, alignment and widest width of a column."""
PLAIN_WIDTH: Final = 200
"""Columns of a table that goes into a file or a pipe."""
COLUMNS: Final = (
    ("", "<", 1),
    ("run", "<", 7),
    ("name", "<", 24),
    ("project", "<", 14),
    ("tags", "<", 24),
    ("state", "<", 11),
    ("metric", "<", 30),
    ("last", ">", 9),
    ("best", ">", 17),
    ("step", ">", 8),
    ("took", ">", 7),
    ("started", ">", 12),
    ("how it ended", "<", 60),
)
TAGS: Final = 4
"""The column that is left out where no run has a tag or a pin."""
FOLDS_SHOWN: Final = 20
BY_HAND: Final = "  by hand"
NOTE_ID_CHARACTERS: Final = 6
"""The end of a note's id, which is its random part, is enough to name it."""


def print_json(value: Any) -> None:
    """A snapshot as JSON; what is not finite as the strings "NaN", "Infinity" and "-Infinity"."""
    # Escaped on a terminal: marks that reorder text are no control characters to JSON.
    print(json.dumps(plain(value), indent=2, ensure_ascii=ascii_only() or sys.stdout.isatty()))


def usage_error(message: str) -> int:
    """Say what is wrong with the arguments; returns the exit code for that."""
    print(f"footplate: {message}", file=sys.stderr)
    return 2


def plain(value: Any) -> Any:
    """Snapshots, tuples and floats as JSON can carry them."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return protocol.encode_number(value) if isinstance(value, float) else value


TONES: Final = {
    "heading": "1",
    "muted": "2",
    "bad": "1;31",
    "good": "34",
    "added": "34",
    "removed": "31",
    "hunk": "35",
}
"""How lines are meant, as a terminal shows it: blue and red, which colour-blind eyes tell apart."""


def print_lines(lines: Sequence[TextLine]) -> None:
    """Lines of what is known of a run, with colours on a terminal and safe to print on any."""
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for line in lines:
        text = text_format.visible(line.text.expandtabs()) if sys.stdout.isatty() else line.text
        code = TONES.get(line.tone, "") if coloured and text else ""
        print(f"\x1b[{code}m{text}\x1b[0m" if code else text)


def ascii_only() -> bool:
    """Whether the terminal's encoding lacks our glyphs."""
    return not (sys.stdout.encoding or "").lower().startswith("utf")


def print_runs(rows: Sequence[RunRow], now_s: float) -> None:
    """The run table as wide as the terminal allows."""
    print_table([row_cells(row, now_s) for row in rows], COLUMNS, optional=(TAGS,))


def print_table(lines: Sequence[Sequence[str]], columns: Sequence[Column], *, optional: Sequence[int] = ()) -> None:
    """Lines of cells below their titles; an `optional` column is left out where no line has anything in it."""
    empty = [place for place in optional if not any(line[place] for line in lines)]
    shown = [(title, align, 0 if place in empty else most) for place, (title, align, most) in enumerate(columns)]
    print_cells([[title for title, _, _ in columns], *lines], shown)


def print_cells(lines: Sequence[Sequence[str]], columns: Sequence[Column], *, indent_cells: int = 0) -> None:
    """Lines of cells as wide as the terminal allows, without titles."""
    widths = [
        min(most, max((text_format.cell_width(line[place]) for line in lines), default=0))
        for place, (_, _, most) in enumerate(columns)
    ]
    total = terminal_width() - indent_cells
    for line in lines:
        print(" " * indent_cells + line_of(line, widths, total, columns))


def line_of(cells: Sequence[str], widths: Sequence[int], total: int, columns: Sequence[Column]) -> str:
    """Cells side by side, cut at the width of the terminal."""
    parts = [
        text_format.fit(cell, width, align="right" if align == ">" else "left", ellipsis="~" if ascii_only() else "…")
        for cell, width, (_, align, _) in zip(cells, widths, columns, strict=True)
        if width
    ]
    return text_format.fit("  ".join(parts), total, ellipsis="").rstrip()


def row_cells(row: RunRow, now_s: float) -> list[str]:
    """One run as texts that are safe to print."""
    metric = row.metric
    glyph, _ = text_format.state_glyph(row.state, ascii_only=ascii_only())
    return [
        glyph,
        row.label,
        text_format.visible(row.name),
        text_format.visible(row.project),
        tags_text(row),
        row.state,
        metric_title(row) if metric else "",
        text_format.number(metric.last) if metric else "",
        best_words(metric) if metric else "",
        str(metric.last_step) if metric else "",
        text_format.duration(duration_s(row, now_s)),
        text_format.clock(row.started_at_s or row.created_at_s, now_s),
        text_format.visible(text_format.outcome(row.state, row.cause, row.exit_code, row.signal)),
    ]


def tags_text(row: RunRow) -> str:
    """The tags of a run behind the mark of a pin."""
    mark = text_format.pin_glyph(ascii_only=ascii_only())
    return " ".join([mark] * row.pinned + [text_format.visible(tag) for tag in row.tags])


def metric_title(row: RunRow) -> str:
    """The primary metric with the direction that is better, and whether that is guessed."""
    metric = row.metric
    if metric is None:
        return ""
    return metric_words(metric.key, metric.goal, metric.goal_source) + " by hand" * metric.by_hand


def metric_words(key: str, goal: str, source: str) -> str:
    """`valid/auc ↑ guessed`; without the word once somebody has said so."""
    up, down = ("max", "min") if ascii_only() else ("↑", "↓")
    return f"{text_format.visible(key)} {up if goal == 'maximize' else down}" + " guessed" * (source == "guessed")


def best_words(metric: MetricSummary) -> str:
    """The best value; of folds the mean of their bests and how far they spread."""
    if metric.folds is None and metric.best is None and not metric.point_count:
        # Its points are read when its curve is first asked for.
        return f"~{text_format.number(metric.last)}"
    if metric.folds is None:
        return text_format.number(metric.best)
    return text_format.spread(metric.folds.mean, metric.folds.sd, ascii_only=ascii_only())


def fold_lines(detail: RunDetail) -> list[str]:
    """`CV valid/auc 0.8090 ± 0.0073 over 5 folds (.8014 .8099 ...)` for each metric that restarted."""
    lines = []
    for metric in detail.metrics:
        if metric.folds is not None:
            bests = " ".join(text_format.number(best) or "n/a" for best in metric.folds.bests[:FOLDS_SHOWN])
            more = " ..." * (len(metric.folds.bests) > FOLDS_SHOWN)
            key, count = text_format.visible(metric.key), len(metric.folds.bests)
            lines.append(f"CV {key} {best_words(metric)} over {count} folds ({bests}{more})")
    return lines


def duration_s(row: RunRow, now_s: float) -> float | None:
    """How long it took, or has taken so far; None when it never started."""
    if row.started_at_s is None:
        return None
    return max(0.0, (row.ended_at_s or now_s) - row.started_at_s)


def log_text(line: str) -> str:
    """A log line as a terminal may show it: what stands after the last carriage return, without escape sequences."""
    import re

    text = line.rstrip("\r").rpartition("\r")[2]
    escapes = r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[PX^_][^\x1b]*\x1b\\|\x1b[ -/]*[0-~]"
    return text_format.visible(re.sub(escapes, "", text).expandtabs())


def terminal_width() -> int:
    """Columns of the terminal, or plenty when stdout is none."""
    if not sys.stdout.isatty():
        return PLAIN_WIDTH
    return os.get_terminal_size(sys.stdout.fileno()).columns or 80


def print_detail(detail: RunDetail) -> None:
    """One run for people."""
    row = detail.row
    visible = text_format.visible
    glyph, _ = text_format.state_glyph(row.state, ascii_only=ascii_only())
    ended = text_format.outcome(row.state, row.cause, row.exit_code, row.signal)
    facts = [
        ("run", f"{row.label}  {row.id}"),
        ("name", visible(row.name)),
        ("project", visible(row.project)),
        ("tags", "  ".join(map(visible, row.tags))),
        ("pinned", "yes, nothing deletes it" if row.pinned else ""),
        ("state", f"{glyph} {row.state}" + (f": {visible(ended)}" if ended else "")),
        ("exit code", "n/a" if row.exit_code is None else str(row.exit_code)) if row.ended_at_s else ("", ""),
        ("notice", visible(detail.notice)),
        ("evidence", "\n".join(map(visible, detail.evidence.split("\n"))) if detail.evidence else ""),
        ("command", visible(row.command)),
        ("directory", visible(detail.working_dir)),
        *code_facts(detail),
        ("host", visible(detail.host)),
        ("pid", str(detail.pid) if detail.pid is not None else ""),
        ("started", text_format.clock(row.started_at_s, detail.now_s)),
        ("took", text_format.duration(duration_s(row, detail.now_s))),
        ("params", "\n".join(param_lines(row))),
        *source_facts(detail),
        ("also in", "\n".join(f"{trackers.name_of(name)}  {visible(path)}" for name, path in detail.also)),
    ]
    for title, text in facts:
        if text:
            print(f"{title:<10} " + text.replace("\n", "\n" + " " * 11))
    if detail.skipped_line_count:
        print(f"{'unread':<10} {detail.skipped_line_count} metric lines, first: {visible(detail.skipped_example)}")
    if detail.notes:
        print()
        print_notes(detail.notes, detail.now_s)
    print_metrics(detail)


def source_facts(detail: RunDetail) -> list[tuple[str, str]]:
    """Where the files of a run lie: its own, or those of the tracker that wrote it down."""
    row, visible = detail.row, text_format.visible
    if not row.tracker:
        return [("log", log_words(detail)), ("files", visible(detail.run_dir))]
    age_s = detail.now_s - (row.written_at_s or detail.now_s)
    delay = trackers.delay_of(row)
    return [
        ("source", f"{trackers.name_of(row.tracker)}  {visible(detail.source_path)}"),
        ("group", visible(detail.source_group)),
        ("written", f"{text_format.duration(max(0.0, age_s))} ago" + f"; {delay}" * bool(delay)),
        ("left", f"{len(detail.artifacts)} files, `footplate artifacts {row.label}`" if detail.artifacts else ""),
    ]


def param_lines(row: RunRow) -> list[str]:
    """Params by where they were read: those of the command line first, without a word."""
    groups: dict[str, list[str]] = {"": []}
    for key, value in row.params.items():
        source = row.param_sources.get(key, "")
        # Literals have their line each; they are told apart by it, not grouped by it.
        said = f" ({text_format.visible(source)})" if ":" in source else ""
        pair = f"{text_format.visible(key)}={text_format.visible(value)}{said}"
        groups.setdefault("" if said else source, []).append(pair)
    stated = ["  ".join(groups.pop(""))]
    return [*filter(None, stated), *(f"{text_format.visible(name)}: {'  '.join(g)}" for name, g in groups.items())]


def print_notes(notes: Sequence[Note], now_s: float) -> None:
    """Notes with the ends of their ids, oldest first."""
    for note in notes:
        when = text_format.clock(note.at_s, now_s)
        print(f"note {note.id[-NOTE_ID_CHARACTERS:]}  {when}  {text_format.visible(note.actor)}")
        for line in note.text.split("\n"):
            print(f"  {text_format.visible(line)}".rstrip())


def log_words(detail: RunDetail) -> str:
    """How much output there is and how to read it."""
    label = detail.row.label
    if detail.row.archived:
        return f"packed away with all files of the run, `footplate archive --restore {label}` brings them back"
    return f"{text_format.bytes_size(detail.log_size_bytes)}, `footplate logs {label}`"


def print_metrics(detail: RunDetail) -> None:
    """The metrics of a run, one a line."""
    if not detail.metrics:
        return
    titles = [text_format.visible(metric.key) + BY_HAND * metric.by_hand for metric in detail.metrics]
    key_width = min(48, max(len("metric"), *map(text_format.cell_width, titles)))
    print(f"\n{'metric':<{key_width}}  {'last':>10}  {'lowest':>10}  {'highest':>10}  {'step':>9}  {'points':>8}")
    for metric, title in zip(detail.metrics, titles, strict=True):
        values = [text_format.number(value) for value in (metric.last, metric.minimum, metric.maximum)]
        key = text_format.fit(title, key_width)
        columns = "  ".join(f"{value:>10}" for value in values)
        print(f"{key}  {columns}  {metric.last_step:>9}  {metric.point_count:>8}")
    if folds := fold_lines(detail):
        print("", *folds, sep="\n")
