create or replace function pgq.maint_operations(out func_name text, out func_arg text)
returns setof record as $$
-- ----------------------------------------------------------------------
-- Function: pgq.maint_operations(0)
--     Lists what one round of maintenance has to do, in order. Each row is run in a transaction of its own:
--     "vacuum" as a command on the table func_arg, everything else as a function, with func_arg as argument unless it is null.
--
--     pgqd 3.5 runs a vacuum, takes its answer, which has no rows, for a failure, and ends the round: it does not run what is
--     listed after the vacuum, and begins the next round after 20 s. Hence vacuums are listed last, and of the tables the one
--     first that was vacuumed longest ago: each round then vacuums another table.
-- Returns:
--     func_name - schema-qualified name of a function with a text argument or none, or "vacuum"
--     func_arg  - its argument, or null
-- ----------------------------------------------------------------------
begin
    return query
    select 'pgq.maint_rotate_tables_step1'::text, q.queue_name
    from pgq.queue q
    where q.queue_switch_step2 is not null
      and (now() - q.queue_switch_time >= q.queue_rotation_period or q.queue_switch_time > clock_timestamp())
    order by 2;
    if found or exists (select 1 from pgq.queue q where q.queue_switch_step2 is null) then
        return query
        select 'pgq.maint_rotate_tables_step2'::text, null::text;
    end if;

    return query
    select f.name, q.queue_name
    from pgq.queue q,
         lateral unnest(q.queue_extra_maint) with ordinality as f (name, nr)
    order by q.queue_name, f.nr;

    return query
    select 'vacuum'::text, t.name
    from pgq.maint_tables_to_vacuum() with ordinality as t (name, nr)
    order by pg_stat_get_last_vacuum_time(t.name::regclass) nulls first, t.nr;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
