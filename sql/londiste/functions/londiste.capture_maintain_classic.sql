create or replace function londiste.capture_maintain_classic(i_queue_name text, i_table_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_maintain_classic(2)
--     Maintains a table that the original tools added. A disabled trigger is enabled; when there is no trigger, for instance
--     because the table was dropped and created again, the table gets generated capture functions. In both cases a WARNING says
--     so, and subscribers are told to copy the table again.
-- Returns: 1 when something was changed, else 0; also 0 when the table is not in the set any more
-- Raises: undefined_table when there is no table of this name
-- Warns: 01L01
-- Writes: an event T; as londiste.capture_replace
-- Locks: the table in share row exclusive mode and its row of provider_table, until the end of the transaction, when something is changed
-- ----------------------------------------------------------------------
declare
    v_check record;
begin
    select * into v_check from londiste.capture_check_classic(i_queue_name, i_table_name);
    if v_check.table_oid is null then
        raise exception using
            errcode = 'undefined_table',
            message = 'table not found',
            detail = format('There is no table %s in this database.', londiste.quote_fqname(i_table_name));
    elsif v_check.loss is null then
        return 0;
    end if;
    -- The table may have been removed from the set meanwhile: see londiste.capture_generate.
    perform 1
    from londiste.provider_table t
    where t.queue_name = i_queue_name and t.table_name = i_table_name
    for key share;
    if not found then
        return 0;
    end if;
    if v_check.trigger_name is null then
        return londiste.capture_replace(i_queue_name, i_table_name, 'auto', 'sql', null, '{}');
    end if;
    perform londiste.run_ddl(format('alter table %s enable trigger %I', v_check.table_oid::regclass, v_check.trigger_name));
    perform londiste.capture_report_loss(i_queue_name, i_table_name, v_check.loss);
    return 1;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
