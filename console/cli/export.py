"""`footplate export`: runs as a table, or with everything about them, in the same bytes for the same content."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, BinaryIO, Final

from console import run_queries
from console.cli import output, query_words
from console.client import Client, ClientError, DaemonRefused, connect, refusal, with_query

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

PIECE_BYTES: Final = 1 << 18
FORMATS: Final = ("csv", "json", "parquet", "markdown")
FIRST_BYTE_TIMEOUT_S: Final = 600.0
"""Sorting the points of a run with tens of millions takes its time."""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("runs", nargs="*", metavar="run", help="r12, 12, its id, or its first characters; else all")
    parser.add_argument("--format", choices=FORMATS, help="the run table: one line a run, in this format")
    parser.add_argument("--metrics", action="store_true", help="with csv or parquet: the points of metrics instead")
    parser.add_argument("--filter", default="", metavar="QUERY", help="only runs that fit, as of `footplate runs`")
    parser.add_argument("--state", default="", help="only these states, separated by commas")
    parser.add_argument(
        "--columns",
        default="",
        metavar="A,B",
        help="such as run,state,params.lr,metrics.loss,metrics.auc.best; a backslash goes before a comma in a name",
    )
    parser.add_argument("--json", action="store_true", help="everything about the runs, as JSON")
    parser.add_argument("--csv", action="store_true", help="the points of their metrics only, as CSV")
    parser.add_argument("-o", "--output", metavar="FILE", help="write to this file, which appears when it is whole")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")


def execute(options: Namespace) -> int:
    """Copy the daemon's stream to a file or to stdout."""
    problem = misfit(options)
    if problem:
        return output.usage_error(problem)
    if options.output is not None and not options.force and os.path.lexists(options.output):
        raise ClientError(f"{options.output} is there already", "--force replaces it; nothing was written")
    if fault := run_queries.too_long(options.filter):
        return query_words.say_fault(options.filter, fault)
    try:
        write(target_of(options), options)
    except DaemonRefused as error:
        return query_words.say_refusal(error, options.filter)
    return 0


def write(target: str, options: Namespace) -> None:
    """Write what the daemon answers, to a file that appears when it is whole. Raises ClientError."""
    if options.output is None:
        for piece in stream(target):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    temporary = f"{options.output}.{os.getpid()}.tmp"
    try:
        with created(temporary) as file:
            for piece in stream(target):
                file.write(piece)
        put_in_place(temporary, options.output, force=options.force)
    except OSError as error:
        raise ClientError(f"cannot write {options.output}: {error.strerror or error}", "name another file") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def misfit(options: Namespace) -> str:
    """Why the options do not go together; empty when they do."""
    if sum([options.json, options.csv, options.format is not None]) != 1:
        return "give --format for the run table, --json for everything, or --csv for the points of metrics"
    if options.format is None and (options.metrics or options.filter or options.state or options.columns):
        return "--metrics, --filter, --state and --columns go with --format"
    if options.metrics and options.format not in ("csv", "parquet"):
        return "the points of metrics are exported as csv or parquet"
    if options.metrics and options.columns:
        return "--columns chooses columns of the run table, not of points"
    if options.runs and (options.filter or options.state):
        return "name runs, or give a filter"
    if options.format == "parquet" and options.output is None and sys.stdout.isatty():
        return "Parquet is nothing for a terminal: -o FILE, or a pipe"
    return ""


def target_of(options: Namespace) -> str:
    """What is asked of the daemon."""
    runs = ",".join(options.runs) or None
    if options.format is None:
        return with_query("/store/export", {"format": "csv" if options.csv else "json", "runs": runs})
    query = {
        "format": options.format,
        "runs": runs,
        "text": options.filter or None,
        "states": options.state or None,
        "columns": options.columns or None,
    }
    return with_query("/export/points" if options.metrics else "/export/runs", query)


def put_in_place(temporary: str, path: str, *, force: bool) -> None:
    """Give a whole file its name; without `force` only where there is none meanwhile. Raises OSError."""
    if force:
        os.replace(temporary, path)
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        os.rename(temporary, path)


def created(path: str) -> BinaryIO:
    """A new file that only we can read: commands and notes may be nobody else's business. Raises OSError."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")


def stream(target: str) -> Iterator[bytes]:
    """The body of an answer in pieces. Raises ClientError, also when the daemon goes away before the end."""
    from http.client import HTTPException, HTTPResponse  # 22 ms that no other command has to pay

    Client().get("/ping")  # brings a daemon up, of our version
    connection = connect(start_daemon=False)
    connection.settimeout(FIRST_BYTE_TIMEOUT_S)
    with contextlib.closing(connection):
        answer = HTTPResponse(connection)
        try:
            connection.sendall(f"GET {target} HTTP/1.1\r\nHost: footplate\r\nConnection: close\r\n\r\n".encode("ascii"))
            answer.begin()
            if answer.status >= 400:
                raise refusal(answer.status, answer.read())
            if (left_out := answer.getheader("x-left-out", "0")) != "0":
                print(
                    f"footplate: {left_out} more params and metrics are no columns; --columns names them",
                    file=sys.stderr,
                )
            while piece := answer.read(PIECE_BYTES):
                yield piece
        except (OSError, HTTPException) as error:
            raise ClientError(
                f"the daemon went away in the middle of the export: {error}", "see daemon.log; export again"
            ) from error
