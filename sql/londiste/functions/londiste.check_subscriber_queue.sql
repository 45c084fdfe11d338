create or replace function londiste.check_subscriber_queue(i_queue_name text) returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.check_subscriber_queue(1)
--     Raises an error when a queue of this database is linked to a subscribed queue: the set of the subscribed queue was fixed
--     when the two were linked.
-- Parameters: i_queue_name - the subscribed queue
-- Raises: object_not_in_prerequisite_state
-- ----------------------------------------------------------------------
begin
    if londiste.link_dest(i_queue_name) is not null then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'Linked queue, cannot modify',
            detail = format('Queue "%s" on this database repeats queue "%s".', londiste.link_dest(i_queue_name), i_queue_name),
            hint = 'londiste.link_del(source, dest) takes the link away.';
    end if;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
