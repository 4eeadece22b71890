"""Runs that queries look for: of every state, with names that mean something to a query or to SQL."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from store.queries.run_page import run_page
from tests.store.query_runs import NOW_S, SampleRun

if TYPE_CHECKING:
    from store.database import Cursor

HOSTILE = 'x"); drop table run; --'
RUNS = (
    SampleRun(
        1,
        name="vit-b base",
        params={"lr": "0.1", "optimizer": "adam", "a b": "1", HOSTILE: "1"},
        metrics={"val/acc": (0.81, 0.5, 0.9), "loss": (0.2, 0.1, 3.0)},
        tags=("baseline", "paper"),
        primary="val/acc",
        pinned=True,
    ),
    SampleRun(
        2,
        name="vit-l",
        state="failed",
        exit_code=1,
        cause="CUDA OOM",
        params={"lr": "1e-4", "optimizer": "SGD", "clip": "inf"},
        metrics={"val/acc": (math.nan, 0.2, 0.7), "loss": (math.inf, 0.3, 9.0), "lr": (0.05, 0.01, 0.1)},
        notes=("looks Good to me",),
        primary="val/acc",
    ),
    SampleRun(3, name="eval", project="other", job="eval", params={"lr": "auto"}, started_at_s=NOW_S - 90 * 86400.0),
    SampleRun(4, state="running", ended_at_s=None, exit_code=None, params={"optimizer": "adamw"}, tags=("Basel",)),
    SampleRun(
        5, state="queued", started_at_s=None, ended_at_s=None, exit_code=None, metrics={"m 1": (2.0, None, None)}
    ),
    SampleRun(12, name="relu(x)", state="stopped", params={"and": "or"}),
)


def quote(text: str) -> str:
    """In double quotes: backslashes before a quote are doubled."""
    return '"' + re.sub(r'(\\*)"', r'\1\1\\"', re.sub(r"(\\+)$", r"\1\1", text)) + '"'


def numbers(cursor: Cursor, text: str, sort: str = "no", *, descending: bool = False) -> list[int]:
    """Those of RUNS that fit, in their order."""
    page = run_page(cursor, text=text, states=[], sort=sort, descending=descending, offset=0, limit=100, now_s=NOW_S)
    assert page.matched_count == len(page.entries)
    assert page.total_count == len(RUNS)
    return [entry.no for entry in page.entries]
