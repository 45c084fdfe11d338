create or replace function londiste.trigger_name(i_queue_name text, i_addition text, out name text, out is_cut boolean)
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.trigger_name(2)
--     Returns a name for a queue's capture triggers: QUEUE_logger, as the original tools call them, in lower case and with _
--     for each dot. The row trigger of all operations has this name; a trigger for one operation has _i, _u, _d or _t behind
--     the name, and 0_ before it when the trigger has to fire early.
-- Parameters:
--     i_addition - text between the queue's name and _logger; may be empty
-- Returns:
--     name   - the queue's name in it is cut after a whole character where needed, so that the longest of the names above fits
--              into an identifier
--     is_cut - the queue's name was cut: queues whose names begin alike get the same name
-- ----------------------------------------------------------------------
begin
    select left(q.base, f.chars) || i_addition || '_logger', f.chars < length(q.base)
    into name, is_cut
    from (select lower(replace(i_queue_name, '.', '_')) as base) q
    cross join lateral (select coalesce(max(n.chars), 0) as chars
                        from generate_series(0, length(q.base)) n(chars)
                        -- An identifier has 63 bytes; 0_, _logger and _i take 11.
                        where octet_length(left(q.base, n.chars)) <= 52 - octet_length(i_addition)) f;
end;
$$ language plpgsql strict stable set search_path = pg_catalog, pg_temp;
