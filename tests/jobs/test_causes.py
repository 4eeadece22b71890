"""Every cause of an end from a real process through a real daemon; `python -m tests.causes` prints them as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from console.jobs.exit_cause import KINDS
from tests import cause_stages, causes
from tests.support import opened_home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support import Home


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One daemon for all."""
    with opened_home(tmp_path_factory.mktemp("causes") / "state") as opened:
        yield opened


@pytest.mark.parametrize("case", causes.CASES, ids=lambda case: case.name)
def test_a_cause_is_named_right(house: Home, tmp_path: Path, case: causes.Case) -> None:
    try:
        seen = case.produce(causes.stage_for(house, tmp_path / "work"))
    except cause_stages.Unavailable as why:
        pytest.skip(str(why))
    print(f"{case.name}: {seen}")
    assert case.wrong(seen) == ""


def test_every_kind_of_cause_is_among_them() -> None:
    assert {case.kind for case in causes.CASES} == set(KINDS)


def test_the_table_says_what_is_wrong_and_what_could_not_be_produced() -> None:
    case = causes.CASES[0]
    good = cause_stages.Seen("finished", 0, "", "ok", "", "")
    bad = good._replace(kind="exception")
    shown = causes.table([(case, good, case.wrong(good)), (case, bad, case.wrong(bad)), (case, None, "no root")])
    assert "right" in shown
    assert "WRONG: ('finished', 0, 'exception') instead of" in shown
    assert "not produced: no root" in shown
