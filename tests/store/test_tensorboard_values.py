"""What is in the events of TensorBoard: steps, tensors, sessions of hparams, times."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import pytest

from store.readers.tensorboard import Source
from tests.store.event_files import VERSION, session, varint_of, write
from tests.store.foreign_files import event, float32, last_look, message, points_of, scalar

if TYPE_CHECKING:
    from pathlib import Path


def test_steps_and_values_of_every_form(tmp_path: Path) -> None:
    steps = [0, 1, 127, 128, 16383, 16384, 2097151, 2097152, 2**40, -1, -(2**63), 2**63 - 1, 5]
    values = [0.0, math.inf, -math.inf, 1.5, -2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
    # Twice, because the second time their shapes are known.
    data = VERSION + b"".join(
        event(1.79e9, step, scalar("x", value)) for _ in range(2) for step, value in zip(steps, values, strict=True)
    )
    write(tmp_path / "run", data + event(1.79e9, 6, scalar("x", math.nan)) + event(1.79e9, 0, message((1, "bare"))))
    run = last_look(Source(str(tmp_path / "run")))
    assert run is not None
    points = points_of(run)
    assert points["x"][:-1] == list(zip(steps, values, strict=True)) * 2
    assert math.isnan(points["x"][-1][1])
    assert points["bare"] == [(0, 0.0)]
    assert run.metrics["x"].last_step == 2**63 - 1


TENSORS = {
    "content-float": (message((1, 1), (4, struct.pack("<f", 0.5))), 0.5),
    "content-double": (message((1, 2), (4, struct.pack("<d", 0.1))), 0.1),
    "content-int": (message((1, 3), (4, struct.pack("<i", -7))), -7.0),
    "content-int64": (message((1, 9), (4, struct.pack("<q", 2**40))), float(2**40)),
    "content-half": (message((1, 19), (4, struct.pack("<e", 0.25))), 0.25),
    "content-bfloat16": (message((1, 14), (4, struct.pack("<f", 0.5)[2:])), 0.5),
    "float": (message((1, 1)) + float32(5, 0.5), 0.5),
    "float-packed": (message((1, 1), (5, struct.pack("<f", 0.5))), 0.5),
    "double": (message((1, 2), (6, 0.1)), 0.1),
    "double-packed": (message((1, 2), (6, struct.pack("<d", 0.1))), 0.1),
    "int": (message((1, 3), (7, -3)), -3.0),
    "int-packed": (message((1, 3), (7, varint_of(300))), 300.0),
    "int64": (message((1, 9), (10, 2**40)), float(2**40)),
    "int64-packed": (message((1, 9), (10, varint_of(-5))), -5.0),
}


@pytest.mark.parametrize("form", TENSORS)
def test_numbers_in_tensors(tmp_path: Path, form: str) -> None:
    tensor, value = TENSORS[form]
    metadata = message((1, message((1, "scalars"))))
    one = message((1, "loss"), (8, tensor), (9, metadata))
    write(tmp_path / "run", VERSION + b"".join(event(1.79e9, step, one) for step in (0, 1, 300, 5_000_000)))
    assert points_of(last_look(Source(str(tmp_path / "run")))) == {
        "loss": [(0, value), (1, value), (300, value), (5_000_000, value)]
    }


def test_tensors_of_several_numbers_are_no_metrics(tmp_path: Path) -> None:
    tensor = message((1, 1), (4, struct.pack("<ff", 1, 2)))
    text = message((1, "note"), (8, message((1, 7), (8, "hello"))), (9, message((1, message((1, "text"))))))
    write(tmp_path / "run", VERSION + event(1.79e9, 1, message((1, "pair"), (8, tensor)), text))
    run = last_look(Source(str(tmp_path / "run")))
    assert run is not None
    assert run.metrics == {}
    assert [(each.path, each.kind) for each in run.artifacts] == [("pair", "file"), ("note", "text")]


def test_a_session_of_hparams_that_failed_in_the_runs_own_folder(tmp_path: Path) -> None:
    params = message((1, message((1, "lr"), (2, message((2, 0.1))))), (1, message((1, "on"), (2, message((4, 1))))))
    data = VERSION + session(1.79e9, start=params) + event(1.79e9 + 5, 1, scalar("loss", 1))
    write(tmp_path / "run", data + session(1.79e9 + 9, end=message((1, 2), (2, 1.79e9 + 9))))
    run = last_look(Source(str(tmp_path / "run")))
    assert run is not None
    assert (run.said, run.params, run.ended_at_s) == ("failed", {"lr": "0.1", "on": "true"}, 1.79e9 + 9)


def test_an_end_that_was_written_at_the_beginning_is_not_believed(tmp_path: Path) -> None:
    data = VERSION + session(1.79e9, experiment=b"", start=b"", end=message((1, 1)))
    write(tmp_path / "run", data)
    run = last_look(Source(str(tmp_path / "run")))
    assert run is not None
    assert run.said == ""


def test_keras_keeps_sessions_in_runs_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, VERSION + session(1.79e9, experiment=b""))
    write(tmp_path / "run", VERSION + session(1.79e9, start=message((1, message((1, "lr"), (2, message((3, "x"))))))))
    run = last_look(Source(str(tmp_path / "run")))
    assert run is not None
    assert run.params == {"lr": "x"}
    above = last_look(Source(str(tmp_path)))
    assert above is not None
    assert above.params == {}


def test_twelve_thousand_keys(tmp_path: Path) -> None:
    data = VERSION + b"".join(event(1.79e9, 1, *(scalar(f"k/{no}", no) for no in range(12_000))) for _ in range(2))
    write(tmp_path / "run", data + b"".join(event(1.79e9, 2, scalar(f"k/{no}", 1)) for no in range(12_000)))
    run = last_look(Source(str(tmp_path / "run")))
    assert run is not None
    assert len(run.metrics) == 12_000
    assert all(final.point_count == 3 for final in run.metrics.values())


@pytest.mark.parametrize("wall_s", [math.nan, math.inf, -math.inf, 1e300])
def test_a_time_that_is_none_is_not_told(tmp_path: Path, wall_s: float) -> None:
    data = event(wall_s, 0) + event(1.79e9, 1, scalar("loss", 0.5))
    write(tmp_path / "run", data + session(1.79e9, end=message((1, 1), (2, wall_s))))
    run = last_look(Source(str(tmp_path / "run")))
    assert run is not None
    assert (run.said, run.started_at_s, run.ended_at_s) == ("finished", 1.79e9, None)
    assert run.metrics["loss"].last == 0.5
