"""The limit of a log: what is cut out, and what never is."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from console.daemon import log_files
from console.jobs.log_limit import HEAD_BYTES, LogLimit, end_of_log_record
from store import journal
from tests.jobs.limited_logs import LINE, LINE_BYTES, MIB, Log, hole_of
from tests.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support import Home


def test_a_log_of_64_mib_limited_to_16_takes_16_with_head_tail_and_offsets_intact(log: Log) -> None:
    limit = LogLimit(log.folder, log.path, 16 * MIB)
    most = 0
    for _ in range(64):
        log.write(MIB)
        log.read_by_daemon()
        most = max(most, log.used_bytes)
        limit.look()
    assert most <= 16 * MIB
    assert 4 * MIB <= log.used_bytes <= 16 * MIB
    assert os.path.getsize(log.path) == log.written
    assert limit.notice == ""
    head = log_files.read_raw(log.path, 0, MIB).data
    assert head == b"".join(LINE % index for index in range(MIB // LINE_BYTES + 1))[:MIB]
    tail = log_files.read_raw(log.path, log.written - LINE_BYTES * 40_000, LINE_BYTES * 40_000).data
    first = int(tail[5:13])
    assert tail == b"".join(LINE % (first + index) for index in range(40_000))


def test_a_live_writer_that_is_not_asked_stays_within_the_limit(log: Log) -> None:
    with open(log.path, "ab") as file:
        writer = subprocess.Popen([sys.executable, "-c", SLOW_WRITER], stdout=file)
    limit = LogLimit(log.folder, log.path, 16 * MIB)
    most, derived_at_s, before, gap = 0, 0.0, 0, 0
    while writer.poll() is None:
        if time.monotonic() > derived_at_s:
            log.read_by_daemon(os.path.getsize(log.path))
            derived_at_s = time.monotonic() + 0.2
        limit.look()
        most = max(most, log.used_bytes)
        now = os.path.getsize(log.path)
        before, gap = now, max(gap, now - before)
        time.sleep(limit.pause_s)
    assert writer.returncode == 0
    assert os.path.getsize(log.path) == 64 * MIB
    # On a busy machine we may sleep through more than the quarter of the limit that is kept free for that.
    assert most <= 16 * MIB + max(0, gap - 4 * MIB)
    assert limit.notice == ""


SLOW_WRITER = """
import sys, time
for _ in range(128):
    sys.stdout.buffer.write((b"x" * 99 + b"\\n") * 5242 + b"y" * 88)
    sys.stdout.buffer.flush()
    time.sleep(0.02)
