"""Presses keys in a real terminal and looks at what comes: what a key promises, how to get there and back."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tests.support import HIDING_VARIABLES
from tests.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROJECT: Final = str(Path(__file__).parents[2])
WAIT_S: Final = 60.0
CALM_S: Final = 0.25
SETTLED_S: Final = 0.15
PAINTED_S: Final = 0.1
CLEAR_UPS: Final = 12
READ_IT: Final = "f11"
CLEAR_UP: Final = "f12"
SENT: Final = {
    "enter": "\r",
    "escape": "\x1b",
    "space": " ",
    "tab": "\t",
    "shift+tab": "\x1b[Z",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "home": "\x1b[H",
    "end": "\x1b[F",
    "pageup": "\x1b[5~",
    "pagedown": "\x1b[6~",
    "f1": "\x1bOP",
    READ_IT: "\x1b[23~",
    CLEAR_UP: "\x1b[24~",
    "slash": "/",
    "colon": ":",
    "question_mark": "?",
    "equals_sign": "=",
    "plus": "+",
    "minus": "-",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
}
"""What a terminal sends for keys whose name is not what they write."""


def sent_for(key: str) -> str:
    """What a terminal sends for a key."""
    if key.startswith("ctrl+"):
        return chr(ord(key[-1]) & 0x1F)
    return SENT.get(key, key)


class Stage(Terminal):
    """The console on the full box; knows how the screen was when it was last at rest, and what was asked for since."""

    def __init__(self, size: tuple[int, int], folder: Path, *options: str, **environment: str) -> None:
        self.heard_path, self.trace_path = folder / "heard", folder / "trace"
        files = ("--heard", str(self.heard_path), "--trace", str(self.trace_path))
        kept = {name: value for name, value in os.environ.items() if name not in HIDING_VARIABLES}
        own = {"FOOTPLATE_HOME": str(folder / "home"), "XDG_CONFIG_HOME": str(folder / "config"), "TZ": "UTC"}
        shell = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8", "FOOTPLATE_ACTOR": "ana"}
        argv = [sys.executable, "-m", "tests.tui.stage", "--box", "full", *files, *options]
        self._texts: dict[int, str] = {}
        self._looks: dict[int, Look] = {}
        super().__init__(argv, kept | own | shell | environment, *size, cwd=PROJECT)
        self.base: list[str] = []
        self.before: list[str] = []
        self.looks_before: Any = None
        self.heard_before = 0

    def _take_in(self) -> None:
        """Draw the lines that were written to."""
        screen = self.screen
        for number in screen.dirty:
            line = screen.buffer[number]
            cells = [line[column] for column in range(screen.columns)]
            self._texts[number] = "".join(cell.data for cell in cells).rstrip()
            self._looks[number] = [(cell.fg, cell.bg, cell.bold, cell.reverse) for cell in cells]
        screen.dirty.clear()

    @property
    def lines(self) -> list[str]:
        """What is on the screen."""
        self._take_in()
        return [self._texts.get(number, "") for number in range(self.screen.lines)]

    @property
    def looks(self) -> list[Look]:
        """How every cell is painted."""
        self._take_in()
        return [self._looks.get(number, []) for number in range(self.screen.lines)]

    def shows(self, text: str) -> bool:
        """Whether a line of the screen holds this text."""
        return any(text in line for line in self.lines)

    @property
    def notices(self) -> str:
        """What is said in the corner, over several lines, without spaces."""
        return squeezed("".join(line.rpartition("▌")[2] for line in self.lines if "▌" in line))

    @property
    def heard(self) -> list[list[Any]]:
        """What was asked of the daemon that changes something: where, and what."""
        if not self.heard_path.exists():
            return []
        return [json.loads(line) for line in self.heard_path.read_text(encoding="utf-8").splitlines()]

    def press(self, *keys: str) -> None:
        """One after the other."""
        for key in keys:
            self.type(sent_for(key))

    def type_all(self, text: str) -> None:
        """More than the terminal takes at once."""
        data = text.encode()
        while data:
            data = data[os.write(self._descriptor, data[:1024]) :]

    def remember(self) -> None:
        """How it is before a key."""
        self.before, self.looks_before, self.heard_before = self.lines, self.looks, len(self.heard)

    def rest(self, calm_s: float = CALM_S) -> None:
        """Read until nothing has come for so long."""
        deadline_s = time.monotonic() + WAIT_S
        while self.read(calm_s) and time.monotonic() < deadline_s:
            pass

    def settle_base(self) -> None:
        """The screen as it is now is the one that all keys must lead back to."""
        self.press(CLEAR_UP)
        self.rest()
        self.base = self.lines

    def return_to_base(self) -> None:
        """Without notices, with the box as it was."""
        for _ in range(CLEAR_UPS - 1):
            self.press(CLEAR_UP)  # once more where a notice came behind the key
            with contextlib.suppress(AssertionError):
                self.read_until(at_base, WAIT_S / CLEAR_UPS)  # type: ignore[arg-type]
                return
        self.press(CLEAR_UP)
        self.until(at_base)

    def until(self, seen: Seen) -> None:
        """Wait for something on the screen."""
        self.read_until(seen, WAIT_S)  # type: ignore[arg-type]  # the child class looks at more

    def take(self, steps: Sequence[Step]) -> None:
        """Press keys and wait for what each leads to."""
        for step in steps:
            if step.again:
                self.walk(step)
                continue
            self.remember()
            self.press(*step.keys)
            self.until(step.seen)
            self.take_in_the_rest(step.seen)

    def take_in_the_rest(self, seen: Seen) -> None:
        """More of a change may be on its way, such as a curve for axes that are there already."""
        if seen in (changed, repainted):
            self.rest(SETTLED_S)

    def walk(self, step: Step) -> None:
        """Press a key until something is seen."""
        for _ in range(60):
            if step.seen(self):
                return
            self.remember()
            self.press(*step.keys)
            self.until(changed)
            self.rest(PAINTED_S)
        raise AssertionError(f"{step.keys} never led there:\n" + "\n".join(self.lines))


Seen: TypeAlias = "Callable[[Stage], bool]"
Look: TypeAlias = list[tuple[str, str, bool, bool]]
"""Colours, bold and reverse of the cells of a line."""


@dataclass(frozen=True)
class Step:
    """Keys, and what is seen after them."""

    keys: tuple[str, ...]
    seen: Seen
    again: bool = False
    """Pressed until it is seen."""


@dataclass(frozen=True)
class Promise:
    """What an action's key leads to, from the screen at rest and back to it."""

    seen: Seen
    first: tuple[Step, ...] = ()
    back: tuple[Step, ...] = ()


