create or replace function londiste.provider_refresh_table(i_queue_name text, i_table_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_refresh_table(2)
--     Generates the capture functions of a table anew when the table, its partitions, its key or its queue has changed.
-- Returns: 1; 0 when the functions are up to date, and for a table that the original tools added
-- Raises: undefined_object when the table is not in the set; as londiste.capture_generate
-- Warns, Writes, Locks: as londiste.capture_generate
-- ----------------------------------------------------------------------
declare
    v_table_name text := londiste.full_name(i_table_name);
begin
    if not exists (select 1 from londiste.capture c where c.queue_name = i_queue_name and c.table_name = v_table_name) then
        if exists (select 1 from londiste.provider_table t
                   where t.queue_name = i_queue_name and t.table_name = v_table_name) then
            -- The original tools added the table: pgq.logtriga captures its changes.
            return 0;
        end if;
        raise exception using
            errcode = 'undefined_object',
            message = 'no such table registered',
            detail = format('Table %s is not in the set of queue "%s".', v_table_name, i_queue_name);
    end if;
    return londiste.capture_generate(i_queue_name, v_table_name);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

create or replace function londiste.provider_refresh_table(i_queue_name text, i_table_name text, i_capture text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_refresh_table(3)
--     Captures a table by other triggers from now on, and generates its capture functions anew as provider_refresh_table(2). The
--     order of events stays right: a trigger is replaced under a lock that writers wait for. A table that the original tools added
--     gets capture functions in place of the trigger pgq.logtriga.
-- Parameters: i_capture - auto, statement or row, as for londiste.provider_add_table_as
-- Returns, Raises, Warns, Locks: as provider_refresh_table(2) and londiste.capture_replace; invalid_parameter_value for another word
-- Writes: londiste.capture
-- ----------------------------------------------------------------------
begin
    if i_capture not in ('auto', 'statement', 'row') then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('cannot capture by "%s"', i_capture),
            hint = 'Capture is auto, statement or row.';
    end if;
    if exists (select 1 from londiste.provider_table t
               where t.queue_name = i_queue_name and t.table_name = londiste.full_name(i_table_name))
        and not exists (select 1 from londiste.capture c
                        where c.queue_name = i_queue_name and c.table_name = londiste.full_name(i_table_name)) then
        return londiste.capture_replace(i_queue_name, i_table_name, i_capture, 'sql', null, '{}');
    end if;
    update londiste.capture c
    set capture = i_capture, update_level = null, adapted_at = null, adapted_to = null
    where c.queue_name = i_queue_name and c.table_name = londiste.full_name(i_table_name) and c.capture <> i_capture;
    return londiste.provider_refresh_table(i_queue_name, i_table_name);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
