create or replace function pgq.maint_tables_to_vacuum()
returns setof text as $$
-- ----------------------------------------------------------------------
-- Function: pgq.maint_tables_to_vacuum(0)
--     Lists the tables that a ticker should vacuum in each round of maintenance. As in PgQ 3 there are none where autovacuum
--     is on. Our own ticker takes pgq._busy_tables(0) instead: autovacuum comes once a minute at best, and these tables need
--     it more often.
-- Returns:
--     schema-qualified names, for use in "vacuum"
-- Calls:
--     pgq._busy_tables(0)
-- ----------------------------------------------------------------------
begin
    if not current_setting('autovacuum')::boolean then
        return query
        select t from pgq._busy_tables() t;
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
