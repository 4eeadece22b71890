"""Output and metrics as jobs really write them: binary, huge, torn, hostile. Nothing is lost, doubled or believed."""

from __future__ import annotations

import contextlib
import glob
import os
import pty
import signal
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.client import Client
from console.daemon import log_files
from console.tui import text_format
from tests.support import FOOTPLATE, Home, opened_home, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.protocol import LogLine, MetricSummary, RunDetail

HOSTILE = (
    b"before\n"
    b"\x1b]52;c;ZXZpbA==\x07clip\n"
    b"\x1b]0;owned\x07title\n"
    b"\x1b]0;owned\x1b\\title\n"
    b"\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\\n"
    b"\x1b[2J\x1b[H\x1b[10;10Hmoved\x1b[A\x1b[?1049h\n"
    b"\x1b[31mred\x1b[0m\n"
    b"\x1bPq#0\x1b\\sixel \x1b_apc\x1b\\ \x1b^pm\x1b\\ \x1bX sos\x1b\\\n"
    b"\x1b]52;c;never-ended\n"
    b"\x1b[\n"
    b"\x1b\n"
    b"\xc2\x9b2J\xc2\x9d0;c1\xc2\x9c\n"
    b"\x9b31mraw c1\n"
    b"bidi \xe2\x80\xaelld\xe2\x80\xac \xe2\x81\xa6x\xe2\x81\xa9 \xe2\x80\x8f\n"
    b"zero\xe2\x80\x8bwidth \xef\xbb\xbfbom\n"
    b"bell\x07 back\x08\x08 form\x0c vert\x0b nul\x00 del\x7f so\x0e si\x0f\n"
    b"[/foo] [CLS] [@click=app.quit]\n"
    b"10%\r50%\r100%\n"
    b"\xff\xfe\x80 broken\n"
    b"after\n"
)

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


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One daemon for all tests that must not end it."""
    with opened_home(tmp_path_factory.mktemp("bad-output") / "state") as opened:
        yield opened


@pytest.fixture
def house(shared: Home) -> Iterator[Home]:
    """The shared home; whatever the job wrote, the daemon must be the same one afterwards and able to work."""
    shared.client().status()
    before = shared.daemon_pid()
    yield shared
    assert shared.daemon_pid() == before
    assert shared.client().status().notice == ""


def printed(house: Home, content: bytes, path: Path) -> str:
    """The id of an ended run that printed this."""
    source = path / "content"
    source.write_bytes(content)
    run_id = house.submit("cat", str(source))
    assert house.wait_ended(run_id).row.state == "finished"
    return run_id


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
            assert line.text == text
        assert len(line.text) <= longest


def forward(path: str, max_bytes: int) -> list[LogLine]:
    found: list[LogLine] = []
    position = 0
    while True:
        page = log_files.read_page(path, start=position, before=None, max_bytes=max_bytes, ended=True)
        assert page.start_bytes == position
        found += page.lines
        if page.end_bytes >= page.size_bytes:
            return found
        assert page.end_bytes > position
        position = page.end_bytes


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


def on_terminal(home: Home, *arguments: str, **variables: str) -> bytes:
    """What `footplate` writes to a terminal."""
    master, slave = pty.openpty()
    environment = home.environment(TERM="xterm-256color", **variables)
    process = subprocess.Popen([FOOTPLATE, *arguments], stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # EIO: the other side has closed
        while data := os.read(master, 65536):
            shown += data
    os.close(master)
    assert process.wait() == 0, shown.decode("utf-8", "replace")
    return shown


def assert_only_text(shown: bytes) -> None:
    """No byte that a terminal would act upon, but the ends of lines."""
    text = shown.decode("utf-8").replace("\r\n", "\n")
    odd = {character for character in text if character != "\n" and not character.isprintable()}
    assert not odd, sorted(map(ascii, odd))
    assert not text_format.REORDERING & set(text)


def test_a_followed_log_shows_nothing_but_text_on_a_terminal(house: Home, tmp_path: Path) -> None:
    shown = on_terminal(house, "logs", "-f", printed(house, HOSTILE, tmp_path))
    assert_only_text(shown)
    lines = shown.decode().split("\r\n")
    assert lines[0] == "before"
    assert lines[-2] == "after"
    assert len(lines) - 1 == HOSTILE.count(b"\n")
    for said in ("clip", "title", "red", "[/foo] [CLS] [@click=app.quit]", "100%"):
        assert said in lines
    assert b"owned\x07" not in shown


def test_a_line_that_is_still_growing_is_followed_to_its_end(house: Home) -> None:
    script = "printf 'one '; sleep 0.3; printf 'line\\nno end'"
    run_id = house.submit("sh", "-c", script)
    assert on_terminal(house, "logs", "-f", run_id) == b"one line\r\nno end\r\n"


def test_what_a_hostile_run_is_called_is_only_text_on_a_terminal(house: Home) -> None:
    name = "\x1b]0;owned\x07\x1b[2Jname\n\u202elld"
    script = "echo '\x1b[31mTraceback'; echo \"$0\" '=1'; exit 3"
    run_id = house.submit("sh", "-c", script, "\x1b[A--\x9b2Jlr=\x1b[31m", name=name, project=name)
    house.wait_ended(run_id)
    for arguments in (("show", run_id), ("runs", "-n", "3"), ("show", run_id, "--json")):
        shown = on_terminal(house, *arguments)
        text = shown.decode("utf-8").replace("\r\n", "\n")
        assert not [character for character in text if character != "\n" and not character.isprintable()], arguments
        assert "\u202e" not in text, arguments


def test_a_terminal_that_knows_only_ascii_still_shows_logs_and_runs(house: Home, tmp_path: Path) -> None:
    run_id = printed(house, "größer \x1b漢字\n".encode(), tmp_path)
    for arguments in (("logs", run_id), ("show", run_id), ("runs",)):
        assert on_terminal(house, *arguments, PYTHONIOENCODING="ascii").isascii()


def summary(detail: RunDetail, key: str) -> MetricSummary:
    return next(metric for metric in detail.metrics if metric.key == key)


class Lines(NamedTuple):
    """What a job writes to its metrics file, and what must become of it."""

    content: bytes
    counts: dict[str, int]
    skipped: int = 0
    example: str = ""


METRICS: dict[str, Lines] = {
    "nothing": Lines(b"", {}),
    "blank lines": Lines(b"\n\n  \n\r\n", {}),
    "not finite": Lines(b'{"a": NaN}\n{"a": Infinity}\n{"a": -Infinity}\n{"a": 1}\n', {"a": 4}),
    "numbers in strings": Lines(b'{"a": "0.5"}\n{"a": "nan"}\n{"a": "1e-3"}\n', {"a": 3}),
    "words": Lines(b'{"a": "good"}\n{"a": 1, "note": "hello"}\n', {"a": 1}, 2, "a"),
    "nested": Lines(b'{"a": {"b": 1, "c": {"d": 2}}}\n', {"a/b": 1, "a/c/d": 1}),
    "arrays": Lines(b'{"a": [1, 2], "b": 1}\n[1, 2]\n', {"b": 1}, 2, "a"),
    "huge ints": Lines(b'{"a": %d, "b": %d, "c": 1}\n' % (10**100, 10**350), {"a": 1, "c": 1}, 1, "b"),
    "ints of 5000 digits": Lines(b'{"a": %s, "c": 1}\n' % (b"9" * 5000), {"c": 1}, 1, "a"),
    "huge steps": Lines(b'{"step": %d, "a": 1}\n{"step": 1e30, "a": 1}\n' % 2**70, {}, 2, "step"),
    "torn in the middle": Lines(b'{"step": 1, "a"\n: 1}\n{"step": 2, "a": 1}\n', {"a": 1}, 2, "step"),
    "torn by the end": Lines(b'{"step": 1, "a": 1}\n{"step": 2, "a": 0.', {"a": 1}, 1, "step"),
    "whole without a last line end": Lines(b'{"step": 1, "a": 1}\n{"step": 2, "a": 2}', {"a": 2}),
    "a line of 10 MB": Lines(b'{"a": 1}\n{"b": "' + b"x" * 10_000_000 + b'"}\n{"a": 2}\n', {"a": 2}, 1, "bytes"),
    "10 MB without a line end": Lines(b'{"a": 1}\n' + b"x" * 10_000_000, {"a": 1}, 1, "bytes"),
    "binary": Lines(bytes(range(256)) * 4 + b'\n{"a": 1}\n', {"a": 1}, 5),
    "NUL bytes of a torn page": Lines(b'{"a": 1}\n' + b"\0" * 4096 + b'\n{"a": 2}\n', {"a": 2}, 1),
    "deep nesting": Lines(b'{"a": ' * 100_000 + b"\n" + b'{"a": 1}\n', {"a": 1}, 1),
    "a byte order mark": Lines(b'\xef\xbb\xbf{"a": 1}\r\n{"a": 2}\r\n', {"a": 2}),
    "keys that are no text": Lines(b'{"\\ud800": 1, "caf\xe9": 2, "": 3, "b\\n": 4}\n', {}, 1),
    "one key twice": Lines(b'{"a": 1, "a": 2}\n', {"a": 1}),
    "30,000 keys": Lines(
        b"{" + b", ".join(b'"k%d": 1' % n for n in range(30_000)) + b'}\n{"a": 1}\n', {"a": 1}, 1, "more than"
    ),
}


def reporting(home: Home, content: bytes, source: Path) -> str:
    """The id of a run that writes this to its metrics file."""
    source.write_bytes(content)
    return home.submit("sh", "-c", 'cat "$0" >> "$FOOTPLATE_METRICS"', str(source))


@pytest.fixture(scope="module")
def metric_runs(shared: Home, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Runs of every kind of metrics file, all at once."""
    folder = tmp_path_factory.mktemp("metrics")
    return {kind: reporting(shared, lines.content, folder / kind) for kind, lines in METRICS.items()}


