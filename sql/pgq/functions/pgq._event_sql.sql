create or replace function pgq._event_sql(
    i_op text, i_names text[], i_types oid[], i_generated boolean[], i_used boolean[], i_keys text[],
    i_old text[], i_new text[], i_classic boolean)
returns text as $$
-- ----------------------------------------------------------------------
-- Function: pgq._event_sql(9)
--     Writes a changed row as an SQL fragment: the part after "insert into T ", "update T set ", or "delete from T
--     where ". Updates have the changed columns only. Generated columns are left out of inserts and updates.
-- Parameters:
--     i_op         - INSERT, UPDATE, or DELETE
--     i_names, i_types, i_generated - the columns
--     i_used       - whether a column goes into events; key columns always stand in "where"
--     i_keys       - the key columns
--     i_old, i_new - texts of the rows
--     i_classic    - quote column names as PgQ 2.1 did: all keywords, not only reserved ones
-- Returns:
--     the fragment; "key = its own value" for an update that changes nothing; null for one that changes only
--     columns that do not go into events
-- ----------------------------------------------------------------------
declare
    v_cols      record;
begin
    if i_op = 'INSERT' then
        select string_agg(case when i_classic then pgq._quote_classic(c.name) else quote_ident(c.name) end, ',')
                   as names,
               string_agg(coalesce(quote_literal(c.value), 'null'), ',') as vals
        into v_cols
        from unnest(i_names, i_generated, i_used, i_new) as c (name, is_generated, is_used, value)
        where c.is_used
          and not c.is_generated;
        return '(' || v_cols.names || ') values (' || v_cols.vals || ')';
    end if;

    select string_agg(c.name || '=' || coalesce(quote_literal(c.new), 'NULL'), ',')
               filter (where c.is_changed and c.is_used and not c.is_generated) as changes,
           string_agg(c.name || '=' || quote_literal(c.old), ' and ') filter (where c.is_key) as keys,
           (array_agg(c.name || '=' || quote_literal(c.old)) filter (where c.is_key))[1] as first_key,
           max(c.name) filter (where c.is_key and c.old is null) as null_key,
           bool_or(c.is_changed) as is_changed,
           bool_or(c.is_changed and c.is_used) as is_used_changed
    into v_cols
    from (select case when i_classic then pgq._quote_classic(u.name) else quote_ident(u.name) end as name,
                 u.name = any (i_keys) as is_key, u.is_generated, u.is_used, u.old, u.new,
                 case
                     when i_op = 'DELETE' or u.old is not distinct from u.new then false
                     -- Trailing zeros do not make it another number.
                     when u.type = 'numeric'::regtype and u.old is not null and u.new is not null
                     then u.old::numeric <> u.new::numeric
                     else true
                 end as is_changed
          from unnest(i_names, i_types, i_generated, i_used, i_old, i_new)
               as u (name, type, is_generated, is_used, old, new)) c;
    if v_cols.is_changed and not v_cols.is_used_changed then
        return null;
    elsif v_cols.null_key is not null then
        raise exception using
            errcode = 'null_value_not_allowed',
            message = 'logtriga: Unexpected NULL key value',
            detail = format('Column: %s', v_cols.null_key);
    elsif i_op = 'DELETE' then
        return v_cols.keys;
    end if;
    return coalesce(v_cols.changes, v_cols.first_key) || ' where ' || v_cols.keys;
end;
$$ language plpgsql immutable;
