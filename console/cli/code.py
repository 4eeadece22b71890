"""`footplate code`: commit, changes and kept files of a run, and the patch of what ran."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from console.cli import output
from console.client import Client

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from console.run_parts import Capture


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("run", help="r12, 12, its id, or the first characters of the id")
    parser.add_argument("--attempt", type=int, default=0, metavar="N", help="as it was at the start of that attempt")
    parser.add_argument("--patch", action="store_true", help="print the patch and nothing else: `git apply` takes it")
    parser.add_argument("--json", action="store_true", help="print it as JSON, without the patch")


def execute(options: Namespace) -> int:
    """Print the state of the code, or its patch; exit code 1 when nothing was captured."""
    from console import run_parts, run_sections

    client = Client()
    captured = run_parts.capture(client, options.run, options.attempt)
    if options.patch:
        return print_patch(client, options.run, captured)
    if options.json:
        names = ("state", "at_s", "folder", "git", "diff", "changed", "untracked", "submodules", "files", "left_out")
        record = {name: captured.record.get(name) for name in names}
        output.print_json(record | {"attempt": captured.attempt, "attempts": captured.attempts})
    else:
        output.print_lines(run_sections.code(captured, client.run(options.run)))
    return 0 if captured.record else 1


def print_patch(client: Client, run: str, captured: Capture) -> int:
    """All of the patch, stretch by stretch; on a terminal with its colours."""
    from console import run_parts, run_sections

    diff = run_sections.mapping(captured.record.get("diff"))
    if "size_bytes" not in diff:
        print(f"footplate: no patch: {diff.get('reason', 'nothing was captured of this run')}", file=sys.stderr)
        return 1
    start, at_end, pending = 0, False, b""
    on_terminal = sys.stdout.isatty()
    while not at_end:
        data, start, at_end = run_parts.raw_patch(client, run, captured.attempt, start)
        if not on_terminal:
            sys.stdout.buffer.write(data)
            continue
        *whole, pending = (pending + data).split(b"\n")
        texts = [line.decode("utf-8", "replace") for line in (whole + [pending] * (at_end and bool(pending)))]
        output.print_lines([run_sections.TextLine(text, run_sections.patch_tone(text)) for text in texts])
    sys.stdout.flush()
    if masked := diff.get("masked_line_count"):
        print(f"footplate: secrets are masked in {masked} lines, so it does not give the exact files", file=sys.stderr)
    return 0
