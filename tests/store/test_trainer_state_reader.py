from __future__ import annotations

import json
import math
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.readers import plain_params, trainer_state
from store.readers.foreign import UnreadableSourceError
from store.readers.trainer_state import Source, found_in

if TYPE_CHECKING:
    from store.readers.foreign import ForeignRun

FIXTURES = Path(__file__).parents[1] / "fixtures" / "huggingface"


def look(source: Source, follows: bool = True) -> list[ForeignRun]:
    return list(source.look({}, {"."} if follows else set()))


def saved(out: Path, number: int | None, history: Any, **more: Any) -> Path:
    folder = out if number is None else out / f"checkpoint-{number}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "trainer_state.json"
    path.write_text(json.dumps({"log_history": history, "global_step": number or 0, "max_steps": 100, **more}))
    return path


def entries(last: int) -> list[dict[str, Any]]:
    return [{"step": step, "loss": 1 / step, "epoch": step / 10} for step in range(1, last + 1)]


@pytest.mark.parametrize(("name", "count", "said"), [("out", None, "finished"), ("stopped", 5, "")])
def test_what_was_logged_is_read(name: str, count: int | None, said: str) -> None:
    history = json.loads((FIXTURES / "logged.json").read_text())["history"][:count]
    [run] = look(Source(str(FIXTURES / name)))
    expected: dict[str, list[tuple[int, float]]] = {}
    for entry in history:
        for key in entry.keys() - {"step"}:
            expected.setdefault(key, []).append((entry["step"], entry[key]))
    assert {key: list(zip(each.steps, each.values, strict=True)) for key, each in run.points.items()} == expected
    assert (run.name, run.said, run.problems, run.from_start) == (name, said, [], True)
    assert run.params == {"num_train_epochs": "2", "train_batch_size": "8", "max_steps": "40"}
    best = "20" if count else "40"
    assert run.tags["best_model_checkpoint"] == f"out/checkpoint-{best}"
    assert run.tags["best_global_step"] == best


def test_found_by_names() -> None:
    assert found_in("out", [], ["checkpoint-20", "x"]) == ["out"]
    assert found_in("out", ["trainer_state.json"], ["checkpoint-last", "checkpoint-", "my-checkpoint-3"]) == []


def test_checkpoints_of_others_give_nothing(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-3").mkdir()
    assert look(Source(str(tmp_path))) == []


def test_follows_the_newest_checkpoint(tmp_path: Path) -> None:
    source = Source(str(tmp_path))
    saved(tmp_path, 9, entries(9))
    assert look(source)[0].points["loss"].steps == list(range(1, 10))
    assert look(source) == []
    saved(tmp_path, 10, entries(10))
    [run] = look(source)
    assert (run.from_start, run.points["loss"].steps, run.said) == (False, [10], "")
    assert run.metrics["loss"].point_count == 10
    saved(tmp_path, 100, entries(100))
    assert look(source)[0].said == "finished"
    shutil.rmtree(tmp_path / "checkpoint-100")
    saved(tmp_path, 11, [{"step": 11, "loss": 5.0}])
    [run] = look(source)
    assert (run.from_start, run.metrics["loss"].point_count) == (True, 1)


def test_state_in_the_output_folder(tmp_path: Path) -> None:
    saved(tmp_path, 9, entries(9))
    saved(tmp_path, None, [*entries(9), {"train_runtime": 3.5, "step": 9}], global_step=9)
    [run] = look(Source(str(tmp_path)))
    assert (run.said, run.metrics["train_runtime"].last) == ("finished", 3.5)
    saved(tmp_path, 12, entries(12))
    [run] = look(Source(str(tmp_path)))
    assert (run.said, run.metrics["loss"].last_step) == ("", 12)


def test_cut_at_every_byte_keeps_the_last_good_state(tmp_path: Path) -> None:
    source = Source(str(tmp_path))
    saved(tmp_path, 3, entries(3))
    look(source)
    path = saved(tmp_path, 4, entries(4))
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        os.utime(path, ns=(length, length))
        [first] = look(Source(str(tmp_path)))
        assert first.metrics["loss"].point_count == 3
        [run] = look(source)
        assert (run.from_start, run.points, run.metrics["loss"].point_count) == (False, {}, 3)
    path.write_bytes(whole)
    [run] = look(source)
    assert (run.from_start, run.points["loss"].steps) == (False, [4])


def test_cut_with_nothing_to_fall_back_on(tmp_path: Path) -> None:
    path = saved(tmp_path, 4, entries(4))
    whole = path.read_bytes()
    source = Source(str(tmp_path))
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        for run in look(source):
            assert run.metrics == {}
            assert "expected the state of a trainer" in run.problems[0]
    path.write_bytes(whole)
    assert look(source)[0].metrics["loss"].point_count == 4


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 100,
        b"[]",
        b"3",
        b"null",
        b'{"log_history": 3}',
        b"[" * 100_000,
        b'{"log_history": [' + b"9" * 5000 + b"]}",
    ],
)
def test_foreign_shapes(tmp_path: Path, content: bytes) -> None:
    saved(tmp_path, 4, []).write_bytes(content)
    [run] = look(Source(str(tmp_path)))
    assert run.metrics == {}
    assert len(run.problems) == 1


