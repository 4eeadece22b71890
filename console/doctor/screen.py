"""The terminal: what it is, how fast it answers, whether it draws braille, and tmux around it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

from console.doctor.finding import fail, ok, warn
from console.tui import terminal, terminal_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from console.doctor.finding import Finding
    from console.tui.terminal_answer import Answer

SAMPLE: Final = "⣀⣤⣶⣿⣶⣤⣀⡠⠔⠊⠑⠢⢄"
"""Full, half and thin curves: a font without braille shows boxes."""
ESCAPE_TIME_MS: Final = 100
ASK_TIMEOUT_S: Final = 3.0
TMUX_OPTIONS: Final = ("escape-time", "set-clipboard")


def checks(environ: Mapping[str, str], *, has_terminal: bool) -> list[Finding]:
    """All of them; what cannot be asked without a terminal says so."""
    answer = terminal_answer.cursor_after("") if has_terminal else None
    drawn = terminal_answer.cursor_after(SAMPLE) if answer is not None else None
    found = [of_terminal(environ), of_answer(answer, has_terminal=has_terminal), of_glyphs(environ, drawn)]
    if "TMUX" in environ:
        found.append(of_tmux(tmux_option))
    return found


def of_terminal(environ: Mapping[str, str]) -> Finding:
    """Kind and colours."""
    profile = terminal.detect(environ, has_terminal=True)
    if refusal := terminal.refuse(profile):
        return fail("terminal", refusal, "export TERM=xterm-256color, where the terminal is one")
    if profile.no_color:
        return ok("terminal", f"{profile.term}, without colours (NO_COLOR)")
    if environ.get("COLORTERM", "") in ("truecolor", "24bit") or profile.term.endswith("-direct"):
        return ok("terminal", f"{profile.term}, 16 million colours")
    if "256color" in profile.term or profile.term in ("xterm-kitty", "alacritty", "foot", "xterm-ghostty", "wezterm"):
        return ok("terminal", f"{profile.term}, 256 colours")
    found = f"{profile.term}: 16 colours or fewer are assumed"
    return warn("terminal", found, "export TERM=xterm-256color, or tmux-256color within tmux")


def of_answer(answer: Answer | None, *, has_terminal: bool) -> Finding:
    """How long a key takes to the box and back."""
    if not has_terminal:
        return ok("line", "n/a: input or output is no terminal")
    if answer is None:
        return ok("line", "n/a: the terminal does not say where its cursor is")
    found = f"the terminal answers after {answer.took_s * 1000:.0f} ms"
    if answer.took_s > terminal.SLOW_ANSWER_S:
        return ok("line", f"{found}: the console sends at most 5 KiB/s (slow)")
    return ok("line", found)


def of_glyphs(environ: Mapping[str, str], drawn: Answer | None) -> Finding:
    """Whether each braille sign takes one cell; the font itself only eyes can judge."""
    guessed = terminal.guess_glyphs(environ)
    if drawn is None:
        return ok("glyphs", f"{guessed} by locale and TERM; no terminal to measure")
    width = drawn.column - 1
    if width != len(SAMPLE):
        found = f"{len(SAMPLE)} braille signs took {width} cells: the terminal does not know them"
        return warn("glyphs", found, 'glyphs = "ascii" in config.toml; `footplate doctor --remember` writes it')
    if guessed == "ascii":
        found = "braille has the right width, and ascii is used by locale or TERM"
        return warn("glyphs", found, 'export LANG=C.UTF-8, or glyphs = "braille" in config.toml')
    return ok("glyphs", "braille has the right width")


def of_tmux(option: Callable[[str], str]) -> Finding:
    """What tmux holds back."""
    escape, clipboard = (option(name) for name in TMUX_OPTIONS)
    wishes = []
    if escape.isdigit() and int(escape) > ESCAPE_TIME_MS:
        wishes.append("set -sg escape-time 10")
    if clipboard == "off":
        wishes.append("set -g set-clipboard on")
    found = f"escape-time {escape or 'n/a'} ms, set-clipboard {clipboard or 'n/a'}"
    if wishes:
        return warn("tmux", found, f"in ~/.tmux.conf: {'; '.join(wishes)}")
    return ok("tmux", found)


def tmux_option(name: str) -> str:
    """The value of a server option of tmux; empty when it does not say."""
    try:
        done = subprocess.run(
            ["tmux", "show-options", "-sv", name], capture_output=True, text=True, check=False, timeout=ASK_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
