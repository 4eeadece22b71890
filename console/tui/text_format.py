"""Text and numbers as a terminal shows them: nothing invisible, exact cell widths, short forms of numbers and times.

The command line imports this module on its way to the first output, so it needs nothing but builtins; what measures
wide characters is imported when the first one shows up.
"""

import math
import time

REORDERING = frozenset("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
"""Marks that make a terminal show text in another order than it has."""
UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Printable by the Unicode database, yet nothing is seen of them."""
PRESENTATION = "\ufe0e\ufe0f"
"""Ask for the text or emoji form of a symbol; terminals disagree on the width, and without them they do not."""
MAX_MARKS = 4
"""Combining marks on one character that are drawn; towers of them paint over the lines above."""
SHOWN_TABLE_ENTRIES = 4096
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
SIGNIFICANT_DIGITS = 5
SD_MIN, SD_MAX = 1e-6, 1e6
"""Standard deviations within this are written without an exponent."""
SINGLE_PRECISION = 1e-7
DAY_S = 86_400

STATE_GLYPHS = {
    "blocked": ("…", ".", "text-muted"),
    "queued": ("…", ".", "secondary"),
    "held": ("‖", "=", "warning"),
    "starting": ("◌", "o", "primary"),
    "running": ("▶", ">", "primary"),
    "stopping": ("□", "~", "warning"),
    "finished": ("✓", "+", "success"),
    "failed": ("✗", "x", "error"),
    "stopped": ("■", "#", "warning"),
    "interrupted": ("!", "!", "warning"),
    "skipped": ("–", "-", "text-muted"),
    "stale": ("?", "?", "warning"),
    "unknown": ("?", "?", "text-muted"),
}
"""Every state of a run: glyph, the same in ASCII, name of the theme colour."""


class _Shown(dict[int, str | int]):
    """What `str.translate` puts in place of a character, worked out when it is first met."""

    def __missing__(self, codepoint: int) -> str | int:
        if len(self) >= SHOWN_TABLE_ENTRIES:
            self.clear()
        self[codepoint] = shown = _shown(codepoint)
        return shown


def _shown(codepoint: int) -> str | int:
    character = chr(codepoint)
    if codepoint < 0x20:
        return 0x2400 + codepoint
    if codepoint == 0x7F:
        return "␡"
    if codepoint in (0xA0, 0x3000) or 0x2000 <= codepoint <= 0x200A or codepoint in (0x1680, 0x202F, 0x205F):
        return "␣"
    hidden = character in UNSEEN or 0xFE00 <= codepoint <= 0xFE0F or 0xE0100 <= codepoint <= 0xE01EF
    if hidden or character in REORDERING or not character.isprintable():
        return f"‹U+{codepoint:04X}›"
    return codepoint


_SHOWN = _Shown()


def visible(text: str) -> str:
    """`text` with every control, reordering or unseen character replaced by something that can be seen."""
    if text.isascii():
        return text if text.isprintable() else text.translate(_SHOWN)
    return _tamed_marks(_plain_symbols(text).translate(_SHOWN))


def _plain_symbols(text: str) -> str:
    """`text` without the presentation selectors that follow a symbol; others stay, to be made visible."""
    if "\ufe0e" not in text and "\ufe0f" not in text:
        return text
    kept: list[str] = []
    for character in text:
        if character not in PRESENTATION or not kept or not _is_symbol(kept[-1]):
            kept.append(character)
    return "".join(kept)


def _is_symbol(character: str) -> bool:
    return character.isdigit() or not (character.isascii() or character in PRESENTATION)


def _tamed_marks(text: str) -> str:
    """`text` in which combining marks have a character to sit on and do not pile up."""
    if text.isascii() or _cells(text) == len(text):
        return text
    tamed: list[str] = []
    marks = 0
    for character in text:
        if character.isascii() or _cells(character):
            marks = 0
        else:
            if not tamed:
                tamed.append("◌")
            marks += 1
        tamed.append(character if marks <= MAX_MARKS else f"‹U+{ord(character):04X}›")
    return "".join(tamed)


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def cell_width(text: str) -> int:
    """Terminal cells that `text` takes."""
    return len(text) if text.isascii() else _cells(text)


def fit(text: str, width_cells: int, *, align: str = "left", ellipsis: str = "…") -> str:
    """`visible(text)` in exactly `width_cells` cells: padded on the side away from `align`, or cut with `ellipsis`."""
    shown = visible(text)
    cells = len(shown) if shown.isascii() else _cells(shown)
    if cells > width_cells:
        shown = cut(shown, width_cells, ellipsis=ellipsis)
        cells = width_cells
    padding = " " * (width_cells - cells)
    return padding + shown if align == "right" else shown + padding


def cut(shown: str, width_cells: int, *, ellipsis: str = "…") -> str:
    """The start of an already visible text in exactly `width_cells` cells, `ellipsis` at its end."""
    if width_cells <= 0:
        return ""
    mark = ellipsis if len(ellipsis) <= width_cells else ellipsis[:width_cells]
    room = width_cells - len(mark)
    if shown.isascii():
        return shown[:room] + mark
    used = 0
    end = 0
    for character in shown:
        cells = 1 if character.isascii() else _cells(character)
        if used + cells > room:
            break
        used += cells
        end += 1
    return shown[:end] + " " * (room - used) + mark


def centred(text: str, row: int, width_cells: int, height: int) -> str:
    """Row `row` of a text of several lines in the middle of a box, made visible, in exactly `width_cells` cells."""
    lines = text.split("\n") if text else []
    place = row - max(0, (height - len(lines)) // 2)
    line = visible(lines[place]) if 0 <= place < len(lines) else ""
    return fit(" " * (max(0, width_cells - cell_width(line)) // 2) + line, width_cells)


def number(value: float | None, width_cells: int = 9) -> str:
    """At most five significant digits in at most `width_cells` cells.

    Trailing zeros stand only where the value was rounded ("1.0000" is not 1); what cannot fit becomes "#", never a
    shorter number.
    """
    if value is None:
        return "n/a"
    if value != value:
        return "nan"
    if value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    if value == int(value) and abs(value) < 1e6 and len(str(int(value))) <= width_cells:
        return str(int(value))
    for written in (_rounded, _scientific):
        for digits in range(SIGNIFICANT_DIGITS, 0, -1):
            text = written(value, digits)
            if len(text) <= width_cells:
                return text
    return "#" * width_cells


def spread(mean: float | None, sd: float | None, *, ascii_only: bool = False) -> str:
    """A mean and its standard deviation, both to the second digit of the latter: `0.8090 ± 0.0073`."""
    if mean is None or sd is None:
        return number(mean)
    if sd <= 0 or not SD_MIN <= sd < SD_MAX or abs(mean) >= SD_MAX:
        return f"{number(mean)} {'+-' if ascii_only else '±'} {number(sd)}"
    decimals = max(0, 1 - math.floor(math.log10(sd)))
    return f"{mean:.{decimals}f} {'+-' if ascii_only else '±'} {sd:.{decimals}f}"


def _rounded(value: float, digits: int) -> str:
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])
    if not -4 < exponent <= SIGNIFICANT_DIGITS:
        return _scientific(value, digits)
    text = f"{value:.{max(0, digits - 1 - exponent)}f}"
    return _stripped(text) if _is_same(float(text), value) else text


def _scientific(value: float, digits: int) -> str:
    mantissa, _, exponent_text = f"{value:.{digits - 1}e}".partition("e")
    exponent = int(exponent_text)
    if _is_same(float(f"{mantissa}e{exponent}"), value):
        mantissa = _stripped(mantissa)
    return f"{mantissa}e{exponent}"


def _is_same(rounded: float, value: float) -> bool:
    """Whether rounding lost no more than single precision does: 0.81300002 was meant as 0.813."""
    return abs(rounded - value) <= SINGLE_PRECISION * abs(value)


def _stripped(digits: str) -> str:
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def duration(seconds: float | None) -> str:
    """A length of time in at most six characters: 0.4s 18s 2m05 1h04 3d02h; empty when unknown."""
    if seconds is None or not -float("inf") < seconds < float("inf"):
        return ""
    seconds = max(0.0, seconds)
    whole = int(seconds)
    if seconds < 10:
        tenths = int(seconds * 10 + 1e-6)
        return f"{tenths // 10}.{tenths % 10}s"
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}"
    if whole < DAY_S:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}"
    return f"{whole // DAY_S}d{whole % DAY_S // 3600:02d}h"


def age(seconds: float) -> str:
    """How long ago, in at most four characters and one unit, so that it hardly ever ticks: now 5m 3h 12d 40w."""
    if not -float("inf") < seconds < float("inf"):
        return "?"
    for limit_s, unit_s, unit in ((3600, 60, "m"), (2 * DAY_S, 3600, "h"), (100 * DAY_S, DAY_S, "d")):
        if seconds < limit_s:
            return f"{int(seconds // unit_s)}{unit}" if seconds >= 60 else "now"
    return f"{min(999, int(seconds // (7 * DAY_S)))}w"


def bytes_size(size_bytes: float | None) -> str:
    """A number of bytes in binary units: 512 B, 12 KiB, 1.4 GiB; empty when unknown."""
    if size_bytes is None:
        return ""
    size = float(size_bytes)
    unit = 0
    while abs(size) >= 1023.5 and unit < len(BYTE_UNITS) - 1:
        size /= 1024
        unit += 1
    return f"{size:.1f} {BYTE_UNITS[unit]}" if unit and abs(size) < 9.95 else f"{size:.0f} {BYTE_UNITS[unit]}"


def clock(unix_s: float | None, now_s: float) -> str:
    """A moment in local time, never relative, so that it does not tick: 14:02, Nov 20 14:02, 2025-11-20."""
    if unix_s is None:
        return ""
    try:
        then, now = time.localtime(unix_s), time.localtime(now_s)
    except (OverflowError, ValueError, OSError):
        return "?"
    if then[:3] == now[:3]:
        return f"{then.tm_hour:02d}:{then.tm_min:02d}"
    if abs(now_s - unix_s) < 180 * DAY_S:
        return f"{MONTHS[then.tm_mon - 1]} {then.tm_mday} {then.tm_hour:02d}:{then.tm_min:02d}"
    return f"{then.tm_year:04d}-{then.tm_mon:02d}-{then.tm_mday:02d}"


def state_glyph(state: str, *, ascii_only: bool = False) -> tuple[str, str]:
    """The glyph of a run's state and the name of the theme colour it takes."""
    glyph, plain, colour = STATE_GLYPHS.get(state, STATE_GLYPHS["unknown"])
    return (plain if ascii_only else glyph), colour


def pin_glyph(*, ascii_only: bool = False) -> str:
    """The mark of a run that nothing deletes."""
    return "*" if ascii_only else "◆"


def outcome(state: str, cause: str, exit_code: int | None, signal: str) -> str:
    """How a run ended, in a few visible words: its cause, else the signal, else the exit code; empty for a good end."""
    if state in ("starting", "running", "stopping"):
        return ""
    if cause and cause != f"exit code {exit_code}":
        return visible(cause)
    if signal:
        return visible(signal)
    return f"exit {exit_code}" if exit_code else ""
