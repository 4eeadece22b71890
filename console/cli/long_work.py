"""Long work in the daemon, seen from a command: how far it is, and Ctrl-C at a safe point."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from console.client import Client, ClientError, DaemonRefused, DaemonUnavailable
from console.person import whoami
from console.tui import text_format

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

    from console.protocol import Json

GONE_HINT: Final = "what it had begun is finished or undone by now; look with `footplate runs`, then repeat the command"


def carry_out(client: Client, chore: str, **asked: Json) -> dict[str, Json]:
    """Have the daemon do something and wait for its end; returns what it answers.

    Progress goes to stderr when that is a terminal. Raises ClientError with the daemon's words, and KeyboardInterrupt
    after Ctrl-C, once the daemon has left off or come to the end.
    """
    name = ""
    line = ProgressLine()
    try:
        with interrupts_wait():
            name = client.post("/chores", {"chore": chore, "actor": whoami(), **asked})["id"]
        return wait(client, name, line)
    except KeyboardInterrupt:
        if not name:
            raise
        # The answer under way on this connection is not read any more.
        client.close()
        client.delete(f"/chores/{name}")
        line.show("leaving off")
        try:
            wait(client, name, line)
            words = "it was done already when it was asked to leave off"
        except ClientError as error:
            words = error.message
        line.clear()
        print(f"footplate: {text_format.visible(words)}", file=sys.stderr)
        raise
    finally:
        line.clear()


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Ctrl-C counts at the end: work that has begun cannot be left off before its name is known. A second one counts
    at once."""
    pressed: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


def wait(client: Client, name: str, line: ProgressLine) -> dict[str, Json]:
    """What a piece of work came to. Raises ClientError."""
    while True:
        try:
            state = client.get(f"/chores/{name}")
        except (DaemonRefused, DaemonUnavailable) as error:
            raise ClientError("the daemon went away while it was at work", GONE_HINT) from error
        if state["over"]:
            return outcome(state)
        line.show(str(state["progress"]))


def outcome(state: Mapping[str, Json]) -> dict[str, Json]:
    """The result; raises ClientError for an error."""
    error = state.get("error")
    if error:
        raise ClientError(str(error["message"]), str(error["hint"]))
    result: dict[str, Json] = state["result"]
    return result


class ProgressLine:
    """One line of a terminal that is written over; nothing where there is no terminal."""

    def __init__(self) -> None:
        self._shown = ""
        self._on_terminal = sys.stderr.isatty()

    def show(self, words: str) -> None:
        """Replace the line."""
        words = text_format.fit(text_format.visible(words), 78, ellipsis="").rstrip()
        if self._on_terminal and words != self._shown:
            self._shown = words
            print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            self._shown = ""
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def can_ask() -> bool:
    """Whether somebody sits at the terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def type_to_confirm(question: str, expected: str) -> bool:
    """Whether the person at the terminal types the expected word."""
    print(text_format.visible(question), end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip() == text_format.visible(expected).strip()
