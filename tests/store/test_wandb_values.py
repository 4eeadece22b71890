"""What is in the records of W&B: values, media, summaries, configs, times."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest

from tests.store.foreign_files import chunked, history, item, message, points_of
from tests.store.wandb_logs import RUN, look, write

if TYPE_CHECKING:
    from pathlib import Path


def test_values_of_every_form(tmp_path: Path) -> None:
    values = {"a": "NaN", "b": '"Infinity"', "c": "-Infinity", "d": "true", "e": "1e400", "f": '"text"', "g": "null"}
    media = {"_type": "image-file", "path": "media/images/x.png", "size": 77}
    records = [
        history(2, 0, values | {"pic": json.dumps(media), "tree": '{"x": 1, "y": {"z": 2}}', "list": "[1]"}),
        history(3, -5, {"n": "-0.5"}),
        message((1, 4), (2, message((1, item("plain", "1")), (2, message((1, 9)))))),
        message((1, 5), (2, message((1, message((1, "flag"), (4, 1)))))),
        message((1, 5), (2, message((1, message((1, "int"), (5, 7))), (1, message((2, "text"), (7, "x")))))),
        message((1, 5), (2, message((1, message((2, "real"), (6, 0.25)))))),
        message((1, 5), (2, message((1, message((2, "json"), (8, '{"q": 3}')))))),
    ]
    write(tmp_path, chunked(RUN, *records, *records))
    run = look(tmp_path)
    points = {key: column * 1 for key, column in points_of(run).items()}
    assert all(math.isnan(value) for _, value in points.pop("a"))
    assert points == {
        "b": [(0, math.inf)] * 2,
        "c": [(0, -math.inf)] * 2,
        "d": [(0, 1)] * 2,
        "e": [(0, math.inf)] * 2,
        "tree.x": [(0, 1)] * 2,
        "tree.y.z": [(0, 2)] * 2,
        "n": [(-5, -0.5)] * 2,
        "plain": [(9, 1)] * 2,
        "flag": [(0, 1)] * 2,
        "int": [(0, -4)] * 2,
        "real": [(0, 0.25)] * 2,
        "json.q": [(0, 3)] * 2,
    }
    assert [(each.path, each.kind, each.size_bytes) for each in run.artifacts] == [("media/images/x.png", "image", 77)]
    assert run.problems == []


def test_media_in_parts_are_no_metrics(tmp_path: Path) -> None:
    parts = {
        "t._type": '"table-file"',
        "t.path": '"media/table/t.json"',
        "t.size": "12",
        "t.nrows": "1e999",
        "loss": "1",
    }
    summary = message((1, 3), (3, message(*((1, item(*each)) for each in parts.items()))))
    write(tmp_path, chunked(RUN, *(record for no in range(3) for record in (summary, history(no, no, parts)))))
    run = look(tmp_path)
    assert points_of(run) == {"loss": [(0, 1), (1, 1), (2, 1)]}
    assert run.metrics.keys() == {"loss"}
    assert [(each.path, each.kind, each.size_bytes) for each in run.artifacts] == [("media/table/t.json", "table", 12)]


def test_the_summary_counts_where_the_history_has_nothing(tmp_path: Path) -> None:
    summary = message(
        (1, 3), (3, message((1, item("loss", "5")), (1, item("best", "2")), (1, item("_wandb.runtime", "1"))))
    )
    write(tmp_path, chunked(RUN, summary, history(4, 3, {"loss": "5"}), summary))
    run = look(tmp_path)
    assert {key: (final.last, final.point_count) for key, final in run.metrics.items()} == {
        "loss": (5, 1),
        "best": (2, 0),
    }
    assert run.metrics["best"].last_step == 3


def test_configs_that_change(tmp_path: Path) -> None:
    def config(field: int, key: str, value: str) -> bytes:
        return message((1, 2), (5, message((field, item(key, value)))))

    records = [config(1, "a", '{"x": 1, "y": 2}'), config(1, "b", "1"), config(1, "a", '{"x": 3}')]
    write(
        tmp_path,
        chunked(RUN, *records, message((1, 2), (5, message((2, message((1, "b")))))), config(1, "_wandb", "{}")),
    )
    assert look(tmp_path).params == {"a.x": "3"}


def test_halves_of_surrogates_are_replaced(tmp_path: Path) -> None:
    config = message((1, 2), (5, message((1, item("é", '{"\\ud800é": "\\udc00"}')))))
    write(tmp_path, chunked(RUN, config, history(2, 0, {"a": '{"\\ud800": 1}'})))
    run = look(tmp_path)
    assert run.params == {"é.?é": "?"}
    assert points_of(run) == {"a.?": [(0, 1)]}


@pytest.mark.parametrize("whole", [2**63 - 1, -(2**63), 9_000_000_000_000])
def test_times_that_are_none_are_not_told(tmp_path: Path, whole: int) -> None:
    begun = message((17, message((1, "abcd1234"), (17, message((1, whole))))))
    write(tmp_path, chunked(begun, message((18, message((1, 0), (2, 2**63))))))
    run = look(tmp_path)
    assert (run.said, run.started_at_s) == ("finished", None)
    assert run.ended_at_s == run.written_at_s


def test_twelve_thousand_keys(tmp_path: Path) -> None:
    values = {f"k/{no}": str(no) for no in range(12_000)}
    write(tmp_path, chunked(RUN, history(2, 0, values), history(3, 1, values)))
    run = look(tmp_path)
    assert len(run.metrics) == 12_000
    assert all(final.point_count == 2 for final in run.metrics.values())
