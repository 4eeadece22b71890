"""Params of runs in rows: the tables `param` and `param_key`, which say what the column `run.params` says.

Filters and orders of the run table read them. They are written with the column, in the same transaction, by whoever
writes that (`run_rows.insert_runs`, `run_rows.update_runs`, `twins.merge_params`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from store.database import insert_frame

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from store.database import Cursor

NUMBER_PATTERN: Final = r"\s*[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)\s*"
"""A text that counts as a number, in any case; RE2 and Python's `re` (with `re.ASCII`) take it alike."""
NEW_KEYS: Final = """
    insert into param_key
    select (select coalesce(max(id), 0) from param_key) + row_number() over (order by name), name
    from (
        select distinct unnest(json_keys(params)) as name from run where {condition}
        except select name from param_key
    )
"""
NEW_NAMES: Final = """
    insert into param_key
    select (select coalesce(max(id), 0) from param_key) + row_number() over (order by name), name
    from (select unnest($names::varchar[]) as name except select name from param_key)
"""
KNOWN_NAMES: Final = "select name, id from param_key"
PAIRS: Final = f"""
    insert into param
    select pair.run_no, param_key.id, pair.entry.value,
        case when regexp_full_match(pair.entry.value, '{NUMBER_PATTERN}', 'i')
        then try_cast(trim(pair.entry.value) as double) end
    from (
        select no as run_no,
            unnest(map_entries(coalesce(try_cast(params as map(varchar, varchar)), map {{{{}}}}))) as entry
        from run where {{condition}}
    ) pair join param_key on param_key.name = pair.entry.key
    order by 2, 1
"""
"""By key: of many runs at once it then lies together what a filter by one key reads, and the rest is passed over."""


def put_params(cursor: Cursor, run_ids: Sequence[str], *, new: bool = False) -> None:
    """Bring the rows of these runs to what their column says; `new` runs have no rows yet. Raises duckdb.Error."""
    given = {"ids": list(run_ids)}
    condition = "id in (select unnest($ids::varchar[]))"
    if not new:
        cursor.execute(f"delete from param where run_no in (select no from run where {condition})", given)
    cursor.execute(NEW_KEYS.format(condition=condition), given)
    cursor.execute(PAIRS.format(condition=condition), given)


def put_new_params(cursor: Cursor, runs: Sequence[tuple[int, Mapping[str, str]]]) -> None:
    """The rows of new runs, by number, when their params are at hand: in a fifth of the time. Raises duckdb.Error."""
    import polars as pl

    numbers: list[int] = []
    names: list[str] = []
    texts: list[str] = []
    for no, params in runs:
        numbers += [no] * len(params)
        names += params
        texts += params.values()
    ids = dict(cursor.execute(KNOWN_NAMES).fetchall())
    if not ids.keys() >= set(names):
        cursor.execute(NEW_NAMES, {"names": list(dict.fromkeys(names))})
        ids = dict(cursor.execute(KNOWN_NAMES).fetchall())
    text = pl.col("text")
    frame = pl.DataFrame(
        {
            "run_no": pl.Series(numbers, dtype=pl.Int32),
            "key_id": pl.Series([ids[name] for name in names], dtype=pl.Int32),
            "text": pl.Series(texts, dtype=pl.String),
        }
    ).with_columns(
        number=pl.when(text.str.contains(f"(?i)^(?:{NUMBER_PATTERN})$")).then(
            text.str.strip_chars().cast(pl.Float64, strict=False)
        )
    )
    insert_frame(cursor, frame.sort("key_id", "run_no"), "insert into param select * from frame")
