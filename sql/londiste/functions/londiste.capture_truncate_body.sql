create or replace function londiste.capture_truncate_body(i_capture londiste.capture, i_table oid, i_relation oid, i_suffix text)
returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_truncate_body(4)
--     Returns the PL/pgSQL statements of the capture functions for TRUNCATE.
--
--     TRUNCATE of a partitioned table becomes one event. TRUNCATE of a partition becomes deletes, because the event would empty
--     the whole table on the subscriber. TRUNCATE of the table also truncates its partitions, whose triggers must then write
--     nothing: the table's trigger before TRUNCATE inserts a mark, and the one after TRUNCATE deletes it. The mark has the
--     table's oid, because one statement may truncate partitions of several tables. The mark is a row that only the schema's
--     owner can write: a setting could be set by any session, which could then truncate a partition without an event.
--
--     A detached partition has its trigger until the next maintenance, but its rows no longer belong to the table and make no
--     events.
-- Parameters: i_suffix - t or m, as londiste.capture_objects returns it
-- ----------------------------------------------------------------------
declare
    v_is_partitioned boolean := (select c.relkind = 'p' from pg_class c where c.oid = i_relation);
begin
    if i_suffix = 'm' then
        return
'insert into londiste.capture_truncation as t (relation, txid)
values (tg_relid, pg_catalog.txid_current())
on conflict (relation) do update set txid = excluded.txid;
return null;
';
    elsif i_relation = i_table then
        return format(
'execute londiste.capture_statement(%L, %L, tg_relid, %L, %L);
%sreturn null;
', i_capture.queue_name, i_capture.table_name, 't', 'statement',
            case when v_is_partitioned
                 then E'delete from londiste.capture_truncation t where t.relation operator(pg_catalog.=) tg_relid;\n' end);
    end if;
    return format(
'if exists (
    select from londiste.capture_truncation t
    where t.relation operator(pg_catalog.=) londiste.capture_root(%L, %L, tg_relid)
      and t.txid operator(pg_catalog.=) pg_catalog.txid_current())
then
    return null;
end if;
perform londiste.capture_check_snapshot(tg_relid);
if not exists (
    select from londiste.capture_relations(londiste.capture_root(%L, %L, tg_relid)) r(relation)
    where r.relation operator(pg_catalog.=) tg_relid)
then
    return null;
end if;
v_settings := londiste.capture_pin(null);
execute londiste.capture_statement(%L, %L, tg_relid, %L, %L);
perform londiste.capture_pin(v_settings);
return null;
', i_capture.queue_name, i_capture.table_name, i_capture.queue_name, i_capture.table_name, i_capture.queue_name,
        i_capture.table_name, 'd', 'table');
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
