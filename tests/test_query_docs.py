"""Every query that the manual shows is one, and means what stands beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from store.queries.run_page import run_page
from store.query_language.errors import QueryError
from store.query_language.facts import FACTS
from store.query_language.fields import ordering
from store.query_language.names import Names
from store.query_language.parser import parse_field
from tests.store.query_runs import NOW_S, SampleRun, index_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.database import Cursor

TEXT = (Path(__file__).resolve().parent.parent / "docs" / "query.md").read_text(encoding="utf-8")
RUN = SampleRun(
    12,
    params={"lr": "0.1", "optimizer": "adam", "name": "x", "a=b": "1"},
    metrics={
        "val/acc": (0.9, 0.1, 0.9),
        "val/loss": (1, 1, 1),
        "loss": (1, 1, 1),
        "lr": (1, 1, 1),
        "val acc": (1, 1, 1),
    },
)
SHOWN = re.compile(r"``\s(.+?)\s``|`([^`\n]+)`")


@pytest.fixture(scope="module")
def cursor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cursor]:
    """Of an index that has the keys of the manual."""
    with index_of(tmp_path_factory.mktemp("manual"), [RUN]) as cursor:
        yield cursor


def examples() -> list[str]:
    """What the table of conditions shows, the commands at the top, and the texts between them."""
    conditions = TEXT[TEXT.index("## Conditions") : TEXT.index("## Order")]
    table = [line.split(" | ")[0] for line in conditions.splitlines() if line.startswith("| `")]
    found = [first or second for cell in table for first, second in SHOWN.findall(cell)]
    found += re.findall(r"^footplate runs '([^']+)'", TEXT, re.MULTILINE)
    prose = "\n".join(line for line in conditions.splitlines() if not line.startswith("|"))
    in_prose = [first or second for first, second in SHOWN.findall(prose)]
    return found + [text for text in in_prose if re.search(r"[=<>~]\s*\S", text)]


def test_every_query_of_the_manual_is_one(cursor: Cursor) -> None:
    found = [text for text in examples() if "= !=" not in text]
    assert len(found) > 40
    for text in found:
        try:
            run_page(cursor, text=text, states=[], sort="no", descending=True, offset=0, limit=1, now_s=NOW_S)
        except QueryError as error:
            raise AssertionError(f"{text}: {error.message}") from error


def test_every_field_of_the_manual_can_be_sorted_by(cursor: Cursor) -> None:
    order = TEXT[TEXT.index("take any field of the language") : TEXT.index("## Errors")]
    fields = [second for _, second in SHOWN.findall(order.split(". ")[0])]
    assert len(fields) > 5
    for text in fields:
        ordering(parse_field(text), Names(cursor))


def test_every_fact_is_in_the_manual() -> None:
    facts = TEXT[TEXT.index("**Facts**") : TEXT.index("**Which is meant")]
    assert set(FACTS) <= {second for _, second in SHOWN.findall(facts)}
