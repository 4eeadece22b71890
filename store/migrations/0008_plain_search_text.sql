-- What words are looked for in is kept as it is: unpacking it took most of the time of a search.
alter table run rename column search_text to packed_text;
alter table run add column search_text varchar using compression uncompressed not null default '';
update run set search_text = packed_text;
alter table run drop column packed_text;
