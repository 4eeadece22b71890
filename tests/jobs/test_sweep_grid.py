"""What a sweep expands to."""

from __future__ import annotations

import pytest

from console.jobs.sweep_grid import SweepError, expand, parse_axis, parse_rows, split_list


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("lr=1e-3,1e-4", ("1e-3", "1e-4")),
        ("seed=1..5", ("1", "2", "3", "4", "5")),
        ("seed=3..1", ("3", "2", "1")),
        ("x=-1..1", ("-1", "0", "1")),
        ("x=0..1..0.25", ("0.00", "0.25", "0.50", "0.75", "1.00")),
        ("x=0.1..0.3..0.1", ("0.1", "0.2", "0.3")),
        ("seed=1..3,10", ("1", "2", "3", "10")),
        ("path=../data", ("../data",)),
        ("name=", ("",)),
        ("name=a b,$(rm -rf /),'q'", ("a b", "$(rm -rf /)", "'q'")),
        (r"name=a\,b,c\\", ("a,b", "c\\")),
        (r"pattern=\d+", (r"\d+",)),
        ("eq=a=b", ("a=b",)),
        ("text=one\ntwo", ("one\ntwo",)),
    ],
)
def test_values_of_a_param(text: str, values: tuple[str, ...]) -> None:
    axis = parse_axis(text)
    assert (axis.name, axis.values) == (text.split("=")[0], values)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lr", "names no param"),
        ("=3", "names no param"),
        ("x=0.5..1", "needs a step"),
        ("x=1..5..0", "must not be 0"),
        ("x=1..5..-1", "leads away"),
        ("x=1..100000", "100,000 values"),
        ("x=log(0..1)", "above 0"),
        ("x=uniform(2..1)", "smaller than the second"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, said: str) -> None:
    with pytest.raises(SweepError, match=said):
        parse_axis(text)


def test_a_grid_has_every_combination_and_the_last_param_goes_fastest() -> None:
    sets = expand([parse_axis("lr=1e-3,1e-4"), parse_axis("seed=1..3")])
    assert sets[:4] == [
        {"lr": "1e-3", "seed": "1"},
        {"lr": "1e-3", "seed": "2"},
        {"lr": "1e-3", "seed": "3"},
        {"lr": "1e-4", "seed": "1"},
    ]
    assert len(sets) == 6
    assert expand([]) == [{}]


def test_a_million_combinations_are_refused_before_they_are_made() -> None:
    with pytest.raises(SweepError, match=r"1,000,000 combinations \(a 1,000 x b 1,000\)") as caught:
        expand([parse_axis("a=1..1000"), parse_axis("b=1..1000")])
    assert "--random" in caught.value.hint


def test_side_by_side_and_listed() -> None:
    axes = [parse_axis("lr=1,2"), parse_axis("wd=3,4")]
    assert expand(axes, zipped=True) == [{"lr": "1", "wd": "3"}, {"lr": "2", "wd": "4"}]
    with pytest.raises(SweepError, match="as many values"):
        expand([parse_axis("lr=1,2"), parse_axis("wd=3")], zipped=True)
    rows = parse_rows([{"lr": 0.1, "amp": True}, {"lr": "2e-3", "amp": False}])
    assert expand([parse_axis("seed=1,2")], rows=rows)[1] == {"lr": "0.1", "amp": "true", "seed": "2"}
    with pytest.raises(SweepError, match="row 2"):
        parse_rows([{}, {"lr": [1]}])
    with pytest.raises(SweepError, match="by -p and by the list"):
        expand([parse_axis("lr=1")], rows=rows)


def test_random_sets_are_those_of_the_seed_and_differ() -> None:
    axes = [parse_axis("lr=log(1e-5..1e-1)"), parse_axis("layers=2,4,8"), parse_axis("n=int(1..3)")]
    sets = expand(axes, random_count=40, seed=7)
    assert sets == expand(axes, random_count=40, seed=7)
    assert sets != expand(axes, random_count=40, seed=8)
    assert len({tuple(each.values()) for each in sets}) == 40
    assert all(1e-5 <= float(each["lr"]) <= 1e-1 and each["n"] in "123" for each in sets)
    assert sum(float(each["lr"]) < 1e-3 for each in sets) > 10
    with pytest.raises(SweepError, match="only 3 different sets"):
        expand([parse_axis("layers=2,4,8")], random_count=4)
    with pytest.raises(SweepError, match="which a grid cannot list"):
        expand(axes)


def test_a_param_that_is_given_twice() -> None:
    with pytest.raises(SweepError, match="given twice"):
        expand([parse_axis("a=1"), parse_axis("a=2")])


def test_commas_in_values() -> None:
    assert split_list(r"a\,b,c") == ["a,b", "c"]
    assert split_list("") == [""]
