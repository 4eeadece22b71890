"""`footplate status`: how the box stands; in one line for prompts and the status bar of tmux.

On the way from exec to exit of `--line` nothing is imported that need not be: it is asked for every few seconds.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from console.client import Client, DaemonUnavailable

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

QUICK_OPTIONS: Final = {("--line",): SimpleNamespace(line=True, json=False)}
"""What the parser makes of arguments that are given all the time."""
OFF: Final = "footplate: off"
SILENT: Final = "footplate: no answer"
LINE_TIMEOUT_S: Final = 2.0
"""A prompt must not wait for a daemon that hangs."""
DISK_SHOWN_PERCENT: Final = 90.0


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--line", action="store_true", help="one short line; starts no daemon")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def execute(options: Namespace | SimpleNamespace) -> int:
    """Print it."""
    client = Client(start_daemon=False, answer_timeout_s=LINE_TIMEOUT_S) if options.line else Client()
    try:
        found = client.get("/status")
    except DaemonUnavailable as error:
        if not options.line:
            raise
        words = SILENT if isinstance(error.__cause__, TimeoutError) else OFF
        print(f'{{"daemon": "{words.partition(": ")[2]}"}}' if options.json else words)
        return 0
    if options.json:
        from console.cli import output

        output.print_json(found)
    elif options.line:
        print(line_of(found, ascii_only=not (sys.stdout.encoding or "").lower().startswith("utf")))
    else:
        print_status(found)
    return 0


def line_of(found: dict[str, Any], *, ascii_only: bool = False) -> str:
    """`▶3 …2 ✗1 !4 GPU 6/8`: running, waiting, failed in the last 24 hours, wanting a person; what is 0 is left out."""
    glyphs = (">", ".", "x", "!") if ascii_only else ("▶", "…", "✗", "!")
    names = ("running_count", "queued_count", "failed_count", "attention_count")
    parts = [f"{glyph}{found[name]}" for glyph, name in zip(glyphs, names, strict=True) if found.get(name)]
    if gpus := found.get("gpus"):
        parts.append(f"GPU {gpus[0]}/{gpus[1]}")
    percent = found.get("disk_used_percent")
    if percent is not None and percent >= DISK_SHOWN_PERCENT:
        parts.append(f"disk {percent:.0f}%")
    return " ".join(parts) or ("ok" if ascii_only else "✓")


def print_status(found: dict[str, Any]) -> None:
    """The same in words."""
    from console.tui.text_format import visible

    percent = found["disk_used_percent"]
    print(f"{visible(found['host'])}  {visible(found['user'])}  footplate {visible(found['version'])}")
    print(f"running    {found['running_count']}")
    print(f"waiting    {found['queued_count']}")
    print(f"failed     {found['failed_count']} in the last 24 hours")
    print(f"wants you  {found['attention_count']}" + ("  ->  footplate triage" if found["attention_count"] else ""))
    print(f"disk       {'n/a: it could not be read' if percent is None else f'{percent:.0f}% used'}")
    if found["notice"]:
        print(f"! {visible(found['notice'])}")
