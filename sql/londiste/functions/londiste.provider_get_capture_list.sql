create or replace function londiste.provider_get_capture_list(i_queue_name text)
returns table (table_name text, capture text, op_insert text, op_update text, op_delete text, why text, since timestamptz, hot_columns text[])
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_get_capture_list(1)
--     Returns how the tables of a queue are captured, in the order of the set.
-- Returns:
--     capture     - auto, statement, row; null for a table that the original tools added, whose other columns are null too
--     op_*        - the level of each operation, as londiste.capture_levels; null when the table is gone
--     why         - why updates have their level
--     since       - since when they have it
--     hot_columns - the columns that most updates change, for which capture has a short way; null when not known
-- ----------------------------------------------------------------------
begin
    return query
    select p.table_name, c.capture, l.op_insert, l.op_update, l.op_delete,
           case
               when l.op_update is null then null
               when c.capture = 'row' then 'chosen with --capture'
               when l.op_update = 'early' then 'a trigger of the user or a foreign key needs the order'
               when l.op_insert = 'row' then 'triggers, rules, partitions or children of the table need it'
               when l.op_update = 'row' and l.op_delete = 'row' and c.is_small then 'the table is small'
               when l.op_update = 'row' and l.op_delete = 'row' then 'the table has several unique keys'
               when c.capture = 'statement' then 'chosen with --capture, or by a release that knew no other'
               when c.update_level is not null then c.adapted_to
               else 'few updates seen so far'
           end,
           case when c.update_level is not null and l.op_update = c.update_level then coalesce(c.adapted_at, c.captured_since)
                else c.captured_since end,
           c.hot_columns
    from londiste.provider_table p
    left join londiste.capture c on c.queue_name = p.queue_name and c.table_name = p.table_name
    left join lateral (select v.* from londiste.capture_levels(c, londiste.find_table_oid(p.table_name)) v
                       where c.capture is not null and londiste.find_table_oid(p.table_name) is not null) l on true
    where p.queue_name = i_queue_name
    order by p.nr;
end;
$$ language plpgsql stable security definer set search_path = pg_catalog, pg_temp;
