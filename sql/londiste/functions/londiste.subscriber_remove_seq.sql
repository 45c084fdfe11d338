create or replace function londiste.subscriber_remove_seq(i_queue_name text, i_seq_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.subscriber_remove_seq(2)
--     Ends the subscription to a sequence.
-- Returns: 1
-- Raises: as londiste.check_subscriber_queue; undefined_object when the sequence is not subscribed
-- Writes: londiste.subscriber_seq
-- ----------------------------------------------------------------------
declare
    v_seq_name text := londiste.full_name(i_seq_name);
begin
    perform londiste.check_subscriber_queue(i_queue_name);

    delete from londiste.subscriber_seq s where s.queue_name = i_queue_name and s.seq_name = v_seq_name;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = 'no such seq?',
            detail = format('Sequence %s is not subscribed to queue "%s".', v_seq_name, i_queue_name);
    end if;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
