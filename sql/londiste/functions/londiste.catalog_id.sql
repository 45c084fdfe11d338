create or replace function londiste.catalog_id() returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.catalog_id(0)
--     Returns a text that identifies the catalog of this database. The text changes with a dump and restore, after which tables
--     have other oids, and with pg_upgrade, after which rows of the catalog have other transaction ids. A promoted standby and
--     a physical copy keep the text.
-- Returns: system identifier of the cluster (? where only superusers may see it) and oid of the database
-- ----------------------------------------------------------------------
declare
    v_system text;
begin
    begin
        select c.system_identifier::text into v_system from pg_control_system() c;
    exception
        when insufficient_privilege then
            v_system := '?';
    end;
    return v_system || '/' || (select d.oid from pg_database d where d.datname = current_database());
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
