"""Write the fixtures of trackio with trackio itself: `python write_trackio.py OUT_FOLDER`.

Runs in an environment of its own, with trackio; see tests/fixtures/trackio/README.md. Beside the database it writes
`reported.json`: what trackio's own reader says of each run.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import sys

OUT = os.path.abspath(sys.argv[1])
os.environ["TRACKIO_DIR"] = os.path.join(OUT, "trackio")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["LOGNAME"] = os.environ["USER"] = "ana"

import trackio  # type: ignore[import-not-found,unused-ignore]  # noqa: E402
from trackio.sqlite_storage import SQLiteStorage  # type: ignore[import-not-found,unused-ignore]  # noqa: E402

PROJECT = "digits"


def write() -> None:
    """A few runs."""
    quiet = {"auto_log_gpu": False, "auto_log_cpu": False, "embed": False}
    config = {"lr": 0.1, "model": {"depth": 12, "name": "für"}, "layers": [1, 2], "prompt": "a\nb\n", "none": None}
    run = trackio.init(PROJECT, name="plain", group="first", config=config, **quiet)
    for step in range(40):
        run.log({"loss": 1 / (step + 1), "train/acc": step / 40})
    run.log({"loss": 9.0, "late": 1}, step=3)
    run.finish()
    run = trackio.init(PROJECT, name="odd", config={}, **quiet)
    for value in (1.0, math.nan, math.inf, -math.inf):
        run.log({"odd": value, "whole": 3, "word": "text", "flag": True})
    run.log({"nested": {"deep": 2.5}, "odd": 2.0})
    run.finish()


def reported() -> dict[str, object]:
    """What trackio says, by name of the run."""
    found: dict[str, object] = {}
    for record in SQLiteStorage.get_run_records(PROJECT):
        name, run_id = record["name"], record.get("id")
        found[name] = {
            "id": run_id,
            "config": SQLiteStorage.get_run_config(PROJECT, name, run_id=run_id),
            "logs": [
                {key: str(value) if isinstance(value, float) else value for key, value in log.items()}
                for log in SQLiteStorage.get_logs(PROJECT, name, run_id=run_id)
            ],
        }
    return found


def main() -> None:
    """Write them."""
    os.makedirs(OUT, exist_ok=True)
    os.chdir(OUT)
    write()
    with open("reported.json", "w", encoding="utf-8") as file:
        json.dump({"trackio": trackio.__version__, "runs": reported()}, file, indent=1, sort_keys=True)
        file.write("\n")
    database = sqlite3.connect(os.path.join(OUT, "trackio", f"{PROJECT}.db"))
    database.execute("pragma wal_checkpoint(truncate)")
    database.execute("vacuum")
    database.close()


if __name__ == "__main__":
    main()
