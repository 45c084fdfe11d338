create or replace function londiste.provider_refresh_trigger(i_queue_name text, i_table_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_refresh_trigger(2)
--     Old name of londiste.provider_refresh_table. A table that the original tools added gets capture functions in place of the
--     trigger pgq.logtriga.
-- Returns: 1, or 0 when everything is up to date
-- Raises, Warns, Writes, Locks: as londiste.provider_refresh_table or londiste.capture_replace
-- ----------------------------------------------------------------------
begin
    if exists (select 1 from londiste.capture c
               where c.queue_name = i_queue_name and c.table_name = londiste.full_name(i_table_name)) then
        return londiste.provider_refresh_table(i_queue_name, i_table_name);
    end if;
    return londiste.capture_replace(i_queue_name, i_table_name, 'auto', 'sql', null, '{}');
end;
$$ language plpgsql security definer strict set search_path = pg_catalog, pg_temp;

create or replace function londiste.provider_refresh_trigger(i_queue_name text, i_table_name text, i_col_types text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_refresh_trigger(3)
--     Captures a table that is in the set by other column letters from now on.
-- Parameters: i_col_types - as for londiste.provider_add_table(3)
-- Returns: 1
-- Raises: as londiste.capture_letters and londiste.capture_replace
-- Warns, Writes, Locks: as londiste.capture_replace
-- ----------------------------------------------------------------------
declare
    v_letters record;
begin
    select * into v_letters from londiste.capture_letters(i_table_name, i_col_types);
    return londiste.capture_replace(i_queue_name, i_table_name, 'auto', 'sql',
                                    v_letters.key_columns, v_letters.ignored_columns);
end;
$$ language plpgsql security definer strict set search_path = pg_catalog, pg_temp;
