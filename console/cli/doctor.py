"""`footplate doctor`: whether everything around footplate is as it should be, and what to do where it is not."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any, Final

from console import config, daemon_process
from console.cli import output
from console.client import ClientError
from console.tui import terminal, text_format
from console.version import VERSION

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from console.doctor.finding import Finding

EXIT_FAILED: Final = 1
MARKS: Final = {"ok": "✓", "warn": "!", "fail": "✗"}
ASCII_MARKS: Final = {"ok": "+", "warn": "!", "fail": "x"}
COLOURS: Final = {"ok": "\x1b[34m", "warn": "\x1b[33m", "fail": "\x1b[31;1m"}
NAME_CELLS: Final = 14


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    parser.add_argument("--bundle", metavar="FILE", help="also write a tar.gz for a report, without secrets and names")
    parser.add_argument(
        "--remember", action="store_true", help="look at the glyphs yourself, and keep the answer in config.toml"
    )
    parser.epilog = "Nothing is started and nothing is changed, but for what --bundle and --remember write."


def execute(options: Namespace) -> int:
    """Look, say what was found; 1 when something does not work."""
    if options.remember:
        remember_glyphs()
    from console.doctor import bundle, examination

    if options.bundle and os.path.lexists(options.bundle):
        raise ClientError(f"{options.bundle} is there already", "name another file; nothing was written")
    found = examination.examine()
    facts = facts_of(found.findings)
    if options.bundle:
        files = {
            "daemon.log": daemon_process.log_path(daemon_process.state_dir()),
            "config.toml": config.user_path(os.environ),
            "system-config.toml": config.SYSTEM_PATH,
        }
        try:
            bundle.write(options.bundle, facts, found.daemon, files)
        except OSError as error:
            raise ClientError(
                f"cannot write {options.bundle}: {error.strerror or error}", "name another file"
            ) from error
    if options.json:
        output.print_json(facts)
    else:
        print_findings(found.findings)
        if options.bundle:
            print(f"\nwritten: {text_format.visible(options.bundle)}; look through it before you pass it on")
    return EXIT_FAILED if any(each.verdict == "fail" for each in found.findings) else 0


def facts_of(findings: list[Finding]) -> dict[str, Any]:
    """What was found, with the versions of everything below us."""
    return {
        "version": VERSION,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()),
        "checks": [each._asdict() for each in findings],
    }


def print_findings(findings: list[Finding]) -> None:
    """What needs doing last, where it is still on the screen."""
    marks = ASCII_MARKS if output.ascii_only() else MARKS
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    columns = max(40, shutil.get_terminal_size((100, 24)).columns) - 1
    order = ("ok", "warn", "fail")
    for each in sorted(findings, key=lambda finding: order.index(finding.verdict)):
        mark = f"{COLOURS[each.verdict]}{marks[each.verdict]}\x1b[0m" if coloured else marks[each.verdict]
        name, found = text_format.visible(each.name), text_format.visible(each.found)
        indent = " " * (NAME_CELLS + 3)
        head = f"{name:<{NAME_CELLS}} " if len(name) <= NAME_CELLS else f"{name}: "
        wrapped = textwrap.wrap(head + found, columns - 2, subsequent_indent=indent[2:], break_long_words=False)
        print(f"{mark} {wrapped[0]}")
        for line in wrapped[1:]:
            print(f"  {line}")
        if each.advice:
            print(f"{indent}-> {text_format.visible(each.advice)}")
    counts = {verdict: sum(each.verdict == verdict for each in findings) for verdict in order}
    print(f"\n{counts['ok']} fine, {counts['warn']} could be better, {counts['fail']} to repair")


def remember_glyphs() -> None:
    """Show braille, ask what it looks like, write the answer. Raises ClientError where nobody can be asked."""
    from console import config_edit
    from console.doctor.screen import SAMPLE

    if not terminal.has_terminal():
        raise ClientError("nobody is there to look at the glyphs", "run it on a terminal, without pipes")
    path = config.user_path(os.environ)
    print(f"\n    {SAMPLE}\n")
    print("Is that a row of dots in waves, without boxes or question marks? [y/n] ", end="", flush=True)
    said = sys.stdin.readline().strip().lower()
    if said not in ("y", "yes", "n", "no"):
        raise ClientError("neither yes nor no: nothing was remembered")
    glyphs = "braille" if said.startswith("y") else "ascii"
    try:
        config_edit.remember(path, "glyphs", glyphs)
    except config_edit.ConfigEditError as error:
        raise ClientError(f"{path} was not changed: {error}", f'write glyphs = "{glyphs}" into it') from error
    except OSError as error:
        raise ClientError(f"cannot write {path}: {error.strerror or error}") from error
    print(f'glyphs = "{glyphs}" is in {text_format.visible(path)} now\n')
