create or replace function pgq._check_name(i_kind text, i_name text)
returns void as $$
-- ----------------------------------------------------------------------
-- Function: pgq._check_name(2)
--     Refuses names for new queues and consumers that would make trouble later: empty ones, those too long for an index and
--     for the notification of a tick, and those that would break lines in logs and listings.
-- Parameters:
--     i_kind - queue or consumer, for the message
--     i_name - the name
-- ----------------------------------------------------------------------
declare
    c_longest   constant integer := 1000;
    v_problem   text := case
        when coalesce(i_name, '') = '' then 'is empty'
        when octet_length(i_name) > c_longest then format('is too long: %s bytes', octet_length(i_name))
        when i_name ~ E'[\\x01-\\x1f\\x7f]' then 'has a control character'
    end;
begin
    if v_problem is not null then
        raise exception using
            errcode = 'invalid_name',
            message = format('%s name %s', i_kind, v_problem),
            hint = format('A name has 1 to %s bytes, and no line breaks or other control characters.', c_longest);
    end if;
end;
$$ language plpgsql immutable set search_path = pg_catalog, pg_temp;
