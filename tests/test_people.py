"""Notes, tags and pins: what a person adds by the commands, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from console.client import DaemonRefused
from console.protocol import Note
from store import database
from tests.people import commands, index_tables, texts, with_ended_runs
from tests.support import FOOTPLATE
from tests.tui.stand_in_runs import make_run

if TYPE_CHECKING:
    from tests.support import Home


@pytest.fixture
def runs(home: Home) -> Home:
    return with_ended_runs(home)


def rows(home: Home, *arguments: str) -> list[str]:
    """The labels of the runs that `footplate runs` finds."""
    page = json.loads(home.footplate("runs", "--json", "--sort", "no", "--reverse", *arguments).stdout)
    return [f"r{row['no']}" for row in page["rows"]]


def test_a_note_is_written_read_and_removed(runs: Home) -> None:
    assert "no note yet" in runs.footplate("note", "r1").stdout
    runs.footplate("note", "r1", "the", "seed", "matters")
    runs.footplate("note", "r1", "second")
    shown = runs.footplate("note", "r1").stdout
    assert "  the seed matters\n" in shown
    notes = json.loads(runs.footplate("note", "r1", "--json").stdout)
    assert [note["text"] for note in notes] == ["the seed matters", "second"]
    assert notes[0]["id"][-6:] in shown
    assert "  the seed matters\n" in runs.footplate("show", "r1").stdout
    assert runs.footplate("note", "r1", "--remove", notes[0]["id"][-6:].lower()).stdout.count("note ") == 1
    assert texts(runs, "r1") == ["second"]
    done = runs.footplate("note", "r1", "--remove", "zzzzzz", check=False)
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "footplate: r1 has no note 'zzzzzz'")
    assert [record["action"] for record in commands(runs)] == ["note", "note", "note-remove"]


def test_a_note_comes_from_a_pipe_as_it_was_written_and_is_shown_without_its_control_characters(runs: Home) -> None:
    text = "line one\n\tü 漢字 👩‍🔬 \x1b[31m\0 \u202e end"
    done = subprocess.run(
        [FOOTPLATE, "note", "r1"],
        input=f"{text}\n\n",
        capture_output=True,
        text=True,
        env=runs.environment(),
        check=True,
    )
    assert texts(runs, "r1") == [text]
    assert "\x1b" not in done.stdout
    assert "␛[31m␀" in done.stdout
    assert "  line one\n  ␉ü 漢字" in done.stdout
    subprocess.run(
        [FOOTPLATE, "note", "r2"], input=b"\xff\xfe bytes", env=runs.environment(), check=True, capture_output=True
    )
    assert texts(runs, "r2") == ["\\xff\\xfe bytes"]


def test_a_note_has_a_text_of_a_bounded_length(runs: Home) -> None:
    runs.footplate("note", "r1", "é" * 10_000)
    for arguments, said in ((["é" * 10_001], "a note of 10,001 characters"), (["  "], "a note needs a text")):
        done = runs.footplate("note", "r1", *arguments, check=False)
        assert done.returncode == 1
        assert said in done.stderr
    assert [len(text) for text in texts(runs, "r1")] == [10_000]
    assert runs.footplate("note", "r9", "x", check=False).returncode == 1
    assert runs.footplate("note", "r1", "x", "--list", check=False).returncode == 2


def test_runs_are_tagged_found_by_their_tags_and_shown_with_them(runs: Home) -> None:
    runs.footplate("tag", "r1", "2", "+Best", "+größe")
    runs.footplate("note", "r3", "Warmup helped")
    assert rows(runs, "tag:best") == ["r1", "r2"]
    assert rows(runs, "GRÖSSE".replace("SS", "ß").lower()) == ["r1", "r2"]
    assert rows(runs, "warmup") == ["r3"]
    assert rows(runs, "best", "train2") == ["r2"]
    assert rows(runs, "nothing") == []
    found = json.loads(runs.footplate("tag", "r1", "-Best", "+old", "--json").stdout)
    assert found[0]["tags"] == ["größe", "old"]
    assert rows(runs, "best") == ["r2"]
    shown = runs.footplate("runs").stdout
    assert "größe old" in shown
    assert "Best größe" in runs.footplate("tag", "r2").stdout
    assert "tags       größe  old" in runs.footplate("show", "r1").stdout
    runs.footplate("tag", "r1", "r2", "-größe", "-old", "-Best")
    assert "tags" not in runs.footplate("runs").stdout.splitlines()[0]


def test_a_tag_is_one_printable_word(runs: Home) -> None:
    for name in ("", "a b", "a,b", "a\tb", "a\x1b", "a\u202eb", "x" * 65, "+a", "-a", "a\u00a0b"):
        with pytest.raises(DaemonRefused, match="cannot be a tag"):
            runs.client().post_known("/tags", {"runs": ["r1"], "add": ["good", name], "actor": "ana"})
    done = runs.footplate("tag", "r1", "+a\x1bb", check=False)
    assert done.returncode == 1
    assert "\x1b" not in done.stderr
    runs.footplate("tag", "r1", f"+{'x' * 64}")
    assert runs.client().run("r1").row.tags == ("x" * 64,)


def test_a_wrong_name_changes_nothing(runs: Home) -> None:
    for arguments in (["tag", "r1", "r99", "+best"], ["pin", "r1", "r99"], ["tag", "r1", "+best", "-best"]):
        done = runs.footplate(*arguments, check=False)
        assert done.returncode == 1, arguments
    assert runs.footplate("tag", "+best", check=False).returncode == 2
    row = runs.client().run("r1").row
    assert (row.tags, row.pinned) == ((), False)
    assert not os.path.exists(f"{runs.path}/commands.jsonl") or commands(runs) == []


def test_runs_are_pinned_and_let_go(runs: Home) -> None:
    assert "◆" in runs.footplate("pin", "r1", "r2", env=runs.environment(PYTHONUTF8="1")).stdout
    assert [runs.client().run(f"r{no}").row.pinned for no in (1, 2, 3)] == [True, True, False]
    assert "pinned     yes" in runs.footplate("show", "r1").stdout
    found = json.loads(runs.footplate("pin", "--off", "r1", "--json").stdout)
    assert found[0]["pinned"] is False
    assert [runs.client().run(f"r{no}").row.pinned for no in (1, 2, 3)] == [False, True, False]


def test_a_run_that_was_deleted_takes_no_note(runs: Home) -> None:
    runs.footplate("tag", "r1", "r2", "+best")
    runs.client().delete("/projects/churn/runs?actor=ana")
    for arguments in (["note", "r1", "x"], ["tag", "r1", "+x"], ["pin", "r1"]):
        done = runs.footplate(*arguments, check=False)
        assert done.returncode == 1
        assert "no run 'r1'" in done.stderr
    runs.end_daemon()
    assert runs.client().runs().total_count == 0
    runs.end_daemon()
    assert index_tables(runs) == [[], [], []]


@pytest.mark.slow
def test_ten_thousand_runs_are_tagged_by_one_line_and_at_once(home: Home) -> None:
    home.client().status()
    home.end_daemon()
    opened = database.open_database(f"{home.path}/index.duckdb")
    count = 10_000
    with opened.reading() as cursor:
        cursor.execute(
            "insert into run (id, no, name, project, state, command, argv, working_dir, host, params, created_at_s, "
            "search_text) select '01K' || lpad(i::varchar, 23, '0'), i, 'n', 'p', 'finished', 'c', '[]', '/', 'h', "
            "'{}', i, 'r' || i from range(1, $count + 1) given(i)",
            {"count": count},
        )
    opened.close()
    for no in range(1, count + 1):
        os.mkdir(f"{home.path}/runs/01K{no:023d}")
    references = [f"r{no}" if no % 2 else f"01K{no:023d}" for no in range(1, count + 1)]
    answer = home.client().post_known("/tags", {"runs": references, "add": ["best"], "actor": "ana"})
    assert len(answer["rows"]) == count
    assert len(commands(home)) == 1
    assert home.client().runs(text="tag:best", limit=1).matched_count == count
    for text in ("best", "r1"):
        assert home.client().runs(text=text, limit=1).matched_count > 0


def test_what_is_no_command_is_refused_in_one_sentence(runs: Home) -> None:
    cases: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("/notes", {"runs": ["r1"], "text": "x", "request": "short"}, "request must be a ULID"),
        ("/notes", {"runs": [], "text": "x"}, "exactly one run"),
        ("/notes", {"runs": ["r1"], "text": ["x"]}, "a note needs a text"),
        ("/notes/remove", {"runs": ["r1"]}, "exactly one note"),
        ("/tags", {"runs": ["r1"]}, "no tag is named"),
        ("/tags", {"runs": "r1", "add": ["x"]}, "runs must be a list of texts"),
        ("/pins", {"runs": ["r1"], "pinned": "yes"}, "pinned must be true or false"),
        ("/pins", {"runs": [], "pinned": True}, "0 runs are named"),
    )
    for path, body, said in cases:
        with pytest.raises(DaemonRefused, match=said):
            runs.client().post(path, {"actor": "ana", **body})


def test_the_screens_show_what_was_added() -> None:
    from console.tui.run_cells import cell, long_name, run_facts, side_facts

    detail = make_run(7, "train", state="finished", started_ago_s=60.0, took_s=5.0, params={"lr": "0.1"})
    row = detail.row._replace(pinned=True, tags=("best", "paper"))
    assert cell(row, "name", 0.0).text == "◆ train #best #paper"
    assert long_name(row, ()).text == "◆ train #best #paper lr=0.1"
    assert long_name(row, (), ascii_only=True).text == "* train #best #paper lr=0.1"
    assert long_name(detail.row, ("lr", "leaves")).text == "train lr=0.1"
    said = {fact.name: fact.value for fact in side_facts(row, 0.0)}
    assert said["tags"] == "best  paper · pinned, nothing deletes it"
    notes = (Note("A", detail.now_s - 60, "ana", "old"), Note("B", detail.now_s, "bob", "new\nline"))
    said = {fact.name: fact.value for fact in run_facts(detail._replace(row=row, notes=notes))}
    assert said["note"].endswith("bob (newest of 2): new line")
    assert not {"tags", "note"} & {fact.name for fact in run_facts(detail)}
