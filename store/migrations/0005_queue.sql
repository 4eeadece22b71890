-- Where a run belongs: the sweep that it was enqueued with, and the job of a manifest that it was made from.
alter table run add column sweep varchar not null default '';
alter table run add column job varchar not null default '';
