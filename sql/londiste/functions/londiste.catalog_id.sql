create or replace function londiste.catalog_id() returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.catalog_id(0)
--     Names the catalog of this database: another one after a dump and restore, where tables have other oids, and after pg_upgrade, where
--     rows of the catalog have other transaction ids. A standby that is promoted and a physical copy keep it.
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