def test_foreign_values(tmp_path: Path) -> None:
    history = [
        3,
        {"step": "2", "a": "0.5", "b": True, "c": None, "d": [1], "e": "text", "\ud800": 1},
        {"step": 3.0, "a": math.nan, "n": 10**400},
        {"step": True, "a": math.inf},
        {"a": "1_0"},
        {"step": math.inf, "a": -1},
    ]
    saved(tmp_path, 4, history, global_step=math.nan, max_steps="many", trial_params={"lr": 0.1, "deep": {"x": "a\nb"}})
    [run] = look(Source(str(tmp_path)))
    assert run.points["a"].steps == [2, 3, 3, 3]
    assert list(map(repr, run.points["a"].values)) == ["0.5", "nan", "inf", "-1.0"]
    assert set(run.metrics) == {"a", "?"}
    assert run.params["deep.x"] == "a\nb"
    json.dumps([list(run.metrics), run.params], ensure_ascii=False).encode()


def test_arguments_when_they_are_there(tmp_path: Path) -> None:
    saved(tmp_path, 4, entries(4))
    (tmp_path / "checkpoint-4" / "training_args.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    (tmp_path / "training_args.json").write_text('{"learning_rate": 5e-05, "fsdp": {"min": 0}, "optim": "adam"}')
    [run] = look(Source(str(tmp_path)))
    assert run.params == {"learning_rate": "5e-05", "fsdp.min": "0", "optim": "adam"}
    assert {each.path for each in run.artifacts} >= {"checkpoint-4/training_args.bin"}


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_noise(tmp_path: Path, content: bytes) -> None:
    saved(tmp_path, 4, []).write_bytes(content)
    (tmp_path / "training_args.json").write_bytes(content)
    look(Source(str(tmp_path)))


def test_too_large_a_file_is_not_read(tmp_path: Path) -> None:
    path = saved(tmp_path, 4, entries(4))
    os.truncate(path, 2 << 30)
    [run] = look(Source(str(tmp_path)))
    assert run.problems == ["checkpoint-4/trainer_state.json has more than 64 MiB; expected the state of a trainer"]


def test_known_and_followed_later(tmp_path: Path) -> None:
    saved(tmp_path, 4, entries(4))
    source = Source(str(tmp_path))
    [run] = look(source, follows=False)
    assert run.points == {}
    assert list(Source(str(tmp_path)).look({".": run.signature}, set())) == []
    [run] = look(source)
    assert (run.from_start, run.points["loss"].steps) == (True, [1, 2, 3, 4])


def test_gone_or_deleted_while_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    path = saved(out, 4, entries(4))
    saved(out, 3, entries(3))
    source = Source(str(out))

    def read_and_delete(name: str, most_bytes: int) -> bytes:
        path.unlink(missing_ok=True)
        return plain_params.read_small(name, most_bytes)

    monkeypatch.setattr(trainer_state, "read_small", read_and_delete)
    [run] = look(source)
    assert run.metrics["loss"].point_count == 3
    shutil.rmtree(out)
    with pytest.raises(UnreadableSourceError, match="expected a folder with checkpoints"):
        look(source)
