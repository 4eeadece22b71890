"""Columns of the run table as clients see them: their names, what can be one, and pages with the chosen ones.

A column is a fact of every run (`duration`), a param (`param:lr`) or a metric (`metric:val/loss:best`). In a list a
comma within a key is written as `\\,` and a backslash as `\\\\`. Standard library only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from console import protocol
from console.protocol import RunPage, pick

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from console.client import Client
    from console.protocol import Json

Value: TypeAlias = "str | float | None"
"""Of a cell: the text of a param, the number of a metric, None where the run has none."""

FACTS: Final[dict[str, str]] = {
    "project": "project it belongs to",
    "state": "its state in a word",
    "tags": "tags that people gave it",
    "key": "name of its primary metric",
    "metric": "newest value of its primary metric",
    "best": "best value of its primary metric",
    "step": "step of its primary metric",
    "duration": "how long it took, or has taken",
    "started": "when it started",
    "age": "how long ago it started",
    "source": "who wrote it down",
    "outcome": "how it ended, or why it waits",
    "sweep": "sweep that it is of",
    "job": "job of the manifest",
    "attempt": "attempt that counts, of how many",
    "exit": "exit code, or the signal that ended it",
    "command": "command line",
}
"""What every run has, and what it says."""
AGGREGATES: Final = ("last", "best", "min", "max", "step")
"""What of a metric a column shows."""
COLUMNS_MAX: Final = 64
"""That a table may have."""


class ColumnError(ValueError):
    """A text that names no column."""


class Column(NamedTuple):
    """A column by its name."""

    kind: str
    """fact, param or metric."""
    key: str
    aggregate: str = ""
    """Of a metric: one of AGGREGATES."""

    @property
    def name(self) -> str:
        """As routes, files and command lines write it, alone."""
        if self.kind == "fact":
            return self.key
        return f"{self.kind}:{self.key}" + f":{self.aggregate}" * bool(self.aggregate)


class ColumnInfo(NamedTuple):
    """Something that can be a column."""

    name: str
    kind: str
    run_count: int | None
    """Runs that have it; None for a fact."""
    distinct_count: int | None
    """Different values of a param; None for anything else."""


class ColumnPage(NamedTuple):
    """A window of what can be columns, those first that tell runs apart."""

    total_count: int
    """Columns that the search lets through."""
    run_count: int
    """Runs that the filter lets through, of which the others count."""
    columns: tuple[ColumnInfo, ...]


class TablePage(NamedTuple):
    """A window of the run table with chosen columns."""

    page: RunPage
    cells: dict[str, tuple[Value, ...]]
    """By the name of the column, one value for each row."""
    more_params: tuple[int, ...] = ()
    """For each row how many params were left out of it."""


SORT_FIELDS: Final = {
    **{name: name for name in ("no", "name", "project", "state", "step", "duration", "started", "source")},
    **{name: name for name in ("sweep", "job", "attempt", "exit", "command")},
    "metric": "last(metric)",
    "best": "metric",
    "age": "started",
    "glyph": "state",
    "tags": "tag",
    "outcome": "cause",
}
"""By column: the field of the query language that the table is sorted by."""


def sort_field(name: str) -> str:
    """The field of the query language that sorts by a column; empty for a column that cannot be sorted by."""
    if name in SORT_FIELDS:
        return SORT_FIELDS[name]
    if ":" not in name:
        return ""
    column = parse_column(name)
    # Backslashes are themselves unless a quote follows, the one at the end as well.
    key = re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), column.key)
    if column.kind == "param":
        return f'param."{key}"'
    return "" if column.aggregate == "step" else f'{column.aggregate}("{key}")'


def parse_column(text: str) -> Column:
    """A column from its name. Raises ColumnError."""
    kind, colon, key = text.partition(":")
    if not colon:
        if kind not in FACTS:
            raise ColumnError(f"there is no column {text!r}; one is param:KEY, metric:KEY:best, {', '.join(FACTS)}")
        return Column("fact", kind)
    if kind == "param" and key:
        return Column("param", key)
    if kind == "metric" and key:
        name, colon, aggregate = key.rpartition(":")
        if colon and name and aggregate in AGGREGATES:
            return Column("metric", name, aggregate)
        return Column("metric", key, "last")
    raise ColumnError(f"there is no column {text!r}; one is param:KEY or metric:KEY:best")


def parse_columns(text: str) -> tuple[Column, ...]:
    """Columns from a list with commas, each once. Raises ColumnError."""
    found = dict.fromkeys(map(parse_column, filter(None, split(text))))
    if len(found) > COLUMNS_MAX:
        raise ColumnError(f"{len(found)} columns; a table has at most {COLUMNS_MAX}")
    return tuple(found)


def split(text: str) -> list[str]:
    """The parts of a list with commas, without the backslashes that keep commas in keys."""
    parts, part, escaped = [], "", False
    for character in text:
        if escaped:
            part, escaped = part + character, False
        elif character == "\\":
            escaped = True
        elif character == ",":
            parts.append(part.strip())
            part = ""
        else:
            part += character
    parts.append((part + "\\" * escaped).strip())
    return parts


def join(names: Iterable[str]) -> str:
    """A list with commas of the names of columns."""
    return ",".join(name.replace("\\", "\\\\").replace(",", "\\,") for name in names)


def list_columns(
    client: Client, *, text: str = "", search: str = "", differing: bool = False, offset: int = 0, limit: int = 100
) -> ColumnPage:
    """What can be a column for the runs that `text` lets through; names hold every word of `search`.

    `differing`: only params that do not have one value in all of those runs. Raises ClientError.
    """
    query = {"text": text, "search": search, "differing": int(differing), "offset": offset, "limit": limit}
    data = client.get("/runs/columns", query)
    infos = tuple(ColumnInfo(*each) for each in data["columns"])
    return ColumnPage(data["total_count"], data["run_count"], infos)


def table_page(
    client: Client,
    *,
    text: str = "",
    states: str = "",
    sort: str = "started",
    descending: bool = True,
    offset: int = 0,
    limit: int = 256,
    columns: Sequence[str] = (),
    whole: bool = False,
) -> TablePage:
    """A page of the run table with the cells of these columns; its rows hold a few params each unless `whole`.

    Raises ClientError.
    """
    query = {"text": text, "states": states, "sort": sort, "descending": int(descending)}
    more = {"offset": offset, "limit": limit, "columns": None if whole else join(columns)}
    return decode_table_page(client.get("/runs", query | more))


def decode_table_page(data: dict[str, Json]) -> TablePage:
    """A page with chosen columns from its JSON object."""
    cells = {
        name: tuple(map(protocol.optional_number, values)) if name.startswith("metric:") else tuple(values)
        for name, values in data.get("cells", {}).items()
    }
    rows = tuple(map(protocol.decode_row, data["rows"]))
    return TablePage(pick(RunPage, data, rows=rows), cells, tuple(data.get("more_params", ())))
