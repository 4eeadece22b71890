"""`footplate demo`: the sample project, run for real in the user's own state, under the project name `demo`."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Final

from console import protocol
from console.cli import long_work, output, shell
from console.cli.stop import wait_for_end
from console.client import Client, ClientError
from console.person import whoami

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from console.protocol import RunDetail, RunRow

PROJECT: Final = "demo"
PREFIX: Final = "footplate-demo-"
MANIFEST: Final = """# Made by `footplate demo`.
[project]
name = "demo"
interpreter = {interpreter}
primary_metric = {{ key = "valid/auc", goal = "maximize" }}

[jobs.train]
command = [
    "{{python}}", "train.py", "--lr", "{{lr}}", "--leaves", "{{leaves}}",
    "--model", "{{model}}", "--scale", "{{scale}}", "--repeat", "{{repeat}}", "--decreasing", "{{decreasing}}",
]
params = {{ lr = 0.1, leaves = 31, model = "trees", scale = "standard", repeat = 1, decreasing = "" }}
memory = "2GB"
outputs = ["model.txt"]
"""
SETS: Final[tuple[dict[str, str], ...]] = (
    *({"lr": lr, "leaves": leaves} for lr in ("0.3", "0.1", "0.03") for leaves in ("7", "15", "31")),
    {"lr": "0.001", "model": "linear", "scale": "none"},
    {"lr": "0.1", "decreasing": "tenure_month"},
    {"lr": "0.1", "repeat": "10000"},
)
"""Twelve trainings: the linear model leaves the numbers on features that are not scaled, one names a column that there
is not, as happens, and one wants more memory than its limit."""
EXPECTED: Final = (
    *(("finished", "ok"),) * 9,
    ("finished", "diverged"),
    ("failed", "exception"),
    ("failed", "oom_limit"),
)
"""State and kind of cause of each."""
OLD_RUNS: Final = 7
"""That history.py leaves behind in the files of two trackers."""
IMPORT_S: Final = 30.0
FEW_THREADS: Final = {"POLARS_MAX_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
"""Where the memory limit can only be one of the address space, a thread for each of many cores would fill it."""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--headless", action="store_true", help="no console: wait for the runs and print the table")
    parser.add_argument("--remove", action="store_true", help="take the runs and files of earlier demos away")
    parser.add_argument("-y", "--yes", action="store_true", help="with --remove: also its pinned runs, without asking")
    parser.add_argument("--json", action="store_true", help="with --headless: print the runs as JSON")


def execute(options: Namespace) -> int:
    """Copy the sample project, start its runs, show them."""
    client = Client()
    if options.remove:
        return remove(client, yes=options.yes)
    folder = copy_sample()
    print(f"the sample project churn is in {folder}", file=sys.stderr)
    for script in ("generate.py", "history.py"):
        execute_script(folder, script)
    watch(client, folder)
    asked = shell.context() | {"environment": environment() | FEW_THREADS, "folder": folder, "job": "train"}
    made = client.post("/jobs", asked | {"rows": list(SETS), "sweep": True})
    if options.headless or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return report(client, [new["id"] for new in made["runs"]], as_json=options.json)
    client.close()
    from console.opening import open_console

    exit_code = open_console(["--fresh"])
    print("`footplate demo --remove` takes the demo away", file=sys.stderr)
    return exit_code


def sample_folder() -> str:
    """Where the sample project lies, in a checkout and in an installed wheel alike."""
    return os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "sample_projects", "churn")


def copy_sample() -> str:
    """A copy that the runs may write into, with a manifest; returns its folder, which is called after the project."""
    try:
        folder = os.path.join(tempfile.mkdtemp(prefix=PREFIX), PROJECT)
        shutil.copytree(sample_folder(), folder, ignore=shutil.ignore_patterns("__pycache__"))
        with open(os.path.join(folder, "footplate.toml"), "w", encoding="utf-8") as file:
            file.write(MANIFEST.format(interpreter=json.dumps(sys.executable)))
    except OSError as error:
        raise ClientError(f"cannot copy the sample project: {error}", "set TMPDIR to a folder with space") from error
    return folder


def execute_script(folder: str, script: str) -> None:
    """Have a script of the sample make its files."""
    done = subprocess.run(
        [sys.executable, script], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ClientError(f"the sample's {script} ended with {done.returncode}: {done.stderr.strip()[-300:]}")


def watch(client: Client, folder: str) -> None:
    """Have the folder watched, and what trackers left in it read; waits until that is there."""
    client.post("/projects/watch", {"folder": folder, "actor": whoami()})
    deadline_s = time.monotonic() + IMPORT_S
    count = 0
    while count < OLD_RUNS and time.monotonic() < deadline_s:
        time.sleep(0.05)
        count = sum(row["run_count"] for row in client.get("/imports")["imports"] if row["root"] == folder)
    if count < OLD_RUNS:
        print(f"footplate: {count} of {OLD_RUNS} old runs were read so far", file=sys.stderr)


def environment() -> dict[str, str]:
    """Ours, without what would let the user's folders replace modules of the sample."""
    return {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}


