create or replace function londiste.provider_maintain(i_queue_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_maintain(1)
--     Generates the capture functions of those tables of a queue anew that were changed, and adds triggers to new partitions. The
--     ticker's maintenance calls it. A table that is in use, or that cannot be captured now, is left for the next round: its
--     writers meanwhile go the slower, generic way and lose nothing. Hence the short lock_timeout: whoever waits for a
--     table's lock makes its writers wait too.
-- Returns: number of tables that were brought up to date
-- ----------------------------------------------------------------------
declare
    v_table_name text;
    v_count int := 0;
begin
    for v_table_name in
        select c.table_name
        from londiste.capture c
        join pgq.queue q on q.queue_name = c.queue_name
        where c.queue_name = i_queue_name
        order by c.table_name
    loop
        begin
            v_count := v_count + londiste.capture_generate(i_queue_name, v_table_name);
        exception
            when lock_not_available then
                raise notice 'table % is in use, its capture functions are refreshed later', v_table_name;
            when undefined_table or undefined_column or invalid_table_definition or insufficient_privilege then
                raise warning 'cannot refresh the capture functions of table %: %', v_table_name, sqlerrm;
        end;
    end loop;
    return v_count;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms';
