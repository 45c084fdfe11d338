create or replace function londiste.quote_fragment_name(i_name text) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.quote_fragment_name(1)
--     Quotes a column name for an event of format sql. As the C triggers of PgQ 2.1 did, every keyword is quoted, also an
--     unreserved one: the subscriber's PostgreSQL may reserve it.
-- ----------------------------------------------------------------------
select case
           when i_name ~ '^[a-z_][a-z0-9_]*$' and not exists (select 1 from pg_get_keywords() k where k.word = i_name)
           then i_name
           else '"' || replace(i_name, '"', '""') || '"'
       end;
$$ language sql strict stable set search_path = pg_catalog, pg_temp;
