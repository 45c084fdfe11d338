create or replace function londiste.capture_function(
    i_number int, i_capture londiste.capture, i_table oid, i_relation oid, i_operation text)
returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_function(5)
--     The statement that makes one capture function of a relation.
-- Parameters:
--     i_number    - number of the generated functions
--     i_operation - i, u, d or t
-- ----------------------------------------------------------------------
declare
    v_source text := londiste.capture_event_source(i_table, i_relation, i_operation,
                       londiste.capture_live_key(i_table, i_relation, i_capture.key_columns), i_capture.ignored_columns);
    v_branches text;
    v_ready text;
begin
    select string_agg(format(
'        if event_table = %s then
            %s;
            if found or %s then
                return null;
            end if;
        end if;
', n.nr, replace(londiste.capture_insert(q.queue_id, n.nr, v_source), E'\n', E'\n            '),
           replace(londiste.capture_queue_check(q.queue_id, n.nr), E'\n', ' ')), '' order by n.nr),
           format('londiste.capture_ready(%L::regclass, %L::regclass, array[%s], %s, %L::text[], %L)',
                  i_table, i_relation,
                  string_agg(format('%L::regclass', to_regclass(q.queue_data_pfx || '_' || n.nr)::oid), ', ' order by n.nr),
                  q.queue_id, i_capture.key_columns, londiste.capture_plan(i_table, i_relation, i_capture.key_columns))
    into v_branches, v_ready
    from pgq.queue q
    cross join lateral generate_series(0, q.queue_ntables - 1) n(nr)
    where q.queue_name = i_capture.queue_name
    group by q.queue_id;

    return format(
$q$create or replace function londiste.%I() returns trigger
as $capture$
-- Generated: captures %s of %s for queue "%s". To be made anew by londiste.provider_refresh_table.
declare
    event_table int;
begin
    if tg_relid = %s then
        event_table := %s;
%s    end if;
    execute londiste.capture_statement(%L, %L, tg_relid, %L);
    return null;
end;
$capture$ language plpgsql security definer set search_path = pg_catalog, pg_temp%s$q$,
        format('capture_%s_%s', i_number, i_operation),
        case i_operation when 'i' then 'insert' when 'u' then 'update' when 'd' then 'delete' else 'truncate' end,
        i_relation::regclass, i_capture.queue_name,
        i_relation, v_ready, v_branches,
        i_capture.queue_name, i_capture.table_name, i_operation,
        londiste.capture_settings());
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
