"""Lines that tell of errors and warnings: what counts, and that both directions find every one from any byte."""

from __future__ import annotations

import re
from itertools import chain, repeat
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.daemon import log_files, log_marks
from console.daemon.log_files import read_page

if TYPE_CHECKING:
    from pathlib import Path

ERRORS = (
    b"Traceback (most recent call last):",
    b"ValueError: bad batch",
    b"torch.OutOfMemoryError: CUDA out of memory.",
    b"KeyboardInterruptError",
    b"[rank0]: RuntimeError: NCCL error in: ProcessGroupNCCL.cpp",
    b"2026-11-28 03:12:44,101 ERROR trainer: lost a worker",
    b"[ERROR] 12:00 no such file",
    b"level=ERROR msg=down",
    b"error: linking failed",
    b"error[E0308]: mismatched types",
    b"Segmentation fault (core dumped)",
    b"OSError: [Errno 28] No space left on device",
    b"thread 'main' panicked at src/main.rs:3",
    b"Killed",
    b" 12%|#   | 3/25\rRuntimeError: after a bar",
)
WARNINGS = (
    b"/x/y.py:12: UserWarning: lr is high",
    b"WARNING: loss scale lowered",
    b"[W] WARN something",
    b"warning: unused variable",
)
NONE = (
    b"val_error=0.12 test error: 0.02 mean_squared_error: 0.3",
    b"Error: 0.25",
    b"errors 0, warnings 0",
    b"ERROR_RATE=3",
    b"no exception to the rule",
    b"step 3 killed_units 4",
    b"assertion holds",
    b"ERROR overwritten\rstep 4",
    b"",
)


@pytest.mark.parametrize("line", ERRORS)
def test_an_error_is_one(line: bytes) -> None:
    assert log_marks.first_line(b"fine\n" + line + b"\r\n", "error") == (5, 5)
    assert log_marks.first_line(line, "warning") == (None, len(line))


@pytest.mark.parametrize("line", WARNINGS)
def test_a_warning_is_one(line: bytes) -> None:
    assert log_marks.first_line(line + b"\n", "warning") == (0, 0)
    assert log_marks.first_line(line, "error") == (None, len(line))


@pytest.mark.parametrize("line", NONE)
def test_a_word_alone_is_none(line: bytes) -> None:
    for kind in log_marks.KINDS:
        assert log_marks.first_line(line + b"\n", kind) == (None, len(line) + 1)
        assert log_marks.last_line(line + b"\n", kind, len(line)) == (None, 0)


LINES = st.lists(st.sampled_from([*ERRORS, *WARNINGS, *NONE, b"x" * 300, b"step 1 loss 0.4"]), max_size=25)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LINES, ended=st.booleans(), block=st.sampled_from([40, 200, 1 << 20]))
def test_both_directions_find_every_one_from_any_byte(
    tmp_path: Path, lines: list[bytes], ended: bool, block: int
) -> None:
    data = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    path = tmp_path / "output.log"
    path.write_bytes(data)
    starts, offset = [], 0
    for line in lines:
        starts += [offset] if line in ERRORS else []
        offset += len(line) + 1
    with mock.patch.object(log_marks, "BLOCK_BYTES", block):
        for start in {0, len(data), *starts, *(each + 1 for each in starts)}:
            assert walked(str(path), start, backward=False) == [each for each in starts if each >= start]
            assert walked(str(path), start, backward=True) == [each for each in reversed(starts) if each < start]


def walked(path: str, start: int, *, backward: bool) -> list[int]:
    """Every hit in a direction, as a client goes through them."""
    found: list[int] = []
    for _ in range(500):
        hit = log_marks.find(path, "error", start=start, backward=backward)
        if hit.offset_bytes is not None:
            found.append(hit.offset_bytes)
            start = hit.offset_bytes if backward else hit.offset_bytes + 1
        elif hit.exhausted:
            return found
        else:
            assert hit.scanned_to_bytes != start
            start = hit.scanned_to_bytes
    raise AssertionError("never ends")