def has(*texts: str) -> Seen:
    """All these texts stand on the screen."""
    return lambda stage: all(stage.shows(text) or squeezed(text) in stage.notices for text in texts)


def squeezed(text: str) -> str:
    """Without the places where a line may end."""
    return "".join(text.split())


def gone(text: str) -> Seen:
    """It does not stand there."""
    return lambda stage: not stage.shows(text)


def cursor(text: str) -> Seen:
    """The line with the cursor of a table holds it: at the left edge of the screen, or of a box over it."""
    return lambda stage: any(text in line for line in stage.lines if line.startswith(">") or boxed_cursor(line))


def boxed_cursor(line: str) -> bool:
    """The cursor stands behind the left side of a box."""
    return line.partition("│")[2].lstrip().startswith(">")


def heard(where: str, then: Seen) -> Seen:
    """The daemon was asked, and the screen says so."""
    return lambda stage: then(stage) and any(each[0] == where for each in stage.heard[stage.heard_before :])


def changed(stage: Stage) -> bool:
    """The screen differs from how it was before the key."""
    return stage.lines != stage.before


def repainted(stage: Stage) -> bool:
    """Colours differ from how they were before the key."""
    return bool(stage.looks != stage.looks_before)


def at_base(stage: Stage) -> bool:
    """All is as it was."""
    return stage.lines == stage.base


def step(key: str, seen: Seen) -> Step:
    """One key."""
    return Step((key,), seen)


def typed(text: str, seen: Seen) -> Step:
    """A text."""
    return Step(tuple(text), seen)


def walk(key: str, seen: Seen) -> Step:
    """A key until something is seen."""
    return Step((key,), seen, again=True)


ESCAPE: Final = (step("escape", at_base),)


def yes(seen: Seen) -> tuple[Step, ...]:
    """Read the question, then agree; what is seen is not there before."""
    return (Step((READ_IT, "y"), seen), Step((READ_IT,), lambda _: True))
