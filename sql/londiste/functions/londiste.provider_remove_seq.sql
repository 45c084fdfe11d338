create or replace function londiste.provider_remove_seq(i_queue_name text, i_seq_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_remove_seq(2)
--     Takes a sequence out of a queue's set and tells the subscribers.
-- Returns: 1
-- Raises: object_not_in_prerequisite_state for a linked queue; undefined_object when the sequence is not in the set
-- Writes: londiste.provider_seq, one event
-- ----------------------------------------------------------------------
declare
    v_seq_name text := londiste.full_name(i_seq_name);
begin
    if londiste.link_source(i_queue_name) is not null then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'Linked queue, cannot modify',
            detail = format('Queue "%s" repeats queue "%s".', i_queue_name, londiste.link_source(i_queue_name));
    end if;

    delete from londiste.provider_seq s where s.queue_name = i_queue_name and s.seq_name = v_seq_name;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = 'seq not attached',
            detail = format('Sequence %s is not in the set of queue "%s".', v_seq_name, i_queue_name);
    end if;

    perform londiste.provider_notify_change(i_queue_name);
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
