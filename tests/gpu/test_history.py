"""Since when a card is held without working, and what is kept of its past."""

from __future__ import annotations

import pytest

from console.gpu.history import CARDS_MAX, MINUTES_MAX, SECONDS_MAX, History, Moment

HELD = 20_000_000_000.0


def played(*stretches: tuple[int, float | None, float | None], step_s: float = 1.0) -> tuple[History, float]:
    """A history of one card: for so many samples this utilization and memory; and the time of the last."""
    history, now_s = History(), 1000.0
    for count, utilization, memory in stretches:
        for _ in range(count):
            now_s += step_s
            history.add("GPU-0", Moment(now_s, utilization, memory, 70.0))
    return history, now_s


@pytest.mark.parametrize(
    ("stretches", "idle_s"),
    [
        ([(30, 50.0, HELD)], None),
        ([(30, 0.0, HELD)], 29.0),
        ([(30, 0.0, 1e6)], None),
        ([(30, 50.0, HELD), (20, 3.0, HELD)], 19.0),
        ([(30, 0.0, HELD), (20, 90.0, HELD)], None),
        # One window drawn on a desktop is no work, and neither ends the stretch nor counts as its begin.
        ([(30, 0.0, HELD), (1, 60.0, HELD), (30, 0.0, HELD)], 60.0),
        # A figure that is missing for a moment changes nothing.
        ([(30, 0.0, HELD), (3, None, None), (10, 0.0, HELD)], 42.0),
        # One that is never there is no idleness.
        ([(30, None, HELD)], None),
        ([(30, 0.0, None)], None),
        # Let go, and taken again.
        ([(30, 0.0, HELD), (1, 0.0, 0.0), (10, 0.0, HELD)], 9.0),
    ],
)
def test_how_long_a_card_is_held_without_working(
    stretches: list[tuple[int, float | None, float | None]], idle_s: float | None
) -> None:
    history, now_s = played(*stretches)
    assert history.idle_held_s("GPU-0", now_s) == idle_s


def test_what_nobody_watched_does_not_count() -> None:
    history, now_s = played((30, 0.0, HELD))
    assert history.idle_held_s("GPU-0", now_s + 3600) is None
    history.add("GPU-0", Moment(now_s + 3600, 0.0, HELD, 70.0))
    assert history.idle_held_s("GPU-0", now_s + 3600) == 0.0
    assert history.idle_held_s("GPU-other", now_s) is None


def test_seconds_become_means_of_minutes_and_nothing_grows_without_end() -> None:
    history, _ = played((60, 10.0, HELD), (120, None, HELD), (60, 40.0, HELD))
    minutes = list(history.cards["GPU-0"].minutes)
    assert [minute.memory_used_bytes for minute in minutes] == [HELD] * len(minutes)
    assert minutes[0].utilization_percent == 10.0
    assert any(minute.utilization_percent is None for minute in minutes)
    history, _ = played((MINUTES_MAX * 4, 10.0, HELD), step_s=30.0)
    card = history.cards["GPU-0"]
    assert (len(card.seconds), len(card.minutes)) == (SECONDS_MAX, MINUTES_MAX)
    for number in range(CARDS_MAX + 10):
        history.add(f"GPU-{number}", Moment(1.0, 0.0, 0.0, 0.0))
    assert len(history.cards) == CARDS_MAX
