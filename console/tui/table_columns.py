"""Which columns the table of runs has and how wide they are: chosen by a person, or by width and what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from console import trackers
from console.run_columns import Column, parse_column, sort_field
from console.tui import run_cells
from console.tui.table_layout import GAP_CELLS, GUTTER_CELLS, Cell, TableColumn
from console.tui.text_format import age, cell_width, number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from console.protocol import RunRow
    from console.run_columns import Value

PINNED: Final = ("glyph", "no", "name")
"""Stay at the left whatever is chosen."""
NARROW: Final = ("key", "metric", "duration", "outcome")
MIDDLE: Final = ("key", "metric", "best", "step", "duration", "outcome")
ROOMY: Final = ("project", "key", "metric", "best", "step", "duration", "started", "outcome")
"""What the table shows by itself besides params, by how much room it has."""
MIDDLE_CELLS: Final = 90
ROOMY_CELLS: Final = 118
NAME_CELLS: Final = 20
"""A name has that much room, if it needs it, before params have any."""
PARAMS_WANTED: Final = 12
"""Params that differ, of which as many as fit stand before the metric and the others behind all else."""


class Kind(NamedTuple):
    """How a column of a kind looks."""

    title: str
    least_cells: int
    most_cells: int
    right: bool = False


KINDS: Final[dict[str, Kind]] = {
    "glyph": Kind("", 1, 1),
    "no": Kind("run", 5, 7),
    "name": Kind("name", 14, 28),
    "project": Kind("project", 7, 12),
    "state": Kind("state", 5, 11),
    "tags": Kind("tags", 4, 20),
    "key": Kind("metric", 8, 14),
    "metric": Kind("last", 8, 8, right=True),
    "best": Kind("best", 8, 8, right=True),
    "step": Kind("step", 6, 8, right=True),
    "duration": Kind("time", 6, 6, right=True),
    "started": Kind("started", 12, 12, right=True),
    "age": Kind("age", 4, 4, right=True),
    "source": Kind("source", 6, 7),
    "outcome": Kind("outcome", 10, 18),
    "sweep": Kind("sweep", 5, 8),
    "job": Kind("job", 4, 16),
    "attempt": Kind("try", 3, 5, right=True),
    "exit": Kind("exit", 4, 8, right=True),
    "command": Kind("command", 12, 60),
}
PARAM: Final = Kind("", 2, 20)
METRIC: Final = Kind("", 6, 8, right=True)
LOOKED_AT_CELLS: Final = 64
"""A text that is longer is taken to be so long."""
TITLE_MAX_CELLS: Final = 14
"""A column is no wider than that for the sake of its title."""


class Contents(NamedTuple):
    """The cells of a column in the rows that were seen since the last question."""

    width_cells: int
    numeric: bool
    """All of them are numbers."""


ALIKE: Final[dict[str, Callable[[RunRow], object]]] = {
    "no": lambda row: len(row.label),
    "project": lambda row: row.project,
    "source": lambda row: row.tracker,
    "outcome": lambda row: (row.state, row.cause, row.exit_code, row.signal),
    "key": lambda row: row.metric and (row.metric.key, row.metric.goal, row.metric.by_hand),
}
"""Of rows that this says the same of, one tells how wide the column is: pages come while somebody holds a key down."""
NO_VALUE: Final = Cell("-", "$text-muted")
NOTHING_SEEN: Final = Contents(0, numeric=True)


def candidates(chosen: Sequence[str] | None, differing: Sequence[str], *, imported: bool) -> tuple[str, ...]:
    """Names of all columns that the table may show, in the order of the cells in its rows."""
    if chosen is not None:
        return (*PINNED, *(name for name in chosen if name not in PINNED))
    facts = dict.fromkeys((*PINNED, *ROOMY, *(("source",) * imported), "age", "tags"))
    return (*facts, *differing[:PARAMS_WANTED])


def arrange(
    width_cells: int, chosen: Sequence[str] | None, names: Sequence[str], seen: Mapping[str, Contents], sort: str = ""
) -> tuple[TableColumn, ...]:
    """The columns in the order in which they are drawn; `names` are candidates, `sort` is what rows are sorted by."""
    columns = arranged(width_cells, chosen, names, seen, sort)
    name = next(column for column in columns if column.key == "name")
    needed = seen.get("name", NOTHING_SEEN).width_cells
    # What names leave of a wide line stays at its end: figures far from their names are hard to follow.
    if not 0 < needed < LOOKED_AT_CELLS or not has_params(columns, chosen):
        return columns
    spare = width_cells - GUTTER_CELLS - sum(column.width_cells + GAP_CELLS for column in columns) + GAP_CELLS
    if spare < 0:
        return columns
    whole = name._replace(width_cells=max(name.width_cells, min(needed, name.width_cells + spare)), flexible=False)
    return tuple(whole if column is name else column for column in columns)


def arranged(
    width_cells: int, chosen: Sequence[str] | None, names: Sequence[str], seen: Mapping[str, Contents], sort: str
) -> tuple[TableColumn, ...]:
    """The columns with a name that takes what the others leave."""
    made = {name: column_of(name, place, seen.get(name, NOTHING_SEEN)) for place, name in enumerate(names)}
    if "state" not in made:
        # A click on the glyphs sorts by what they stand for.
        made["glyph"] = made["glyph"]._replace(key="state")
    if chosen is not None:
        return tuple(made.values())
    base: tuple[str, ...] = NARROW if width_cells < MIDDLE_CELLS else MIDDLE if width_cells < ROOMY_CELLS else ROOMY
    if base is NARROW and sort == sort_field("best"):
        # Rows in an order that no column shows look like rows in no order.
        base = tuple("best" if name == "metric" else name for name in base)
    first = [name for name in ("source",) if name in made and width_cells >= MIDDLE_CELLS]
    first = [*base[: base.index("key")], *first, *base[base.index("key") :]]
    # What names and outcomes say is cut before anything of the others is left out.
    outcome, wanted = made["outcome"], min(NAME_CELLS, seen.get("name", NOTHING_SEEN).width_cells)
    made["outcome"] = outcome._replace(width_cells=KINDS["outcome"].least_cells)
    spare = width_cells - GUTTER_CELLS - sum(made[name].width_cells + GAP_CELLS for name in (*PINNED, *first))
    at = first.index("key")
    ending = first[at:] if spare >= 0 else first[at + 1 :]
    least = made["name"].width_cells
    reserved = min(max(0, spare), max(0, wanted - least))
    spare -= reserved
    fitting: list[str] = []
    for name in (each for each in names if each.startswith("param:")):
        needed = made[name].width_cells + GAP_CELLS
        # One column of figures tells rows apart better than the end of their names would.
        given_up = 0 if fitting else min(reserved, max(0, needed - spare))
        if needed > spare + given_up:
            break
        reserved -= given_up
        spare += given_up - needed
        fitting.append(name)
    # A name that is cut by little is made whole before an outcome takes the rest; what has no room takes none of it.
    most = min(KINDS["name"].most_cells, seen.get("name", NOTHING_SEEN).width_cells)
    more = min(max(0, spare), max(0, most - least - reserved))
    spare -= more
    made["name"] = made["name"]._replace(width_cells=least + reserved + more)
    made["outcome"] = outcome._replace(
        width_cells=min(outcome.width_cells, made["outcome"].width_cells + max(0, spare))
    )
    params = [name for name in names if name.startswith("param:")]
    order = dict.fromkeys((*PINNED, *first[:at], *fitting, *ending, *params, *names))
    return tuple(made[name] for name in order)


def has_params(columns: Sequence[TableColumn], chosen: Sequence[str] | None) -> bool:
    """Whether params stand in columns, so that names need not carry them."""
    keys = [column.key for column in columns]
    # Behind the outcome stand those that had no room.
    last = keys.index("outcome") if chosen is None else len(keys)
    return any(key.startswith("param:") for key in keys[:last])


def column_of(name: str, place: int, seen: Contents) -> TableColumn:
    """One column, as wide as what was seen in it."""
    kind = KINDS.get(name)
    if kind is not None:
        width = max(kind.least_cells, min(kind.most_cells, seen.width_cells))
        pinned, flexible = name in PINNED, name == "name"
        width = kind.least_cells if flexible else width
        return TableColumn(
            name, kind.title, width, aligned(kind.right), flexible, bool(sort_field(name)), pinned, place
        )
    column = parse_column(name)
    kind = METRIC if column.kind == "metric" else PARAM
    title = title_of(column)
    width = max(kind.least_cells, min(cell_width(title) + 1, TITLE_MAX_CELLS), min(kind.most_cells, seen.width_cells))
    sortable = bool(sort_field(name))
    return TableColumn(name, title, width, aligned(kind.right or seen.numeric), sortable=sortable, cell=place)


def aligned(right: bool) -> Literal["left", "right"]:
    """Numbers are read from their right end."""
    return "right" if right else "left"


def title_of(column: Column) -> str:
    """What stands above a param or a metric: the end of its key, where keys differ."""
    end = {"last": "", "step": " step"}.get(column.aggregate, f" {column.aggregate}")
    return run_cells.tail(column.key, TITLE_MAX_CELLS - len(end) - 1) + end


def seen_in(name: str, rows: Sequence[RunRow], values: Sequence[Value] | None, before: Contents) -> Contents:
    """What is in a column of these rows, with what was seen before; looked at only where the width hangs on it."""
    kind = KINDS.get(name)
    if name.startswith("param:"):
        key = name.removeprefix("param:")
        found = values if values is not None else [row.params.get(key) for row in rows]
        return contents([str(value) for value in found if value is not None], before)
    if kind is None or (kind.least_cells == kind.most_cells and name != "name"):
        return before
    if (alike := ALIKE.get(name)) is not None:
        rows = list({alike(row): row for row in rows}.values())
    return contents([fact_cell(row, name, 0.0, ascii_only=True).text for row in rows], before)


def contents(found: Sequence[str], before: Contents = NOTHING_SEEN) -> Contents:
    """What was seen in a column, with what was seen before."""
    texts = set(found) - {"-", ""}
    width = max((cell_width(text[:LOOKED_AT_CELLS]) for text in texts), default=0)
    return Contents(max(width, before.width_cells), before.numeric and all(map(is_number, texts)))


def is_number(text: str) -> bool:
    """Whether a text is better read from its right end."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def cell_of(name: str, row: RunRow, value: Value, now_s: float, *, ascii_only: bool) -> Cell:
    """One cell of a column; `value` is what the daemon sent for it, or what the row says of the param."""
    if ":" not in name:
        return fact_cell(row, name, now_s, ascii_only=ascii_only)
    if value is None:
        return NO_VALUE
    return Cell(value if isinstance(value, str) else number(value, 8), "$foreground")


def fact_cell(row: RunRow, name: str, now_s: float, *, ascii_only: bool) -> Cell:
    """One fact of a run."""
    match name:
        case "tags":
            return Cell(" ".join(row.tags), "$text-muted")
        case "state":
            return Cell(row.state, run_cells.state_style(row))
        case "age":
            return Cell(age(now_s - row.started_at_s) if row.started_at_s is not None else "-", "$text-muted")
        case "sweep" | "job" | "command":
            return Cell(str(getattr(row, name)), "$text-muted")
        case "attempt":
            of = f"/{row.attempts_max}" * (row.attempts_max > 1)
            return Cell(f"{row.attempt}{of}", "$text-muted")
        case "exit":
            return Cell(row.signal or ("-" if row.exit_code is None else str(row.exit_code)), "$text-muted")
        case "source":
            return Cell(trackers.short_name_of(row.tracker), "$text-muted")
        case _:
            return run_cells.cell(row, name, now_s, ascii_only=ascii_only)
