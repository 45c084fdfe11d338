create or replace function pgq.set_queue_config(x_queue_name text, x_param_name text, x_param_value text)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.set_queue_config(3)
--     Sets a queue's parameter.
-- Parameters:
--     x_queue_name  - name of the queue
--     x_param_name  - ticker_max_count, ticker_max_lag, ticker_idle_period, ticker_paused, rotation_period,
--                     external_ticker, disable_insert or per_tx_limit, also with "queue_" before it
--     x_param_value - the value; a bare number for an interval means seconds
-- Returns:
--     1
-- Writes:
--     pgq.queue
-- ----------------------------------------------------------------------
declare
    v_column    text := 'queue_' || regexp_replace(x_param_name, '^queue_', '');
    v_type      text;
begin
    if not exists (select 1 from pgq.queue q where q.queue_name = x_queue_name) then
        raise exception using
            errcode = 'undefined_object',
            message = 'No such event queue',
            detail = format('Queue: %s', coalesce(x_queue_name, 'null'));
    end if;
    select format_type(a.atttypid, a.atttypmod) into v_type
    from pg_attribute a
    where a.attrelid = 'pgq.queue'::regclass
      and a.attname = v_column
      and v_column in ('queue_ticker_max_count', 'queue_ticker_max_lag', 'queue_ticker_idle_period',
                       'queue_ticker_paused', 'queue_rotation_period', 'queue_external_ticker',
                       'queue_disable_insert', 'queue_per_tx_limit');
    if not found then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('cannot change parameter "%s"', x_param_name),
            hint = 'Parameters: ticker_max_count, ticker_max_lag, ticker_idle_period, ticker_paused, rotation_period,'
                   ' external_ticker, disable_insert, per_tx_limit.';
    end if;
    execute format('update pgq.queue set %I = $1::%s where queue_name = $2', v_column, v_type)
    using x_param_value, x_queue_name;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
