create or replace function londiste.provider_get_seq_list(i_queue_name text) returns setof text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_get_seq_list(1)
--     Returns the sequences of a queue's set, in the order in which they were added.
-- ----------------------------------------------------------------------
select s.seq_name
from londiste.provider_seq s
where s.queue_name = i_queue_name
order by s.nr;
$$ language sql security definer stable set search_path = pg_catalog, pg_temp;
