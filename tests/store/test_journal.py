"""Journals: what was appended comes back, and what was torn off never comes back as something else."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import journal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=20)  # lone surrogates included: paths need not be UTF-8
)
RECORDS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)

FILL_UP = """
import os, resource, signal, sys
from store import journal

path, count = sys.argv[1], int(sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = journal.Journal(path)
log.append([{"no": 0}])
# The next line fits in part only: the kernel writes a piece of it, as it does on a disk that fills up.
resource.setrlimit(resource.RLIMIT_FSIZE, (log.size_bytes + int(sys.argv[3]), resource.RLIM_INFINITY))
refused = 0
for _ in range(3):
    try:
        log.append([{"no": number} for number in range(1, count + 1)])
    except OSError:
        refused += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
size = log.append([{"no": number} for number in range(1, count + 1)])
print(refused, size)
"""


def write(path: Path | str, records: Iterable[Any]) -> None:
    log = journal.Journal(str(path))
    log.append(records)
    log.close()


def read(path: Path | str, max_bytes: int = 1 << 20) -> list[Any]:
    """Every sound record, as readers see them."""
    found: list[Any] = []
    position = 0
    while True:
        lines, end = journal.read_from(str(path), position, max_bytes)
        if end == position:
            return found
        position = end
        bodies = [journal.checked_body(line) for line in lines]
        found += [json.loads(body) for body in bodies if body is not None]


@settings(deadline=None)
@given(batches=st.lists(st.lists(RECORDS, max_size=4), max_size=4), window=st.integers(1, 200))
def test_any_records_come_back_in_order_whatever_the_window(batches: list[list[Any]], window: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/some.jsonl"
        for batch in batches:
            write(path, batch)
        assert read(path, window) == [record for batch in batches for record in batch]


@settings(deadline=None)
@given(record=RECORDS)
def test_a_line_is_one_line_of_ascii_with_its_own_checksum(record: Any) -> None:
    line = journal.encode_line(record)
    assert line.isascii()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    body = journal.checked_body(line[:-1])
    assert body is not None
    assert json.loads(body) == record


@settings(deadline=None)
@given(record=RECORDS, data=st.data())
def test_a_line_with_one_other_bit_is_no_line(record: Any, data: st.DataObject) -> None:
    line = bytearray(journal.encode_line(record)[:-1])
    # The digits of the checksum may be written in either case: that bit alone changes nothing.
    bit = data.draw(st.integers(8 * (journal.CRC_BYTES - 1), 8 * len(line) - 1))
    line[bit // 8] ^= 1 << (bit % 8)
    assert journal.checked_body(bytes(line)) is None


@pytest.mark.parametrize("line", [b"", b" ", b"00000000", b"00000000 ", b"zzzzzzzz {}", b"\xff" * 20, b"{}"])
def test_what_never_was_a_line_is_refused(line: bytes) -> None:
    assert journal.checked_body(line) is None


def test_truncation_at_any_byte_loses_at_most_the_torn_record_and_new_appends_are_kept(tmp_path: Path) -> None:
    written = [{"no": 0}, {"no": 1, "text": "ü\n\udcff\0"}, {"no": 2, "values": {"loss": 0.5, "auc": 1e-300}}]
    whole = b"".join(map(journal.encode_line, written))
    ends = [0]
    for record in written:
        ends.append(ends[-1] + len(journal.encode_line(record)))
    path = tmp_path / "torn.jsonl"
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        complete = sum(end <= size for end in ends[1:])
        assert read(path) == written[:complete]
        write(path, [{"new": 1}])
        write(path, [{"new": 2}, {"new": 3}])
        # A record that lacks nothing but its line end is whole: it may come back, no other may.
        kept = complete + (size + 1 in ends[1:])
        assert read(path) == [*written[:kept], {"new": 1}, {"new": 2}, {"new": 3}], f"cut at byte {size}"


@settings(max_examples=40, deadline=None)
@given(garbage=st.binary(min_size=1, max_size=60))
def test_garbage_at_the_end_costs_no_record_before_or_after_it(garbage: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/some.jsonl"
        write(path, [{"no": 0}])
        with open(path, "ab") as file:
            file.write(garbage)
        write(path, [{"no": 1}])
        assert read(path) == [{"no": 0}, {"no": 1}]


def test_a_record_without_its_line_end_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "growing.jsonl"
    line = journal.encode_line({"no": 1})
    path.write_bytes(line[:-1])
    assert journal.read_from(str(path), 0, 1 << 20) == ([], 0)
    path.write_bytes(line)
    assert journal.read_from(str(path), 0, 1 << 20) == ([line[:-1]], len(line))


def test_a_journal_that_does_not_exist_has_no_lines(tmp_path: Path) -> None:
    assert journal.read_from(str(tmp_path / "none.jsonl"), 7, 100) == ([], 7)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, object(), {1, 2}])
def test_a_record_that_json_cannot_carry_writes_nothing_of_its_batch(tmp_path: Path, value: object) -> None:
    path = tmp_path / "some.jsonl"
    log = journal.Journal(str(path))
    with pytest.raises((TypeError, ValueError)):
        log.append([{"no": 0}, {"bad": value}])
    log.append([{"no": 1}])
    log.close()
    assert read(path) == [{"no": 1}]


def test_a_journal_is_private_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    before = os.umask(0)
    try:
        write(path, [{"no": 0}])
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("room", [0, 1, 9, 17, 18, 19, 36, 71])
@pytest.mark.parametrize("torn", [False, True])
def test_a_write_cut_short_by_the_kernel_counts_as_not_written(tmp_path: Path, room: int, torn: bool) -> None:
    path = tmp_path / "full.jsonl"
    if torn:
        path.write_bytes(b"00000000 torn by an earlier life")
    script = subprocess.run(
        [sys.executable, "-c", FILL_UP, str(path), "4", str(room)], capture_output=True, text=True, check=True
    )
    refused, size = map(int, script.stdout.split())
    assert refused == 3
    assert size == path.stat().st_size
    assert [record["no"] for record in read(path)] == [0, 1, 2, 3, 4]


def test_a_full_disk_leaves_nothing_doubled_and_nothing_half(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = f"""
import errno, os
from store import journal

log = journal.Journal({str(disk)!r} + "/some.jsonl")
no = 0
while True:
    try:
        log.append([{{"no": no, "text": "x" * 3000}}, {{"no": no + 1}}])
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
        break
    no += 2
os.unlink({str(disk)!r} + "/ballast")
log.append([{{"no": no}}])
log.close()
found, position = [], 0
while True:
    lines, end = journal.read_from({str(disk)!r} + "/some.jsonl", position, 4096)
    if end == position:
        break
    position = end
    found += [int(line.split(b'"no":')[1].rstrip(b"}}").split(b",")[0]) for line in lines if journal.checked_body(line)]
assert no > 0
assert found == list(range(no + 1)), found
"""
    mounted = f"mount -t tmpfs -o size=128k none {disk} && head -c 20000 /dev/zero > {disk}/ballast"
    probe = subprocess.run(["unshare", "-m", "sh", "-c", mounted], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("may not mount a file system of its own here, so no disk can be filled")
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{mounted} && exec "$0" -c "$1"', sys.executable, script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
