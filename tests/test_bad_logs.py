"""Logs as jobs really write them, binary, huge, torn: every line is paged and found once, whole or honestly cut."""

from __future__ import annotations

import os
import subprocess
import tempfile
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.daemon import log_files
from tests.odd_output import HOSTILE, forward, printed, summary
from tests.support import FOOTPLATE, Home

if TYPE_CHECKING:
    from pathlib import Path

    from console.protocol import LogLine

LOGS: dict[str, bytes] = {
    "nothing": b"",
    "not UTF-8": b"caf\xe9\n\xff\xfe\n\xc3\n\xed\xa0\x80\n",
    "NUL": b"a\0b\n\0\n\0\0\0",
    "no final newline": b"one\ntwo",
    "only newlines": b"\n" * 500,
    "Windows line ends": b"one\r\ntwo\r\n",
    "progress bars": b"".join(b"\r%3d%%|####   | loss=%d" % (n, n) for n in range(300)) + b"\ndone\n",
    "one line of 10 MB": b"x" * 10_000_000,
    "a line of 10 MB between short ones": b"first\n" + b"x" * 10_000_000 + b"\nlast but one\nlast\n",
    "short lines up to a line of 3 MB": b"".join(b"%d\n" % n for n in range(50_000)) + b"y" * 3_000_000 + b"\nend\n",
    "escape sequences": HOSTILE,
}  # fmt: skip


def lines_of(content: bytes) -> list[tuple[int, bytes]]:
    """Offset and bytes of every line."""
    found: list[tuple[int, bytes]] = []
    position = 0
    for line in content.split(b"\n"):
        if position < len(content):
            found.append((position, line))
        position += len(line) + 1
    return found


def assert_lines(shown: list[LogLine], content: bytes, longest: int = log_files.LINE_MAX_CHARACTERS) -> None:
    """Every line of the log is there once, in order, whole or honestly cut."""
    expected = lines_of(content)
    assert [line.offset_bytes for line in shown] == [offset for offset, _ in expected]
    for line, (_, raw) in zip(shown, expected, strict=True):
        text = raw[: 8 * longest].decode("utf-8", "replace")
        if line.cut_bytes:
            assert line.cut_bytes < len(raw)
            assert text.startswith(line.text.rstrip("\ufffd"))
        else:
            assert line.text == (left_on_screen(raw, longest) or text)
        assert len(line.text) <= longest


def left_on_screen(raw: bytes, longest: int) -> str:
    """Of a line that is too long: what carriage returns leave of it, as of a progress bar; else nothing."""
    _, overwritten, last = raw.rstrip(b"\r").rpartition(b"\r")
    return last.decode("utf-8", "replace") if overwritten and len(raw) > longest >= len(last) else ""


def backward(path: str, max_bytes: int) -> list[LogLine]:
    found: list[LogLine] = []
    page = log_files.read_page(path, start=None, before=None, max_bytes=max_bytes, ended=True)
    while True:
        found = [*page.lines, *found]
        position = page.start_bytes
        if position == 0:
            return found
        page = log_files.read_page(path, start=None, before=position, max_bytes=max_bytes, ended=True)
        assert page.end_bytes == position
        assert page.start_bytes < position


