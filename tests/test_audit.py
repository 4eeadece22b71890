"""The audit trail: every way in which the command journal can be changed is named, and no crash looks like one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from console.daemon import audit
from console.daemon.command_journal import HEAD_BYTES, CommandJournal, hash_line
from store import journal
from tests.support import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Home

COUNT = 6


def write_commands(folder: Path, *numbers: int) -> None:
    """Append commands as a daemon would."""
    commands = CommandJournal(str(folder))
    for number in numbers:
        commands.append("ana", "note", run="R", note=f"N{number}", text=f"text {number}")
    commands.close()


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    """The folder of a command journal with six lines."""
    write_commands(tmp_path, *range(1, COUNT + 1))
    return tmp_path


def lines_of(folder: Path) -> list[bytes]:
    """The lines of the journal without their ends."""
    return (folder / "commands.jsonl").read_bytes().split(b"\n")[:-1]


def put_lines(folder: Path, lines: list[bytes]) -> None:
    """Write the journal anew, in place."""
    (folder / "commands.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


def edited(line: bytes, **changes: Any) -> bytes:
    """A line with other content and a checksum that fits."""
    body = journal.checked_body(line)
    assert body is not None
    return journal.encode_line(json.loads(body) | changes).rstrip(b"\n")


def problems(folder: Path) -> list[tuple[int, str]]:
    """What the check finds."""
    return [(finding.line, finding.problem) for finding in audit.verify(str(folder)).findings]


def test_a_journal_as_it_was_written_has_no_finding_at_any_length(tmp_path: Path) -> None:
    assert audit.verify(str(tmp_path)) == audit.Verdict(0, 0, None, ())
    for number in range(1, 4):
        write_commands(tmp_path, number)
        verdict = audit.verify(str(tmp_path))
        assert (verdict.line_count, verdict.torn_count, verdict.findings) == (number, 0, ())


@pytest.mark.parametrize("number", range(1, COUNT + 1))
def test_an_edited_line_is_named_although_its_checksum_was_made_to_fit(trail: Path, number: int) -> None:
    lines = lines_of(trail)
    put_lines(trail, [*lines[: number - 1], edited(lines[number - 1], text="another text"), *lines[number:]])
    ((line, problem),) = problems(trail)
    assert line == number
    where = f"the one that line {number + 1} holds" if number < COUNT else "the one in commands.head"
    assert problem == f"edited: its hash is not {where}"
    finding = audit.verify(str(trail)).findings[0]
    assert finding.offset_bytes == sum(len(each) + 1 for each in lines[: number - 1])


@pytest.mark.parametrize("number", range(1, COUNT + 1))
def test_an_edited_line_whose_checksum_no_longer_fits_is_named(trail: Path, number: int) -> None:
    lines = lines_of(trail)
    lines[number - 1] = lines[number - 1].replace(b"text ", b"TEXT ")
    put_lines(trail, lines)
    assert problems(trail) == [(number, "edited: its checksum does not fit")]


@pytest.mark.parametrize("number", range(1, COUNT))
def test_a_removed_line_is_named_by_the_line_after_it(trail: Path, number: int) -> None:
    lines = lines_of(trail)
    put_lines(trail, lines[: number - 1] + lines[number:])
    assert problems(trail) == [(number, "1 line is missing before it")]


def test_several_removed_lines_are_counted(trail: Path) -> None:
    lines = lines_of(trail)
    put_lines(trail, lines[:1] + lines[4:])
    assert problems(trail) == [(2, "3 lines are missing before it")]


@pytest.mark.parametrize("left", range(COUNT))
def test_a_cut_at_the_end_is_noticed_by_the_head(trail: Path, left: int) -> None:
    put_lines(trail, lines_of(trail)[:left])
    said = f"cut at the end: commands.head knows of {COUNT} lines, {left} are left"
    assert problems(trail) == [(left + 1, said)]
    assert audit.verify(str(trail)).findings[0].offset_bytes == (trail / "commands.jsonl").stat().st_size


def test_a_cut_at_the_end_stays_known_when_the_daemon_goes_on_writing(trail: Path) -> None:
    put_lines(trail, lines_of(trail)[:4])
    write_commands(trail, 7)
    write_commands(trail, 8)
    ((line, problem),) = problems(trail)
    assert line == 5
    assert problem.startswith("lines were gone before it was written: commands.head knew of a line with the number 6")


def test_swapped_lines_are_named(trail: Path) -> None:
    lines = lines_of(trail)
    put_lines(trail, [*lines[:2], lines[3], lines[2], *lines[4:]])
    assert problems(trail) == [
        (3, "out of order: number 4 stands where number 3 should"),
        (4, "out of order: its number is 3, and it stands after number 4"),
    ]


def test_a_line_that_was_copied_to_the_end_is_named(trail: Path) -> None:
    lines = lines_of(trail)
    put_lines(trail, [*lines, lines[2]])
    assert problems(trail) == [(7, "out of order: its number is 3, and it stands after number 6")]


def test_an_appended_line_of_somebody_else_is_named(trail: Path) -> None:
    lines = lines_of(trail)
    put_lines(trail, [*lines, b"# a remark"])
    assert problems(trail) == [(7, "not written by footplate")]
    put_lines(trail, [*lines, edited(lines[5], seq=7, text="forged")])
    assert problems(trail) == [(7, "not in the chain: it does not hold the hash of line 6")]
    with (trail / "commands.jsonl").open("ab") as file:
        file.write(b"no line end")
    assert problems(trail)[1] == (8, "not written by footplate")


def test_a_line_cut_in_half_is_named(trail: Path) -> None:
    lines = lines_of(trail)
    put_lines(trail, [*lines[:2], lines[2][:40], *lines[3:]])
    assert problems(trail) == [(3, "damaged: only a part of it is left")]


def test_a_journal_without_its_head_is_named(trail: Path) -> None:
    (trail / "commands.head").unlink()
    ((line, problem),) = problems(trail)
    assert (line, problem[:24]) == (COUNT, "commands.head is missing")
    write_commands(trail, 7)
    assert problems(trail) == []


@pytest.mark.parametrize("kept", [0, 1, 8, 9, 10, 60, -1])
def test_what_a_crash_left_of_a_line_is_harmless(trail: Path, kept: int) -> None:
    head = (trail / "commands.head").read_bytes()
    write_commands(trail, 7)
    # The head is written after the line: a crash in the middle of the line leaves the head of the line before.
    (trail / "commands.head").write_bytes(head)
    lines = lines_of(trail)
    torn = lines[-1][:kept]
    path = trail / "commands.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines[:-1]) + torn)
    assert problems(trail) == []
    write_commands(trail, 8)
    assert problems(trail) == []
    numbers = [json.loads(line[9:])["note"] for line in lines_of(trail) if journal.checked_body(line) is not None]
    assert numbers == ["N1", "N2", "N3", "N4", "N5", "N6", "N8"]


def test_a_head_that_is_older_than_the_journal_is_no_fault(trail: Path) -> None:
    head = (trail / "commands.head").read_bytes()
    write_commands(trail, 7)
    (trail / "commands.head").write_bytes(head)
    assert problems(trail) == []
    write_commands(trail, 8)
    assert problems(trail) == []
    assert json.loads((trail / "commands.head").read_bytes())["seq"] == 8
    assert (trail / "commands.head").stat().st_size == HEAD_BYTES


def test_lines_of_before_they_were_numbered_are_still_a_chain(trail: Path) -> None:
    previous, lines = "", []
    for line in lines_of(trail):
        record = json.loads(line[9:])
        del record["seq"]
        lines.append(journal.encode_line(record | {"previous": previous}).rstrip(b"\n"))
        previous = hash_line(lines[-1])
    put_lines(trail, lines)
    (trail / "commands.head").unlink()
    write_commands(trail, 7)
    assert problems(trail) == []
    lines = lines_of(trail)
    put_lines(trail, [*lines[:2], edited(lines[2], text="x"), *lines[3:]])
    assert problems(trail) == [(3, "edited, or lines between it and line 4 are missing")]


def test_a_journal_that_an_editor_replaced_under_the_daemon_is_written_on(trail: Path) -> None:
    commands = CommandJournal(str(trail))
    copy = trail / "copy"
    copy.write_bytes((trail / "commands.jsonl").read_bytes())
    copy.rename(trail / "commands.jsonl")
    commands.append("ana", "pin", runs=["R"])
    assert len(lines_of(trail)) == COUNT + 1
    assert problems(trail) == []
    (trail / "commands.jsonl").unlink()
    commands.append("ana", "unpin", runs=["R"])
    commands.close()
    ((line, problem),) = problems(trail)
    assert (line, problem[:15]) == (1, "lines were gone")


@pytest.mark.parametrize("body", [b"[1]", b"null", b'{"action":7}', b"[" * 100_000])
def test_a_line_that_is_no_command_stops_neither_the_journal_nor_the_check(trail: Path, body: bytes) -> None:
    with (trail / "commands.jsonl").open("ab") as file:
        file.write(b"%08x %s\n" % (zlib.crc32(body), body))
    write_commands(trail, 8)
    assert problems(trail)[0][0] == COUNT + 1
    assert audit.trail(str(trail), "", 0.0, 100).matched_count == COUNT + 1


def test_a_line_that_could_not_be_made_durable_is_not_found_later(trail: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = CommandJournal(str(trail))

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fail)
        with pytest.raises(OSError, match="Input/output"):
            commands.append("ana", "note", run="R", note="N7", text="lost", request="Q")
    assert not commands.knows("Q")
    commands.append("ana", "note", run="R", note="N8", text="kept")
    commands.close()
    assert problems(trail) == []
    assert [json.loads(line[9:])["note"] for line in lines_of(trail)][-2:] == ["N6", "N8"]


WRITER = """
import sys
from console.daemon.command_journal import CommandJournal
commands = CommandJournal(sys.argv[1])
while True:
    commands.append("ana", "tag", runs=["R"] * 500, add=["best"])
    print(flush=True)
