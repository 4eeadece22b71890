"""Figures that waver send nothing; those that move do."""

from __future__ import annotations

from console.tui.device_calm import calmed
from tests.gpu.looks import busy_box, card, machine


def test_what_wavers_is_kept_and_what_moves_is_shown() -> None:
    shown = machine(cpu_percent=3.0, load=(0.2, 0.1, 0.1))
    assert calmed(shown, machine(cpu_percent=6.0, load=(0.5, 0.3, 0.1))) == shown
    assert calmed(shown, machine(cpu_percent=9.0, load=(0.2, 0.1, 0.1))).cpu_percent == 9.0
    assert calmed(shown, machine(cpu_percent=0.0, load=(0.2, 0.1, 0.1))).cpu_percent == 0.0, "nothing at all is news"
    assert calmed(shown, machine(cpu_percent=None, load=(0.2, 0.1, 0.1))).cpu_percent is None
    assert calmed(None, shown) == shown


def test_slow_drift_is_shown_at_last() -> None:
    shown = machine(cpu_percent=10.0)
    for percent in range(11, 40):
        shown = calmed(shown, machine(cpu_percent=float(percent)))
    assert shown.cpu_percent is not None
    assert shown.cpu_percent >= 35.0


def test_cards_that_do_what_they_did_stay_and_others_are_shown() -> None:
    shown = machine(card(0, 97, 70.0), card(1, 0, 0.0))
    wavering = machine(card(0, 96, 70.2, temperature_c=64.0, power_w=620.0), card(1, 0, 0.0))
    assert calmed(shown, wavering).gpus == shown.gpus
    moved = calmed(shown, machine(card(0, 40, 70.0), card(1, 3, 0.0)))
    assert [gpu.utilization_percent for gpu in moved.gpus] == [40, 3]
    lost = machine(card(0, None, 0.0, problem="fell off the bus"), card(1, 0, 0.0))
    assert calmed(shown, lost).gpus[0].problem == "fell off the bus"
    assert len(calmed(busy_box(), machine()).gpus) == 0
