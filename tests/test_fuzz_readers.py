"""A few seconds of damage for each binary reader; `just fuzz` does more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from store.readers import wandb_log
from tests import fuzz_inputs, fuzz_readers
from tests.store.foreign_files import chunked, framed

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 3.0
SEED = 1
READERS = ("tensorboard", "wandb", "mlflow_sqlite", "trackio")


@pytest.mark.parametrize("reader", READERS)
def test_damage_of_any_kind_ends_no_reader(tmp_path: Path, reader: str) -> None:
    [found] = fuzz_readers.fuzz([reader], SEED, SECONDS, tmp_path / "kept")
    assert found.failed == 0, found.kept
    assert found.inputs > 0


def test_records_are_taken_out_of_their_frames() -> None:
    for data in fuzz_inputs.bases("tensorboard"):
        assert b"".join(map(framed, fuzz_inputs.event_records(data))) == data
    for data in fuzz_inputs.bases("wandb"):
        again = chunked(*fuzz_inputs.log_records(data))
        assert data.startswith(again[: 32768 - 7]) or again.startswith(data)


@pytest.mark.parametrize(
    ("raised", "kind"), [(KeyError("step"), "crash"), (MemoryError(), "memory"), (OSError("disk"), "crash")]
)
def test_what_a_reader_may_not_raise_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: Exception, kind: str
) -> None:
    def fail(*_: object) -> None:
        raise raised

    monkeypatch.setattr(wandb_log.Source, "look", fail)
    with pytest.raises(type(raised)):
        fuzz_readers.attempt("wandb", SEED, 0, tmp_path / "input")
    assert kind in fuzz_readers.Findings("wandb").failures


def test_the_same_number_makes_the_same_input(tmp_path: Path) -> None:
    for reader in fuzz_readers.READERS:
        for name in ("one", "other"):
            fuzz_readers.attempt(reader, SEED, 5, tmp_path / name)
        one, other = (fuzz_inputs.path_in(reader, tmp_path / name)[0].read_bytes() for name in ("one", "other"))
        assert one == other
