create or replace function londiste.provider_create_trigger(i_queue_name text, i_table_name text, i_col_types text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_create_trigger(3)
--     Creates the capture triggers of a table that is in the set, with column letters. Old name of
--     londiste.provider_refresh_trigger(3).
-- ----------------------------------------------------------------------
select londiste.provider_refresh_trigger(i_queue_name, i_table_name, i_col_types);
$$ language sql security definer strict set search_path = pg_catalog, pg_temp;
