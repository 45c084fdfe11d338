create or replace function pgq.set_queue_config(x_queue_name text, x_param_name text, x_param_value text)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.set_queue_config(3)
--     Sets a queue's parameter.
-- Parameters:
--     x_queue_name  - name of the queue
--     x_param_name  - ticker_max_count, ticker_max_lag, ticker_idle_period, ticker_paused, rotation_period,
--                     external_ticker, disable_insert or per_tx_limit, also with "queue_" before it
--     x_param_value - the value; a bare number for an interval means seconds. Null only for per_tx_limit: no limit
-- Returns:
--     1
-- Writes:
--     pgq.queue
-- Locks:
--     the queue's row until the end of the transaction; rotation is put off meanwhile, ticks and writers do not wait
-- ----------------------------------------------------------------------
declare
    v_column    text := 'queue_' || regexp_replace(x_param_name, '^queue_', '');
    v_type      text;
    v_is_sane   boolean;
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
    -- A queue whose settings cannot be computed with would get no ticks, or stop the maintenance of all.
    execute case v_type
        when 'interval' then 'select $1::interval between interval ''0'' and interval ''100 years'' '
        when 'integer' then 'select $1::integer >= 1'
        else 'select $1::boolean is not null'
    end
    into v_is_sane
    using x_param_value;
    if not coalesce(v_is_sane, v_column = 'queue_per_tx_limit') then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('%s cannot be %s', substr(v_column, 7), coalesce(x_param_value, 'null')),
            hint = case v_type
                when 'interval' then 'A time of 0 to 100 years, such as 2 hours; a bare number means seconds.'
                when 'integer' then 'A number of at least 1.'
                else 'true or false.'
            end;
    end if;
    execute format('update pgq.queue set %I = $1::%s where queue_name = $2', v_column, v_type)
    using x_param_value, x_queue_name;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
