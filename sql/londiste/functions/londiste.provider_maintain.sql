create or replace function londiste.provider_maintain(i_queue_name text, i_table_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_maintain(2)
--     Generates the capture functions of a table anew when the table was changed or another generator made the functions, and
--     adds triggers to new partitions. Called by the ticker's maintenance and by provider install.
--
--     A table that is in use, or that cannot be captured now, is left for the next round; its writers meanwhile take the
--     slower, generic way and lose nothing. lock_timeout is short because writers of a table queue up behind whoever waits for
--     the table's lock.
--
--     When changes of the table may have been written without events, a WARNING says so and subscribers are told to copy the
--     table again: see londiste.capture_generate.
-- Returns: 1 when the table was brought up to date, else 0
-- Warns: 01L01, which the program logs, for lost changes and for tables that cannot be captured
-- Writes: as londiste.capture_generate
-- Locks: as londiste.capture_generate, each waited for at most 100 ms
-- ----------------------------------------------------------------------
declare
    v_problem text;
begin
    if not exists (select 1 from londiste.capture c where c.queue_name = i_queue_name and c.table_name = i_table_name) then
        return londiste.capture_maintain_classic(i_queue_name, i_table_name);
    end if;
    return londiste.capture_generate(i_queue_name, i_table_name);
exception
    when lock_not_available or deadlock_detected then
        v_problem := londiste.capture_problem(i_queue_name, i_table_name);
        if v_problem is null then
            raise notice 'table % is in use, its capture functions are refreshed later', i_table_name;
        else
            raise warning using
                errcode = '01L01',
                message = format('table %s of queue "%s" is in use and cannot be captured anew yet: %s', i_table_name, i_queue_name, v_problem);
        end if;
        return 0;
    when undefined_table or undefined_column or invalid_table_definition or insufficient_privilege then
        raise warning using
            errcode = '01L01',
            message = format('cannot refresh the capture functions of table %s: %s', i_table_name, sqlerrm);
        return 0;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms';

create or replace function londiste.provider_maintain(i_queue_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_maintain(1)
--     Calls londiste.provider_maintain(2) for all tables of a queue, in one transaction: the locks of tables that get new
--     triggers are held until its end.
-- Returns: number of tables that were brought up to date
-- ----------------------------------------------------------------------
declare
    v_table_name text;
    v_count int := 0;
begin
    for v_table_name in
        select t.table_name
        from londiste.provider_table t
        join pgq.queue q on q.queue_name = t.queue_name
        where t.queue_name = i_queue_name
        order by t.table_name
    loop
        v_count := v_count + londiste.provider_maintain(i_queue_name, v_table_name);
    end loop;
    return v_count;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
