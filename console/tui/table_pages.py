"""The rows of a table that are in memory: a few pages, each fresh or waiting to be replaced."""

from collections.abc import Iterable, Sequence
from typing import Literal

from console.tui.table_layout import Row

PAGE_ROWS = 256
CACHED_PAGES = 16
BEHIND_ROWS = 96
"""So near its first row, the page before is wanted too; the one behind it as soon as somebody scrolls."""


class TablePages:
    """Pages of rows by their number, the least recently used ones dropped."""

    def __init__(self) -> None:
        self.row_count = 0
        self._rows: dict[int, list[Row | None]] = {}
        self._fresh: set[int] = set()
        self._asked: set[int] = set()
        self._question: Literal["open", "answered", "settled"] = "settled"
        """Open: the rows are of an earlier one; answered: its first rows are there, the cursor still to be moved."""

    def row(self, index: int) -> Row | None:
        """The row at `index`, old or fresh; None when it is not in memory."""
        rows = self._rows.get(index // PAGE_ROWS, ())
        place = index % PAGE_ROWS
        return rows[place] if place < len(rows) else None

    def put(self, offset: int, rows: Sequence[Row]) -> None:
        """Keep the rows from `offset` on; a page is fresh when all its rows came at once, else it is just amended."""
        if self._question == "open" and not offset:
            self._question = "answered"
        end = min(offset + len(rows), self.row_count)
        start = offset
        while start < end:
            page, place = divmod(start, PAGE_ROWS)
            stop = min(end, (page + 1) * PAGE_ROWS)
            kept = self._rows.pop(page, [])
            kept += [None] * (place - len(kept))
            kept[place : place + stop - start] = rows[start - offset : stop - offset]
            self._rows[page] = kept
            if place == 0 and stop == min((page + 1) * PAGE_ROWS, self.row_count):
                self._fresh.add(page)
                self._asked.discard(page)
            start = stop
        while len(self._rows) > CACHED_PAGES:
            oldest = next(iter(self._rows))
            del self._rows[oldest]
            self._fresh.discard(oldest)

    def around(self, first: int, last: int, cursor_row: int) -> list[int]:
        """The pages of the rows that are looked at, and those that may be looked at next."""
        looked_at = {first // PAGE_ROWS, last // PAGE_ROWS, cursor_row // PAGE_ROWS}
        if first and last // PAGE_ROWS < (self.row_count - 1) // PAGE_ROWS:
            looked_at.add(last // PAGE_ROWS + 1)
        if first % PAGE_ROWS < BEHIND_ROWS and first >= PAGE_ROWS:
            looked_at.add(first // PAGE_ROWS - 1)
        return sorted(looked_at)

    def ask(self, pages: Iterable[int]) -> list[int]:
        """Those of `pages` to be read now: neither fresh nor asked for already."""
        wanted = []
        for page in pages:
            if page in self._rows:
                self._rows[page] = self._rows.pop(page)
            if page not in self._fresh and page not in self._asked:
                self._asked.add(page)
                wanted.append(page)
        return wanted

    def expire(self) -> None:
        """The data changed: every page is to be read again, and answers under way do not count."""
        self._fresh.clear()
        self._asked.clear()

    def resize(self, row_count: int) -> None:
        """There are `row_count` rows now: forget those behind, and ask again for pages that lack some of theirs."""
        self.row_count = row_count
        for page, rows in list(self._rows.items()):
            share = min(PAGE_ROWS, row_count - page * PAGE_ROWS)
            if share <= 0:
                del self._rows[page]
                self._fresh.discard(page)
                continue
            del rows[share:]
            if len(rows) < share:
                self._fresh.discard(page)

    def begin_anew(self) -> None:
        """The question changed: no row counts until the first rows of its answer are put."""
        self.expire()
        self._question = "open"

    def settle(self, cursor_row: int, followed: str | None, in_view: range) -> tuple[int, str | None]:
        """Where the cursor belongs after new rows, and the key it follows from now on.

        It goes with its row, but no farther than what is in view when these rows answer another question; where its
        row is gone it takes the one in its place.
        """
        if self._question == "open":
            return cursor_row, followed
        is_anew, self._question = self._question == "answered", "settled"
        row = self.row(cursor_row)
        found = None if followed is None else self._find(followed, in_view if is_anew else None)
        if found is not None:
            return found, followed
        if row is not None and (followed is None or is_anew or not self._asked):
            return cursor_row, row.key
        return cursor_row, followed

    def _find(self, key: str, in_view: range | None) -> int | None:
        """The index of the row with `key`: one of those in view, or in a fresh page."""
        if in_view is not None:
            seen = ((index, self.row(index)) for index in in_view if index < self.row_count)
            return next((index for index, row in seen if row is not None and row.key == key), None)
        for page in self._fresh:
            for place, row in enumerate(self._rows.get(page, ())):
                if row is not None and row.key == key:
                    return page * PAGE_ROWS + place
        return None