"""


def test_what_no_daemon_has_read_is_kept_up_to_twice_the_limit_and_then_counted(log: Log) -> None:
    limit = LogLimit(log.folder, log.path, 8 * MIB, stall_s=0.0)
    for _ in range(14):
        log.write(MIB)
        limit.look()
    assert log.used_bytes >= 14 * MIB
    assert limit.notice == ""
    log.write(3 * MIB)
    limit.look()
    assert log.used_bytes <= 8 * MIB
    assert "before a daemon had read it" in limit.notice
    assert "MiB were cut out unread" in limit.notice


def test_a_daemon_that_reads_slowly_is_waited_for(log: Log) -> None:
    limit = LogLimit(log.folder, log.path, 8 * MIB, stall_s=1000.0)
    log.write(24 * MIB)
    limit.look()
    assert log.used_bytes >= 24 * MIB
    log.read_by_daemon()
    limit.look()
    assert log.used_bytes <= 8 * MIB
    assert limit.notice == ""


def test_what_a_slow_daemon_leaves_unread_is_bounded(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.jobs.log_limit.UNREAD_MAX_BYTES", 4 * MIB)
    limit = LogLimit(log.folder, log.path, 8 * MIB, stall_s=1000.0)
    log.write(21 * MIB)
    limit.look()
    assert log.used_bytes <= 8 * MIB
    assert "were cut out unread" in limit.notice


def test_only_what_was_read_is_cut(log: Log) -> None:
    limit = LogLimit(log.folder, log.path, 8 * MIB)
    log.write(12 * MIB)
    log.read_by_daemon(5 * MIB)
    limit.look()
    holes = hole_of(log.path)
    assert holes == (HEAD_BYTES, 5 * MIB - 5 * MIB % 65536)
    log.read_by_daemon()
    limit.look()
    assert hole_of(log.path)[1] > 5 * MIB
    assert log.used_bytes <= 8 * MIB


def test_the_last_record_about_the_log_counts_however_far_back_it_is(log: Log) -> None:
    log.write(12 * MIB)
    log.read_by_daemon()
    with open(f"{log.folder}/derived.jsonl", "ab") as file:
        file.writelines(journal.encode_line({"kind": "metrics", "end": index}) for index in range(20_000))
        file.write(b"deadbeef torn")
    limit = LogLimit(log.folder, log.path, 8 * MIB)
    limit.look()
    assert log.used_bytes <= 8 * MIB


@pytest.mark.parametrize(
    "line",
    [b"", b"00000000 {}", b"nonsense", journal.encode_line({"kind": "log"})[:-1], journal.encode_line(["log"])[:-1]],
)
def test_a_line_that_says_nothing_of_the_log_gives_nothing(line: bytes) -> None:
    assert end_of_log_record(line) is None


def test_a_log_cut_by_its_owner_begins_anew(log: Log) -> None:
    limit = LogLimit(log.folder, log.path, 8 * MIB)
    log.write(12 * MIB)
    log.read_by_daemon()
    limit.look()
    os.truncate(log.path, 0)
    limit.look()
    log.written = 0
    log.write(12 * MIB)
    limit.look()
    assert log.used_bytes <= 8 * MIB
    assert os.path.getsize(log.path) == log.written


def test_nothing_but_the_log_itself_is_ever_cut(log: Log, tmp_path: Path) -> None:
    precious = tmp_path / "dataset.bin"
    precious.write_bytes(b"x" * (12 * MIB))
    limit = LogLimit(log.folder, log.path, 4 * MIB)
    limit.look()
    log.read_by_daemon(12 * MIB)
    os.unlink(log.path)
    limit.look()
    for replace in (os.symlink, os.link):
        replace(precious, log.path)
        limit.look()
        os.unlink(log.path)
    os.mkdir(log.path)
    limit.look()
    os.rmdir(log.path)
    os.mkfifo(log.path)
    limit.look()
    assert b"\0" not in precious.read_bytes()
    assert "was replaced" in limit.notice
    elsewhere = LogLimit(log.folder, str(precious.parent.parent / "dataset.bin"), 4 * MIB)
    elsewhere.look()
    assert elsewhere.notice == ""


def test_without_a_limit_nothing_is_cut(log: Log) -> None:
    log.write(12 * MIB)
    log.read_by_daemon()
    limit = LogLimit(log.folder, log.path, 0)
    limit.look()
    assert log.used_bytes >= 12 * MIB


def test_a_file_system_that_cannot_says_so_once_and_nothing_fails(log: Log) -> None:
    tries = 0

    def refuse(_descriptor: int, _start: int, _length: int) -> None:
        nonlocal tries
        tries += 1
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    limit = LogLimit(log.folder, log.path, 8 * MIB, refuse)
    log.write(12 * MIB)
    log.read_by_daemon()
    for _ in range(3):
        limit.look()
    assert tries == 1
    assert limit.notice.startswith("the file system of ")
    assert limit.notice.endswith("so the log limit of 8.0 MiB is not held")


def test_a_real_file_system_that_cannot(tmp_path: Path) -> None:
    with ramfs(tmp_path / "ramfs") as folder:
        log = Log(folder)
        limit = LogLimit(log.folder, log.path, 4 * MIB)
        log.write(6 * MIB)
        log.read_by_daemon()
        limit.look()
        limit.look()
        log.close()
        assert "cannot give back the middle of a file" in limit.notice
        assert log.used_bytes >= 6 * MIB


def test_a_run_keeps_its_log_within_its_limit_and_its_points_in_the_index(home: Home) -> None:
    run_id = home.python(CHATTY, options={"log_limit_bytes": 16 * MIB})
    detail = home.wait_ended(run_id)
    assert detail.row.state == "finished"
    facts = os.stat(f"{home.run_dir(run_id)}/output.log")
    assert facts.st_size > 64 * MIB
    assert facts.st_blocks * 512 <= 16 * MIB
    wait_until(
        lambda: {metric.key: metric.point_count for metric in home.client().run(run_id).metrics} == {"loss": 640}
    )
    lines = [json.loads(line) for line in home.footplate("logs", "--json", run_id).stdout.splitlines()]
    cut = [line for line in lines if "cut out here (log limit)" in line["text"]]
    assert [line["offset_bytes"] for line in cut] == [HEAD_BYTES]
    assert lines[-1] == {"offset_bytes": facts.st_size - 5, "text": "done"}
    assert len(home.footplate("logs", run_id).stdout) < 17 * MIB
    assert home.footplate("logs", "-n", "1", run_id).stdout == "done\n"


CHATTY = """
import time
filler = "x" * 1023
for step in range(640):
    print(f"step={step} loss={1 / (step + 1)}")
    print("\\n".join([filler] * 103), flush=True)
    time.sleep(0.01)
time.sleep(1)
print("done")
"""


@contextlib.contextmanager
def ramfs(folder: Path) -> Iterator[Path]:
    """A mounted ramfs, which has no holes; skips where it cannot be had."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "ramfs", "ramfs", folder], check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a file system without holes could not be mounted: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
