create or replace function londiste.subscriber_add_seq(i_queue_name text, i_seq_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.subscriber_add_seq(2)
--     Subscribes to a sequence: its value follows the provider's.
-- Returns: 1, or 0 when the sequence is subscribed already
-- Raises: as londiste.check_subscriber_queue
-- Writes: londiste.subscriber_seq
-- ----------------------------------------------------------------------
declare
    v_seq_name text := londiste.full_name(i_seq_name);
begin
    perform londiste.check_subscriber_queue(i_queue_name);

    insert into londiste.subscriber_seq (queue_name, seq_name)
    values (i_queue_name, v_seq_name)
    on conflict do nothing;
    return case when found then 1 else 0 end;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
