create or replace function londiste.capture_relation_plan(i_capture londiste.capture, i_table oid, i_relation oid, i_common text)
returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_relation_plan(4)
--     Returns everything that the functions and triggers of a relation depend on, as one text. The text is stored in
--     londiste.capture_relation.
-- Parameters: i_common - as londiste.capture_common_plan returns it
-- ----------------------------------------------------------------------
begin
    return concat_ws(' ', i_common, 'relation', i_relation, (select c.relpersistence from pg_class c where c.oid = i_relation),
                     londiste.capture_plan(i_table, i_relation, i_capture.key_columns));
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
