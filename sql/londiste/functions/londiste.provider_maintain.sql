create or replace function londiste.provider_maintain(i_queue_name text, i_table_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_maintain(2)
--     Generates the capture functions of a table anew when the table was changed or another generator made them, and adds triggers
--     to new partitions. The ticker's maintenance and provider install call it. A table that is in use, or that cannot be captured
--     now, is left for the next round: its writers meanwhile go the slower, generic way and lose nothing. Hence the short
--     lock_timeout: whoever waits for a table's lock makes its writers wait too.
-- Returns: 1 when the table was brought up to date, else 0
-- ----------------------------------------------------------------------
begin
    if not exists (select 1 from londiste.capture c where c.queue_name = i_queue_name and c.table_name = i_table_name) then
        -- The original tools added it: pgq.logtriga captures it.
        return 0;
    end if;
    return londiste.capture_generate(i_queue_name, i_table_name);
exception
    when lock_not_available then
        raise notice 'table % is in use, its capture functions are refreshed later', i_table_name;
        return 0;
    when undefined_table or undefined_column or invalid_table_definition or insufficient_privilege then
        raise warning 'cannot refresh the capture functions of table %: %', i_table_name, sqlerrm;
        return 0;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms';

create or replace function londiste.provider_maintain(i_queue_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_maintain(1)
--     Does that for all tables of a queue, in one transaction: it keeps the locks of those that get new triggers until its end.
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
        v_count := v_count + londiste.provider_maintain(i_queue_name, v_table_name);
    end loop;
    return v_count;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
