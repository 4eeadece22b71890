"""Names and values below each other: what is known about a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from textual.content import Content
from textual.widget import Widget

from console.tui.styles import MUTED
from console.tui.text_format import cell_width, fit, visible

if TYPE_CHECKING:
    from textual.app import RenderResult
    from textual.geometry import Size


class Fact(NamedTuple):
    """One line of facts; the value may come from outside and may hold line ends."""

    name: str
    value: str
    style: str = "$foreground"
    wraps: bool = False
    """Takes as many lines as the value needs and the pane has."""


class Facts(Widget):
    """A block of facts that paints only when they differ."""

    DEFAULT_CSS = """
    Facts {
        height: 1fr;
        padding: 0 1;
    }
    """

    def __init__(self, *, id: str | None = None, name_width_cells: int = 9) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id, markup=False)
        self._facts: tuple[Fact, ...] = ()
        self._name_width_cells = name_width_cells

    @property
    def plain(self) -> str:
        """What the block says, without styles."""
        return self._content().plain

    def show(self, facts: tuple[Fact, ...]) -> None:
        """Show other facts."""
        if facts != self._facts:
            lines_differ = len(facts) != len(self._facts)
            self._facts = facts
            self.refresh(layout=lines_differ and self.styles.auto_dimensions)

    def render(self) -> RenderResult:
        """The facts that fit the height."""
        return self._content()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002 (Textual's)
        """As many lines as there are facts, where the style sheet asks for `height: auto`."""
        return sum(len(value_lines(fact, self._value_width(width))) for fact in self._facts)

    def _value_width(self, width: int) -> int:
        return max(1, width - self._name_width_cells - 1)

    def _content(self) -> Content:
        width, height = self.content_size
        lines: list[Content] = []
        for fact in self._facts:
            for index, text in enumerate(value_lines(fact, self._value_width(width))):
                name = fit("" if index else fact.name, self._name_width_cells)
                lines.append(Content.assemble((name, MUTED), " ", (text, fact.style)))
        return Content("\n").join(lines[:height])


def value_lines(fact: Fact, width_cells: int) -> list[str]:
    """The value in lines of at most `width_cells` cells."""
    if not fact.wraps:
        return [fit(fact.value, width_cells)]
    lines: list[str] = []
    for source_line in fact.value.splitlines() or [""]:
        shown = visible(source_line)
        while cell_width(shown) > width_cells:
            end = prefix_of(shown, width_cells)
            lines.append(shown[:end])
            shown = shown[end:].lstrip(" ")
        lines.append(shown)
    return lines


def prefix_of(shown: str, width_cells: int) -> int:
    """How many characters of a text fill at most `width_cells` cells, breaking at a space where there is one near."""
    end = min(len(shown), width_cells)
    while end > 1 and cell_width(shown[:end]) > width_cells:
        end -= 1
    space = shown.rfind(" ", end // 2, end)
    return max(1, space + 1 if space > 0 else end)
