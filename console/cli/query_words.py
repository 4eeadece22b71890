"""What commands say of a query that cannot be answered: the words, and carets under the place."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from console import run_queries
from console.cli import output
from console.tui import text_format

if TYPE_CHECKING:
    from console.client import DaemonRefused
    from console.run_queries import Fault

INDENT: Final = " " * 11


def say_refusal(error: DaemonRefused, text: str, sort: str = "") -> int:
    """Say what the daemon has against a query, or the field to sort by; returns the exit code.

    Raises `error` again when it is about something else.
    """
    fault = run_queries.fault_of(error)
    if fault is None:
        raise error
    return say_fault(text if fault.of == "text" else sort, fault)


def say_fault(text: str, fault: Fault) -> int:
    """Say what is wrong with a query; returns the exit code."""
    # One cell a character, or the carets would not stand where they belong.
    plain = "".join(each if each.isprintable() and text_format.cell_width(each) == 1 else "?" for each in text)
    line, carets = run_queries.caret_lines(plain, fault, output.terminal_width() - len(INDENT))
    code = output.usage_error(text_format.visible(fault.message))
    print(f"{INDENT}{line}\n{INDENT}{carets}", file=sys.stderr)
    if fault.hint:
        print(f"{INDENT}{text_format.visible(fault.hint)}", file=sys.stderr)
    return code
