"""Notes, tags and pins: what a person adds survives the daemon and the index, and is there once."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from console.client import Client, DaemonRefused, DaemonUnavailable, request_id
from console.daemon.command_journal import CommandJournal
from console.protocol import Note, RunRow
from store import additions, database
from store.ingest import Index
from tests.support import FOOTPLATE, PastRun, opened_home, wait_until
from tests.tui.stand_in import make_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store.database import Cursor
    from tests.support import Home

RUN_A, RUN_B = PastRun(no=1).id, PastRun(no=2).id


@pytest.fixture
def runs(home: Home) -> Home:
    """A home with three runs that have ended."""
    for no in (1, 2, 3):
        home.write_run(PastRun(no=no, name=f"train{no}.py"))
    for no in (1, 2, 3):
        home.wait_ended(f"r{no}")
    return home


def commands(home: Home) -> list[dict[str, Any]]:
    """What the command journal holds."""
    with open(f"{home.path}/commands.jsonl", "rb") as file:
        return [json.loads(line[9:]) for line in file]


def texts(home: Home, reference: str) -> list[str]:
    """The texts of a run's notes."""
    return [note.text for note in home.client().run(reference).notes]


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


def everything(home: Home) -> list[tuple[RunRow, tuple[Note, ...]]]:
    """What the index says of all runs and what was added to them."""
    page = home.client().runs(sort="no")
    return [(row, home.client().run(row.id).notes) for row in page.rows]


