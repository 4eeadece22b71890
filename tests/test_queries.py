"""Queries through a daemon: by route and by command, with errors that say where."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from console import run_queries
from console.client import DaemonRefused
from tests.support import PastRun, wait_until

if TYPE_CHECKING:
    from tests.support import Home


@pytest.fixture
def runs(home: Home) -> Home:
    """A home with three runs."""
    for no, lr, accuracy in ((1, "0.1", 0.7), (2, "1e-4", 0.9), (3, "auto", 0.8)):
        home.write_run(PastRun(no=no, params={"lr": lr}, points=[(step, {"val/acc": accuracy}) for step in range(3)]))
    wait_until(lambda: len(home.client().runs(text="has:metric").rows) == 3)
    return home


def test_route_and_command_take_queries_and_say_where_they_are_wrong(runs: Home) -> None:
    client = runs.client()
    page = client.runs(text="val/acc >= 0.8 lr < 1", sort="best(val/acc)")
    assert ([row.no for row in page.rows], page.matched_count, page.total_count) == ([2], 1, 3)
    assert [row.no for row in client.runs(sort="val/acc", descending=False).rows] == [1, 3, 2]
    with pytest.raises(DaemonRefused) as raised:
        client.runs(text="lr < 1 and lrr > 3")
    assert raised.value.status == 400
    fault = run_queries.fault_of(raised.value)
    assert fault == ("no metric or param named `lrr`", "did you mean `lr`?", 11, 14, "text")
    with pytest.raises(DaemonRefused) as raised:
        client.runs(sort="lrr")
    fault = run_queries.fault_of(raised.value)
    assert fault is not None
    assert (fault.of, fault.column_start) == ("sort", 0)
    with pytest.raises(DaemonRefused) as raised:
        client.run("r99")
    assert run_queries.fault_of(raised.value) is None
    # As long as may be, in characters that take most room on the way.
    assert client.runs(text="🚂" * run_queries.TEXT_MAX_CHARACTERS).matched_count == 0

    found = json.loads(runs.footplate("runs", "--json", "val/acc >", "0.75", "--sort", "lr", "--reverse").stdout)
    assert [row["no"] for row in found["rows"]] == [2, 3]
    for arguments, words in (
        (
            ["lr < 1 and lrr > 3"],
            ["no metric or param named `lrr`", "lr < 1 and lrr > 3", "           ^^^", "did you mean"],
        ),
        (["lr <"], ["a value is missing", "lr <", "    ^"]),
        (["--sort", "lrr"], ["no metric or param named `lrr`", "lrr", "^^^", "did you mean"]),
        (["é\x1b[31m🚂 ("], ["a condition is missing", "é?[31m? (", "         ^"]),
        (["x" * 100_000], ["the query has 100,000 characters", "x", "^"]),
    ):
        refused = runs.footplate("runs", *arguments, check=False)
        assert (refused.returncode, refused.stdout) == (2, "")
        lines = refused.stderr.splitlines()
        assert len(max(lines, key=len)) <= 300
        for line, word in zip(lines, words, strict=False):
            assert word in line.removeprefix(" " * 11)

    exported = runs.footplate("export", "--format", "csv", "--columns", "run", "--filter", "lr < 1 val/acc > 0.8")
    assert exported.stdout.splitlines()[1:] == ["r2"]
    refused = runs.footplate("export", "--format", "csv", "--filter", "vit (", check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "a condition is missing after `(`" in refused.stderr


@pytest.mark.parametrize(
    ("text", "start", "end", "shown"),
    [
        ("lrr < 1", 0, 3, ("lrr < 1", "^^^")),
        ("lr <", 4, 5, ("lr <", "    ^")),
        ("a" * 100 + "!!" + "b" * 100, 100, 102, ("a" * 10 + "!!" + "b" * 8, " " * 10 + "^^")),
        ("a" * 30, 0, 30, ("a" * 20, "^" * 20)),
    ],
)
def test_carets_stand_under_the_fault_however_long_the_query(
    text: str, start: int, end: int, shown: tuple[str, str]
) -> None:
    assert run_queries.caret_lines(text, run_queries.Fault("", "", start, end, "text"), 20) == shown


def test_a_query_that_is_too_long_is_not_sent() -> None:
    fault = run_queries.too_long("x" * 1_000_000)
    assert fault is not None
    assert fault.message == "the query has 1,000,000 characters; at most 4,000 are taken"
    assert run_queries.too_long("x" * run_queries.TEXT_MAX_CHARACTERS) is None


def test_completions_come_by_route(runs: Home) -> None:
    client = runs.client()
    found = run_queries.complete(client, "val", 3)
    assert (found.start, found.end) == (0, 3)
    assert found.items[0] == ("val/acc", "metric", 3, "")
    assert [each.text for each in run_queries.complete(client, "lr = 1 or lr < 1", 5).items] == ["0.1", "1e-4", "auto"]
