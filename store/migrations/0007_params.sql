-- Params in rows, so that a filter or an order of the run table reads one key and not the JSON of every run.
create table param_key (
    id integer primary key,
    name varchar not null
);

-- What `run.params` says, see `store/params.py`; `number` where the text is one.
create table param (
    run_no integer not null,
    key_id integer not null,
    text varchar not null,
    number double
);

insert into param_key
select row_number() over (order by name), name
from (select distinct unnest(json_keys(params)) as name from run);

insert into param
select pair.run_no, param_key.id, pair.entry.value,
    case when regexp_full_match(pair.entry.value, '\s*[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)\s*', 'i')
    then try_cast(trim(pair.entry.value) as double) end
from (
    select no as run_no, unnest(map_entries(coalesce(try_cast(params as map(varchar, varchar)), map {}))) as entry
    from run
) pair join param_key on param_key.name = pair.entry.key
order by 1, 2;
