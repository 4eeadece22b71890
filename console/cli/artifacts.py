"""`footplate artifacts`: the files that an imported run left behind, and a look at one of them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from console.cli import output
from console.client import Client
from console.tui import text_format
from console.tui.text_format import visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from console.artifact_preview import Preview
    from console.cli.pictures import Way


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("run", help="such as r12")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--show", metavar="PATH", help="show one: a picture (PNG, JPEG, GIF, WebP) or the start of a text"
    )
    what.add_argument("--json", action="store_true", help="print them as JSON")


def execute(options: Namespace) -> int:
    """List them, or show one."""
    if options.show is not None:
        return show(options.run, options.show)
    detail = Client().run(options.run)
    if options.json:
        output.print_json({"artifacts": [each._asdict() for each in detail.artifacts]})
    elif detail.artifacts:
        for each in detail.artifacts:
            print(f"{text_format.bytes_size(each.size_bytes):>9}  {each.kind:<6} {visible(each.path)}")
    elif detail.row.tracker:
        print(f"{detail.row.label} left nothing behind that its tracker lists")
    else:
        print(f"{detail.row.label} was not imported; its own files lie in {visible(detail.working_dir)}")
    return 0


def show(run: str, path: str) -> int:
    """One artifact on the terminal."""
    if not sys.stdout.isatty():
        return output.usage_error("--show draws on a terminal, and stdout is none; --json lists the paths of files")
    from console import artifact_preview
    from console.cli import pictures

    way, space = pictures.way_for(os.environ, ascii_only=output.ascii_only()), pictures.room()
    width, height = pictures.box_for(way, space)
    preview = artifact_preview.fetch(Client(), run, path, width, height)
    return print_preview(preview, way)


def print_preview(preview: Preview, way: Way) -> int:
    """What is known of it, then as much as can be shown; returns the exit code."""
    from console.cli import pictures

    print(f"{visible(preview.path)}  {facts_of(preview)}")
    if preview.kind == "image":
        for line in pictures.lines_of(way, preview):
            print(line)
        return 0
    for line in preview.lines:
        print(visible(line.expandtabs()))
    if preview.is_cut:
        print("... and more than is shown here")
    if preview.words:
        print(visible(preview.words))
    return int(preview.words.startswith("n/a:"))


def facts_of(preview: Preview) -> str:
    """Its size, and of a picture how many pixels it has."""
    size = text_format.bytes_size(preview.size_bytes)
    if preview.kind != "image":
        return size
    return f"{preview.source_width} x {preview.source_height} {preview.format}, {size}"
