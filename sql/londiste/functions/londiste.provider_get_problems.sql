create or replace function londiste.provider_get_problems(i_queue_name text, out table_name text, out problem text) returns setof record
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_get_problems(1)
--     Returns the tables of a queue's set whose changes are not captured, or may not have been captured since the last
--     maintenance, in the order in which the tables were added. The next maintenance captures them again where possible, and
--     has subscribers copy these tables again.
-- Returns: name of the table, and the problem in words, see londiste.capture_problem
-- ----------------------------------------------------------------------
select p.table_name, p.problem
from (select t.nr, t.table_name, londiste.capture_problem(t.queue_name, t.table_name) as problem
      from londiste.provider_table t
      where t.queue_name = i_queue_name) p
where p.problem is not null
order by p.nr;
$$ language sql security definer stable set search_path = pg_catalog, pg_temp;