def test_an_index_that_is_built_anew_has_all_that_was_added(runs: Home) -> None:
    runs.footplate("tag", "r1", "r2", "+best", "+old")
    runs.footplate("tag", "r1", "-old")
    runs.footplate("tag", "r1", "+old", "-best")
    runs.footplate("pin", "r1", "r2")
    runs.footplate("pin", "--off", "r1")
    runs.footplate("note", "r1", "kept")
    runs.footplate("note", "r1", "removed")
    removed = runs.client().run("r1").notes[1].id
    runs.footplate("note", "r1", "--remove", removed)
    before = everything(runs)
    runs.end_daemon()
    tables = index_tables(runs)
    for name in ("index.duckdb", "index.duckdb.wal"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{runs.path}/{name}")
    for no in (1, 2, 3):
        runs.wait_ended(f"r{no}")
    assert everything(runs) == before
    runs.end_daemon()
    assert index_tables(runs) == tables


def index_tables(home: Home) -> list[list[tuple[Any, ...]]]:
    """Notes, tags and pins as the index of a home without a daemon has them."""
    opened = database.open_database(f"{home.path}/index.duckdb")
    try:
        with opened.reading() as cursor:
            queries = ("from note order by all", "from tag order by all", "select no, pinned from run order by no")
            return [cursor.execute(query).fetchall() for query in queries]
    finally:
        opened.close()


def test_a_command_whose_daemon_was_killed_before_the_index_had_it_is_carried_out_by_the_next_one(runs: Home) -> None:
    run_id = runs.client().run("r1").row.id
    runs.kill_daemon()
    wait_until(lambda: not runs.is_locked())
    # As far as a daemon comes that is killed between the two.
    journal = CommandJournal(runs.path)
    note_id = request_id()
    journal.append("ana", "note", request=note_id, run=run_id, note=note_id, text="from the grave")
    journal.append("ana", "tag", runs=[run_id], add=["late"])
    journal.append("ana", "pin", runs=[run_id])
    journal.close()
    detail = runs.client().run("r1")
    assert ([note.text for note in detail.notes], detail.row.tags, detail.row.pinned) == (
        ["from the grave"],
        ("late",),
        True,
    )
    # The client that waits for the answer of the dead daemon asks the next one.
    body = {"runs": ["r1"], "text": "from the grave", "actor": "ana", "request": note_id}
    assert len(runs.client().post("/notes", body)["notes"]) == 1
    assert len(commands(runs)) == 3


class DeafClient(Client):
    """A client that loses the first answer, once the daemon has carried the command out."""

    def __init__(self, home: Home) -> None:
        super().__init__()
        self._home = home
        self.lost = 0

    def _read_answer(self, connection: Any) -> tuple[int, dict[str, str], bytes]:
        answer = super()._read_answer(connection)
        if not self.lost:
            self.lost += 1
            self._home.kill_daemon()
            raise EOFError("connection closed")
        return answer


def test_a_note_whose_answer_was_lost_is_sent_again_and_there_once(runs: Home) -> None:
    client = DeafClient(runs)
    answer = client.post_known("/notes", {"runs": ["r1"], "text": "once", "actor": "ana"})
    assert client.lost == 1
    assert [note["text"] for note in answer["notes"]] == ["once"]
    client.lost = 0
    client.post_known("/notes/remove", {"runs": ["r1"], "notes": [answer["notes"][0]["id"]], "actor": "ana"})
    client.lost = 0
    client.post_known("/tags", {"runs": ["r1"], "add": ["best"], "actor": "ana"})
    client.close()
    assert texts(runs, "r1") == []
    assert runs.client().run("r1").row.tags == ("best",)
    assert [record["action"] for record in commands(runs)] == ["note", "note-remove", "tag"]


def test_notes_written_while_daemons_are_killed_are_all_there_once(runs: Home) -> None:
    over = threading.Event()
    chance = random.Random(7)

    def kill() -> None:
        client = Client()
        for _ in range(8):
            time.sleep(chance.uniform(0.0, 0.5))
            with contextlib.suppress(DaemonUnavailable, ProcessLookupError):
                os.kill(client.get("/ping")["pid"], signal.SIGKILL)
        client.close()
        over.set()

    def write(client: Client, number: int) -> bool:
        body = {"runs": ["r1"], "text": f"note {number}", "actor": "ana", "request": f"{number:026d}"}
        try:
            client.call("POST", "/notes", json.dumps(body).encode(), repeatable=True)
        except DaemonUnavailable:
            # Its own daemon was killed before it listened; the next try has the same id.
            return False
        return True

    killer = threading.Thread(target=kill)
    killer.start()
    client, count = Client(), 0
    while not over.is_set():
        wait_until(functools.partial(write, client, count))
        count += 1
    client.close()
    killer.join()
    assert texts(runs, "r1") == [f"note {number}" for number in range(count)]
    assert len(commands(runs)) == count
    assert "each as it was written" in runs.footplate("audit", "verify").stdout


def test_two_clients_at_once_lose_nothing(runs: Home) -> None:
    def write(name: str) -> None:
        client = Client()
        for number in range(20):
            client.post_known("/notes", {"runs": ["r1"], "text": f"{name} {number}", "actor": name})
            client.post_known("/tags", {"runs": ["r1", "r2"], "add": [f"{name}{number}"], "actor": name})
        client.close()

    writers = [threading.Thread(target=write, args=(name,)) for name in ("ana", "bob")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(texts(runs, "r1")) == sorted(f"{name} {number}" for name in ("ana", "bob") for number in range(20))
    assert len(runs.client().run("r2").row.tags) == 40
    assert "80 lines" in runs.footplate("audit", "verify").stdout


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


def fresh_index(folder: Path) -> tuple[database.Database, Cursor]:
    """An index with two runs."""
    opened = database.open_database(str(folder / "index.duckdb"))
    cursor = opened.cursor()
    columns = {"project": "p", "state": "finished", "command": "c", "argv": [], "working_dir": "/", "host": "h"}
    more = {"params": {}, "created_at_s": 1.0, "search_text": ""}
    Index(cursor).add_runs(
        [{"id": run_id, "no": no, "name": "n", **columns, **more} for no, run_id in ((1, RUN_A), (2, RUN_B))]
    )
    return opened, cursor


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Cursor]:
    """The cursor of an index with two runs."""
    opened, cursor = fresh_index(tmp_path)
    yield cursor
    cursor.close()
    opened.close()


POISON = (
    {"action": "note", "run": RUN_A, "note": "N", "text": 7},
    {"action": "note", "run": RUN_A, "note": ["N"], "text": "x"},
    {"action": "note", "run": RUN_A, "note": "N", "text": "\ud800"},
    {"action": "note", "run": RUN_A, "note": "N", "text": "x", "at_s": "now"},
    {"action": "note", "run": RUN_A, "note": "N", "text": "x", "at_s": 10**400},
    {"action": "tag", "runs": RUN_A, "add": ["x"]},
    {"action": "tag", "runs": [RUN_A], "add": [None]},
    {"action": "pin", "runs": {"a": 1}},
    {"action": "note-remove"},
)


def test_poison_and_unknown_lines_are_passed_over_and_counted(tmp_path: Path, index: Cursor) -> None:
    path = tmp_path / "commands.jsonl"
    commands = CommandJournal(str(tmp_path))
    for record in POISON:
        commands.append("ana", **record)
    commands.append("ana", "fly", runs=[RUN_A])
    commands.append("ana", "tag", runs=[RUN_A, "01K7NOSUCHRUN"], add=["good"])
    commands.close()
    with path.open("ab") as file:
        file.write(b"00000000 torn\n\n\xff\xff\n12345678 {")
    found = additions.catch_up(index, str(path))
    assert (found.passed_over_count, found.first_passed_over) == (len(POISON) + 2, "byte 0: text is no text")
    assert index.execute("select run_id, name from tag").fetchall() == [(RUN_A, "good")]
    assert index.execute("select count(*) from note").fetchone() == (0,)
    assert additions.catch_up(index, str(path)).passed_over_count == 0


def test_a_journal_brought_in_again_from_any_place_changes_nothing(tmp_path: Path, index: Cursor) -> None:
    commands = CommandJournal(str(tmp_path))
    chance = random.Random(3)
    for number in range(120):
        run_id = chance.choice([RUN_A, RUN_B])
        match chance.randrange(5):
            case 0:
                commands.append("ana", "note", run=run_id, note=f"N{number}", text=str(number))
            case 1:
                commands.append("bob", "note-remove", run=run_id, note=f"N{chance.randrange(number + 1)}")
            case 2:
                commands.append("ana", chance.choice(["pin", "unpin"]), runs=[run_id])
            case _:
                add, remove = chance.sample(["a", "b", "c"], 2)
                commands.append(f"p{number}", "tag", runs=[RUN_A, run_id], add=[add], remove=[remove])
        if chance.random() < 0.3:
            additions.catch_up(index, commands.path)
    additions.catch_up(index, commands.path)

    def state() -> list[Any]:
        queries = ("from note order by all", "from tag order by all", "select id, pinned from run order by id")
        return [index.execute(query).fetchall() for query in queries]

    before = state()
    for offset in (0, 10**9):
        index.execute("insert or replace into command_cursor values (1, ?)", [offset])
        additions.catch_up(index, commands.path)
        assert state() == before
    index.execute("delete from note")
    index.execute("delete from tag")
    index.execute("update run set pinned = false")
    additions.catch_up_runs(index, commands.path, [RUN_A, RUN_B])
    assert state() == before
    commands.close()


def test_a_run_directory_that_comes_back_has_what_was_added_to_it(runs: Home, tmp_path: Path) -> None:
    runs.footplate("note", "r1", "mine")
    runs.footplate("tag", "r1", "+best")
    runs.footplate("pin", "r2")
    run_id = runs.client().run("r1").row.id
    runs.end_daemon()
    os.rename(runs.run_dir(run_id), tmp_path / "aside")
    opened = database.open_database(f"{runs.path}/index.duckdb")
    with opened.reading() as cursor:
        for table, column in (("run", "id"), ("note", "run_id"), ("tag", "run_id")):
            cursor.execute(f"delete from {table} where {column} = ?", [run_id])
    opened.close()
    assert runs.client().runs().total_count == 2
    runs.end_daemon()
    os.rename(tmp_path / "aside", runs.run_dir(run_id))
    assert runs.wait_ended(run_id).row.tags == ("best",)
    assert texts(runs, "r1") == ["mine"]
    assert runs.client().run("r2").row.pinned


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system takes root")
def test_on_a_full_disk_a_command_is_refused_in_one_sentence_and_nothing_is_half_done(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place], capture_output=True, check=False
    ).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        with opened_home(place / "state") as home:
            home.write_run(PastRun(no=1))
            home.wait_ended("r1")
            home.footplate("note", "r1", "before")
            ballast = os.open(place / "ballast", os.O_WRONLY | os.O_CREAT)
            with contextlib.suppress(OSError):
                while os.write(ballast, bytes(1 << 12)):
                    pass
            os.close(ballast)
            wanted = ["before"]
            for number in range(40):
                # The last page of the journal may have room for a few lines that the index has none for.
                done = home.footplate("note", "r1", f"{number} {'x' * 1500}", check=False)
                if "nothing was changed" in done.stderr:
                    break
                assert not done.returncode or "it is recorded, but the index cannot take it now" in done.stderr
                wanted.append(f"{number} {'x' * 1500}")
            assert done.stderr.count("\n") == 2, done.stderr
            assert "commands.jsonl: No space left on device; nothing was changed" in done.stderr
            os.unlink(place / "ballast")
            wait_until(lambda: home.footplate("note", "r1", "after", check=False).returncode == 0)
            assert texts(home, "r1") == [*wanted, "after"]
            assert "each as it was written" in home.footplate("audit", "verify").stdout
            assert len(commands(home)) == len(wanted) + 1
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_request_ids_are_ulids_in_the_order_of_time() -> None:
    first = request_id()
    time.sleep(0.002)
    second = request_id()
    assert len(first) == 26
    assert first < second
    assert set(first + second) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    assert first[0] in "01234567"
    assert abs(int_of(first[:10]) - time.time() * 1000) < 60_000


def int_of(text: str) -> int:
    """A number in Crockford's base 32."""
    value = 0
    for character in text:
        value = value * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(character)
    return value


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
