create or replace function pgq.seq_setval(i_seq_name text, i_new_value bigint)
returns bigint as $$
-- ----------------------------------------------------------------------
-- Function: pgq.seq_setval(2)
--     Moves a sequence forward, never back.
-- Parameters:
--     i_seq_name  - schema.name of the sequence, unquoted; public when without schema
--     i_new_value - smallest position that the sequence is to have
-- Returns:
--     position of the sequence now
-- ----------------------------------------------------------------------
declare
    v_value     bigint;
begin
    v_value := pgq.seq_getval(i_seq_name);
    if i_new_value > v_value then
        v_value := setval(pgq.quote_fqname(i_seq_name)::regclass, i_new_value);
    end if;
    return v_value;
end;
$$ language plpgsql strict set search_path = pg_catalog, pg_temp;
