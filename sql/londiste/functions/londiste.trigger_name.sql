create or replace function londiste.trigger_name(i_queue_name text, i_addition text, out name text, out is_cut boolean)
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.trigger_name(2)
--     A name for a queue's capture triggers: QUEUE_logger, as the original tools call them, in lower case and with _ for each dot. The row
--     trigger has this name, the triggers for one operation have _i, _u, _d or _t behind it, those that have to fire early 0_ before it.
-- Parameters:
--     i_addition - what to put between the queue's name and _logger; empty: nothing
-- Returns:
--     name   - cut after a whole character where needed, so that the longest of the names above fits into an identifier
--     is_cut - the queue's name did not fit: queues whose names begin alike get the same name
-- ----------------------------------------------------------------------
select left(q.base, f.chars) || i_addition || '_logger', f.chars < length(q.base)
from (select lower(replace(i_queue_name, '.', '_')) as base) q
cross join lateral (select coalesce(max(n.chars), 0) as chars
                    from generate_series(0, length(q.base)) n(chars)
                    -- 63 bytes, less 0_, _logger and _i.
                    where octet_length(left(q.base, n.chars)) <= 52 - octet_length(i_addition)) f;
$$ language sql strict stable set search_path = pg_catalog, pg_temp;
