"""`footplate demo`: the sample project, run for real in the user's own state, under the project name `demo`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Final

from console import protocol
from console.cli import output, run
from console.cli.stop import wait_for_end
from console.client import Client, ClientError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

PROJECT: Final = "demo"
PREFIX: Final = "footplate-demo-"
ARGUMENTS: Final = (
    ("--lr", "0.1", "--leaves", "31"),
    ("--lr", "0.03", "--leaves", "7"),
    ("--lr", "0.1", "--leaves", "31", "--data", "data/december.parquet"),
)
"""Three trainings; the file of the last one does not exist, as happens."""
EXPECTED_STATES: Final = ("finished", "finished", "failed")


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--headless", action="store_true", help="no console: wait for the runs and print the table")
    parser.add_argument("--remove", action="store_true", help="take the runs and files of earlier demos away")
    parser.add_argument("--json", action="store_true", help="with --headless: print the runs as JSON")


def execute(options: Namespace) -> int:
    """Copy the sample project, start its runs, show them."""
    client = Client()
    if options.remove:
        return remove(client)
    folder = copy_sample()
    print(f"the sample project churn is in {folder}", file=sys.stderr)
    generate(folder)
    submitted = [client.submit(request(folder, list(arguments))) for arguments in ARGUMENTS]
    if options.headless or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return report(client, [new.id for new in submitted], as_json=options.json)
    client.close()
    from console.opening import open_console

    exit_code = open_console()
    print("`footplate demo --remove` takes the demo away", file=sys.stderr)
    return exit_code


def sample_folder() -> str:
    """Where the sample project lies, in a checkout and in an installed wheel alike."""
    return os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "sample_projects", "churn")


def copy_sample() -> str:
    """A copy that the runs may write into; returns its folder."""
    try:
        folder = os.path.join(tempfile.mkdtemp(prefix=PREFIX), "churn")
        shutil.copytree(sample_folder(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    except OSError as error:
        raise ClientError(f"cannot copy the sample project: {error}", "set TMPDIR to a folder with space") from error
    return folder


def generate(folder: str) -> None:
    """Make the data of the sample; the script says what it made."""
    done = subprocess.run(
        [sys.executable, "generate.py"], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ClientError(f"the sample's generate.py ended with {done.returncode}: {done.stderr.strip()[-300:]}")


def environment() -> dict[str, str]:
    """Ours, without what would let the user's folders replace modules of the sample."""
    return {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}


def request(folder: str, arguments: list[str]) -> dict[str, object]:
    """One training of the sample, with the interpreter that footplate itself uses."""
    argv = [sys.executable, "train.py", *arguments]
    asked = run.request(argv, name="", project=PROJECT, grace_s=10.0, environment=environment())
    return asked | {"working_dir": folder}


def report(client: Client, run_ids: list[str], *, as_json: bool) -> int:
    """Wait for the runs and print them; 1 unless each ended as it should."""
    details = [wait_for_end(client, run_id) for run_id in run_ids]
    rows = [detail.row for detail in details]
    if as_json:
        output.print_json(details)
    else:
        output.print_runs(rows, details[-1].now_s)
    unexpected = [row for row, state in zip(rows, EXPECTED_STATES, strict=True) if row.state != state]
    for row in unexpected:
        print(f"footplate: {row.label} {row.state}: {output.log_text(row.cause)}", file=sys.stderr)
    return 1 if unexpected else 0


def remove(client: Client) -> int:
    """Delete every run of the project `demo` and the folders that demos made."""
    rows = [row for row in client.runs(text=PROJECT, limit=10_000).rows if row.project == PROJECT]
    alive = [row for row in rows if row.state not in protocol.ENDED_STATES]
    for row in alive:
        client.stop(row.id, "footplate demo --remove")
    for row in alive:
        wait_for_end(client, row.id)
    folders = {os.path.dirname(client.run(row.id).working_dir) for row in rows}
    client.delete(f"/projects/{PROJECT}/runs")
    for folder in folders:
        # Only what mkdtemp made for a demo: a person may have given another run the project name.
        if os.path.basename(folder).startswith(PREFIX) and os.path.dirname(folder) == tempfile.gettempdir():
            shutil.rmtree(folder, ignore_errors=True)
    print(f"removed {len(rows)} runs of the project demo")
    return 0
