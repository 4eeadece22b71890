-- Runs that a tracker wrote: which, where, and what the reader knows them by; `tracker` is empty for runs of our own.
alter table run add column tracker varchar not null default '';
alter table run add column source_path varchar not null default '';
alter table run add column source_group varchar not null default '';
alter table run add column written_at_s double;
alter table run add column import_id varchar not null default '';
alter table run add column import_place varchar not null default '';
alter table run add column import_key varchar not null default '';
alter table run add column import_signature varchar not null default '';
alter table run add column import_state varchar not null default '';
-- Its points are kept, and more of them are taken in as they come.
alter table run add column is_followed boolean not null default false;

create table artifact (
    run_id varchar not null,
    path varchar not null,
    size_bytes bigint not null,
    kind varchar not null
);

-- How far the journal of an import is in the index.
create table import_cursor (
    import_id varchar primary key,
    offset_bytes bigint not null
);

-- Runs that a person deleted here: their files are still there, and they must not come back.
create table import_forgotten (
    import_id varchar not null,
    place varchar not null,
    key varchar not null
);

-- One process that two trackers wrote down is one run: what the weaker of them says is kept here, for its params.
create table import_twin (
    run_id varchar not null,
    of_id varchar not null,
    import_id varchar not null,
    place varchar not null,
    key varchar not null,
    tracker varchar not null,
    path varchar not null,
    params json not null
);
