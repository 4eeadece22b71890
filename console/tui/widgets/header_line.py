"""The first line of every screen: which box, whose, what goes on there, and how old the picture is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from textual.content import Content

from console.tui.actions import key_for
from console.tui.styles import MUTED
from console.tui.text_format import duration, state_glyph, visible
from console.tui.widgets.line import Line

if TYPE_CHECKING:
    from console.protocol import Status

Link: TypeAlias = Literal["connecting", "live", "stale", "reconnecting", "paused"]

DISK_WARNING_PERCENT: Final = 90.0
DISK_ERROR_PERCENT: Final = 97.0


class HeaderFacts(NamedTuple):
    """All that the header shows."""

    status: Status | None = None
    link: Link = "connecting"
    age_s: int = 0
    """Whole seconds since the picture was last known to be true; counted only when that is no longer so."""
    slow: bool = False
    """Pictures come seldom, for a thin line."""
    ascii: bool = False


class HeaderLine(Line):
    """Host and counts on the left, the age of the data on the right."""

    DEFAULT_CSS = """
    HeaderLine {
        background: $panel;
    }
    """

    def show(self, facts: HeaderFacts) -> None:
        """Paint other facts."""
        self.set_parts(counts(facts.status, ascii_only=facts.ascii), freshness(facts))


def counts(status: Status | None, *, ascii_only: bool = False) -> Content:
    """The left part of the header."""
    if status is None:
        return Content.styled(" footplate", "bold $primary")
    queued, _ = state_glyph("queued", ascii_only=ascii_only)
    parts: list[tuple[str, str]] = [
        (f" {visible(status.host)}", "bold $primary"),
        (f" {visible(status.user)}", "$foreground"),
        *gpu_parts(status),
        ("   ▶ ", "$primary" if status.running_count else MUTED),
        (str(status.running_count), "bold $primary" if status.running_count else MUTED),
        (f"  {queued} {status.queued_count}", "$secondary" if status.queued_count else MUTED),
        (f"  ✗ {status.failed_count}", "bold $error" if status.failed_count else MUTED),
    ]
    if status.attention_count:
        parts.append((f"   ! {status.attention_count}", "bold $warning"))
    if status.disk_used_percent is not None:
        percent = status.disk_used_percent
        style, mark = MUTED, ""
        if percent >= DISK_WARNING_PERCENT:
            style, mark = ("bold $error" if percent >= DISK_ERROR_PERCENT else "$warning"), " !"
        parts.append((f"   disk {percent:.0f}%{mark}", style))
    return Content.assemble(*parts)


def gpu_parts(status: Status) -> list[tuple[str, str]]:
    """GPUs that work of all there are; nothing where there are none."""
    if not status.gpus:
        return []
    busy, count = status.gpus
    return [("   GPU ", MUTED), (f"{busy}/{count}", "bold $primary" if busy else MUTED)]


def freshness(facts: HeaderFacts) -> Content:
    """The right part of the header: quiet while all is well."""
    age = f" {facts.age_s}s" if facts.age_s < 60 else f" {duration(facts.age_s)}"
    match facts.link:
        case "live":
            return Content.assemble(("slow ", MUTED) if facts.slow else "", ("live ", "$success"))
        case "paused":
            return Content.styled(f"{key_for('app.pause')} paused ", "bold $accent")
        case "connecting":
            return Content.styled("connecting… ", MUTED)
        case "stale":
            return Content.styled(f"! stale{age} ", "bold $warning")
        case "reconnecting":
            return Content.styled(f"! reconnecting…{age if facts.age_s else ''} ", "bold $warning")