@pytest.mark.parametrize("kind", METRICS)
def test_metrics_of_any_kind_are_counted_exactly_and_what_is_left_out_is_told(
    house: Home, metric_runs: dict[str, str], kind: str
) -> None:
    lines = METRICS[kind]
    detail = house.wait_ended(metric_runs[kind])
    assert detail.row.state == "finished"
    counts = {metric.key: metric.point_count for metric in detail.metrics}
    assert {key: counts.get(key) for key in lines.counts} == lines.counts
    assert kind.startswith("keys") or counts.keys() == lines.counts.keys()
    assert detail.skipped_line_count == lines.skipped
    assert lines.example in detail.skipped_example
    assert bool(detail.skipped_example) == bool(lines.skipped)
    assert len(detail.skipped_example) <= 300
    assert "\n" not in detail.skipped_example


def test_values_that_are_not_finite_are_shown_but_never_best(house: Home, tmp_path: Path) -> None:
    content = b'{"loss": 2}\n{"loss": NaN}\n{"loss": -Infinity}\n{"loss": 1}\n{"loss": Infinity}\n'
    detail = house.wait_ended(reporting(house, content, tmp_path / "content"))
    loss = summary(detail, "loss")
    assert (loss.point_count, loss.minimum, loss.maximum, loss.last) == (5, 1.0, 2.0, float("inf"))
    series = house.client().series(detail.row.id, "loss", 10)
    assert (series.point_count, series.not_finite_count) == (5, 3)
    assert series.lasts == (2.0, 1.0)


