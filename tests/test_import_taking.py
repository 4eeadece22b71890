"""What readers say on its way to the index: heard while something is written, and the newest word is the one kept."""

from __future__ import annotations

import select
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.daemon import import_reader, import_taking
from console.daemon.import_reader import ReaderProcess
from console.daemon.import_state import Import
from console.daemon.imports_taken import Outcome
from store import import_journal
from store.import_journal import Points
from store.readers.foreign import ForeignRun, MetricFinal

if TYPE_CHECKING:
    import pytest

FIXTURES = Path(__file__).parent / "fixtures"
PLACE = "mlflow_sqlite /mlflow.db"


def take(found: Import, said: str, loss: float, key: str = "key") -> None:
    """What a tracker says of a run."""
    run = ForeignRun(key, "mlflow", "/mlflow.db", f"signature-{loss}", said=said, written_at_s=time.time())
    run.metrics = {"loss": MetricFinal(loss, 1, 1, None, None, 0)}
    facts = import_journal.facts_of(run)
    import_taking.take_run(found, PLACE, facts, Points({}, from_start=False), "churn", is_odd=False)


def test_what_is_journalled_outdates_what_was_passing() -> None:
    found = Import("id", "/", "ana", 0.0, watched=False)
    take(found, "running", 0.5)
    assert [len(found.durable), len(found.passing)] == [1, 0]
    committed, found.durable = found.durable, []
    import_taking.settle(found, Outcome({committed[0]["id"]: 7}, {}, {}))
    take(found, "running", 0.25)
    take(found, "running", 0.125)
    assert [len(found.durable), len(found.passing)] == [0, 2]
    assert found.passing[-1]["no"] == 7
    take(found, "finished", 0.0625)
    assert found.passing == []
    assert found.unwritten == {}
    ((state, metrics),) = ((each["state"], each["facts"]["metrics"]) for each in found.durable)
    assert (state, metrics["loss"][0]) == ("finished", 0.0625)


def test_new_runs_are_made_ready_while_others_are_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Import("id", "/", "ana", 0.0, watched=False)
    take(found, "finished", 0.5)
    committed, found.durable = found.durable, []
    known, other = ({"run": {"key": key}, "place": PLACE} for key in ("key", "other"))
    assert not import_taking.is_new(found, known), "it has no number yet, and would get a second one"
    assert import_taking.is_new(found, other)
    assert not import_taking.is_new(found, {"looked": 0.1, "runs": 2})
    take(found, "finished", 0.25, key="other")
    assert not import_taking.is_new(found, other)
    import_taking.settle(found, Outcome({committed[0]["id"]: 7}, {}, {}))
    assert [each["facts"]["key"] for each in found.durable] == ["other"], "it is still to be committed"
    assert [known.no for known in found.runs.values()] == [7, 0]
    monkeypatch.setattr(import_taking, "AHEAD_MAX", 1)
    assert not import_taking.is_new(found, {"run": {"key": "third"}, "place": PLACE})
    found.durable, found.only_own = [], True
    assert not import_taking.is_new(found, {"run": {"key": "third"}, "place": PLACE}), "most of them will be left out"


def test_a_reader_is_heard_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_reader, "PIECE_BYTES", 1000)
    monkeypatch.setattr(import_reader, "WAITING_MAX_BYTES", 4000)
    process = ReaderProcess(str(FIXTURES / "mlflow" / "files"), {})
    heard: list[dict[str, Any]] = []
    try:
        while not (heard and "looked" in heard[-1]):
            while process.listens and select.select([process.descriptor], [], [], 0.0 if process.has_words else 5)[0]:
                process.listen()
            assert process.has_words
            assert list(process.hear(lambda record: record is None)) == [], "none of it is accepted"
            heard += process.hear()
            assert process.listens, "what was heard waits no more"
    finally:
        process.end()
    assert len([each for each in heard if "run" in each]) == heard[-1]["runs"] > 0
