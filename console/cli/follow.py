"""Watching one run from a plain terminal: five live lines that any key leaves; into a pipe, the log as it is."""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
import time
import tty
from typing import TYPE_CHECKING, Final, NamedTuple

from console import protocol
from console.cli import logs, output, run
from console.cli.stop import wait_for_end
from console.client import Client, ClientError
from console.tui import text_format

if TYPE_CHECKING:
    from console.protocol import LogPage, RunDetail, Series, Submitted

SPARKS: Final = "▁▂▃▄▅▆▇█"
ASCII_SPARKS: Final = "_.-=+*%#"

REDRAW_S: Final = 1.0
"""How often the duration moves on while nothing else does."""
FAILED_LOG_LINES: Final = 12
RETRY_S: Final = 1.0


class Picture(NamedTuple):
    """What the live view shows."""

    detail: RunDetail | None
    series: Series | None
    last_line: str
    problem: str


def follow(client: Client, new: Submitted) -> int:
    """Show the run until it ends or somebody detaches; returns the exit code for the shell."""
    interactive = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    if not interactive:
        return copy_log(client, new)
    watcher = Watcher(new.id)
    view = View(new)
    try:
        with Cbreak():
            watcher.start()
            ended = watch(watcher, view)
    finally:
        watcher.stop()
    view.erase()
    if not ended:
        print(f"r{new.no} goes on.  footplate logs -f r{new.no}   footplate stop r{new.no}")
        return 0
    detail = client.run(new.id)
    print_end(client, detail)
    return run.exit_code_of(detail.row)


def copy_log(client: Client, new: Submitted) -> int:
    """The log on stdout, as if the command had been started here; what footplate has to say goes to stderr."""
    print(f"footplate: r{new.no} started", file=sys.stderr)
    writer = logs.Writer(as_json=False, offset=0)
    for chunk in logs.chunks(client, new.id, 0, follow=True):
        writer.write(chunk)
    writer.close()
    detail = wait_for_end(client, new.id)
    ended = text_format.outcome(detail.row.state, detail.row.cause, detail.row.exit_code, detail.row.signal)
    words = f"{detail.row.state}: {ended}" if ended else detail.row.state
    print(f"footplate: r{new.no} {text_format.visible(words)}", file=sys.stderr)
    return run.exit_code_of(detail.row)


def watch(watcher: Watcher, view: View) -> bool:
    """Redraw whenever something is new; True once the run has ended, False when a key was pressed."""
    while True:
        ready, _, _ = select.select([sys.stdin, watcher.wake_descriptor], [], [], REDRAW_S)
        picture = watcher.take()
        if picture.detail is not None and picture.detail.row.state in protocol.ENDED_STATES:
            return True
        if sys.stdin in ready:
            os.read(sys.stdin.fileno(), 1024)
            return False
        view.draw(picture)


class Cbreak:
    """Keys come at once and unseen while this is open; Ctrl-C counts as a key that detaches."""

    def __enter__(self) -> None:
        self._before = termios.tcgetattr(sys.stdin)
        tty.setcbreak(sys.stdin)
        mode = termios.tcgetattr(sys.stdin)
        mode[3] &= ~termios.ISIG
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, mode)

    def __exit__(self, *_: object) -> None:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)