def go(folder: Path) -> None:
    """Let a job go on that waits for `$0/go`."""
    (folder / "go").touch()


WAIT_FOR_GO = 'while [ ! -e "$0/go" ]; do sleep 0.02; done'


TEN_LINES = 'for i in 0 1 2 3 4 5 6 7 8 9; do echo "{\\"step\\": $i, \\"a\\": 1.000}" >> "$FOOTPLATE_METRICS"; done'
GOOD_RUN = {"argv": ["sh", "-c", TEN_LINES], "working_dir": "/", "project": "test", "actor": "tester"}


def point_count(house: Home, run_id: str, key: str) -> int:
    return {metric.key: metric.point_count for metric in house.client().run(run_id).metrics}.get(key, 0)


def test_a_metrics_line_written_in_two_pieces_counts_once(house: Home, tmp_path: Path) -> None:
    pieces = f"""printf '{{"a": 1}}\\n{{"a": 2, "b"' >> "$FOOTPLATE_METRICS"; {WAIT_FOR_GO}
        printf ': 3}}\\n{{"a": 4}}\\n' >> "$FOOTPLATE_METRICS" """
    run_id = house.submit("sh", "-c", pieces, str(tmp_path))
    wait_until(lambda: point_count(house, run_id, "a") == 1)
    go(tmp_path)
    detail = house.wait_ended(run_id)
    assert {metric.key: metric.point_count for metric in detail.metrics} == {"a": 3, "b": 1}
    assert detail.skipped_line_count == 0


