"""A log with a hole: how it is paged, searched, and read for points."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from console.daemon import log_files
from store import derive
from tests.jobs.limited_logs import LINE_BYTES, MIB, Log, hole_of, punched

if TYPE_CHECKING:
    from console.protocol import LogLine


def test_a_hole_is_one_line_forward_backward_and_in_pages_of_any_size(log: Log) -> None:
    log.write(12 * MIB)
    punched(log)
    start, end = hole_of(log.path)
    shown = f"… {(end - start) / MIB:.1f} MiB cut out here (log limit) …"
    for max_bytes in (1, 100, 65536, 1 << 20):
        page = log_files.read_page(log.path, start=start - 100, before=None, max_bytes=300, ended=True)
        texts = {line.offset_bytes: line.text for line in page.lines}
        assert texts[start] == shown
        assert not any("\0" in text for text in texts.values())
        page = log_files.read_page(log.path, start=start + 77, before=None, max_bytes=max_bytes, ended=True)
        assert (page.start_bytes, page.lines[0].text) == (start, shown)
        before = log_files.read_page(log.path, start=None, before=end, max_bytes=max_bytes, ended=True)
        assert before.end_bytes == end
        assert before.lines[-1].text == shown
        behind = log_files.read_page(log.path, start=end, before=None, max_bytes=100, ended=True)
        assert behind.start_bytes == end
        assert behind.lines[0].text == raw_line(log.path, end)
    everything: list[LogLine] = []
    position = 0
    while position < log.written:
        page = log_files.read_page(log.path, start=position, before=None, max_bytes=1 << 20, ended=True)
        assert page.start_bytes == position
        everything += page.lines
        position = page.end_bytes
    assert [line.text for line in everything].count(shown) == 1
    backwards: list[LogLine] = []
    position = log.written
    while position > 0:
        page = log_files.read_page(log.path, start=None, before=position, max_bytes=1 << 20, ended=True)
        assert page.end_bytes == position
        backwards[:0] = page.lines
        position = page.start_bytes
    assert backwards == everything


def test_search_and_raw_reading_pass_over_a_hole_of_a_terabyte_at_once(log: Log) -> None:
    log.write(2 * MIB)
    os.truncate(log.path, 1 << 40)
    with open(log.path, "ab") as file:
        file.write(b"\nthe needle\n")
    start, end = hole_of(log.path)
    hit = log_files.search(log.path, "needle", start=0, backward=False)
    assert hit.offset_bytes == (1 << 40) + 1
    back = log_files.search(log.path, "step=00000000", start=1 << 40, backward=True)
    assert back.offset_bytes == 0
    pieces, position = [], 0
    while True:
        piece = log_files.read_raw(log.path, position, 1 << 20)
        pieces.append((position, piece.data))
        position = piece.end_bytes
        if piece.at_end:
            break
    assert position == (1 << 40) + 12
    assert [at for at, _ in pieces][-2:] == [start, end]
    assert sum(len(data) for _, data in pieces) < 3 * MIB


def test_points_before_and_behind_a_hole_are_read_and_nothing_in_it(log: Log) -> None:
    log.write(12 * MIB)
    punched(log)
    start, end = hole_of(log.path)
    os.unlink(f"{log.folder}/derived.jsonl")
    state = derive.open_derivation("run", log.folder)
    while derive.derive(state, 1, final=True):
        pass
    state.close()
    ends = [record["end"] for record in derive.records(f"{log.folder}/derived.jsonl") if "values" in record]
    assert len(ends) == len(set(ends))
    assert max(each for each in ends if each <= start) > start - 2 * LINE_BYTES
    assert min(each for each in ends if each > start) <= end + 2 * LINE_BYTES
    assert max(ends) == log.written


def raw_line(path: str, offset: int) -> str:
    """The text from a byte to the end of its line."""
    with open(path, "rb") as file:
        file.seek(offset)
        return file.readline().decode().rstrip("\n")
