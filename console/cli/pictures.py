"""Pictures straight onto a terminal: as pixels where it takes Kitty's graphics protocol, else in cells of text."""

from __future__ import annotations

import base64
import fcntl
import struct
import sys
import termios
import zlib
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from console.artifact_preview import Preview

Way: TypeAlias = Literal["kitty", "true colour", "256 colours", "ascii"]

LINES_AROUND: Final = 3
"""Of the terminal, that stay for the name, the prompt and the command."""
CELL_PIXELS: Final = (8, 16)
"""Of a terminal that does not say how many pixels it has."""
KITTY_TERMS: Final = ("xterm-kitty", "xterm-ghostty", "wezterm")
KITTY_PROGRAMS: Final = ("wezterm", "ghostty", "kitty")
CHUNK_BYTES: Final = 4096
"""The most that one escape sequence of the protocol may carry."""


class Room(NamedTuple):
    """What a picture may take."""

    columns: int
    lines: int
    width_pixels: int
    height_pixels: int


def way_for(environ: Mapping[str, str], *, ascii_only: bool) -> Way:
    """How the terminal at hand can show a picture."""
    from console.tui import terminal  # here: only a picture asks

    term = environ.get("TERM", "")
    in_multiplexer = bool(environ.get("TMUX") or environ.get("STY") or term.startswith(("tmux", "screen")))
    if not in_multiplexer and (
        environ.get("KITTY_WINDOW_ID")
        or term in KITTY_TERMS
        or environ.get("TERM_PROGRAM", "").lower() in KITTY_PROGRAMS
    ):
        return "kitty"
    is_plain = term in ("", "dumb", "unknown") or bool(environ.get("NO_COLOR"))
    if is_plain or ascii_only or terminal.guess_glyphs(environ) == "ascii":
        return "ascii"
    return "true colour" if environ.get("COLORTERM", "").lower() in ("truecolor", "24bit") else "256 colours"


def room() -> Room:
    """What the terminal on stdout has."""
    try:
        size = fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
        lines, columns, width, height = struct.unpack("4H", size)
    except OSError:
        lines = columns = width = height = 0
    return room_of(columns or 80, lines or 24, width, height)


def room_of(columns: int, lines: int, width: int, height: int) -> Room:
    """The room beside the name and the prompt; a terminal that names no pixels has small ones."""
    free = max(1, lines - LINES_AROUND)
    cell_width, cell_height = (width // columns, height // lines) if width and height else CELL_PIXELS
    return Room(columns, free, columns * max(1, cell_width), free * max(1, cell_height))


def box_for(way: Way, space: Room) -> tuple[int, int]:
    """How many pixels to ask for."""
    return (space.width_pixels, space.height_pixels) if way == "kitty" else (space.columns, 2 * space.lines)


def lines_of(way: Way, picture: Preview) -> Iterator[str]:
    """What to print."""
    from console.tui import half_blocks

    shape = picture.pixels, picture.width, picture.height
    if way == "kitty":
        yield "".join(kitty_commands(picture))
    elif way == "ascii":
        yield from half_blocks.ascii_lines(*shape)
    else:
        yield from half_blocks.ansi_lines(*shape, true_colour=way == "true colour")


def kitty_commands(picture: Preview) -> Iterator[str]:
    """A picture in escape sequences of Kitty's protocol; `q=2`: the terminal answers nothing, as nobody reads it."""
    data = base64.b64encode(zlib.compress(picture.pixels)).decode()
    for start in range(0, len(data), CHUNK_BYTES):
        more = int(start + CHUNK_BYTES < len(data))
        facts = f"a=T,f=24,o=z,s={picture.width},v={picture.height},q=2," if start == 0 else ""
        yield f"\x1b_G{facts}m={more};{data[start : start + CHUNK_BYTES]}\x1b\\"
