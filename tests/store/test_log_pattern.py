"""A log that is read by a pinned pattern instead of the grammar."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from store import derive, journal
from store.batches import JournalCursor, read_batch
from store.readers.carry import Carry
from store.readers.metric_lines import MAX_KEY_CHARS
from store.readers.pinned_pattern import PinnedPattern

if TYPE_CHECKING:
    from pathlib import Path

LINES = "epoch 1\nit 3 >> loss 0.5\n>> loss 0.25\nstep=9 acc=0.5\n\x1b[32mit 4\x1b[0m >> loss 0.125\n"
PATTERN = r"(?:it (?P<step>\d+) )?>> loss (?P<loss>\S+)"


def points_of(folder: Path, pattern: PinnedPattern | None, text: str = LINES) -> list[tuple[int, dict[str, Any]]]:
    (folder / "output.log").write_text(text, encoding="utf-8")
    path = str(folder / "output.log")
    looked, points, at_end = derive.log_points(path, 0, Carry(), final=True, pattern=pattern)
    assert (looked, at_end) == (len(text), True)
    return [(point["step"], point["values"]) for point in points]


def test_what_the_pattern_does_not_match_is_no_metric(tmp_path: Path) -> None:
    found = points_of(tmp_path, PinnedPattern(PATTERN))
    assert found == [(3, {"loss": 0.5}), (3, {"loss": 0.25}), (4, {"loss": 0.125})]
    assert {"acc": 0.5} in [values for _, values in points_of(tmp_path, None)]


def test_lines_without_a_step_take_the_one_before_or_are_counted(tmp_path: Path) -> None:
    pattern = PinnedPattern(r"(?:it (?P<step>\d+))|>> loss (?P<loss>\S+)")
    text = ">> loss 1\n>> loss 2\nit 7\n>> loss 3\n>> loss 4\n"
    assert [step for step, _ in points_of(tmp_path, pattern, text)] == [0, 1, 7, 7]


def test_the_journal_names_the_pattern_and_goes_on_with_its_carry(tmp_path: Path) -> None:
    log, pattern = tmp_path / "output.log", PinnedPattern(PATTERN)
    log.write_text("it 3 >> loss 0.5\n", encoding="utf-8")
    for more in ("", ">> loss 0.25\n"):
        with log.open("a", encoding="utf-8") as file:
            file.write(more)
        state = derive.open_derivation("run", str(tmp_path), pattern=pattern)
        assert not derive.derive(state, 1, final=False)
        state.close()
    records = list(map(json.loads, (line[9:] for line in (tmp_path / "derived.jsonl").read_bytes().splitlines())))
    assert records[0]["pattern"] == PATTERN
    assert [(each["step"], each["values"]["loss"]) for each in records[1:]] == [(3, 0.5), (3, 0.25)]


def test_where_the_log_is_told_anew_nothing_of_it_was_said_before(tmp_path: Path) -> None:
    carry = Carry(step=4).to_json()
    point = {"kind": "log", "at_us": 1, "end": 9, "step": 1, "values": {"loss": 1.0}, "carry": carry}
    restart = {"kind": "log_restart", "at_us": 2, "parser": 1, "pattern": ""}
    output = journal.Journal(derive.derived_path(str(tmp_path)))
    before = output.append([{"kind": "metrics", "at_us": 1, "end": 0, "generation": 3}, point])
    output.append([restart])
    state = derive.open_derivation("run", str(tmp_path))
    assert (state.log_end, state.carry, state.generation) == (0, Carry(), 3)
    state.close()
    output.append([{**point, "values": {"acc": 1.0}}])
    output.close()
    state = derive.open_derivation("run", str(tmp_path))
    assert (state.log_end, state.carry.step) == (9, 4)
    state.close()
    first = read_batch("run", 1, str(tmp_path), JournalCursor(), 3)
    assert first is not None
    assert (first.points.keys, first.full, first.voids_log) == ({"loss": 0}, True, False)
    assert first.cursor.offset_bytes == before
    then = read_batch("run", 1, str(tmp_path), first.cursor, 3)
    assert then is not None
    assert (then.points.keys, then.full, then.voids_log) == ({"acc": 0}, False, True)


def test_names_that_a_line_makes_up_are_cut(tmp_path: Path) -> None:
    pattern = PinnedPattern(r"(?P<key>\w+)=(?P<value>\S+)")
    [(_, values)] = points_of(tmp_path, pattern, f"{'x' * 1000}=1\n")
    assert list(values) == ["x" * MAX_KEY_CHARS]
