create or replace function londiste.link_del(i_source_name text, i_dest_name text) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.link_del(2)
--     Deletes a link. The linked queue and its tables stay; its set may be changed again.
-- Parameters: i_source_name, i_dest_name - as for londiste.link
-- Returns: null, as in Londiste 2.1
-- Raises: undefined_object when the queues are not linked
-- Writes: londiste.link
-- ----------------------------------------------------------------------
begin
    delete from londiste.link l where l.source = i_source_name and l.dest = i_dest_name;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = format('queue "%s" is not linked to "%s"', i_dest_name, i_source_name);
    end if;
    return null;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