"""


def test_a_daemon_killed_at_any_moment_leaves_a_sound_trail(tmp_path: Path) -> None:
    count = 0
    for turn in range(8):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        acknowledged = 0
        deadline_s = time.monotonic() + 0.05 * turn
        while not acknowledged or time.monotonic() < deadline_s:
            acknowledged += len(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        acknowledged += len(writer.stdout.read())
        writer.wait()
        writer.stdout.close()
        verdict = audit.verify(str(tmp_path))
        assert verdict.findings == ()
        assert verdict.line_count - count in (acknowledged, acknowledged + 1)
        count = verdict.line_count


def test_the_command_says_where_the_trail_was_changed_and_ends_with_1(home: Home) -> None:
    for name in ("a", "b", "c"):
        home.footplate("run", "-d", "--name", name, "--", "true")
    done = home.footplate("audit", "verify")
    assert "3 lines" in done.stdout
    assert "each as it was written" in done.stdout
    path = f"{home.path}/commands.jsonl"
    with open(path, "rb") as file:
        content = file.read()
    with open(path, "wb") as file:
        file.write(content.replace(b'"true"', b'"rm"', 1))
    done = home.footplate("audit", "verify", check=False)
    assert done.returncode == 1
    assert "commands.jsonl: line 1 (byte 0): edited: its checksum does not fit" in done.stdout
    found = json.loads(home.footplate("audit", "verify", "--json", check=False).stdout)
    assert [finding["line"] for finding in found["findings"]] == [1]


def test_who_did_what_to_which_run(home: Home) -> None:
    home.footplate("run", "-d", "--", "sleep", "60", env=home.environment(LOGNAME="ana"))
    home.footplate("run", "--", "true")
    home.footplate("stop", "r1", env=home.environment(LOGNAME="bob"))
    home.footplate("tag", "r1", "r2", "+best", "-old")
    home.footplate("note", "r2", "a\x1b[31mb\nc")
    lines = [line.split("  ", 1)[1] for line in home.footplate("audit").stdout.splitlines()]
    me = lines[1].split("  ")[0]
    assert lines[:4] == [
        "ana  run  r1  sleep 60",
        f"{me}  run  r2  true",
        "bob  stop  r1",
        f"{me}  tag  r1 r2  +best -old",
    ]
    assert lines[4].endswith("a␛[31mb␊c")
    assert len(home.footplate("audit", "r2").stdout.splitlines()) == 3
    assert home.footplate("audit", "-n", "1").stdout.splitlines()[1] == "4 older: --all"
    assert home.footplate("audit", "--since", "1h").stdout.count("\n") == 5
    assert home.footplate("audit", "--since", "2199-01-01").stdout == "nothing was asked for\n"
    found = json.loads(home.footplate("audit", "r1", "--json").stdout)
    assert [(entry["action"], entry["run_labels"]) for entry in found] == [
        ("run", ["r1"]),
        ("stop", ["r1"]),
        ("tag", ["r1", "r2"]),
    ]
    done = home.footplate("audit", "--since", "yesterday", check=False)
    assert (done.returncode, "write 2h, 3d" in done.stderr) == (2, True)
    assert home.footplate("audit", "nosuchrun", check=False).returncode == 1
    wait_until(lambda: home.client().run("r1").row.state == "stopped")
