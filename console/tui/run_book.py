"""The runs that the table screen has seen: pages as they came, marked runs, and the daemon's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from console.tui.run_cells import table_row, ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from console.protocol import RunPage, RunRow
    from console.tui.table_layout import TableColumn, TableRow

REMEMBERED_PAGES: Final = 16
"""As many as the table keeps."""


class RunBook:
    """What the daemon said last about the runs under the present filter and order."""

    def __init__(self, monotonic: Callable[[], float], *, ascii_only: bool) -> None:
        self._monotonic = monotonic
        self._ascii_only = ascii_only
        self._pages: dict[int, tuple[RunRow, ...]] = {}
        self._rows: dict[str, RunRow] = {}
        self._clock_s = 0.0
        self._heard_at_s = 0.0
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

    def row(self, run_id: str | None) -> RunRow | None:
        """A run that was seen."""
        return self._rows.get(run_id) if run_id is not None else None

    def put(self, page: RunPage) -> None:
        """Remember a page."""
        self._clock_s, self._heard_at_s, self.loaded = page.now_s, self._monotonic(), True
        self.total_count, self.matched_count = page.total_count, page.matched_count
        self._pages.pop(page.offset, None)
        self._pages[page.offset] = page.rows
        while len(self._pages) > REMEMBERED_PAGES:
            del self._pages[next(iter(self._pages))]
        self.has_imported = self.has_imported or any(row.tracker for row in page.rows)
        self._rows = {row.id: row for rows in self._pages.values() for row in rows}
        for row in page.rows:
            if row.id in self.marked:
                self.marked[row.id] = row

    def forget(self) -> None:
        """The filter or the order changed: nothing that comes later belongs to these pages."""
        self._pages.clear()
        self.matched_count = None

    def mark(self, run_ids: Iterable[str]) -> None:
        """These runs are marked."""
        seen = self._rows | self.marked
        self.marked = {run_id: seen[run_id] for run_id in run_ids if run_id in seen}

    def offsets(self) -> tuple[int, ...]:
        """Where the remembered pages start."""
        return tuple(self._pages)

    def table_rows(self, offset: int, columns: tuple[TableColumn, ...]) -> list[TableRow]:
        """A page as lines of the table."""
        now_s = self.now_s
        return [table_row(row, columns, now_s, ascii_only=self._ascii_only) for row in self._pages.get(offset, ())]

    def counts_seconds(self, offset: int) -> bool:
        """Whether a page holds a run whose duration grows."""
        return any(map(ticks, self._pages.get(offset, ())))
