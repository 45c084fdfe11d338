create or replace function londiste.is_own_trigger(i_trigger_name text) returns boolean
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.is_own_trigger(1)
--     Tells replication's triggers from the user's by their names.
-- Returns: true for `<queue>_logger`, `<queue>_logger_i`, `_u`, `_d`, `_t` and `_londiste_...`
-- ----------------------------------------------------------------------
select i_trigger_name ~ '_logger(_[iudt])?$' or i_trigger_name ~ '^_londiste_';
$$ language sql strict immutable set search_path = pg_catalog, pg_temp;
