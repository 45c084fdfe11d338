create or replace function pgq.jsontriga()
returns trigger as $$
-- ----------------------------------------------------------------------
-- Function: pgq.jsontriga(0)
--     Puts each change of a table into a queue, as JSON. ev_type is {"op":"INSERT|UPDATE|DELETE|TRUNCATE",
--     "table":["schema","table"],"pkey":["column",...]}; ev_data an object of the whole row; ev_extra1 schema.table.
--     Refuses to change the key.
-- Arguments:
--     queue name, then any of
--     ignore=COL,...     columns that do not go into events; an update of only these makes no event
--     pkey=COL,...       key columns, instead of the primary key's
--     backup             ev_extra2 of an update gets the old row
--     SKIP               BEFORE triggers: the event takes the place of the write, which does not happen
--     deny               refuse every write
--     when=EXPR          make an event only when EXPR, over the columns of the new row (in deletes the old one), holds
--     ev_type=EXPR, ev_data=EXPR, ev_extra1=EXPR .. ev_extra4=EXPR
--                        set a field of the event. Functions in expressions are written with their schema, except the
--                        server's own; pgq._trigger_expressions(2) says for which tables expressions are computed
-- Columns named _pgq_ev_type, _pgq_ev_data, _pgq_ev_extra1 .. _pgq_ev_extra4 set these fields and are no data.
-- Calls:
--     pgq._trigger_check(6), pgq._trigger_expressions(2), pgq._trigger_insert(9)
-- Silent, whatever the arguments say, in sessions whose session_replication_role is local: the way to write without replication.
-- Rights:
--     runs as the owner of schema pgq: a writer needs no right there. The settings that shape the text of values
--     are pinned, so that events do not depend on the writer's session
-- ----------------------------------------------------------------------
declare
    v_args      constant text[] := coalesce(tg_argv, '{}')::text[];
    v_query     text;
    v_computed  text[];
    v_skip      boolean := false;
    v_old       text;
    v_new       text;
begin
    if current_setting('session_replication_role') = 'local' then
        -- Servers before 11 have no OLD in an insert and no NEW in a delete.
        if tg_level <> 'ROW' then
            return null;
        elsif tg_op = 'DELETE' then
            return old;
        end if;
        return new;
    end if;

    -- The usual trigger has the queue's name only; it should not pay for the options.
    if tg_nargs <> 1 or tg_level <> 'ROW' then
        v_skip := pgq._trigger_check(tg_op, tg_when, tg_level, tg_table_schema, tg_table_name, v_args);
    end if;
    if tg_nargs > 1 then
        v_query := pgq._trigger_expressions(tg_relid, v_args);
    end if;
    if tg_op in ('UPDATE', 'DELETE') then
        v_old := old::text;
    end if;
    if tg_op in ('INSERT', 'UPDATE') then
        v_new := new::text;
    end if;
    if v_query is not null and tg_op = 'DELETE' then
        execute v_query into v_computed using old;
    elsif v_query is not null then
        execute v_query into v_computed using new;
    end if;
    perform pgq._trigger_insert('json', tg_op, tg_relid, tg_table_schema, tg_table_name, v_args,
                                v_old, v_new, v_computed);

    if tg_level <> 'ROW' or v_skip then
        return null;
    elsif tg_op = 'DELETE' then
        return old;
    end if;
    return new;
end;
$$ language plpgsql security definer
    set search_path = pg_catalog, pg_temp
    set datestyle = 'ISO, YMD'
    set intervalstyle = 'postgres'
    set timezone = 'UTC'
    set extra_float_digits = 3
    set bytea_output = 'hex'
    set lc_monetary = 'C';
