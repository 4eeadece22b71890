"""Watched projects as texts: rows of the table, what is known of one, and the questions about it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.content import Content

from console.tui import text_format
from console.tui.styles import MUTED
from console.tui.table_layout import Cell, TableColumn, TableRow
from console.tui.text_format import visible

if TYPE_CHECKING:
    from console.watched_projects import Project, ProjectJob

COLUMNS: Final = (
    TableColumn("attention", "", 1, sortable=False, pinned=True),
    TableColumn("name", "project", 16, flexible=True, sortable=False, pinned=True),
    TableColumn("trust", "footplate.toml", 15, sortable=False, pinned=True),
    TableColumn("jobs", "jobs", 4, align="right", sortable=False),
    TableColumn("last", "last start by itself", 26, flexible=True, sortable=False),
    TableColumn("watch", "watching", 8, sortable=False),
    TableColumn("root", "folder", 24, flexible=True, sortable=False),
)
TRUST_WORDS: Final = {
    "none": ("-", "none", MUTED),
    "broken": ("✗", "broken", "bold error"),
    "unsafe": ("✗", "unsafe", "bold error"),
    "untrusted": ("○", "not trusted", "text-muted"),
    "changed": ("!", "changed", "bold warning"),
    "trusted": ("✓", "trusted", "success"),
}
ASCII_GLYPHS: Final = {"✗": "x", "○": "o", "✓": "+"}
DIFF_LINES_SHOWN: Final = 12
LINE_CELLS: Final = 400
"""Of a line that a person is to agree to."""


def row_of(project: Project, now_s: float, *, ascii_only: bool) -> TableRow:
    """A line of the table."""
    glyph, word, style = TRUST_WORDS.get(project.trust, ("?", project.trust, ""))
    glyph = ASCII_GLYPHS.get(glyph, glyph) if ascii_only else glyph
    fired = max((job for job in project.jobs if job.last_fired_s), key=lambda job: job.last_fired_s or 0, default=None)
    last = f"{text_format.clock(fired.last_fired_s, now_s)} {fired.name}" if fired is not None else "-"
    return TableRow(
        project.root,
        (
            Cell("!" if project.attention else "", "bold warning"),
            Cell(project.name, "bold"),
            Cell(f"{glyph} {word}", "text-muted" if style == MUTED else style),
            Cell(str(len(project.jobs)) if project.jobs else "-"),
            Cell(last, "" if fired is not None else "text-muted"),
            Cell(project.watch, "text-muted" if project.watch == "inotify" else "warning"),
            Cell(project.root, "text-muted"),
        ),
    )


def detail_lines(project: Project, now_s: float, *, ascii_only: bool) -> Content:
    """Everything about one project, what wants a person first."""
    lines: list[Content] = []
    for each in project.attention:
        text = Content.assemble((" ! ", "bold $warning"), (visible(each.text), "bold $foreground"))
        lines.append(text)
        if each.kind in ("changed", "untrusted"):
            lines.append(Content.assemble("   ", ("t", "bold $accent"), (" trusts it as it is now", MUTED)))
        elif each.command:
            lines.append(Content.styled(f"   {visible(each.command)}", MUTED))
    if project.diff:
        lines += [Content(""), *map(diff_line, project.diff)]
    if lines and project.jobs:
        lines.append(Content(""))
    arrow = "->" if ascii_only else "→"
    for job in project.jobs:
        lines += job_lines(job, now_s, arrow)
    if not project.jobs:
        said = "no jobs: `footplate init` proposes a footplate.toml" if project.trust == "none" else "no jobs"
        lines.append(Content.styled(f" {said}", MUTED))
    if project.watch_reason:
        lines += [Content(""), Content.styled(f" watched by {project.watch}: {visible(project.watch_reason)}", MUTED)]
    return Content("\n").join(lines)


def job_lines(job: ProjectJob, now_s: float, arrow: str) -> list[Content]:
    """A job: its name, what it comes after or what starts it, its command; and when that last happened."""
    parts: list[tuple[str, str]] = [(f" {visible(job.name)}", "bold $primary")]
    if job.after:
        parts.append((f"  after {', '.join(map(visible, job.after))}", "$foreground"))
    if job.on_change:
        parts.append((f"  on change of {', '.join(map(visible, job.on_change))}", "$foreground"))
    if job.cron:
        parts.append((f"  cron {visible(job.cron)}", "$foreground"))
    lines = [Content.assemble(*parts), Content.styled(f"   {visible(job.command)[:400]}", MUTED)]
    if job.last_fired_s:
        runs = " ".join(f"r{number}" for number in job.last_runs)
        said = f"   {text_format.clock(job.last_fired_s, now_s)}  {visible(job.last_reason)} {arrow} {runs}"
        lines.append(Content.styled(said, "$foreground"))
    if job.pending:
        lines.append(Content.styled(f"   soon: {visible(job.pending)}", "$warning"))
    return lines


def short(text: str) -> str:
    """A text whole where that can be, else with a sign that there is more of it."""
    shown = visible(text)
    return text_format.cut(shown, LINE_CELLS) if text_format.cell_width(shown) > LINE_CELLS else shown


def diff_line(line: str) -> Content:
    """A line of a difference, the sign before the colour."""
    style = {"+": "$success", "-": "$error", "@": MUTED}.get(line[:1], "$foreground")
    return Content.styled(f" {visible(line)}", style)


def trust_question(project: Project) -> Content:
    """What trusting means, and what has changed."""
    parts = [
        Content.assemble(
            (visible(project.name), "bold $foreground"), (f"  {visible(project.root)}/footplate.toml\n\n", MUTED)
        )
    ]
    body = [line for line in project.diff if not line.startswith(("---", "+++"))]
    parts += [Content.assemble(diff_line(short(line)), "\n") for line in body[:DIFF_LINES_SHOWN]]
    if len(body) > DIFF_LINES_SHOWN:
        parts.append(Content.styled(f" {len(body) - DIFF_LINES_SHOWN} lines more: footplate trust --show\n", MUTED))
    if not body:
        parts += [
            Content.assemble((f" {visible(job.name)}", "bold $primary"), (f"  {short(job.command)}\n", MUTED))
            for job in project.jobs[:DIFF_LINES_SHOWN]
        ]
        if (more := len(project.jobs) - DIFF_LINES_SHOWN) > 0:
            parts.append(Content.styled(f" {more} jobs more: footplate trust --show\n", MUTED))
    parts.append(Content("\nIts triggers and followers may then start these commands by themselves, with the "))
    parts.append(Content("environment of this console. Any change of the file ends that."))
    return Content("").join(parts)


def unwatch_question(project: Project) -> Content:
    """What letting go of a folder means."""
    return Content.assemble(
        (visible(project.name), "bold $foreground"),
        (f"  {visible(project.root)}\n\n", MUTED),
        "Nothing of it starts by itself any more, and its trust is forgotten. Files and runs stay.",
    )
