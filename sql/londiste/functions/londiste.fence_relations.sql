create or replace function londiste.fence_relations(
    i_queue_name text, out relation oid, out name text, out is_armed boolean, out problem text)
returns setof record
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.fence_relations(1)
--     Returns the tables that the fence has to stand around, and whether it does.
-- Parameters: i_queue_name - the tables of this queue, on either side, with the tables through which their rows can be written
--     (londiste.capture_tree); null: all tables of the database but those of PostgreSQL, PgQ, Londiste and temporary ones
-- Returns: sorted by oid
--     name     - quoted, with its schema
--     is_armed - the trigger is there, and fires whatever session_replication_role is
--     problem  - why the table cannot be armed; null: it can
-- ----------------------------------------------------------------------
begin
    return query
    with recursive listed as (
        select t.table_name from londiste.provider_table t where t.queue_name = i_queue_name
        union
        select t.table_name from londiste.subscriber_table t where t.queue_name = i_queue_name
    ), wanted as (
        select tree.relation
        from listed l
        join pg_class c on c.oid = to_regclass(londiste.quote_fqname(l.table_name))
        cross join lateral londiste.capture_tree(c.oid) as tree(relation)
        union
        select c.oid
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        where i_queue_name is null
          and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'pgq', 'pgq_ext', 'pgq_node', 'pgq_coop', 'londiste')
    )
    select c.oid, format('%I.%I', n.nspname, c.relname), f.is_armed,
           case when not f.is_armed and not pg_has_role(current_user, c.relowner, 'usage')
                then format('it belongs to %I, and the owner of schema londiste, %I, has not the rights of that role',
                            r.rolname, current_user) end
    from wanted w
    join pg_class c on c.oid = w.relation
    join pg_namespace n on n.oid = c.relnamespace
    left join pg_roles r on r.oid = c.relowner
    cross join lateral (select londiste.fence_is_armed(c.oid) as is_armed) f
    where c.relkind in ('r', 'p') and c.relpersistence <> 't'
    order by c.oid;
end;
$$ language plpgsql stable security definer set search_path = pg_catalog, pg_temp;
