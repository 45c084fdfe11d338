create or replace function londiste.capture_made(i_queue_name text, i_table_name text, i_relation oid) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_made(3)
--     Returns the capture triggers of a table that exist on one relation, as one text with everything that somebody could
--     change: name, function, type, how they are enabled, and the transaction of the last change. The transaction shows also
--     that a trigger was disabled and enabled again.
-- ----------------------------------------------------------------------
begin
    return (
        select coalesce(string_agg(format('%s %s %s %s %s', t.tgname, c.function_name, t.tgtype, t.tgenabled, t.xmin), ', '
                                   order by t.tgname::text collate "C"), '')
        from londiste.capture_triggers(i_queue_name, i_table_name, i_relation) c
        join pg_trigger t on t.oid = c.trigger_oid);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
