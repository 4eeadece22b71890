"""The command journal: a chain of hashes that holds across torn lines and lives of the daemon."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from console.daemon.command_journal import CommandJournal
from store import journal
from tests.daemons import sleeping_run

if TYPE_CHECKING:
    from tests.support import Home


def chain_of(path: Path) -> list[dict[str, Any]]:
    """The records of a command journal; fails where a line does not hold the hash of the line before it."""
    found: list[dict[str, Any]] = []
    previous = ""
    for line in path.read_bytes().split(b"\n"):
        body = journal.checked_body(line)
        if body is None:
            continue
        record = json.loads(body)
        assert record["previous"] == previous, record
        previous = blake3(line).hexdigest()
        found.append(record)
    return found


def test_every_line_of_the_command_journal_holds_the_hash_of_the_line_before_it(tmp_path: Path) -> None:
    for life in range(3):
        commands = CommandJournal(str(tmp_path))
        for number in range(4):
            commands.append("tester", "run", life=life, number=number, argv=["é", "\udcff", "a\nb"])
        commands.close()
    found = chain_of(tmp_path / "commands.jsonl")
    assert [(record["life"], record["number"]) for record in found] == [(a, b) for a in range(3) for b in range(4)]


def test_the_chain_of_the_command_journal_holds_after_a_line_was_torn_at_any_byte(tmp_path: Path) -> None:
    path = tmp_path / "commands.jsonl"
    commands = CommandJournal(str(tmp_path))
    commands.append("tester", "run", number=0)
    first_size = path.stat().st_size
    commands.append("tester", "run", number=1)
    commands.close()
    whole = path.read_bytes()
    broken = []
    for size in range(first_size, len(whole) + 1):
        path.write_bytes(whole[:size])
        commands = CommandJournal(str(tmp_path))
        commands.append("tester", "stop", number=2)
        commands.close()
        try:
            numbers = [record["number"] for record in chain_of(path)]
        except AssertionError:
            broken.append(len(whole) - size)
        else:
            assert numbers in ([0, 2], [0, 1, 2])
    assert broken == [], "bytes that the last line lacked"


def test_what_people_ask_for_is_in_the_command_journal_across_lives_of_the_daemon(home: Home) -> None:
    run_id, _, _ = sleeping_run(home)
    home.kill_daemon()
    home.client().status()  # a request to stop is never repeated by itself: the new daemon must be there
    home.client().stop(run_id, "ana")
    home.wait_ended(run_id)
    found = chain_of(Path(home.path) / "commands.jsonl")
    assert [(record["action"], record["actor"], record["run"]) for record in found] == [
        ("run", "tester", run_id),
        ("stop", "ana", run_id),
    ]
