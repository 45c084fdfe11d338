create or replace function londiste.capture_store_made(i_queue_name text, i_table_name text, i_held oid[]) returns boolean
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_store_made(3)
--     Stores the capture triggers that a table has now, by which londiste.capture_check finds out what somebody does to them.
-- Parameters: i_held - as londiste.capture_hold returns it: the triggers that were dropped or enabled stood on these relations
-- Returns: whether a trigger that was stored for another relation is not what it was. Nobody but this transaction may have
--     changed it, and that only adds triggers there; so changes of the table may have been written without events
-- Writes: londiste.capture_relation
-- ----------------------------------------------------------------------
declare
    v_lost boolean;
begin
    -- In one statement: what is compared is what is stored.
    with found as (
        select r.nr, r.relation, r.triggers as before, londiste.capture_made(i_queue_name, i_table_name, r.relation) as now
        from londiste.capture_relation r
        where r.queue_name = i_queue_name and r.table_name = i_table_name
    ), stored as (
        update londiste.capture_relation r
        set made_in = londiste.catalog_id(), triggers = f.now,
            is_unlogged = (select c.relpersistence = 'u' from pg_class c where c.oid = r.relation)
        from found f
        where r.nr = f.nr
    )
    select bool_or(l.line <> all (string_to_array(f.now, ', '))) into v_lost
    from found f
    cross join lateral unnest(string_to_array(f.before, ', ')) l(line)
    where f.relation <> all (i_held);
    return coalesce(v_lost, false);
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
