"""How a series of bins becomes a line."""

from __future__ import annotations

from console.protocol import Series, decode_series
from console.tui.curves import chart_line

WIDE = Series("loss", 8, 0, (3, 7), (1.0, 2.0), (0.5, 1.5), (1.5, 2.5), (1.4, 2.4), (0, 4), (0.6, 1.6))


def test_a_line_runs_from_the_first_point_through_the_middles_of_the_bins_to_the_last_point() -> None:
    line = chart_line("r1", "primary", WIDE)
    assert list(line.xs) == [0, 1.5, 5.5, 7]
    assert list(line.means) == [0.6, 1.0, 2.0, 2.4]
    assert list(line.minimums) == [0.5, 0.5, 1.5, 1.5]
    assert list(line.maximums) == [1.5, 1.5, 2.5, 2.5]


def test_bins_of_one_step_are_the_points_themselves() -> None:
    series = Series("loss", 2, 0, (3, 7), (1.0, 2.0), (1.0, 2.0), (1.0, 2.0), (1.0, 2.0), (3, 7), (1.0, 2.0))
    line = chart_line("r1", "primary", series)
    assert list(line.xs) == [3, 7]
    assert list(line.means) == [1.0, 2.0]


def test_an_older_daemon_sends_no_first_values() -> None:
    sent = {name: getattr(WIDE, name) for name in Series._fields if not name.startswith("first")}
    line = chart_line("r1", "primary", decode_series(sent))
    assert list(line.xs) == [3, 7]
    assert decode_series(WIDE._asdict()) == WIDE
