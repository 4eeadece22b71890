"""`footplate audit`: who asked for what and when, and whether that record is whole."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from console import quantities
from console.cli import output
from console.client import Client
from console.tui import text_format

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Mapping

    from console.protocol import Json

EXIT_BROKEN: Final = 1
ENTRIES_MAX: Final = 100_000
DATES: Final = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M")
RUNS_SHOWN: Final = 4


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("run", nargs="?", default="", help="only what was asked of this run; or `verify`")
    parser.add_argument(
        "--since", default="", metavar="TIME", help="not before: 2h, 3d, 2026-11-20, '2026-11-20 14:00'"
    )
    parser.add_argument("-n", "--limit", type=int, default=50, help="the newest how many (default: %(default)s)")
    parser.add_argument("--all", action="store_true", help="all of them")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.epilog = (
        "footplate audit verify: check every line of the record; "
        "exit code 1 when one was edited, removed, moved or added."
    )


def execute(options: Namespace) -> int:
    """Print the newest commands, or check the record."""
    if options.run == "verify":
        return verify(as_json=options.json)
    try:
        since_s = int(since(options.since, time.time()))
    except ValueError as error:
        return output.usage_error(str(error))
    limit = ENTRIES_MAX if options.all else max(1, options.limit)
    answer = Client().get("/audit", {"run": options.run or None, "since": since_s, "limit": limit})
    if options.json:
        output.print_json(answer["entries"])
        return 0
    for entry in answer["entries"]:
        print(line_of(entry, time.time()))
    left = answer["matched_count"] - len(answer["entries"])
    if left:
        print(f"{left} older: --all")
    elif not answer["entries"]:
        print("nothing was asked for")
    return 0


def verify(*, as_json: bool) -> int:
    """Check every line; 1 when one is not what was written."""
    verdict = Client().get("/audit/verify")
    file, findings = verdict["file"], verdict["findings"]
    if as_json:
        output.print_json(verdict)
        return EXIT_BROKEN if findings else 0
    for finding in findings:
        print(f"{file}: line {finding['line']} (byte {finding['offset_bytes']}): {finding['problem']}")
    lines = f"{verdict['line_count']} line{'' if verdict['line_count'] == 1 else 's'}"
    if findings:
        print(f"{lines} can be read; those before line {findings[0]['line']} are as they were written")
        return EXIT_BROKEN
    last = f", the last of {text_format.clock(verdict['last_at_s'], time.time())}" if verdict["last_at_s"] else ""
    torn = f"; {verdict['torn_count']} interrupted, which is harmless" if verdict["torn_count"] else ""
    print(f"{file}: {lines}{last}, each as it was written{torn}")
    return 0


def line_of(entry: Mapping[str, Json], now_s: float) -> str:
    """One command on one line."""
    visible = text_format.visible
    labels = entry["run_labels"]
    runs = " ".join(labels[:RUNS_SHOWN]) + (f" and {len(labels) - RUNS_SHOWN} more" if len(labels) > RUNS_SHOWN else "")
    words = [text_format.clock(entry["at_s"], now_s), visible(entry["actor"]), entry["action"], runs]
    said = details_text(entry["action"], entry["details"])
    line = "  ".join(visible(word) for word in [*words, said] if word)
    return text_format.fit(line, output.terminal_width(), ellipsis="~" if output.ascii_only() else "…").rstrip()


def details_text(action: str, details: Mapping[str, Any]) -> str:
    """What was asked, in the words of the command line where there are some."""
    if action == "tag":
        return " ".join(
            [*(f"+{name}" for name in details.get("add", ())), *(f"-{name}" for name in details.get("remove", ()))]
        )
    if action == "note":
        return f"{details.get('note', '')[-output.NOTE_ID_CHARACTERS :]}  {details.get('text', '')}"
    if action == "note-remove":
        return str(details.get("note", ""))[-output.NOTE_ID_CHARACTERS :]
    if isinstance(details.get("argv"), list):
        return " ".join(map(str, details["argv"]))
    return "  ".join(f"{name}={value}" for name, value in details.items())


def since(text: str, now_s: float) -> float:
    """The Unix time that a span before now, or a date, means; 0 for none. Raises ValueError with what is expected."""
    if not text:
        return 0.0
    for pattern in DATES:
        try:
            return max(0.0, time.mktime(time.strptime(text, pattern)))
        except (ValueError, OverflowError):
            continue
    try:
        return max(0.0, now_s - quantities.seconds("--since", text))
    except ValueError as error:
        raise ValueError(f"--since {text!r} is no time; write 2h, 3d, 2026-11-20 or '2026-11-20 14:00'") from error
