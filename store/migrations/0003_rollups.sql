-- Long metrics of ended runs in bins of 2^n steps that begin at multiples of 2^n, so that bins of bins are exact.
create table metric_rollup (
    run_no integer not null,
    key_id integer not null,
    start bigint not null,
    first_step bigint,
    last_step bigint,
    first double,
    last double,
    minimum double,
    maximum double,
    total double,
    finite_count bigint not null,
    not_finite_count bigint not null
);