def test_one_look_is_bounded_and_says_where_to_go_on(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.write_bytes(b"step 1\n" * 1000 + b"ValueError: x\n")
    with mock.patch.object(log_marks, "BLOCK_BYTES", 100), mock.patch.object(log_marks, "LOOK_MAX_BYTES", 1000):
        hit = log_marks.find(str(path), "error", start=0, backward=False)
        assert hit.offset_bytes is None
        assert not hit.exhausted
        assert 1000 <= hit.scanned_to_bytes < 1200
        assert walked(str(path), 0, backward=False) == [7000]
    with mock.patch.object(log_marks, "LOOK_MAX_S", 0.0):
        assert not log_marks.find(str(path), "error", start=0, backward=False).exhausted
    assert log_marks.find(str(tmp_path / "none"), "error", start=0, backward=False).exhausted


@pytest.mark.parametrize("backward", [False, True])
def test_a_look_ends_within_a_block_and_goes_on_from_there(tmp_path: Path, *, backward: bool) -> None:
    path = tmp_path / "output.log"
    many = b"Killed_units 4 Assertion 5\n" * 30_000
    path.write_bytes(b"ValueError: first\n" + many + b"ValueError: last\n")
    start = len(b"ValueError: first\n") + (len(many) if backward else 0)
    # A look is due to end with the first line that it tries, whatever time that took.
    times = chain([0.0, 0.0], repeat(log_marks.LOOK_MAX_S))
    with mock.patch.object(log_marks, "monotonic", side_effect=times):
        hit = log_marks.find(str(path), "error", start=start, backward=backward)
    assert (hit.offset_bytes, hit.exhausted) == (None, False)
    assert abs(hit.scanned_to_bytes - start) == len(b"Killed_units 4 Assertion 5\n")
    there, back = len(b"ValueError: first\n") + len(many), 0
    assert walked(str(path), hit.scanned_to_bytes, backward=backward) == [back if backward else there]


def test_a_line_after_an_empty_message_does_not_hide_the_error() -> None:
    block = b"fine\nValueError:\n- 3 columns\nerror:\r\n7\nWarning:\n5\n"
    assert log_marks.first_line(block, "error") == (5, 5)
    assert log_marks.first_line(block[17:], "error")[0] == block[17:].index(b"error:")
    assert log_marks.first_line(block, "warning")[0] == block.index(b"Warning:")


def test_lines_of_capitals_and_names_are_looked_at_in_one_pass(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.write_bytes((b"ERROR" * 810 + b" Killed_units\n") * 768)
    # A dozen seconds where every capital is tried with every start of a name; some tenths in one pass.
    with mock.patch.object(log_marks, "LOOK_MAX_S", 5.0):
        assert log_marks.find(str(path), "error", start=0, backward=False).exhausted


QUADRATIC = re.compile(rb"(?:^|\s)[\w.]*[A-Z]\w*(?:Error|Exception)(?::(?!\s*[-+.\d])|$)")
TOKENS = st.sampled_from([b"Error", b"Exception", b"A", b"a", b"_", b".", b":", b" ", b"\r", b"-", b"1", b"\xc3"])


@given(st.lists(TOKENS, max_size=9).map(b"".join))
def test_an_exception_is_what_its_simple_pattern_finds(line: bytes) -> None:
    found, simple = re.search(log_marks.RAISED.removeprefix(b"|"), line), QUADRATIC.search(line)
    assert (found and found.span()) == (simple and simple.span())


def test_holes_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    with path.open("wb") as file:
        file.write(b"ValueError: before\n" + b"x" * 4077)
        file.seek(64 << 20)
        file.write(b"\nValueError: behind\n")
    behind = (64 << 20) + 1
    assert walked(str(path), 0, backward=False) == [0, behind]
    assert walked(str(path), behind + 5, backward=True) == [behind, 0]


def test_of_a_long_progress_bar_the_last_state_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    bar = b"".join(b"%6d/100000 [00:01<00:02]\r" % n for n in range(20_000))
    path.write_bytes(b"first\n" + bar + b"\nlast\n" + bar)
    page = read_page(str(path), start=0, before=None, max_bytes=log_files.PAGE_MAX_BYTES, ended=False)
    assert [line.text for line in page.lines] == ["first", " 19999/100000 [00:01<00:02]", "last", page.lines[1].text]
    assert [line.cut_bytes for line in page.lines] == [0, 0, 0, 0]
    with mock.patch.object(log_files, "BLOCK_BYTES", 1000):
        assert read_page(str(path), start=0, before=None, max_bytes=1 << 20, ended=False) == page
    path.write_bytes(b"a\r" + b"y" * 100_000 + b"\n")
    [line] = read_page(str(path), start=0, before=None, max_bytes=1 << 20, ended=True).lines
    assert line.cut_bytes > 0, "what is too long for a line stays cut"
