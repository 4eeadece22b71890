"""The last step before a terminal that knows no glyphs: every line, frame and arrow of ours as ASCII."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.filter import LineFilter

if TYPE_CHECKING:
    from rich.segment import Segment
    from textual.color import Color

GLYPHS: Final = {
    **dict.fromkeys("─━╌┄▔", "-"),
    **dict.fromkeys("│┊┃▌▐▎▊▏▍▋▉▕", "|"),
    **dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼▛▜▙▟", "+"),
    # Ends of scroll bars, which are told from their bar by colour.
    **dict.fromkeys("▁▂▃▄▅▆▇", " "),
    "█": "#",
    "…": "~",
    "·": "-",
    "–": "-",
    "↑": "^",
    "▲": "^",
    "↓": "v",
    "▼": "v",
    "→": ">",
    "›": ">",
    "▶": ">",
    "←": "<",
    "‹": "<",
    "✓": "+",
    "✗": "x",
    "●": "*",
    "◆": "*",
    "○": "o",
    "◌": "o",
    "■": "#",
    "□": "~",
    "‖": "=",
    "␣": "_",
    "␡": "?",
    "×": "x",
}
"""One cell each, so that nothing moves; letters of names and logs stay as they are."""
TABLE: Final = str.maketrans(GLYPHS)


class AsciiGlyphs(LineFilter):
    """Catches also what no widget of ours draws, such as frames, scroll bars and the palette."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """The same segments in ASCII, whatever is behind them."""
        return [each if each.text.isascii() else each._replace(text=each.text.translate(TABLE)) for each in segments]
