"""The lines of a widget as they stand on the screen, and those that are about to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.strip import Strip


class DrawnLines:
    """By the line of the widget. A line that was made to be compared need not be made again to be drawn."""

    def __init__(self) -> None:
        self._drawn: dict[int, Strip] = {}
        self._next: dict[int, Strip] = {}

    def forget(self) -> None:
        """All of them look different now."""
        self._drawn.clear()
        self._next.clear()

    def forget_next(self) -> None:
        """Those that are not on the screen yet are to be made anew."""
        self._next.clear()

    def differs(self, y: int, line: Strip) -> bool:
        """Whether `line` is not what stands there; it is drawn next then."""
        if self._drawn.get(y) == line:
            self._next.pop(y, None)
            return False
        self._next[y] = line
        return True

    def standing(self, y: int) -> Strip | None:
        """The line that stands there, unless another waits for its place."""
        return None if y in self._next else self._drawn.get(y)

    def take(self, y: int, make: Callable[[], Strip]) -> Strip:
        """What to draw: the line that waits for its place, else a new one."""
        strip = self._drawn[y] = self._next.pop(y) if y in self._next else make()
        return strip
