-- Functions that do their work, over the schema of londiste_2.sql: what commands read by them on a subscriber of Londiste
-- 2.1.12, in plain SQL.
create or replace function londiste.subscriber_get_table_list(q text) returns setof londiste.ret_subscriber_table as $$
    select table_name, merge_state, snapshot, trigger_name, skip_truncate
    from londiste.subscriber_table where queue_name = $1 order by nr
$$ language sql;
create or replace function londiste.subscriber_get_seq_list(q text) returns setof text as
    $$ select seq_name from londiste.subscriber_seq where queue_name = $1 order by nr $$ language sql;

create or replace function londiste.quote_fqname(fq text) returns text as $$
    select quote_ident(split_part($1, '.', 1)) || '.' || quote_ident(split_part($1, '.', 2))
$$ language sql strict immutable;
create or replace function londiste.find_rel_oid(tbl text, kind text) returns oid as $$
    select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = split_part($1, '.', 1) and c.relname = split_part($1, '.', 2) and c.relkind = $2::"char"
$$ language sql strict stable;
create or replace function londiste.find_table_oid(tbl text) returns oid as
    $$ select londiste.find_rel_oid($1, 'r') $$ language sql strict stable;
create or replace function londiste.find_seq_oid(tbl text) returns oid as
    $$ select londiste.find_rel_oid($1, 'S') $$ language sql strict stable;

create or replace function londiste.find_table_fkeys(tbl text) returns setof londiste.subscriber_pending_fkeys as $$
    select n1.nspname || '.' || t1.relname, n2.nspname || '.' || t2.relname, c.conname::text,
           format('alter table only %I.%I add constraint %I %s', n1.nspname, t1.relname, c.conname,
                  pg_get_constraintdef(c.oid))
    from pg_constraint c
        join pg_class t1 on t1.oid = c.conrelid join pg_namespace n1 on n1.oid = t1.relnamespace
        join pg_class t2 on t2.oid = c.confrelid join pg_namespace n2 on n2.oid = t2.relnamespace
    where c.contype = 'f' and londiste.find_table_oid($1) in (c.conrelid, c.confrelid)
$$ language sql strict stable;
create or replace function londiste.find_table_triggers(tbl text) returns setof londiste.subscriber_pending_triggers as $$
    select $1, tgname::text, pg_get_triggerdef(oid) from pg_trigger
    where tgrelid = londiste.find_table_oid($1) and not tgisinternal and tgname !~ '_logger$'
$$ language sql strict stable;
create or replace function londiste.subscriber_get_table_pending_fkeys(t text)
returns setof londiste.subscriber_pending_fkeys as
    $$ select * from londiste.subscriber_pending_fkeys where $1 in (from_table, to_table) $$ language sql;
create or replace function londiste.subscriber_get_queue_valid_pending_fkeys(q text)
returns setof londiste.subscriber_pending_fkeys as $$
    select p.* from londiste.subscriber_pending_fkeys p
    where not exists (
        select from londiste.subscriber_table s
        where s.queue_name = $1 and s.table_name in (p.from_table, p.to_table)
          and (s.merge_state is distinct from 'ok' or s.snapshot is not null))
$$ language sql;
create or replace function londiste.subscriber_get_table_pending_triggers(t text)
returns setof londiste.subscriber_pending_triggers as
    $$ select * from londiste.subscriber_pending_triggers where table_name = $1 $$ language sql;
