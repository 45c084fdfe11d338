create or replace function londiste.provider_get_outdated(
    i_queue_name text, out table_name text, out is_misfit boolean, out problem text)
returns setof record
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_get_outdated(1)
--     Returns the captured tables of a queue whose triggers or capture functions would be made otherwise today, in the order in which
--     the tables were added. The next maintenance makes them anew; no change is lost meanwhile. Changes nothing, and takes only the
--     locks of a reader of the catalog.
--
--     A plan that differs only in the mark of londiste.capture_look is up to date: another mark may stand for the same. Whether the
--     table is small now is not looked at. A table that londiste.provider_adapt() has changed within the last ten minutes is left
--     out: maintenance is about to follow it, as soon as the table is free.
-- Returns:
--     is_misfit - triggers do not fit the other triggers of the table, so that events may come in the wrong order
--     problem   - in words
-- ----------------------------------------------------------------------
select o.table_name, n.names is not null,
       case
           when n.names is not null then format('triggers %s do not fit the other triggers and foreign keys of the table', n.names)
           else 'they were made for another structure of the table, or by another release'
       end
from (
    select t.nr, c.table_name, c as capture, f.oid
    from londiste.capture c
    join londiste.provider_table t on t.queue_name = c.queue_name and t.table_name = c.table_name
    cross join lateral (select londiste.find_table_oid(c.table_name)) f(oid)
    where c.queue_name = i_queue_name and f.oid is not null
      and (c.adapted_at > clock_timestamp() - interval '10 minutes') is not true
      and exists (
          select 1
          from londiste.capture_relations(f.oid) u(relation)
          join pg_class k on k.oid = u.relation
          left join londiste.capture_relation r
              on r.relation = u.relation and r.queue_name = c.queue_name and r.table_name = c.table_name
          cross join lateral (
              select concat_ws(' ', londiste.capture_common_plan(c, f.oid), 'relation', u.relation, k.relpersistence) || ' ') p(beginning)
          where case
                    when r.plan is null or left(r.plan, length(p.beginning)) <> p.beginning then true
                    -- The mark tells that the rest is the same at a tenth of the cost of making it.
                    when strpos(r.plan, ' ' || (select l.mark
                                                from pgq.queue q
                                                cross join lateral londiste.capture_queue(q.queue_id) w
                                                cross join lateral londiste.capture_look(w.relations, q.queue_id, f.oid, u.relation) l
                                                where q.queue_name = c.queue_name) || ' ') > 0 then false
                    else (select right(r.plan, length(y.ending)) <> y.ending
                          from (select ' ' || londiste.capture_plan(f.oid, u.relation, c.key_columns)) y(ending))
                end)
) o
cross join lateral (
    select string_agg(m::text, ', ' order by m)
    from londiste.capture_relations(o.oid) r(relation)
    cross join lateral londiste.capture_misfits(o.capture, o.oid, r.relation) m) n(names)
order by o.nr;
$$ language sql security definer stable set search_path = pg_catalog, pg_temp;
