"""What a name of a query stands for, and the SQL that gives its values: to compare, and to sort by.

Of a name without prefix the first counts that there is: a fact of every run (`facts.FACTS`), a param, a metric. A name
in quotes is never a fact. `metric.x` and `param.x` choose, and so does a form: `best(x)` is of a metric.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from store.primary_metric import guess_goal
from store.query_language.errors import QueryError, shown
from store.query_language.facts import FACTS, FLAGS, Fact
from store.query_language.values import NUMBER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.query_language.names import Names
    from store.query_language.tree import Field


class ParamField(NamedTuple):
    """A param."""

    key_id: int


class MetricField(NamedTuple):
    """A metric in one of its forms, as SQL for rows of `run_no` and `value`, no run twice."""

    rows: str


Resolved: TypeAlias = Fact | ParamField | MetricField
FOLD_BESTS: Final = """
    left join (
        select run_no, key_id, avg(minimum) as minimum, avg(maximum) as maximum from metric_fold group by all
    ) fold on fold.run_no = latest.run_no and fold.key_id = latest.key_id
"""
"""The best of a metric that restarted is the mean of its folds' bests, as the run table shows it."""
BEST: Final = """case {goal} when 'maximize' then coalesce(fold.maximum, latest.maximum)
    else coalesce(fold.minimum, latest.minimum) end"""
BEST_UNFOLDED: Final = "case {goal} when 'maximize' then latest.maximum else latest.minimum end"
"""The same while no metric has restarted: a goal that is written out then spares reading the other column."""
UNREAD: Final = "coalesce({best}, case latest.point_count when 0 then latest.value end)"
"""Of an imported run whose points nobody has asked for yet the best is at least its last value, which has a place."""
COLUMNS: Final = {"": "latest.value", "last": "latest.value", "min": "latest.minimum", "max": "latest.maximum"}
SMOOTH: Final = """
    select run_no, sum(value * pow({alpha}, age)) / sum(pow({alpha}, age)) as value from (
        select run_no, value, row_number() over (partition by run_no order by step desc, at_us desc) - 1 as age from (
            select * from (
                select metric.* from metric {join} where {condition}
                qualify fold = max(fold) over (partition by metric.run_no)
            ) where isfinite(value) qualify attempt = max(attempt) over (partition by run_no, step)
        )
    ) group by run_no
"""
"""The last value of the debiased EMA: with n points the weight of the one k before the last is
(1 - alpha) alpha^k / (1 - alpha^n). Of the newest fold; of a step that several attempts wrote, the latest counts."""


class Ordering(NamedTuple):
    """How to sort by a field: what to join to `run`, and expressions that follow each other in weight."""

    joins: str
    terms: tuple[str, ...]
    """Each without direction; NULL comes last either way."""
    may_be_nan: bool = False
    """The first term is a double that may be nan, which comes after the numbers either way."""
    rises: bool = False
    """The first term tends to be higher the later a run came."""
    rows: str = ""
    """Rows of `run_no` and `value` that give the only term without a join, where there are such: no run twice, and one
    that is missing has no term."""
    holds: str = "true"
    """What is true of a run whose row counts."""


def resolve(field: Field, names: Names) -> Resolved:
    """What a field stands for. Raises QueryError when there is no such thing, duckdb.Error."""
    plain = not field.quoted and not field.of
    word = field.name.lower()
    if plain and word in FACTS and not (field.form and word != "metric"):
        if form := primary_form(field):
            return MetricField(primary_rows(form, field.alpha, names))
        return FACTS[word]
    if plain and not field.form and word in FLAGS:
        raise QueryError(f"{shown(word)} stands alone", field.start, field.end, f"`{word}` or `not {word}`")
    # `--lr=0.1` is what stands in a command.
    for name in dict.fromkeys((field.name, field.name.lstrip("-"))):
        if field.of != "metric" and not field.form and (key_id := names.param(name)) is not None:
            return ParamField(key_id)
        if field.of != "param" and (key_id := names.metric(name)) is not None:
            return metric_field(key_id, name, field, names)
    raise unknown(field, names)


def primary_form(field: Field) -> str:
    """What of the primary metric a field stands for; empty for any other field."""
    word = field.name.lower()
    if field.quoted or field.of or word not in FACTS or FACTS[word].kind != "metric":
        return ""
    if word == "metric":
        return field.form or "best"
    return "" if field.form else "step"


def metric_field(key_id: int, name: str, field: Field, names: Names) -> MetricField:
    """A metric by its key. Raises duckdb.Error."""
    source = f"from metric_latest latest {{joins}} where latest.key_id = {key_id}"
    if field.form in COLUMNS:
        return MetricField(f"select latest.run_no, {COLUMNS[field.form]} as value {source.format(joins='')}")
    if field.form == "smooth":
        return MetricField(SMOOTH.format(alpha=float(field.alpha), join="", condition=f"metric.key_id = {key_id}"))
    goal = guess_goal(name)
    best, joins = bests([key_id], names)
    expression = f"'{goal}'"
    if names.other_goals(key_id, goal):
        joins += " join run owner on owner.no = latest.run_no"
        expression = f"(case owner.primary_key_id when {key_id} then owner.primary_goal else '{goal}' end)"
    return MetricField(f"select latest.run_no, {best.format(goal=expression)} as value {source.format(joins=joins)}")


