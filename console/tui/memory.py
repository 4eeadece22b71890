"""What the console keeps of itself while it lives, so that the next one goes on where this one ended."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, Final

from console import remembered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.protocol import Json

DRAFTS_MAX: Final = 20
MARKS_MAX: Final = 200
TEXT_MAX_CHARACTERS: Final = 20_000
ALWAYS_KEPT: Final = ("drafts", "first_frame")
"""What comes back even when nothing else is to."""


class Memory:
    """Reads the file at once and writes it when what is offered differs; belongs to the event loop."""

    def __init__(self, path: str, *, writes: bool = True, fresh: bool = False) -> None:
        """Without `writes` nothing is kept, as in a console that only looks; `fresh`: only unsent texts come back."""
        found = remembered.load(path)
        self._path = path
        self._writes = writes
        self._saved: dict[str, Json] = found.content
        self._writer: threading.Thread | None = None
        self.problem = found.problem
        self.kept = {name: found.content.get(name) for name in ALWAYS_KEPT} if fresh else dict(found.content)
        """As it was found, checked by nobody: `text`, `number` and `texts` take what is right."""

    def offer(self, content: dict[str, Json]) -> None:
        """Have it written by a thread, unless it is what the file holds or a write is under way."""
        if self._writes and content != self._saved and (self._writer is None or not self._writer.is_alive()):
            self._saved = content
            self._writer = threading.Thread(target=self._write, args=(content,), name="footplate-memory", daemon=True)
            self._writer.start()

    def settle(self, content: dict[str, Json]) -> None:
        """Write the last word before the end."""
        if self._writer is not None:
            self._writer.join(2.0)
        if self._writes and content != self._saved:
            self._saved = content
            self._write(content)

    def _write(self, content: dict[str, Json]) -> None:
        # A full disk must not end a viewer; the header says that it is full.
        with contextlib.suppress(OSError):
            remembered.save(self._path, content)


def table(kept: Any, *names: str) -> dict[str, Any]:
    """A table within what was found; empty for anything else."""
    for name in names:
        kept = kept.get(name) if isinstance(kept, dict) else None
    return kept if isinstance(kept, dict) else {}


def text(kept: Mapping[str, Any], name: str) -> str:
    """A text of it; empty for anything else."""
    value = kept.get(name)
    return value[:TEXT_MAX_CHARACTERS] if isinstance(value, str) else ""


def number(kept: Mapping[str, Any], name: str) -> int:
    """A count of it; 0 for anything else."""
    value = kept.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40 else 0


def texts(kept: Mapping[str, Any], name: str) -> list[str]:
    """A list of texts of it."""
    value = kept.get(name)
    return [each for each in value if isinstance(each, str)][:MARKS_MAX] if isinstance(value, list) else []


def drafts(kept: Mapping[str, Any]) -> dict[str, str]:
    """The unsent texts of it, the newest."""
    found = table(kept, "drafts")
    whole = {key: text(found, key) for key in found if isinstance(key, str) and text(found, key)}
    return dict(list(whole.items())[-DRAFTS_MAX:])
