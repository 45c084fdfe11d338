create or replace function pgq._right_marker(i_right text)
returns regprocedure as $$
-- ----------------------------------------------------------------------
-- Function: pgq._right_marker(1)
--     Names the function that stands for a right: the holders of the right are the roles that may execute that function.
-- Parameters:
--     i_right - reader, writer, or admin
-- Returns:
--     the function
-- ----------------------------------------------------------------------
begin
    return case i_right
        when 'reader' then 'pgq._may_read()'
        when 'writer' then 'pgq._may_write()'
        when 'admin' then 'pgq._may_administer()'
    end::regprocedure;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
