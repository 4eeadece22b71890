"""What the table of runs asks the daemon, in the courier's thread: a page of rows, and which params differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from console import run_columns
from console.tui.messages import ColumnsArrived, PageArrived
from console.tui.table_columns import PARAMS_WANTED
from console.tui.table_pages import PAGE_ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.client import Client
    from console.run_columns import TablePage
    from console.tui.courier import Call
    from console.tui.widgets.virtual_table import VirtualTable
    from console.views import View


CURSOR_GLANCE_S: Final = 0.04
"""Facts are shown once nobody holds a key down: rows that are only passed are not worth the painting."""
CURSOR_REST_S: Final = 0.12
"""A curve is asked for once the cursor rests, not for every row it passes."""
COLUMNS_INTERVAL_S: Final = 10.0
"""Params that differ are asked for again that often while runs change."""
COLUMNS_AFTER_S: Final = 0.25
"""Of another filter they are asked for once its rows are painted: to count them takes both cores for a while."""
GLANCE_MORE_ROWS: Final = 4


def glance_rows(table: VirtualTable) -> int:
    """What a person sees first of another filter or order; the rest of the page follows."""
    return min(PAGE_ROWS, table.size.height + GLANCE_MORE_ROWS)


def fetch_page(client: Client, view: View, offset: int, limit: int, columns: Sequence[str]) -> TablePage:
    """A page under a filter and in an order, with the cells of these columns. Raises ClientError."""
    return run_columns.table_page(
        client,
        text=view.filter,
        sort=view.sort,
        descending=view.descending,
        offset=offset,
        limit=limit,
        columns=columns,
    )


def asking_for_page(query_no: int, view: View, offset: int, limit: int, columns: Sequence[str]) -> Call:
    """The same as a question of the table; the answer says which one it is to."""

    def fetch(client: Client) -> PageArrived:
        return PageArrived(query_no, fetch_page(client, view, offset, limit, columns))

    return fetch


def asking_for_columns(query_no: int, view: View) -> Call:
    """Params that tell the runs under the filter apart."""

    def fetch(client: Client) -> ColumnsArrived:
        found = run_columns.list_columns(client, text=view.filter, differing=True, limit=PARAMS_WANTED)
        return ColumnsArrived(query_no, found)

    return fetch
