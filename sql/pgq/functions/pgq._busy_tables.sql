create or replace function pgq._busy_tables()
returns setof text as $$
-- ----------------------------------------------------------------------
-- Function: pgq._busy_tables(0)
--     Lists the small tables whose rows change all the time: vacuumed in each round of maintenance, they stay small.
-- Returns:
--     schema-qualified names, for use in "vacuum"
-- ----------------------------------------------------------------------
begin
    return query
    select t.name
    from unnest(array[
        'pgq.subscription', 'pgq.consumer', 'pgq.queue', 'pgq.tick', 'pgq.retry_queue',
        'txid.epoch', 'londiste.completed',
        'pgq_ext.completed_tick', 'pgq_ext.completed_batch', 'pgq_ext.completed_event', 'pgq_ext.partial_batch'])
        with ordinality as t (name, nr)
    where to_regclass(t.name) is not null
    order by t.nr;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
