create or replace function pgq._queue_triggers(in i_queue_name text, out table_name text, out remedy text)
returns setof record as $$
-- ----------------------------------------------------------------------
-- Function: pgq._queue_triggers(1)
--     Lists the tables whose writers put events into a queue by triggers: writing to them fails when the queue is gone.
-- Parameters:
--     i_queue_name - name of the queue; it need not exist
-- Returns:
--     a row for each enabled generic trigger with this queue, and for each table that schema londiste captures into it
--     table_name - the table, with its schema
--     remedy     - what ends it: a statement, or a command of rlondiste
-- ----------------------------------------------------------------------
begin
    return query
    select t.tgrelid::regclass::text, format('drop trigger %I on %s', t.tgname, t.tgrelid::regclass)
    from pg_trigger t
        join pg_proc p on p.oid = t.tgfoid
    where p.pronamespace = 'pgq'::regnamespace
      and p.proname in ('jsontriga', 'logtriga', 'logutriga', 'sqltriga')
      and not t.tgisinternal
      -- Servers from 13 on: not the copy that a partition has of its root's trigger.
      and coalesce(to_jsonb(t) ->> 'tgparentid', '0') = '0'
      and t.tgenabled <> 'D'
      -- The arguments stand in the catalog one after the other, a zero byte after each.
      and t.tgnargs > 0
      and convert_from(substring(t.tgargs from 1 for position(E'\\x00'::bytea in t.tgargs) - 1), getdatabaseencoding())
          = i_queue_name
    order by 1, 2;
    if to_regclass('londiste.provider_table') is not null then
        return query execute
            'select t.table_name, ''rlondiste INI provider remove '' || t.table_name'
            ' from londiste.provider_table t'
            ' where t.queue_name = $1'
            '   and exists (select 1'
            '               from pg_trigger g'
            '                   join pg_class c on c.oid = g.tgrelid'
            '                   join pg_namespace n on n.oid = c.relnamespace'
            '                   join pg_proc p on p.oid = g.tgfoid'
            '               where n.nspname || ''.'' || c.relname = t.table_name'
            '                 and p.pronamespace = to_regnamespace(''londiste''))'
            ' order by t.nr'
        using i_queue_name;
    end if;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
