-- Attempts and causes of runs, what people add to them, and how far the command journal is in the index.
alter table run add column cause_kind varchar not null default '';
alter table run add column attempt integer not null default 1;
alter table run add column attempts_max integer not null default 1;
alter table run add column pinned boolean not null default false;
alter table run add column archived_at_s double;
alter table run add column user_cpu_s double;
alter table run add column system_cpu_s double;
alter table run add column max_resident_bytes bigint;

-- The attempt that wrote a point: a resumed run repeats steps, and then the later attempt counts.
alter table metric add column attempt smallint not null default 1;

create table note (
    id varchar primary key,
    run_id varchar not null,
    at_s double not null,
    actor varchar not null,
    text varchar not null
);

create table tag (
    run_id varchar not null,
    name varchar not null,
    at_s double not null,
    actor varchar not null,
    primary key (run_id, name)
);

create table command_cursor (
    id integer primary key,
    offset_bytes bigint not null
);
