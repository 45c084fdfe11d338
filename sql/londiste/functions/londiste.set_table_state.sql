create or replace function londiste.set_table_state(i_queue_name text, i_table_name text, i_snapshot text, i_merge_state text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.set_table_state(4)
--     Old name of londiste.subscriber_set_table_state.
-- ----------------------------------------------------------------------
select londiste.subscriber_set_table_state(i_queue_name, i_table_name, i_snapshot, i_merge_state);
$$ language sql security definer set search_path = pg_catalog, pg_temp;
