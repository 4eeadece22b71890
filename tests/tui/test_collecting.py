"""The collector looks through everything while nobody types, and not for ever later."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from console.tui.collecting import AT_THE_LATEST_S, EVERY_S, REST_S, Collecting

if TYPE_CHECKING:
    import pytest


def test_it_waits_for_a_rest_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    collected: list[float] = []
    now_s = 1000.0
    monkeypatch.setattr(gc, "collect", lambda: collected.append(now_s))
    collecting = Collecting(lambda: now_s)
    now_s += EVERY_S
    collecting.pressed()
    assert not collecting.tick(), "somebody types"
    now_s += REST_S
    assert collecting.tick()
    now_s += EVERY_S / 2
    assert not collecting.tick(), "it was done lately"
    for _ in range(int(AT_THE_LATEST_S)):
        now_s += 1.0
        collecting.pressed()
        collecting.tick()
    assert len(collected) == 2
    assert now_s - collected[1] < EVERY_S


def test_the_collector_is_left_on_and_the_oldest_generation_to_the_rests() -> None:
    before, enabled = gc.get_threshold(), gc.isenabled()
    try:
        gc.disable()
        Collecting(lambda: 0.0).begin()
        assert gc.isenabled()
        assert gc.get_threshold()[2] > 1000
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
        if not enabled:
            gc.disable()