@pytest.mark.parametrize(
    "harm",
    [
        ': > "$FOOTPLATE_METRICS"',
        'rm "$FOOTPLATE_METRICS"',
        ': > "$FOOTPLATE_METRICS"; echo "{\\"a\\": 2}" >> "$FOOTPLATE_METRICS"',
        'rm "$FOOTPLATE_METRICS"; echo "{\\"a\\": 2}" > "$FOOTPLATE_METRICS"',
    ],
    ids=["truncated", "deleted", "written anew", "replaced"],
)
def test_a_metrics_file_taken_away_keeps_its_points_and_is_told(house: Home, tmp_path: Path, harm: str) -> None:
    run_id = house.submit("sh", "-c", f"{TEN_LINES}; {WAIT_FOR_GO}; {harm}; sleep 0.6", str(tmp_path))
    wait_until(lambda: point_count(house, run_id, "a") == 10)
    go(tmp_path)
    detail = house.wait_ended(run_id)
    assert detail.row.state == "finished"
    assert summary(detail, "a").point_count >= 10
    assert detail.skipped_line_count >= 1
    assert "metrics" in detail.skipped_example


@pytest.mark.parametrize(
    "harm",
    ['rm -f "$F"; mkdir "$F"', 'rm -f "$F"; mkfifo "$F"', 'ln -sfn /dev/zero "$F"'],
    ids=["a directory", "a pipe", "a link to endless zeros"],
)
def test_one_run_that_replaces_its_files_harms_no_other(home: Home, harm: str) -> None:
    files = '"$FOOTPLATE_METRICS" "$FOOTPLATE_RUN_DIR/output.log"'
    bad = home.submit("sh", "-c", f"for F in {files}; do {harm}; done; sleep 0.6")
    look = Client()
    try:
        wait_until(lambda: os.path.exists(f"{home.run_dir(bad)}/attempt-1.claim"))
        good = look.submit(GOOD_RUN | {"environment": home.environment()}).id
        wait_until(lambda: look.run(good).row.state == "finished", timeout_s=12)
        assert point_count(home, good, "a") == 10
        wait_until(lambda: look.run(bad).row.state in ("finished", "failed"), timeout_s=12)
    finally:
        look.close()
        home.kill_daemon()  # it may hang in the file: it need not be asked to leave


