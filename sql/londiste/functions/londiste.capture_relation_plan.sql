create or replace function londiste.capture_relation_plan(i_relation oid, i_common text, i_plan text, i_mark text) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_relation_plan(4)
--     Returns everything that the functions and triggers of a relation depend on, as one text. The text is stored in
--     londiste.capture_relation.
-- Parameters:
--     i_common - as londiste.capture_common_plan returns it
--     i_plan   - as londiste.capture_plan returns it
--     i_mark   - as londiste.capture_look returns it
-- ----------------------------------------------------------------------
begin
    return concat_ws(' ', i_common, 'relation', i_relation, (select c.relpersistence from pg_class c where c.oid = i_relation), i_mark, i_plan);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
