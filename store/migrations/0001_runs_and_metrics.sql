-- Text ULID keys outside, integers inside `metric`: ids with a shared prefix defeat zone maps.
-- No foreign keys and no secondary indexes: DuckDB refuses harmless updates of rows that have them.
create table run (
    id varchar primary key,
    no integer not null,
    name varchar not null,
    project varchar not null,
    state varchar not null,
    cause varchar not null default '',
    evidence varchar not null default '',
    command varchar not null,
    argv json not null,
    working_dir varchar not null,
    host varchar not null,
    params json not null,
    created_at_s double not null,
    started_at_s double,
    ended_at_s double,
    exit_code integer,
    signal varchar not null default '',
    primary_key_id integer,
    primary_goal varchar not null default '',
    search_text varchar not null
);

create table metric_key (
    id integer primary key,
    name varchar not null
);

create table metric (
    run_no integer not null,
    key_id integer not null,
    step bigint not null,
    at_us bigint not null,
    value double not null,
    source tinyint not null
);

create table metric_latest (
    run_no integer not null,
    key_id integer not null,
    step bigint not null,
    at_us bigint not null,
    value double not null,
    minimum double,
    maximum double,
    point_count bigint not null,
    source tinyint not null,
    primary key (run_no, key_id)
);

create table journal_cursor (
    run_id varchar primary key,
    offset_bytes bigint not null,
    metrics_end_bytes bigint not null,
    next_step bigint not null,
    skipped_lines bigint not null,
    skipped_example varchar not null
);
