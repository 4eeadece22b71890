"""The first frame as the last console painted it, on the terminal before there is anything that could paint.

To import what paints takes most of the time until the first frame, which is the same whenever the terminal, the
configuration and the version are: it shows no data. So its text is kept, and what Textual paints later covers it cell
by cell. Only the standard library is imported here, as little of it as can be.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import termios
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from console.tui import memory
from console.tui.endings import end_by
from console.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from textual.driver import Driver

    from console.config import Settings
    from console.protocol import Json
    from console.tui.terminal import TerminalProfile

ENTER: Final = "\x1b[?1049h"
"""The terminal's other page, which has nothing of the shell on it (xterm's control sequences)."""
NO_CURSOR: Final = "\x1b[?25l"
LEAVE: Final = "\x1b[?1049l\x1b[?25h"
TEXT_MAX_CHARACTERS: Final = 1 << 17
"""Many times what the largest terminals take."""
SOURCES: Final = (".py", ".tcss")
"""Ends of the names of files that decide what is painted."""
NO_KEY: Final = b"\0"
"""Where no key has a meaning of the terminal (_POSIX_VDISABLE)."""
COUNTED: Final = (
    *("TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"),
    *("LC_ALL", "LC_CTYPE", "LANG", "PYTHONIOENCODING", "PYTHONUTF8"),
)
"""Variables that decide how something is painted, besides those of Textual itself."""
TEXTUAL: Final = "TEXTUAL_"
OTHER_DRIVER: Final = "TEXTUAL_DRIVER"
"""With it set, Textual takes the terminal in a way that we do not know."""


class Kept(NamedTuple):
    """A frame and what it was painted for."""

    painted_for: str = ""
    text: str = ""

    def as_json(self) -> dict[str, Json]:
        """What is kept of it."""
        return {"painted_for": self.painted_for, "text": self.text}


def read(kept: Mapping[str, Any]) -> Kept:
    """The frame in what the last console left behind; an empty one when there is none."""
    found = memory.table(kept, "first_frame")
    painted_for, text = found.get("painted_for"), found.get("text")
    whole = isinstance(painted_for, str) and isinstance(text, str) and len(text) <= TEXT_MAX_CHARACTERS
    return Kept(str(painted_for), str(text)) if whole else Kept()


def of(profile: TerminalProfile, settings: Settings, kept: Mapping[str, Any]) -> EarlyFrame:
    """The early frame for what is at hand; `kept` is what the last console left behind."""
    environment = profile.environment or {}
    size = shutil.get_terminal_size()  # as Textual asks
    counted = sorted(
        (name, value) for name, value in environment.items() if name in COUNTED or name.startswith(TEXTUAL)
    )
    here = os.path.dirname(os.path.abspath(__file__))
    # An update may keep the version, as in a checkout.
    changed = max(newest_change_ns(os.path.join(here, folder)) for folder in (".", "screens", "widgets"))
    theme = sorted(memory.table(kept, "theme").items())
    painted_for = repr((VERSION, changed, tuple(size), counted, profile, settings, theme))
    # A thin line would have to carry it a second time; who only looks keeps nothing.
    wanted = not (profile.slow or settings.readonly or OTHER_DRIVER in environment)
    return EarlyFrame(read(kept), painted_for if wanted else "", size)


def newest_change_ns(folder: str) -> int:
    """When a source file of a folder was changed last; bytecode that Python leaves there does not count."""
    newest = 0
    with os.scandir(folder) as entries:
        for each in entries:
            # Editors keep links there that lead nowhere.
            with contextlib.suppress(OSError):
                newest = max(newest, each.stat().st_mtime_ns if each.name.endswith(SOURCES) else 0)
    return newest


class EarlyFrame:
    """Shows the frame, if it was painted for what is at hand, until Textual takes the terminal over."""

    def __init__(
        self, kept: Kept, painted_for: str, size: tuple[int, int], descriptor: int = 2, keys_from: int = 0
    ) -> None:
        """`painted_for`: what is at hand, empty to show and keep nothing; `size`: columns and rows; `descriptor`: where
        Textual draws; `keys_from`: where it reads, which may be another terminal."""
        self._kept = kept
        self._painted_for = painted_for
        self._size = tuple(size)
        self._descriptor = descriptor
        self._keys_from = keys_from
        self._before: list[Any] | None = None
        self._interrupted = False
        self.is_shown = False

    @property
    def is_true(self) -> bool:
        """Whether the frame that is kept is the one to come."""
        return self._painted_for != "" and self._kept.painted_for == self._painted_for

    @property
    def driver_class(self) -> type[Driver] | None:
        """How Textual takes the terminal; None for its own way, as long as nothing is shown."""
        if not self.is_shown:
            return None
        from console.tui.taking_over import TakingOver

        return TakingOver

    def kept_after(self, paint: Callable[[], str], size: tuple[int, int]) -> dict[str, Json]:
        """What to keep now that Textual has painted a frame of so many columns and rows; `paint` returns its text."""
        if not self._painted_for or self.is_true or tuple(size) != self._size:
            return self._kept.as_json()
        text = paint()
        return (Kept(self._painted_for, text) if len(text) <= TEXT_MAX_CHARACTERS else Kept()).as_json()

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Within it the frame may be seen; at the end the terminal is as before, unless it was taken over. Raises
        KeyboardInterrupt."""
        before = {number: signal.signal(number, self._terminate) for number in (signal.SIGTERM, signal.SIGHUP)}
        before[signal.SIGINT] = signal.signal(signal.SIGINT, self._interrupt)
        try:
            if self.is_true:
                self._show()
            yield
        except BaseException as error:
            # Python turns an interrupt within a class body into something else.
            if self._interrupted:
                raise KeyboardInterrupt from error
            raise
        finally:
            self.withdraw()
            for number, handler in before.items():
                signal.signal(number, handler)

    def heed_interrupt(self) -> None:
        """Leave `ctrl+c` to Python from now on. Raises KeyboardInterrupt when it was pressed and has come to nothing,
        as within a callback of an import."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._interrupted:
            raise KeyboardInterrupt

    def take_over(self) -> list[Any] | None:
        """It is Textual's terminal from now on; returns how it was set before the frame, None when none was shown."""
        self.is_shown = False
        before, self._before = self._before, None
        return before

    def _show(self) -> None:
        with contextlib.suppress(termios.error):
            self._before = termios.tcgetattr(self._keys_from)
            set_now = termios.tcgetattr(self._keys_from)
            # Keys that are pressed by now wait as they are, and are not seen: what Textual sets, but for ctrl+c.
            set_now[0] &= ~(termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR | termios.IGNCR)
            set_now[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
            for stops in (termios.VSUSP, termios.VQUIT):
                set_now[6][stops] = NO_KEY
            self.is_shown = True
            termios.tcsetattr(self._keys_from, termios.TCSANOW, set_now)
            self._write(ENTER + NO_CURSOR + self._kept.text)

    def withdraw(self) -> None:
        """Give the terminal back as it was, unless it was taken over."""
        if not self.is_shown:
            return
        with contextlib.suppress(termios.error):
            self._write(LEAVE)
            termios.tcsetattr(self._keys_from, termios.TCSANOW, self._before or [])
        # At the end: a signal that comes meanwhile does it again.
        self.take_over()

    def _write(self, text: str) -> None:
        encoding = getattr(sys.__stderr__, "encoding", None) or "ascii"
        rest = text.encode(encoding, "backslashreplace")
        # A terminal that is gone is met again by Textual, which knows what to do.
        with contextlib.suppress(OSError):
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]

    def _interrupt(self, _: int, __: Any) -> None:
        if not self._interrupted:
            self._interrupted = True
            raise KeyboardInterrupt

    def _terminate(self, number: int, _: Any) -> None:
        self.withdraw()
        end_by(number)
