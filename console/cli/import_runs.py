"""`footplate import`: take in what other trackers have written: nothing is changed there, nothing of it is executed."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Final

from console.cli import output
from console.cli.imports import print_import
from console.client import Client
from console.person import whoami
from console.tui.text_format import visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from console.protocol import Json

POLL_S: Final = 0.2


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("path", nargs="?", default=".", help="a folder, or a file such as mlflow.db (default: here)")
    parser.add_argument("-d", "--detach", action="store_true", help="do not wait until everything is read")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    parser.epilog = (
        "Reads MLflow (mlruns, mlflow.db), W&B, TensorBoard, Lightning, Hugging Face, DVCLive and trackio, "
        "newest first. "
        "Runs that are still written to are followed; `footplate watch` follows a folder for good. "
        "Again on the same path: what is new. Ctrl-C leaves off, and keeps what was read."
    )


def execute(options: Namespace) -> int:
    """Read it, and say what was found."""
    client = Client()
    asked = {"path": os.path.abspath(options.path), "actor": whoami()}
    row = client.post("/imports", asked)
    address = f"/imports/{row['id']}"
    try:
        while not options.detach and not row["looked"] and not row["cancelled"]:
            show_progress(row)
            time.sleep(POLL_S)
            row = client.get(address)
    except KeyboardInterrupt:
        row = client.post(f"{address}/cancel", {})
        clear_progress()
        print(f"left off: {row['run_count']} runs were read and stay", file=sys.stderr)
        return 130
    clear_progress()
    if options.json:
        output.print_json(row)
    else:
        print_import(row)
        if options.detach and not row["looked"]:
            print("  it is being read; `footplate imports` says how far it is")
        elif row["run_count"]:
            print(f"  next: footplate, or footplate runs {visible(os.path.basename(row['root']))}")
    return 1 if row["problems"] and not row["run_count"] else 0


def show_progress(row: Json) -> None:
    """How far it is, on a line that the next one replaces."""
    if sys.stderr.isatty():
        words = f"{row['run_count']} runs in {row['place_count']} places so far"
        sys.stderr.write(f"\r\x1b[K{words if row['place_count'] else 'looking for what trackers have written'} …")
        sys.stderr.flush()


def clear_progress() -> None:
    """Take that line away."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
