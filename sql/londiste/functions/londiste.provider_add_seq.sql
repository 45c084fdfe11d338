create or replace function londiste.provider_add_seq(i_queue_name text, i_seq_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_add_seq(2)
--     Adds a sequence to a queue's set, so that subscribers may follow its value.
-- Returns: 1, or 0 when the sequence is in the set already
-- Raises: as londiste.check_provider_queue; undefined_table when there is no such sequence
-- Writes: londiste.provider_seq
-- ----------------------------------------------------------------------
declare
    v_seq_name text := londiste.full_name(i_seq_name);
begin
    perform londiste.check_provider_queue(i_queue_name);
    if londiste.find_seq_oid(v_seq_name) is null then
        raise exception using
            errcode = 'undefined_table',
            message = 'seq not found',
            detail = format('There is no sequence %s in this database.', londiste.quote_fqname(v_seq_name));
    end if;

    insert into londiste.provider_seq (queue_name, seq_name)
    values (i_queue_name, v_seq_name)
    on conflict do nothing;
    return case when found then 1 else 0 end;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