def bests(keys: Sequence[int], names: Names) -> tuple[str, str]:
    """The best of `latest` as SQL with a place for the `goal`, and the join that it needs. Raises duckdb.Error."""
    return (BEST, FOLD_BESTS) if names.has_folds(keys) else (BEST_UNFOLDED, "")


def primary_rows(form: str, alpha: float, names: Names) -> str:
    """The primary metric of every run. Raises duckdb.Error."""
    if form == "smooth":
        join = "join run owner on owner.no = metric.run_no"
        return SMOOTH.format(alpha=float(alpha), join=join, condition="metric.key_id = owner.primary_key_id")
    source = """from run owner
        join metric_latest latest on latest.run_no = owner.no and latest.key_id = owner.primary_key_id"""
    if keys := names.primary_keys():
        # Said twice, so that DuckDB passes over the other metrics before it joins.
        source += f" and latest.key_id in ({', '.join(map(str, keys))})"
    if form == "best":
        best, joins = bests(keys, names)
        return f"select latest.run_no, {best.format(goal=names.primary_goal('owner'))} as value {source} {joins}"
    column = "latest.step" if form == "step" else COLUMNS[form]
    return f"select latest.run_no, {column}::double as value {source}"


def unknown(field: Field, names: Names) -> QueryError:
    """The error for a name that there is not, with those that may have been meant."""
    if NUMBER.fullmatch(field.name) and not field.quoted:
        words = f"{shown(field.name)} is a number where the name of a field is expected"
        return QueryError(words, field.start, field.end, "the name comes first, such as `lr > 0.1`")
    of = field.of or ("metric" if field.form else "")
    kind = {"": "metric or param", "metric": "metric", "param": "param"}[of]
    near = [name for name in names.near(field.name, of) if name != field.name]
    hint = f"did you mean {' or '.join(map(shown, near))}?" if near else "quote it to search for the text"
    if not near and of:
        hint = ""
    return QueryError(f"no {kind} named {shown(field.name)}", field.start, field.end, hint)


def primary_ordering(form: str, names: Names) -> Ordering:
    """Runs by their primary metric, joined with where it stands; `primary_rows` would join all runs once more.

    Raises duckdb.Error.
    """
    keys = names.primary_keys()
    more, holds = "", "latest.key_id = run.primary_key_id"
    if len(keys) == 1:
        holds = f"run.primary_key_id = {keys[0]}"
        more = f" and latest.key_id = {keys[0]}"
    elif keys:
        more = f" and latest.key_id in ({', '.join(map(str, keys))})"
    joins, value = "", "latest.step" if form == "step" else COLUMNS.get(form, "")
    if form == "best":
        best, joins = bests(keys, names)
        value = best.format(goal=names.primary_goal("run"))
        if names.has_unread(keys):
            value = UNREAD.format(best=value)
    term = f"({value})::double"
    rows = ""
    if len(keys) == 1 and "run." not in value:
        rows = (
            f"select latest.run_no, {term} as value from metric_latest latest {joins} where latest.key_id = {keys[0]}"
        )
    joins = f"left join metric_latest latest on latest.run_no = run.no and {holds}{more} {joins}"
    return Ordering(joins, (term,), may_be_nan=True, rows=rows, holds=holds)


def ordering(field: Field, names: Names) -> Ordering:
    """How to sort by a field: numbers before texts, what is not a number after them, runs without it last.

    Raises QueryError, duckdb.Error.
    """
    if (form := primary_form(field)) and form != "smooth":
        return primary_ordering(form, names)
    plain = not (field.quoted or field.of or field.form)
    found = FACTS["run"] if plain and field.name == "no" else resolve(field, names)
    if isinstance(found, ParamField):
        join = f"left join param sorted on sorted.run_no = run.no and sorted.key_id = {found.key_id}"
        return Ordering(join, ("sorted.number", "lower(sorted.text)"))
    if isinstance(found, MetricField):
        join = f"left join ({found.rows}) sorted on sorted.run_no = run.no"
        # A smoothed value takes long: not twice, when the rows turn out not to be enough.
        rows = "" if field.form == "smooth" else found.rows
        return Ordering(join, ("sorted.value::double",), may_be_nan=True, rows=rows)
    if found.kind == "many":
        join = f"""left join (
            select run_id, min(lower(text)) as text from ({found.sql}) group by run_id
        ) sorted on sorted.run_id = run.id"""
        return Ordering(join, ("sorted.text",))
    if found.kind in ("text", "words"):
        return Ordering("", (f"nullif(lower({found.sql}), '')",))
    return Ordering("", (found.sql,), rises=found.kind in ("time", "run"))
