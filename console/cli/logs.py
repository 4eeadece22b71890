"""`footplate logs`: the output of a run."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from console.cli import output
from console.client import Client, DaemonUnavailable

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from console.protocol import LogLine

TAIL_STEP_BYTES: Final = 65536
RETRY_S: Final = 1.0


class Chunk(NamedTuple):
    """A stretch of the log."""

    start: int
    data: bytes
    """What is there; of a hole the line that stands for it."""
    end: int

    @property
    def is_hole(self) -> bool:
        """Whether the middle of the log was cut out here."""
        return self.end - self.start != len(self.data)


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("run", help="r12, 12, its id, or the first characters of the id")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the run ends")
    parser.add_argument("-n", "--lines", type=int, help="only the last so many lines")
    marks = parser.add_mutually_exclusive_group()
    marks.add_argument("--errors", action="store_true", help="only lines that tell of an error, each with its offset")
    marks.add_argument("--warnings", action="store_true", help="only lines that tell of a warning")
    parser.add_argument("--json", action="store_true", help="one JSON object a line: {offset_bytes, text}")


def execute(options: Namespace) -> int:
    """Print the log: raw into a file or pipe, with escape sequences taken out on a terminal."""
    client = Client()
    if options.errors or options.warnings:
        return print_marks(client, options)
    start = tail_start(client, options.run, options.lines) if options.lines is not None else 0
    writer = Writer(as_json=options.json, offset=start)
    for chunk in chunks(client, options.run, start, follow=options.follow):
        writer.write(chunk)
    writer.close()
    return 0


def print_marks(client: Client, options: Namespace) -> int:
    """Lines that tell of errors or warnings, or the last so many of them; exit code 1 when there is none."""
    from console import run_parts

    if options.follow:
        return output.usage_error("--errors and --warnings look at what is there: leave out --follow")
    found: deque[LogLine] = deque(maxlen=options.lines)
    start, count = 0, 0
    while True:
        hit = run_parts.find_mark(
            client, options.run, "error" if options.errors else "warning", start=start, backward=False
        )
        if hit.offset_bytes is None:
            if hit.exhausted:
                break
            start = hit.scanned_to_bytes
            continue
        line = client.log(options.run, start=hit.offset_bytes, max_bytes=1).lines[0]
        count, start = count + 1, hit.offset_bytes + 1
        if options.lines is None:
            print_mark(line, as_json=options.json)
        else:
            found.append(line)
    for line in found:
        print_mark(line, as_json=options.json)
    return 0 if count else 1


def print_mark(line: LogLine, *, as_json: bool) -> None:
    """One line with where it begins."""
    if as_json:
        print(json.dumps({"offset_bytes": line.offset_bytes, "text": line.text}))
    else:
        print(f"{line.offset_bytes:>10}  {output.log_text(line.text)}")


def tail_start(client: Client, reference: str, lines: int) -> int:
    """The offset of the last `lines` lines."""
    page = client.log(reference, max_bytes=1)
    starts = [line.offset_bytes for line in page.lines]
    while len(starts) < lines and page.start_bytes > 0:
        page = client.log(reference, before=page.start_bytes, max_bytes=TAIL_STEP_BYTES)
        starts = [line.offset_bytes for line in page.lines] + starts
    return page.size_bytes if lines <= 0 or not starts else starts[-lines:][0]


def chunks(client: Client, reference: str, start: int, *, follow: bool) -> Iterator[Chunk]:
    """The log from `start`; with `follow` until the run has ended, whatever happens to the daemon."""
    while True:
        try:
            data, end, ended = client.raw_log(reference, start, wait=follow)
        except DaemonUnavailable:
            if not follow:
                raise
            time.sleep(RETRY_S)
            continue
        if data:
            yield Chunk(start, data, end)
        start = end
        if ended or (not data and not follow):
            return


class Writer:
    """Writes log bytes to stdout in the form that fits it."""

    def __init__(self, *, as_json: bool, offset: int) -> None:
        self._as_json = as_json
        self._on_terminal = sys.stdout.isatty()
        self._pending = b""
        self._offset = offset
        self._at_line_start = True

    def write(self, chunk: Chunk) -> None:
        """More of the log."""
        data = chunk.data
        if chunk.is_hole:
            self._hole(data, chunk.end)
            return
        if not self._as_json and not self._on_terminal:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            self._at_line_start = data.endswith(b"\n")
            return
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._line(line)
            self._offset += len(line) + 1
        sys.stdout.flush()

    def close(self) -> None:
        """What is left without an end of line."""
        if self._pending:
            self._line(self._pending)
        sys.stdout.flush()

    def _hole(self, text: bytes, end: int) -> None:
        """A line of its own in place of what is not there up to `end`."""
        if not self._as_json and not self._on_terminal:
            sys.stdout.buffer.write(text if self._at_line_start else b"\n" + text)
            self._at_line_start = True
            return
        if self._pending:
            self._line(self._pending)
            self._offset += len(self._pending)
            self._pending = b""
        self._line(text.rstrip(b"\n"))
        self._offset = end
        sys.stdout.flush()

    def _line(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace")
        if self._as_json:
            print(json.dumps({"offset_bytes": self._offset, "text": text}))
            return
        print(output.log_text(text))
