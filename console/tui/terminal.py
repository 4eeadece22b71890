"""What the terminal at hand can do, read from the environment once, before Textual is imported.

Textual reads its TEXTUAL_* settings when it is first imported, so this module imports the standard library only.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from console.config import Settings

Glyphs: TypeAlias = Literal["braille", "ascii"]

LOCAL_FRAMES_PER_SECOND: Final = 60
REMOTE_FRAMES_PER_SECOND: Final = 15
SLOW_FRAMES_PER_SECOND: Final = 4
SLOW_ANSWER_S: Final = 0.150
"""A terminal that takes longer to answer is at the end of a thin line, as a rule."""
ANSWER_TIMEOUT_S: Final = 0.5
"""How long the first frame waits for an answer; none at all counts as a slow one."""


class TerminalProfile(NamedTuple):
    """The terminal in the words the screens need."""

    term: str = "xterm-256color"
    has_terminal: bool = True
    """Input, output and errors are terminals."""
    over_ssh: bool = False
    in_tmux: bool = False
    no_color: bool = False
    """Remembered here because Textual keeps NO_COLOR to itself."""
    glyphs: Glyphs = "braille"
    frames_per_second: int = LOCAL_FRAMES_PER_SECOND
    change_interval_s: float = 0.25
    """The shortest time between two looks at a live view."""
    chart_interval_s: float = 1.0
    log_interval_s: float = 0.25
    seconds_interval_s: int = 1
    """How often durations and ages are counted on while nothing else changes."""
    status_interval_s: float = 1.0
    slow: bool = False
    """At most 5 KiB/s go to the terminal, which the header says."""
    environment: Mapping[str, str] | None = None
    """What it was before the screens put their own settings into it, for runs that are started from them."""

    def __repr__(self) -> str:
        """Without the environment, which holds secrets and would stand in what is said of a crash."""
        shown = zip(self._fields, self, strict=True)
        return f"TerminalProfile({', '.join(f'{name}={value!r}' for name, value in shown if name != 'environment')})"

    @property
    def over_line(self) -> bool:
        """Whether frames are few, for the sake of what lies between."""
        return self.frames_per_second < LOCAL_FRAMES_PER_SECOND


def has_terminal() -> bool:
    """Input, output and errors are terminals: Textual draws on the error stream."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def detect(environ: Mapping[str, str], *, has_terminal: bool) -> TerminalProfile:
    """The profile for an environment; FOOTPLATE_GLYPHS=ascii or braille overrides the guess about the font."""
    over_ssh = bool(environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"))
    return TerminalProfile(
        term=environ.get("TERM", ""),
        has_terminal=has_terminal,
        over_ssh=over_ssh,
        in_tmux="TMUX" in environ,
        no_color=bool(environ.get("NO_COLOR")),
        glyphs=guess_glyphs(environ),
        frames_per_second=REMOTE_FRAMES_PER_SECOND if over_ssh else LOCAL_FRAMES_PER_SECOND,
        change_interval_s=1.0 if over_ssh else 0.25,
        chart_interval_s=2.0 if over_ssh else 1.0,
        log_interval_s=1.0 if over_ssh else 0.25,
        environment=dict(environ),
    )


def adjusted(profile: TerminalProfile, settings: Settings) -> TerminalProfile:
    """The profile as the person wants it, and as the line to the terminal is."""
    if settings.glyphs != "auto":
        profile = profile._replace(glyphs=settings.glyphs)
    if settings.slow == "always" or (settings.slow == "auto" and profile.over_ssh and answers_slowly()):
        return slowed(profile)
    return profile


def slowed(profile: TerminalProfile) -> TerminalProfile:
    """The same terminal at the end of a thin line: charts once in 10 s, logs once in 2 s, no counting of seconds."""
    return profile._replace(
        slow=True,
        frames_per_second=SLOW_FRAMES_PER_SECOND,
        change_interval_s=4.0,
        chart_interval_s=10.0,
        log_interval_s=2.0,
        seconds_interval_s=30,
        status_interval_s=5.0,
    )


def answers_slowly() -> bool:
    """Whether the terminal takes long to say where its cursor is; a multiplexer on the box answers for it."""
    from console.tui import terminal_answer

    answer = terminal_answer.cursor_after("", timeout_s=ANSWER_TIMEOUT_S)
    return answer is None or answer.took_s > SLOW_ANSWER_S


def guess_glyphs(environ: Mapping[str, str]) -> Glyphs:
    """Braille unless the locale says that the terminal does not speak UTF-8, or it is the kernel's own console."""
    wish = environ.get("FOOTPLATE_GLYPHS", "").lower()
    if wish in ("braille", "ascii"):
        return "ascii" if wish == "ascii" else "braille"
    if environ.get("TERM", "") in ("linux", "vt100", "vt220", "dumb"):
        return "ascii"
    locale = next((environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(name)), "")
    speaks_utf8 = "utf8" in locale.lower().replace("-", "")
    # Containers often have no locale at all while the terminal around them speaks UTF-8.
    return "braille" if speaks_utf8 or not locale else "ascii"


def apply_environment(profile: TerminalProfile, environ: MutableMapping[str, str]) -> None:
    """Set what Textual reads at import; what the person has set stays."""
    environ.setdefault("TEXTUAL_FPS", str(profile.frames_per_second))
    environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    if profile.over_ssh or profile.slow:
        environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")


def refuse(profile: TerminalProfile) -> str | None:
    """Why the screens cannot be shown here, and what to use instead; None when they can."""
    instead = "use `footplate runs` for the table and `footplate logs -f RUN` for a log"
    if profile.term in ("", "dumb", "unknown"):
        named = f"TERM={profile.term}" if profile.term else "TERM is not set"
        return f"this terminal cannot move its cursor ({named}): {instead}"
    if not profile.has_terminal:
        return f"the screens need a terminal, and this is none: {instead}"
    return None
