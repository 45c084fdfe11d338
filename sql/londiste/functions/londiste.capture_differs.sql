create or replace function londiste.capture_differs(i_column_name text, i_column_type oid) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_differs(2)
--     The condition under which an update has changed a column, between rows o and n.
--
--     "is distinct from" alone would lose changes: for many types values that differ are equal (numeric 1.5 and 1.50, jsonb, -0 and
--     0, '1 month' and '30 days', text in a case-insensitive collation). So it is used for those types only whose equal values are
--     the same; all others are compared as text.
-- ----------------------------------------------------------------------
select case
           when i_column_type in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'oid'::regtype, 'boolean'::regtype,
                                  'date'::regtype, 'time'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype,
                                  'uuid'::regtype, 'bytea'::regtype, 'money'::regtype)
                or exists (select 1 from pg_type t where t.oid = i_column_type and t.typtype = 'e')
           then format('o.%1$I is distinct from n.%1$I', i_column_name)
           when i_column_type in ('text'::regtype, 'varchar'::regtype)
           then format('o.%1$I collate "C" is distinct from n.%1$I collate "C"', i_column_name)
           else format('%s is distinct from %s', londiste.capture_literal('o', i_column_name, i_column_type),
                       londiste.capture_literal('n', i_column_name, i_column_type))
       end;
$$ language sql stable set search_path = pg_catalog, pg_temp;
