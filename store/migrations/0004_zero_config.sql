-- Series that restart inside one process are folds 1..k; what a person pins or adds by hand; where params come from.
alter table metric add column fold smallint not null default 1;
alter table metric_rollup add column fold smallint not null default 1;

-- Where the newest point of a metric stands, from which the next one is known for a restart or not.
alter table metric_latest add column fold smallint not null default 1;
alter table metric_latest add column attempt smallint not null default 1;
alter table metric_latest add column first_step bigint;
alter table metric_latest add column epoch double;
update metric_latest set first_step = seen.first_step, attempt = seen.attempt
from (select run_no, key_id, min(step) as first_step, max(attempt) as attempt from metric group by all) seen
where metric_latest.run_no = seen.run_no and metric_latest.key_id = seen.key_id;

-- Only of metrics with more than one fold.
create table metric_fold (
    run_no integer not null,
    key_id integer not null,
    fold smallint not null,
    step bigint not null,
    value double not null,
    minimum double,
    maximum double,
    point_count bigint not null,
    primary key (run_no, key_id, fold)
);

-- `primary_key_id` and `primary_goal` are what counts; what names alone say is kept for the day a pin is taken off.
alter table run add column guessed_key_id integer;
alter table run add column guessed_goal varchar not null default '';
alter table run add column primary_source varchar not null default 'guessed';
update run set guessed_key_id = primary_key_id, guessed_goal = primary_goal;

-- The origin is 'pinned' for what a person said and 'manifest' for what footplate.toml says.
create table metric_pin (
    project varchar not null,
    origin varchar not null,
    key varchar not null,
    goal varchar not null,
    at_s double not null,
    actor varchar not null,
    primary key (project, origin)
);

-- Metrics by hand as the command journal has them; `settled` says that they are among the points of the run.
create table hand_point (
    request varchar not null,
    key varchar not null,
    run_id varchar not null,
    step bigint not null,
    at_s double not null,
    value double not null,
    actor varchar not null,
    settled boolean not null default false,
    primary key (request, key)
);

-- `script` is that of the command; `params_pending` that a worker still has files to read for an ended run.
alter table run add column script varchar not null default '';
alter table run add column param_sources json;
alter table run add column params_pending boolean not null default false;

create table literal (
    run_id varchar not null,
    name varchar not null,
    value varchar not null,
    line integer not null,
    primary key (run_id, name)
);
