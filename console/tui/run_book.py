"""The runs that the table screen has seen: pages as they came, what is in their columns, marked runs, the clock."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from console.tui.run_cells import long_name, ticks
from console.tui.table_columns import NOTHING_SEEN, arrange, candidates, cell_of, has_params, seen_in
from console.tui.table_layout import NO_CELL, LazyRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from console.protocol import RunRow
    from console.run_columns import TablePage
    from console.tui.table_columns import Contents
    from console.tui.table_layout import Cell, Row, TableColumn

REMEMBERED_PAGES: Final = 16
"""As many as the table keeps."""


class RunBook:
    """What the daemon said last about the runs under the present filter and order."""

    def __init__(self, monotonic: Callable[[], float], *, ascii_only: bool) -> None:
        self._monotonic = monotonic
        self._ascii_only = ascii_only
        self._pages: dict[int, TablePage] = {}
        self._rows: dict[str, RunRow] = {}
        self._seen: dict[str, Contents] = {}
        self._looked_through: dict[int, set[str]] = {}
        """Columns of the pages that `_seen` speaks of."""
        self._clock_s = 0.0
        self._heard_at_s = 0.0
        self.sort = ""
        """The field of the order."""
        self.chosen: tuple[str, ...] | None = None
        """Names of the columns that a person wants; None for those that choose themselves."""
        self.differing: tuple[str, ...] = ()
        """Names of columns of params that do not have one value in all runs under the filter."""
        self.marked: dict[str, RunRow] = {}
        """In the order of marking; a filter may hide them from the table."""
        self.total_count = 0
        self.matched_count: int | None = 0
        """None while the answer to a new filter is under way."""
        self.loaded = False
        self.has_imported = False
        """A run of another tracker was seen; stays, so that columns do not come and go."""

    @property
    def now_s(self) -> float:
        """The daemon's clock now."""
        return self._clock_s + self._monotonic() - self._heard_at_s if self.loaded else 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """Of all columns that rows have cells for, in that order."""
        return candidates(self.chosen, self.differing, imported=self.has_imported)

    @property
    def asked(self) -> tuple[str, ...]:
        """Names of the columns whose values the daemon is to send."""
        return tuple(name for name in self.names if ":" in name)

    def row(self, run_id: str | None) -> RunRow | None:
        """A run that was seen."""
        return self._rows.get(run_id) if run_id is not None else None

    def put(self, table_page: TablePage) -> None:
        """Remember a page."""
        page = table_page.page
        self._clock_s, self._heard_at_s, self.loaded = page.now_s, self._monotonic(), True
        self.total_count, self.matched_count = page.total_count, page.matched_count
        self._pages.pop(page.offset, None)
        self._looked_through.pop(page.offset, None)
        self._pages[page.offset] = table_page
        while len(self._pages) > REMEMBERED_PAGES:
            dropped = next(iter(self._pages))
            del self._pages[dropped]
            self._looked_through.pop(dropped, None)
        self.has_imported = self.has_imported or any(row.tracker for row in page.rows)
        self._rows = {row.id: row for each in self._pages.values() for row in each.page.rows}
        for row in page.rows:
            if row.id in self.marked:
                self.marked[row.id] = row

    def forget(self) -> None:
        """The filter or the order changed: nothing that comes later belongs to these pages."""
        self._pages.clear()
        self._forget_widths()
        self.matched_count = None

    def choose(self, names: tuple[str, ...] | None) -> None:
        """These columns are wanted, or those that choose themselves."""
        self.chosen = names
        self._forget_widths()

    def _forget_widths(self) -> None:
        self._seen.clear()
        self._looked_through.clear()

    def mark(self, run_ids: Iterable[str]) -> None:
        """These runs are marked."""
        seen = self._rows | self.marked
        self.marked = {run_id: seen[run_id] for run_id in run_ids if run_id in seen}

    def offsets(self) -> tuple[int, ...]:
        """Where the remembered pages start."""
        return tuple(self._pages)

    def lacks_values(self, offset: int) -> bool:
        """Whether a page came without the values of a column that the table has now."""
        page = self._pages.get(offset)
        if page is None:
            return False
        cut = any(page.more_params)
        return any(name not in page.cells and (cut or name.startswith("metric:")) for name in self.asked)

    def table_page(self, offset: int, width_cells: int) -> tuple[tuple[TableColumn, ...], list[Row]]:
        """The columns of a table of this width, and a page as lines of it."""
        found = self._pages.get(offset)
        names, now_s = self.names, self.now_s
        rows: Sequence[RunRow] = found.page.rows if found is not None else ()
        values = found.cells if found is not None else {}
        looked_through = self._looked_through.setdefault(offset, set()) if found is not None else set()
        for name in names:
            if name not in looked_through:
                self._seen[name] = seen_in(name, rows, values.get(name), self._seen.get(name, NOTHING_SEEN))
        looked_through.update(names)
        columns = arrange(width_cells, self.chosen, names, self._seen, self.sort)
        keys = tuple(each.removeprefix("param:") for each in self.differing)
        with_params = not has_params(columns, self.chosen)

        def cell(row_place: int, place: int) -> Cell:
            row = rows[row_place]
            if place >= len(names):
                return NO_CELL
            name = names[place]
            if name == "name" and with_params:
                return long_name(row, keys, ascii_only=self._ascii_only)
            sent = values.get(name)
            value = row.params.get(name.removeprefix("param:")) if sent is None else sent[row_place]
            return cell_of(name, row, value, now_s, ascii_only=self._ascii_only)

        return columns, [LazyRow(row.id, partial(cell, place)) for place, row in enumerate(rows)]

    def counts_seconds(self, offset: int) -> bool:
        """Whether a page holds a run whose duration grows."""
        page = self._pages.get(offset)
        return page is not None and any(map(ticks, page.page.rows))
