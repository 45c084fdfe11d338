create or replace function londiste.capture_literal(i_alias text, i_column_name text, i_column_type oid) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_literal(3)
--     The expression that makes an SQL literal of a column's value, null for null. The text is what the type's output function
--     gives. A cast to text gives the same, except where the type has a cast of its own to text (boolean: true, not t; char(n)
--     without its blanks; inet with its mask): there concat() does it, which knows no casts.
-- Parameters: alias of the row, unquoted column name, type of the column (not a domain)
-- ----------------------------------------------------------------------
select case
           when i_column_type = 'boolean'::regtype
           then format($q$case when %1$I.%2$I then '''t''' when not %1$I.%2$I then '''f''' end$q$, i_alias, i_column_name)
           when exists (select 1
                        from pg_cast c
                        where c.castsource = i_column_type and c.casttarget = 'text'::regtype and c.castmethod = 'f')
           then format('case when not %1$I.%2$I is not distinct from null then quote_literal(concat(%1$I.%2$I)) end',
                       i_alias, i_column_name)
           else format('quote_literal(%I.%I::text)', i_alias, i_column_name)
       end;
$$ language sql stable set search_path = pg_catalog, pg_temp;