class Watcher:
    """Asks the daemon in a thread of its own, so that a key is answered at once."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._picture = Picture(None, None, "", "")
        self._ended = threading.Event()
        self.wake_descriptor, self._wake_end = os.pipe()
        os.set_blocking(self._wake_end, False)
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """No more pictures; the thread ends with its next answer."""
        self._ended.set()

    def take(self) -> Picture:
        """The newest picture."""
        if select.select([self.wake_descriptor], [], [], 0)[0]:
            os.read(self.wake_descriptor, 4096)
        return self._picture

    def _watch(self) -> None:
        client = Client()
        position = 0
        while not self._ended.is_set():
            try:
                detail = client.run(self._run_id)
                metric = detail.row.metric
                series = client.series(self._run_id, metric.key, 60) if metric else None
                self._show(Picture(detail, series, last_line(client.log(self._run_id, max_bytes=1024)), ""))
                position = client.changes(f"run:{self._run_id}", position).position
            except ClientError as error:
                self._show(self._picture._replace(problem=error.message))
                time.sleep(RETRY_S)

    def _show(self, picture: Picture) -> None:
        self._picture = picture
        try:
            os.write(self._wake_end, b".")
        except BlockingIOError:
            return  # a full pipe wakes the reader as well


def last_line(page: LogPage) -> str:
    """The newest line of the log that is not blank."""
    return next((line.text for line in reversed(page.lines) if line.text.strip()), "")


class View:
    """Five lines that are drawn over again."""

    def __init__(self, new: Submitted) -> None:
        self._label = f"r{new.no}"
        self._drawn: list[str] = []
        self._width = 0

    def draw(self, picture: Picture) -> None:
        """Write the lines that differ from what is there."""
        width = output.terminal_width() - 1
        lines = [text_format.fit(line, width).rstrip() for line in self._lines(picture, width)]
        if lines == self._drawn and width == self._width:
            return
        up = f"\x1b[{len(self._drawn)}A" if self._drawn else ""
        sys.stdout.write(up + "".join(f"\r\x1b[2K{line}\n" for line in lines))
        sys.stdout.flush()
        self._drawn, self._width = lines, width

    def erase(self) -> None:
        """Leave the lines as if they had never been."""
        if self._drawn:
            sys.stdout.write(f"\x1b[{len(self._drawn)}A\x1b[J")
            sys.stdout.flush()
            self._drawn = []

    def _lines(self, picture: Picture, width: int) -> list[str]:
        detail = picture.detail
        hint = "any key leaves, the run goes on"
        if detail is None:
            return [f"  {self._label}  {picture.problem or 'starting'}", "", "", "", hint]
        row = detail.row
        visible = text_format.visible
        glyph, _ = text_format.state_glyph(row.state, ascii_only=output.ascii_only())
        took = text_format.duration(output.duration_s(row, time.time()))
        params = "  ".join(f"{visible(key)}={visible(value)}" for key, value in row.params.items())
        head = f"{glyph} {row.label}  {visible(row.name)}  {row.state} {took}  {params}"
        value = spark = ""
        if row.metric is not None:
            last, best = text_format.number(row.metric.last), text_format.number(row.metric.best)
            value = f"  {output.metric_title(row)}   last {last}   best {best}   step {row.metric.last_step}"
            spark = "  " + sparkline(picture.series.means if picture.series else (), width - 4)
        elif row.state == "running":
            value = "  no metric yet"
        note = f"  {picture.problem}" if picture.problem else "  " + output.log_text(picture.last_line)
        return [head, value, spark, note, f"{hint}   pid {detail.pid or 'n/a'}"]


def sparkline(values: tuple[float, ...], width: int) -> str:
    """Values as a row of bars, the newest at the right."""
    shown = values[-max(1, min(width, 60)) :]
    if not shown:
        return ""
    sparks = ASCII_SPARKS if output.ascii_only() else SPARKS
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0
    return "".join(sparks[min(len(sparks) - 1, int((value - low) / span * len(sparks)))] for value in shown)


def print_end(client: Client, detail: RunDetail) -> None:
    """How it went, in a line; after a failure also the end of the log."""
    row = detail.row
    glyph, _ = text_format.state_glyph(row.state, ascii_only=output.ascii_only())
    took = text_format.duration(output.duration_s(row, detail.now_s))
    ended = text_format.visible(text_format.outcome(row.state, row.cause, row.exit_code, row.signal))
    metric = ""
    if row.metric is not None:
        metric = f"  {output.metric_title(row)} {text_format.number(row.metric.last)}"
        metric += f" (best {text_format.number(row.metric.best)})"
    if row.state == "failed":
        for line in client.log(row.id, max_bytes=8192).lines[-FAILED_LOG_LINES:]:
            print("  " + output.log_text(line.text))
    print(f"{glyph} {row.label}  {text_format.visible(row.name)}  {row.state} {ended}  {took}{metric}".rstrip())
