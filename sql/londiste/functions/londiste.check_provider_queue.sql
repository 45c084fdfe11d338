create or replace function londiste.check_provider_queue(i_queue_name text) returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.check_provider_queue(1)
--     Raises an error unless the set of a queue may be changed: the queue must exist and must not be linked to a subscribed
--     queue.
-- Raises: undefined_object, object_not_in_prerequisite_state
-- ----------------------------------------------------------------------
begin
    if not exists (select 1 from pgq.queue q where q.queue_name = i_queue_name) then
        raise exception using
            errcode = 'undefined_object',
            message = 'no such event queue',
            detail = format('Queue "%s" does not exist.', i_queue_name),
            hint = 'Provider install creates the queue.';
    end if;
    if londiste.link_source(i_queue_name) is not null then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'Linked queue, manipulation not allowed',
            detail = format('Queue "%s" repeats queue "%s".', i_queue_name, londiste.link_source(i_queue_name));
    end if;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