def test_a_key_in_both_file_and_output_counts_once_and_from_the_file(house: Home, tmp_path: Path) -> None:
    script = f"""for i in 1 2 3 4 5 6 7; do echo "step=$i loss=0.5 acc=0.$i"; done; {WAIT_FOR_GO}
        for i in 1 2 3; do echo "{{\\"step\\": $i, \\"loss\\": 9}}" >> "$FOOTPLATE_METRICS"; done
        for i in 8 9; do echo "step=$i loss=0.5 acc=0.$i"; done"""
    run_id = house.submit("sh", "-c", script, str(tmp_path))
    wait_until(lambda: point_count(house, run_id, "loss") == 7)
    go(tmp_path)
    detail = house.wait_ended(run_id)
    loss = summary(detail, "loss")
    assert (loss.point_count, loss.minimum, loss.maximum, loss.last, loss.last_step) == (3, 9.0, 9.0, 9.0, 3)
    assert house.client().series(run_id, "loss", 100).lasts == (9.0, 9.0, 9.0)
    assert summary(detail, "acc").point_count == 9


def test_a_metric_line_of_the_output_without_a_last_line_end_counts(house: Home, tmp_path: Path) -> None:
    run_id = printed(house, b"\xff\nstep=1 loss=0.5\n\0\nstep=2 loss=0.25", tmp_path)
    assert summary(house.client().run(run_id), "loss").point_count == 2


def everything(home: Home) -> list[Any]:
    """All that the index says, but the clock."""
    client = home.client()
    page = client.get("/runs", {"limit": 100})
    found: list[Any] = [{key: value for key, value in page.items() if key != "now_s"}]
    for row in page["rows"]:
        detail = client.get(f"/runs/{row['id']}")
        found.append({key: value for key, value in detail.items() if key != "now_s"})
        found += [
            client.get(f"/runs/{row['id']}/series", {"key": metric["key"], "bins": 50}) for metric in detail["metrics"]
        ]
    return found


def test_the_index_built_anew_from_the_run_directories_says_the_same(home: Home, tmp_path: Path) -> None:
    for kind in ("not finite", "nested", "torn in the middle", "a line of 10 MB", "binary"):
        reporting(home, METRICS[kind].content, tmp_path / kind)
    script = f"""for i in 1 2 3; do echo "step=$i loss=0.5 auc=0.$i"; done; {WAIT_FOR_GO}; {TEN_LINES}
        echo '{{"loss": 2}}' >> "$FOOTPLATE_METRICS"; echo step=4 loss=1 auc=0.9; exit 3"""
    both = home.submit("sh", "-c", script, str(tmp_path), name="both --lr", project="other")
    wait_until(lambda: point_count(home, both, "loss") == 3)
    go(tmp_path)
    home.submit("no-such-program")
    home.python("raise ValueError('why')")
    home.submit("sh", "-c", "kill -9 $$")
    for row in home.client().runs().rows:
        home.wait_ended(row.id)
    before = everything(home)
    assert len(before) > 10
    pid = home.daemon_pid()
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: home.daemon_pid() is None)
    for path in glob.glob(f"{home.path}/index.duckdb*"):
        os.unlink(path)
    wait_until(lambda: all(row["ended_at_s"] for row in home.client().get("/runs")["rows"]))
    assert everything(home) == before


def test_a_daemon_killed_while_a_run_writes_reads_every_point_once(home: Home, tmp_path: Path) -> None:
    script = f"""
import os, time
with open(os.environ["FOOTPLATE_METRICS"], "a", buffering=1) as file:
    for step in range(2000):
        print(f"step={{step}} auc=0.5", flush=True)
        file.write('{{"step": %d, "loss": 1}}\\n' % step)
        time.sleep(0.0005)
while not os.path.exists({str(tmp_path)!r} + "/go"):
    time.sleep(0.02)
"""
    run_id = home.submit(sys.executable, "-c", script)
    for _ in range(2):
        wait_until(lambda: point_count(home, run_id, "loss") > 0)
        home.kill_daemon()
    go(tmp_path)
    detail = home.wait_ended(run_id)
    assert (summary(detail, "loss").point_count, summary(detail, "auc").point_count) == (2000, 2000)