def report(client: Client, run_ids: list[str], *, as_json: bool) -> int:
    """Wait for the runs and print them; 1 unless each ended as it should."""
    details = [wait_for_end(client, run_id) for run_id in run_ids]
    rows = [detail.row for detail in details]
    if as_json:
        output.print_json(details)
    else:
        output.print_runs(rows, details[-1].now_s)
    expected = zip(rows, EXPECTED, strict=True)
    unexpected = [row for row, (state, kind) in expected if (row.state, row.cause_kind) != (state, kind)]
    for row in unexpected:
        print(f"footplate: {row.label} {row.state}: {output.log_text(row.cause)}", file=sys.stderr)
    return 1 if unexpected else 0


def remove(client: Client, *, yes: bool) -> int:
    """Delete the runs of demos, watch their folders no more, and delete those.

    Runs that a person has pinned are named and let go of after a question, or with `yes`; nothing is touched before.
    """
    named = [row for row in client.runs(text=PROJECT, limit=10_000).rows if row.project == PROJECT]
    rows = [row for row in named if is_of_a_demo(client.run(row.id))]
    pinned = [row for row in rows if row.pinned]
    if pinned and not (yes or may_let_go(client, pinned)):
        print("footplate: nothing was removed", file=sys.stderr)
        return 1
    if pinned:
        client.post_known("/pins", {"runs": [row.id for row in pinned], "pinned": False, "actor": whoami()})
    alive = [row for row in rows if row.state not in protocol.ENDED_STATES and not row.tracker]
    for row in alive:
        client.stop(row.id, "footplate demo --remove")
    for row in alive:
        wait_for_end(client, row.id)
    roots = {client.run(row.id).working_dir for row in rows if not row.tracker}
    for project in client.get("/projects")["projects"]:
        if is_ours(project["root"]):
            client.post("/projects/unwatch", {"project": project["root"], "actor": whoami()})
            roots.add(project["root"])
    if len(rows) == len(named):
        client.delete(f"/projects/{PROJECT}/runs")
    else:
        for row in rows:
            long_work.carry_out(client, "delete", run=row.id)
    for root in filter(is_ours, roots):
        shutil.rmtree(os.path.dirname(root), ignore_errors=True)
    print(f"removed {len(rows)} runs of the project demo")
    if others := len(named) - len(rows):
        print(f"{others} of another project of that name {'stays' if others == 1 else 'stay'}")
    return 0


def may_let_go(client: Client, pinned: list[RunRow]) -> bool:
    """Whether the person at the terminal gives pinned runs up. Raises ClientError where nobody can be asked."""
    names = ", ".join(f"{row.label} {row.name}" for row in pinned)
    are, them = ("is", "it") if len(pinned) == 1 else ("are", "them")
    if not long_work.can_ask():
        hint = f"`footplate demo --remove --yes` lets go of {them} and removes the demo"
        raise ClientError(f"{names} {are} pinned, and pinned runs are not deleted: nothing was removed", hint)
    client.close()  # a person may take longer than a connection is kept
    question = f"{names} {are} pinned. Let go of {them} and remove the demo? Type {PROJECT}:"
    return long_work.type_to_confirm(question, PROJECT)


def is_of_a_demo(detail: RunDetail) -> bool:
    """Whether a run lies in a folder that a demo made: a person may have a project of that name, too."""
    parts = (detail.source_path or detail.working_dir).split("/")
    return any(one.startswith(PREFIX) and other == PROJECT for one, other in itertools.pairwise(parts))


def is_ours(root: str) -> bool:
    """Only what mkdtemp made for a demo: a person may have given another run the project name."""
    folder = os.path.dirname(root)
    return os.path.basename(folder).startswith(PREFIX) and os.path.dirname(folder) == tempfile.gettempdir()
