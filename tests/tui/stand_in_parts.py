"""What the daemon in memory says of captures and of marks in logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.client import DaemonRefused
from console.daemon import log_marks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.protocol import Json, RunDetail

PATCH = b"""diff --git a/data/aug.py b/data/aug.py
index 3f1c2a0..9b7d1e4 100644
--- a/data/aug.py
+++ b/data/aug.py
@@ -38,7 +38,7 @@ def transforms(size):
     norm = T.Normalize(MEAN, STD)
     flip = T.RandomHorizontalFlip()
-    tf = T.Compose([flip, norm])
+    tf = T.Compose([flip, RandAug(2, 9), norm])
     return tf
"""
RECORD = {
    "format": 1,
    "state": "captured",
    "at_s": 1_760_000_000.0,
    "folder": "/home/ana/vit",
    "git": {
        "root": "/home/ana/vit",
        "commit": "4f9c1d2b7a6e5f4c3b2a19080706050403020100",
        "branch": "aug",
        "dirty": True,
    },
    "diff": {"file": "diff.patch", "size_bytes": len(PATCH), "masked_line_count": 1, "without": []},
    "changed": [{"path": "data/aug.py", "size_bytes": 2114, "blake3": "ab"}],
    "untracked": {"count": 2, "complete": True, "names": [["notes.md", 310], ["sweep.yaml", 120]]},
    "submodules": [],
    "files": [{"path": "sweep.yaml", "size_bytes": 120, "blake3": "cd", "blob": "ef"}],
    "left_out": [["notes.md", "no part of the project"]],
    "environment": {"CUDA_VISIBLE_DEVICES": "0,1", "WANDB_API_KEY": "***", "PATH": "/home/ana/vit/.venv/bin:/usr/bin"},
    "hardware": {
        "host": "gpu-03",
        "kernel": "Linux 6.8.0",
        "machine": "x86_64",
        "cpu": "AMD EPYC 9654",
        "core_count": 192,
        "usable_core_count": 96,
        "memory_bytes": 811_000_000_000,
        "gpus": [{"model": "NVIDIA H100 80GB HBM3", "bus": "0000:1b:00.0"}] * 8,
        "nvidia_driver": "570.86.15",
    },
    "interpreter": {
        "path": "/home/ana/vit/.venv/bin/python",
        "version": "3.11.9",
        "packages": "0a",
        "package_count": 3,
    },
}
PACKAGES = [["numpy", "2.4.6"], ["torch", "2.9.1"], ["vit", "0.3.0", "file:///home/ana/vit"]]


def mark(data: bytes, query: Mapping[str, Json]) -> dict[str, Json]:
    """The next line that tells of an error or a warning, or the one before."""
    kind, start = query["kind"], query["start"]
    if query["backward"]:
        found = log_marks.last_line(data, kind, start)[0] if start else None
        return {"offset_bytes": found, "scanned_to_bytes": found or 0, "exhausted": found is None}
    begin = start if start == 0 or data[start - 1 : start] == b"\n" else data.find(b"\n", start) + 1 or len(data)
    found, _ = log_marks.first_line(data[begin:], kind)
    if found is None:
        return {"offset_bytes": None, "scanned_to_bytes": len(data), "exhausted": True}
    return {"offset_bytes": begin + found, "scanned_to_bytes": begin + found, "exhausted": False}


def answer(detail: RunDetail, path: str, query: Mapping[str, Json]) -> dict[str, Json]:
    """The capture of a run of the project vit, or its patch; the others have none."""
    if detail.row.tracker:
        raise DaemonRefused("it was imported: nothing was captured of its code", "", 409)
    has = detail.row.project == "vit"
    if path.endswith("/capture"):
        record, packages = (RECORD, PACKAGES) if has else ({}, [])
        reason = "" if has else "n/a: no interpreter was found"
        return {"attempt": query["attempt"], "attempts": [0], "record": record, "packages": packages, "reason": reason}
    data = PATCH if has else b""
    lines, offset = [], 0
    for line in data.splitlines():
        lines.append([offset, line.decode(), 0])
        offset += len(line) + 1
    return {"start_bytes": 0, "end_bytes": len(data), "size_bytes": len(data), "ended": True, "lines": lines}
