"""What is not done before the first frame, as somebody waits for it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.css.parse import parse

from console.tui.screens import layouts
from console.tui.theme import OKABE_DARK
from tests.support import FOOTPLATE
from tests.terminal import Terminal
from tests.tui.pilots import opened, press
from tests.tui.stand_in import example_box

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from tests.support import Home


def test_each_style_sheet_is_read_once_when_its_screen_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    ranks: list[tuple[str, int]] = []

    def noted(scope: str, css: str, read_from: Any, **named: Any) -> Iterator[Any]:
        read.append(css)
        ranks.append((css, named["tie_breaker"]))
        yield from parse(scope, css, read_from, **named)

    monkeypatch.setattr("textual.css.stylesheet.parse", noted)

    async def drive() -> None:
        async with opened(example_box(), opens_runs=False) as (_app, pilot):
            assert layouts.TRIAGE in read
            assert not {layouts.RUNS, layouts.RUN, layouts.PROJECTS} & set(read)
            await press(pilot, "2")
            assert layouts.RUNS in read
            # Textual reads the styles of a base class again for a subclass that is further away.
            assert len(ranks) == len(set(ranks))

    asyncio.run(drive())


def test_the_first_frame_has_the_colours_of_the_theme() -> None:
    async def drive() -> None:
        async with opened(example_box(), opens_runs=False) as (app, _pilot):
            assert app.theme_variables["primary"] == OKABE_DARK.primary
            assert app.screen.styles.background.hex == OKABE_DARK.background

    asyncio.run(drive())


PUT_OFF = """
import sys
from console.tui.put_off import put_off
with put_off():
    import textual.app
    late = {"ssl", "platformdirs", "uuid", "rich.table", "textual.types", "textual.widgets._select"}
    print(*[name for name in late if getattr(sys.modules.get(name), "__spec__", None)])
"""


def after_putting_off(code: str) -> str:
    """What a fresh interpreter prints that imports Textual as the console does."""
    done = subprocess.run(
        [sys.executable, "-c", PUT_OFF + code], capture_output=True, text=True, timeout=60, check=True
    )
    late, _, rest = done.stdout.partition("\n")
    assert late == ""
    return rest.strip()


def test_textual_is_imported_without_what_it_uses_later() -> None:
    """Nothing of it is left behind: who imports it afterwards gets itself."""
    code = """
import ssl, platformdirs, uuid, rich.table, textual.types
print(*[module.__spec__.name for module in (ssl, platformdirs, uuid, rich.table, textual.types)])
"""
    assert after_putting_off(code) == "ssl platformdirs uuid rich.table textual.types"


def test_what_textual_calls_later_is_there_by_then() -> None:
    code = """
import textual.design, textual.notifications, textual.types
print(len(textual.notifications.Notification("x").identity))
uuid = textual.app.uuid
print(textual.app.user_downloads_path().is_absolute(), len(uuid.uuid4().hex), uuid.UUID.__name__)
print(type(textual.design.Table("x")).__module__)
print(textual.command.IgnoreReturnCallbackType is textual.types.IgnoreReturnCallbackType)
"""
    assert after_putting_off(code).splitlines() == [
        "36",
        "True 32 UUID",
        "rich.table",
        "True",
    ]


def test_the_console_itself_puts_them_off(home: Home) -> None:
    terminal = Terminal([FOOTPLATE], home.environment(TERM="xterm-256color"))
    try:
        terminal.read_until(lambda seen: seen.shows("Triage"))
        loaded = Path(f"/proc/{terminal.pid}/maps").read_text(encoding="utf-8")
        assert "python" in loaded
        assert "_ssl." not in loaded
    finally:
        terminal.close()
