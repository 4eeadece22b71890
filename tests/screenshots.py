"""`just screenshots`: pictures of every screen with real runs in it, for the README and docs/."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from console import views
from console.client import Client
from console.config import Settings
from console.tui import terminal
from console.views import View
from tests import picture_box

if TYPE_CHECKING:
    from pathlib import Path

    from textual.pilot import Pilot

PICTURES: Final = picture_box.ROOT / "docs" / "pictures"
SMALL, MIDDLE, LARGE = (80, 24), (120, 40), (200, 60)
SVG_STYLE: Final = re.compile(r"@font-face\s*{[^}]*}\s*")
SETTLE_S: Final = 2.0


class Wanted(NamedTuple):
    """A picture of a screen."""

    name: str
    sizes: tuple[tuple[int, int], ...]
    keys: tuple[str, ...] = ()
    opens_runs: bool = True
    theme: str = "okabe-dark"


WAIT: Final = "wait"
"""For what a filter lets through."""
MARKS: Final = ("/", *"leaves > 0", "enter", WAIT, "j", *("space", "j", "j") * 3)
LIVE: Final = ("/", *"long", "enter", WAIT, "enter")
FIRST: Final = (
    Wanted("runs", (SMALL, MIDDLE, LARGE), MARKS),
    Wanted("runs-light", (MIDDLE,), MARKS, theme="okabe-light"),
    Wanted("columns", (MIDDLE,), ("c",)),
    Wanted("beside", (MIDDLE,), (*MARKS, "b")),
    Wanted("run", (SMALL, MIDDLE, LARGE), LIVE),
    Wanted("charts", (MIDDLE,), (*LIVE, "z", "v", "s")),
    Wanted("details", (MIDDLE,), ("/", *"monotone", "enter", WAIT, "enter", "d")),
    Wanted("diff", (MIDDLE,), (*LIVE, "D")),
    Wanted("help", (MIDDLE,), ("question_mark",)),
    Wanted("palette", (MIDDLE,), ("colon", *"sort")),
)
AFTER_THE_NIGHT: Final = (
    Wanted("projects", (SMALL, MIDDLE), ("9",)),
    Wanted("triage", (SMALL, MIDDLE, LARGE), opens_runs=False),
)


VIEW: Final = View("default", columns=("param:lr", "param:leaves", "metric", "best", "duration", "outcome"))
"""What the table opens with."""


async def take(wanted: Wanted, size: tuple[int, int]) -> Path:
    """The screen of a given size after some keys, as an SVG that needs no font from the network."""
    from console.tui.app import FootplateApp

    app = FootplateApp(
        client_factory=Client,
        profile=terminal.TerminalProfile(),
        opens_runs=wanted.opens_runs,
        settings=Settings(theme=wanted.theme),  # type: ignore[arg-type]
    )
    async with app.run_test(size=size) as pilot:
        await pilot.pause(SETTLE_S)
        await press(pilot, wanted.keys)
        if wanted.keys:
            await pilot.pause(SETTLE_S)
        app.clear_notifications()
        await pilot.pause()
        svg = app.export_screenshot(title="footplate")
    path = PICTURES / f"{wanted.name}-{size[0]}x{size[1]}.svg"
    path.write_text(SVG_STYLE.sub("", svg).replace("Fira Code", "DejaVu Sans Mono, Menlo, Consolas"), encoding="utf-8")
    assert not picture_box.betrayed(svg), (path, picture_box.betrayed(svg))
    return path


async def press(pilot: Pilot[int], keys: tuple[str, ...]) -> None:
    """Keys one after the other, each with time for what it causes."""
    for key in keys:
        if key == WAIT:
            await pilot.pause(SETTLE_S)
            continue
        await pilot.press(key)
        await pilot.pause(0.3)


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="only pictures whose name holds this")
    options = parser.parse_args()
    picture_box.enter()
    picture_box.settle_in()
    terminal.apply_environment(terminal.TerminalProfile(), os.environ)
    views.write(VIEW)
    PICTURES.mkdir(parents=True, exist_ok=True)
    with picture_box.filled() as home:
        for group in (FIRST, AFTER_THE_NIGHT):
            chosen = [wanted for wanted in group if options.only in wanted.name]
            if chosen and group is AFTER_THE_NIGHT:
                picture_box.watch_more(home)
                picture_box.go_away(home)
            for wanted in chosen:
                for size in wanted.sizes:
                    print(asyncio.run(take(wanted, size)).relative_to(picture_box.ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
