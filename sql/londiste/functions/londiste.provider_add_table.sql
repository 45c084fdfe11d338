create or replace function londiste.provider_add_table(i_queue_name text, i_table_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_add_table(2)
--     Adds a table to a queue's set, captured as by default. The same as londiste.provider_add_table_as with null for the other
--     parameters.
-- ----------------------------------------------------------------------
select londiste.provider_add_table_as(i_queue_name, i_table_name, null, null, null);
$$ language sql security definer set search_path = pg_catalog, pg_temp;

create or replace function londiste.provider_add_table(i_queue_name text, i_table_name text, i_col_types text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_add_table(3)
--     Adds a table to a queue's set, with column letters as the trigger function pgq.logtriga takes them.
-- Parameters:
--     i_col_types - a letter for each live column in table order: k key, v value; a column with another letter or none is left
--                   out of the events
-- Returns, Writes, Locks: as londiste.provider_add_table_as
-- Raises: as londiste.capture_letters and londiste.capture_add
-- ----------------------------------------------------------------------
declare
    v_letters record;
begin
    select * into v_letters from londiste.capture_letters(i_table_name, i_col_types);
    return londiste.capture_add(i_queue_name, i_table_name, 'auto', 'sql', v_letters.key_columns, v_letters.ignored_columns,
                                true);
end;
$$ language plpgsql security definer strict set search_path = pg_catalog, pg_temp;
