create or replace function londiste.capture_plan(i_table oid, i_relation oid, i_key_columns text[])
returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_plan(3)
--     Everything about a relation that its capture functions are generated for, as one text: name of the table, key, and the
--     columns. As long as this text stays the same, the generated functions are right. The declared types are part of it because
--     PL/pgSQL refuses a row's column whose type is another than when a session first ran the function, a domain's base type too.
-- Parameters:
--     i_table       - the captured table
--     i_relation    - the table or one of its partitions
--     i_key_columns - key that was asked for; null: the table's own
-- ----------------------------------------------------------------------
select format('%s key %s columns %s types %s', i_table::regclass,
              coalesce(i_key_columns, londiste.capture_key(i_table)),
              (select string_agg(format('%s %I %s%s', c.column_nr, c.column_name, c.column_type,
                                        case when c.is_nullable then '' else ' not null' end), ', ' order by c.column_nr)
               from londiste.capture_columns(i_relation) c),
              (select d.types from londiste.capture_declared(i_relation) d));
$$ language sql stable set search_path = pg_catalog, pg_temp;
