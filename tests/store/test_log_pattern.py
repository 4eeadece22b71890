"""A log that is read by a pinned pattern instead of the grammar."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from store import derive
from store.readers.carry import Carry
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
