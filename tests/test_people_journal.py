"""What a person added survives the daemon and the index, and is there once."""

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

from console.client import Client, DaemonUnavailable, request_id
from console.daemon.command_journal import CommandJournal
from store import additions, database
from store.ingest import Index
from tests.people import commands, index_tables, texts, with_ended_runs
from tests.support import PastRun, opened_home, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.protocol import Note, RunRow
    from store.database import Cursor
    from tests.support import Home

RUN_A, RUN_B = PastRun(no=1).id, PastRun(no=2).id


@pytest.fixture
def runs(home: Home) -> Home:
    return with_ended_runs(home)


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
