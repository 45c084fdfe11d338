create or replace function londiste.set_last_tick(i_consumer text, i_tick_id bigint) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.set_last_tick(2)
--     Stores the tick up to which a consumer has applied its queue. Must be called in the transaction that applies the events.
--     The time of a tick that was stored before is forgotten: the provider may have given the same number to another tick since.
-- Parameters:
--     i_consumer - consumer id
--     i_tick_id  - tick id; null deletes the consumer's row
-- Returns: 1
-- Writes: londiste.completed, completed_tick
-- ----------------------------------------------------------------------
begin
    delete from londiste.completed_tick t where t.consumer_id = i_consumer;
    if i_tick_id is null then
        delete from londiste.completed c where c.consumer_id = i_consumer;
    else
        insert into londiste.completed as c (consumer_id, last_tick_id)
        values (i_consumer, i_tick_id)
        on conflict (consumer_id) do update
        set last_tick_id = excluded.last_tick_id;
    end if;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
