create or replace function pgq.seq_getval(i_seq_name text)
returns bigint as $$
-- ----------------------------------------------------------------------
-- Function: pgq.seq_getval(1)
--     Reads the position of a sequence, without advancing it.
-- Parameters:
--     i_seq_name - schema.name of the sequence, unquoted; public when without schema
-- Returns:
--     last_value of the sequence
-- ----------------------------------------------------------------------
declare
    v_value     bigint;
begin
    execute format('select last_value from %s', pgq.quote_fqname(i_seq_name)::regclass) into v_value;
    return v_value;
end;
$$ language plpgsql strict set search_path = pg_catalog, pg_temp;
