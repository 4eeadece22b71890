"""A daemon in memory for tests of the screens: the same answers every time, and switches for what goes wrong."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from console import artifact_preview
from console.client import Client, DaemonRefused, DaemonUnavailable
from console.protocol import Change, Hit, LogLine, LogPage, RunDetail, RunPage, Series, Status
from tests.tui import stand_in_columns, stand_in_curves, stand_in_parts, stand_in_triage
from tests.tui.stand_in_runs import NOW_S, curve, make_run, sort_value, summary, training_log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from console.artifact_preview import Preview
    from console.devices import Devices
    from console.protocol import Json


@dataclass
class Box:
    """What the daemon in memory knows; shared by all its clients."""

    details: list[RunDetail] = field(default_factory=list)
    logs: dict[str, bytes] = field(default_factory=dict)
    away: bool = False
    notice: str = ""
    position: int = 1
    stopped: list[tuple[str, str]] = field(default_factory=list)
    pinned_metrics: list[tuple[str, str, str, str]] = field(default_factory=list)
    projects: list[dict[str, Json]] = field(default_factory=list)
    posted: list[tuple[str, Mapping[str, Json]]] = field(default_factory=list)
    answers: dict[str, dict[str, Json] | Callable[[Mapping[str, Json]], dict[str, Json]]] = field(default_factory=dict)
    """What a write is answered with, by its path; else an empty object."""
    triage: dict[str, Json] = field(default_factory=dict)
    """What differs from an empty triage."""
    devices: Devices | None = None
    """How busy the machine is; a quiet one where a test does not say."""
    presences: list[str] = field(default_factory=list)
    """Who pressed a key, as the console told."""
    searched: list[tuple[str, int, bool]] = field(default_factory=list)
    series_asked: int = 0
    """How often a curve was asked for."""
    run_queries: list[tuple[str, str, bool]] = field(default_factory=list)
    refusal: DaemonRefused | None = None
    complete: Callable[[str, int], dict[str, Json]] = lambda _, at: {"start": at, "end": at, "items": []}
    """What may come next in a query."""
    previews: dict[str, Callable[[int, int], Preview]] = field(default_factory=dict)
    """What is seen of artifacts in so many pixels at most."""
    looked_at: list[tuple[str, int, int]] = field(default_factory=list)
    heard: dict[str, int] = field(default_factory=dict)
    """Per view, up to where its feed knows of the changes."""
    news: threading.Condition = field(default_factory=threading.Condition)

    def tell(self) -> None:
        """Something changed: wake those that wait."""
        with self.news:
            self.position += 1
            self.news.notify_all()

    def preview(self, path: str, width: int, height: int) -> Preview:
        """What is to be seen of an artifact."""
        if path not in self.previews:
            raise DaemonRefused(f"left nothing behind named {path!r}", "", 404)
        return self.previews[path](width, height)

    def replace_run(self, detail: RunDetail) -> None:
        """Put another state of a run in place of the one with its id."""
        self.details = [detail if each.row.id == detail.row.id else each for each in self.details]
        self.tell()


class StandIn(Client):
    """Answers from a `Box` instead of a socket."""

    def __init__(self, box: Box) -> None:
        super().__init__(start_daemon=False)
        self.box = box

    def _check(self) -> None:
        if self.box.away:
            raise DaemonUnavailable("no daemon is running", "any footplate command starts one")

    def _detail(self, reference: str) -> RunDetail:
        self._check()
        for detail in self.box.details:
            if reference in (detail.row.id, detail.row.label):
                return detail
        raise DaemonRefused(f"there is no run {reference}", "", 404)

    def runs(
        self,
        *,
        text: str = "",
        states: str = "",  # noqa: ARG002 (the screens do not filter by state yet)
        sort: str = "started",
        descending: bool = True,
        offset: int = 0,
        limit: int = 256,
    ) -> RunPage:
        self._check()
        self.box.run_queries.append((text, sort, descending))
        if self.box.refusal is not None:
            raise self.box.refusal
        rows = [detail.row for detail in self.box.details]
        matched = [row for row in rows if text.lower() in f"{row.label} {row.name} {row.project} {row.command}".lower()]
        matched.sort(key=lambda row: (sort_value(row, sort), row.id), reverse=descending)
        return RunPage(len(rows), len(matched), offset, NOW_S, tuple(matched[offset : offset + limit]))

    def run(self, reference: str) -> RunDetail:
        detail = self._detail(reference)
        return detail._replace(log_size_bytes=len(self.box.logs.get(detail.row.id, b"")))

    def series(self, reference: str, key: str, bins: int, fold: int | None = None) -> Series:  # noqa: ARG002
        self.box.series_asked += 1
        detail = self._detail(reference)
        metric = next((each for each in detail.metrics if each.key == key), None)
        if metric is None or not metric.point_count:
            return Series(key, 0, 0, (), (), (), (), ())
        count = min(bins, metric.point_count)
        steps = tuple(round((index + 1) * metric.last_step / count) for index in range(count))
        means = tuple(curve(metric, detail.row.no, (index + 1) / count) for index in range(count))
        spread = abs(metric.last) * 0.02
        lows, highs = tuple(mean - spread for mean in means), tuple(mean + spread for mean in means)
        return Series(key, metric.point_count, 0, steps, means, lows, highs, means)

    def log(
        self, reference: str, *, start: int | None = None, before: int | None = None, max_bytes: int = 65536
    ) -> LogPage:
        detail = self._detail(reference)
        data = self.box.logs.get(detail.row.id, b"")
        end = len(data) if before is None else before
        first = max(0, end - max_bytes) if start is None else start
        first = data.rfind(b"\n", 0, first) + 1 if first else 0
        lines, position = [], first
        for raw in data[first:end].splitlines(keepends=True):
            lines.append(LogLine(position, raw.rstrip(b"\n").decode("utf-8", "replace"), 0))
            position += len(raw)
        return LogPage(first, end, len(data), detail.row.ended_at_s is not None, tuple(lines))

    def search_log(self, reference: str, text: str, *, start: int, backward: bool = False) -> Hit:
        data = self.box.logs.get(self._detail(reference).row.id, b"").lower()
        self.box.searched.append((text, start, backward))
        needle = text.encode().lower()
        found = data.rfind(needle, 0, start) if backward else data.find(needle, start)
        if found < 0:
            return Hit(None, 0 if backward else len(data), exhausted=True)
        return Hit(data.rfind(b"\n", 0, found) + 1, found, exhausted=False)

    def pin_metric(self, project: str, key: str, goal: str, actor: str) -> dict[str, Json]:
        self._check()
        self.box.pinned_metrics.append((project, key, goal, actor))
        return {"project": project, "key": key, "goal": goal, "source": "pinned"}

    def get(self, path: str, query: Mapping[str, Json] | None = None) -> dict[str, Json]:
        self._check()
        if path.endswith("/artifact") and query is not None:
            self.box.looked_at.append((query["path"], query["width"], query["height"]))
            return artifact_preview.encode(self.box.preview(*self.box.looked_at[-1]))
        if path.startswith("/chores/"):
            return {"over": True, "result": {"freed_bytes": 2 << 20}, "error": None}
        if path == "/query/complete" and query is not None:
            return self.box.complete(query["text"], query["at"])
        if path == "/runs" and query is not None:
            return stand_in_columns.table_page(self, self.box.details, query)
        if path == "/runs/columns" and query is not None:
            return stand_in_columns.columns(self.box.details, query)
        if path.endswith("/log/mark") and query is not None:
            return stand_in_parts.mark(self.box.logs.get(self._detail(path.split("/")[2]).row.id, b""), query)
        if path.endswith(("/capture", "/patch")) and query is not None:
            return stand_in_parts.answer(self._detail(path.split("/")[2]), path, query)
        if path.endswith("/curves") and query is not None:
            reference = path.split("/")[2]
            detail = self._detail(reference)
            return stand_in_curves.answer(detail.row, lambda key, bins: self.series(reference, key, bins), query)
        if path == "/devices":
            return stand_in_triage.devices(self.box.devices)
        if path == "/triage":
            return stand_in_triage.empty(NOW_S, len(self.box.details)) | self.box.triage
        assert path == "/projects"
        return {"projects": self.box.projects}

    def post(self, path: str, body: Mapping[str, Json]) -> dict[str, Json]:
        self._check()
        if self.box.refusal is not None:
            raise self.box.refusal
        if path == "/presence":
            self.box.presences.append(str(body["actor"]))
            return {"back": False}
        self.box.posted.append((path, body))
        self.box.tell()
        answer = self.box.answers.get(path, {})
        return answer(body) if callable(answer) else answer

    def post_known(self, path: str, body: Mapping[str, Json]) -> dict[str, Json]:
        return self.post(path, body)

    def stop(self, reference: str, actor: str) -> RunDetail:
        detail = self._detail(reference)
        self.box.stopped.append((detail.row.label, actor))
        stopping = detail._replace(row=detail.row._replace(state="stopping"))
        self.box.replace_run(stopping)
        return stopping

    def status(self) -> Status:
        self._check()
        rows = [detail.row for detail in self.box.details]
        return Status(
            host="gpu-03",
            user="ana",
            version="0.1.0",
            running_count=sum(row.state in ("running", "stopping") for row in rows),
            queued_count=sum(row.state == "queued" for row in rows),
            failed_count=sum(row.state == "failed" for row in rows),
            disk_used_percent=94.0,
            notice=self.box.notice,
            attention_count=sum(len(each["attention"]) for each in self.box.projects),
        )

    def changes(self, view: str, since: int) -> Change:
        with self.box.news:
            # The views all change with the box.
            self.box.heard[view] = since
            if self.box.position == since and not self.box.away:
                self.box.news.wait(0.3)
            if self.box.away:
                self.box.heard[view] = 0
            self._check()
            return Change(self.box.position, self.box.position != since)


def example_box() -> Box:
    """A box in the middle of a working day."""
    auc = "valid_0/auc"
    box = Box(
        [
            make_run(
                218,
                "vit-b lr=1e-3 aug=rand",
                state="running",
                project="vit",
                command="python train.py --lr 1e-3 --aug rand --model vit-b",
                params={"lr": "1e-3", "aug": "rand", "model": "vit-b"},
                metrics=(
                    summary("val/acc", 0.831, 41_000, points=410),
                    summary("lr", 0.00083, 41_000, "minimize", points=410),
                    summary("train/loss", 0.612, 41_000, "minimize"),
                    summary("val/loss", 0.701, 41_000, "minimize", points=410),
                ),
                started_ago_s=9612.0,
            ),
            make_run(
                219,
                "vit-b lr=3e-4",
                state="running",
                project="vit",
                command="python train.py --lr 3e-4 --model vit-b",
                params={"lr": "3e-4", "model": "vit-b"},
                metrics=(summary("val/acc", 0.798, 41_000, points=410),),
                started_ago_s=3912.0,
            ),
            make_run(220, "eval r214 robust", state="running", project="vit", started_ago_s=18.0),
            make_run(222, "vit-b lr=2e-3", state="queued", project="vit", started_ago_s=None),
            make_run(
                221,
                "vit-l lr=3e-3",
                state="failed",
                project="vit",
                metrics=(summary("val/acc", 0.723, 9_100, points=91),),
                started_ago_s=14_000.0,
                took_s=10_200.0,
                exit_code=1,
                cause="CUDA out of memory",
                evidence="Traceback (most recent call last):\ntorch.OutOfMemoryError: CUDA out of memory.",
            ),
            make_run(
                217,
                "churn lr=0.1 leaves=63",
                command="python train.py --lr 0.1 --leaves 63",
                params={"lr": "0.1", "leaves": "63"},
                metrics=(summary(auc, 0.8108, 180),),
                started_ago_s=20_000.0,
                took_s=19.2,
            ),
            make_run(
                216,
                "churn lr=0.1 leaves=31",
                command="python train.py --lr 0.1 --leaves 31",
                params={"lr": "0.1", "leaves": "31"},
                metrics=(summary(auc, 0.809, 200),),
                started_ago_s=20_400.0,
                took_s=18.4,
            ),
            make_run(
                215,
                "churn lr=9",
                state="stopped",
                metrics=(summary(auc, math.nan, 12, points=0),),
                started_ago_s=21_000.0,
                took_s=7.0,
                exit_code=None,
                signal="SIGTERM",
                cause="stopped by ana",
            ),
            make_run(
                214,
                "nightly eval",
                state="interrupted",
                project="ops",
                command="./nightly.sh --all",
                started_ago_s=90_000.0,
                took_s=4000.0,
                exit_code=None,
                cause="reboot",
            ),
        ]
    )
    for no in range(213, 190, -1):
        box.details.append(
            make_run(
                no,
                f"churn sweep {no - 190:02d}",
                command=f"python train.py --leaves {no}",
                params={"lr": "0.05", "leaves": str(no)},
                metrics=(summary(auc, 0.76 + (no * 37 % 50) / 1000, 150 + no),),
                started_ago_s=100_000.0 + 600.0 * (214 - no),
                took_s=15.0 + no % 7,
            )
        )
    box.logs[box.details[0].row.id] = training_log(400)
    box.logs[box.details[4].row.id] = (
        b"epoch 9 step 9100 loss 0.91\nTraceback (most recent call last):\n"
        b"torch.OutOfMemoryError: CUDA out of memory.\n"
    )
    return box


TO_R218 = ("down", "down", "down")
"""Keys from the top of the example's run table to the run that most tests look at."""


def run_218(box: Box) -> RunDetail:
    """That run."""
    return box.details[0]