@pytest.fixture(scope="module")
def log_runs(shared: Home, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Runs that print every kind of output, all at once."""
    folder = tmp_path_factory.mktemp("logs")
    for kind, content in LOGS.items():
        (folder / kind).write_bytes(content)
    return {kind: shared.submit("cat", str(folder / kind)) for kind in LOGS}


@pytest.mark.parametrize("kind", LOGS)
def test_logs_of_any_bytes_come_back_whole_through_pipe_and_pages(
    house: Home, log_runs: dict[str, str], kind: str
) -> None:
    content = LOGS[kind]
    run_id = log_runs[kind]
    assert house.wait_ended(run_id).row.state == "finished"
    piped = subprocess.run([FOOTPLATE, "logs", run_id], env=house.environment(), capture_output=True, check=True)
    assert piped.stdout == content
    path = os.path.join(house.run_dir(run_id), "output.log")
    for max_bytes in (65536, 1 << 20):
        assert_lines(forward(path, max_bytes), content)
        assert_lines(backward(path, max_bytes), content)
    page = house.client().log(run_id)
    assert page.end_bytes == page.size_bytes == len(content)
    assert page.ended


def test_the_last_lines_are_the_last_lines_even_after_a_huge_one(house: Home, tmp_path: Path) -> None:
    run_id = printed(house, b"first\n" + b"x" * 3_000_000 + b"\nlast but one\nlast\n", tmp_path)
    assert house.footplate("logs", "-n", "2", run_id).stdout == "last but one\nlast\n"
    assert [line.text for line in house.client().log(run_id).lines[-2:]] == ["last but one", "last"]


PIECES = st.one_of(
    st.binary(max_size=6),
    st.sampled_from(
        [b"\n", b"\n\n", b"\r\n", b"a\n", b"x" * 9, b"x" * 40, b"y" * 300, b"\xff" * 20, "é漢".encode() * 9, b"\0"]
    ),
)


@settings(deadline=None, max_examples=200)
@given(pieces=st.lists(PIECES, max_size=12), max_bytes=st.integers(1, 100))
def test_pages_forward_and_backward_cover_any_log_exactly_once(pieces: list[bytes], max_bytes: int) -> None:
    content = b"".join(pieces)
    with (
        tempfile.NamedTemporaryFile() as file,
        mock.patch.multiple(log_files, LINE_MAX_CHARACTERS=8, PAGE_MAX_BYTES=64),
    ):
        file.write(content)
        file.flush()
        assert_lines(forward(file.name, max_bytes), content, 8)
        assert_lines(backward(file.name, max_bytes), content, 8)


@settings(deadline=None, max_examples=200)
@given(pieces=st.lists(PIECES, max_size=8), start=st.integers(0, 400), max_bytes=st.integers(1, 100))
def test_a_page_from_inside_a_line_begins_with_that_line(pieces: list[bytes], start: int, max_bytes: int) -> None:
    content = b"".join(pieces)
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        page = log_files.read_page(file.name, start=start, before=None, max_bytes=max_bytes, ended=False)
    inside = min(start, len(content))
    assert page.start_bytes == content.rfind(b"\n", 0, inside) + 1
    assert page.end_bytes >= inside


def test_pages_cover_lines_longer_than_the_blocks_that_are_read(tmp_path: Path) -> None:
    path = tmp_path / "long.log"
    for length in (65534, 65535, 65536, 65537, 131072, 2 << 20, (2 << 20) + 1, 3 << 20):
        content = b"a\n" + b"b" * length + b"\nc\n" + b"d" * length + b"\ne"
        path.write_bytes(content)
        assert_lines(forward(str(path), 65536), content)
        assert_lines(backward(str(path), 65536), content)


def hit_of(path: str, text: str, start: int, *, backwards: bool) -> tuple[int, int] | None:
    """Line and place of the first match, however many calls it takes."""
    while True:
        hit = log_files.search(path, text, start=start, backward=backwards)
        if hit.offset_bytes is not None:
            return hit.offset_bytes, hit.scanned_to_bytes
        if hit.exhausted:
            return None
        assert hit.scanned_to_bytes < start if backwards else hit.scanned_to_bytes > start
        start = hit.scanned_to_bytes


@settings(deadline=None, max_examples=300)
@given(
    content=st.text("ab\nAé", max_size=80).map(str.encode),
    text=st.text("abAé", min_size=1, max_size=7),
    start=st.integers(0, 100),
    backwards=st.booleans(),
)
def test_search_finds_what_a_plain_search_finds_across_any_block_border(
    content: bytes, text: str, start: int, backwards: bool
) -> None:
    with (
        tempfile.NamedTemporaryFile() as file,
        mock.patch.multiple(log_files, BLOCK_BYTES=5, SEARCH_MAX_BYTES=12),
    ):
        file.write(content)
        file.flush()
        found = hit_of(file.name, text, start, backwards=backwards)
    needle = text.encode().lower()
    start = min(start, len(content))
    lowered = content.lower()
    place = lowered.rfind(needle, 0, start + len(needle) - 1) if backwards else lowered.find(needle, start)
    assert found == (None if place < 0 else (content.rfind(b"\n", 0, place) + 1, place))


def test_search_goes_through_a_log_larger_than_one_block(house: Home, tmp_path: Path) -> None:
    block = log_files.BLOCK_BYTES
    content = b"Needle\n" + b"-" * (block - 10) + b"\nneedle at a border\n" + b"-" * block + b"\nNEEDLE\n"
    run_id = printed(house, content, tmp_path)
    client = house.client()
    places = [match for match in range(len(content)) if content[match : match + 6].lower() == b"needle"]
    assert len(places) == 3
    hits = []
    position = 0
    for _ in places:
        hit = client.search_log(run_id, "needle", start=position)
        hits.append(hit.scanned_to_bytes)
        position = hit.scanned_to_bytes + 1
    assert hits == places
    assert client.search_log(run_id, "needle", start=position).offset_bytes is None
    assert client.search_log(run_id, "needle", start=places[2], backward=True).scanned_to_bytes == places[1]


def test_two_hundred_thousand_lines_in_a_moment_are_all_there(house: Home) -> None:
    run_id = house.submit("sh", "-c", "seq -f 'read row %.0f of the table' 1 200000; echo step=1 loss=0.5")
    detail = house.wait_ended(run_id)
    path = os.path.join(house.run_dir(run_id), "output.log")
    texts = [line.text for line in forward(path, 1 << 20)]
    assert texts == [*(f"read row {number} of the table" for number in range(1, 200_001)), "step=1 loss=0.5"]
    assert summary(detail, "loss").point_count == 1


def test_twenty_thousand_metric_lines_in_a_moment_are_all_counted(house: Home) -> None:
    detail = house.wait_ended(house.submit("seq", "-f", "step=%.0f loss=1", "1", "20000"))
    assert (summary(detail, "loss").point_count, summary(detail, "loss").last_step) == (20_000, 20_000)
