create or replace function londiste.capture_pinning(
    i_columns londiste.capture_column[],
    out is_pinned text, out pin text, out unpin text)
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_pinning(1)
--     Returns how a capture function sees to it that the text of values does not depend on the settings of the writer's session.
--     Most sessions have settings under which nothing is to be done.
-- Returns: all null when no setting matters, or the function has set clauses (londiste.capture_settings)
--     is_pinned - condition: values have the same text as under londiste.capture_pins()
--     pin       - statements that set the settings, until the end of the transaction, and keep the values before in v_settings
--     unpin     - statements that restore them
-- ----------------------------------------------------------------------
declare
    v_needs text[] := londiste.capture_needs(i_columns);
begin
    if v_needs = '{}' or 'search_path' = any (v_needs) then
        return;
    end if;
    select string_agg(
               case
                   -- The order of day and month, which is part of the setting, matters for input only.
                   when s.name = 'DateStyle'
                   then format('pg_catalog.current_setting(%L) operator(pg_catalog.~~) %L', s.name, 'ISO%')
                   -- The shortest exact text; capture_plan tells servers apart.
                   when s.name = 'extra_float_digits' and current_setting('server_version_num')::int >= 120000
                   then format('pg_catalog.current_setting(%L) operator(pg_catalog.~) %L', s.name, '^[123]$')
                   else format('pg_catalog.current_setting(%L) operator(pg_catalog.=) %L', s.name, s.value)
               end, ' and ' order by s.nr),
           format(E'v_settings := array[%s];\n%s',
                  string_agg(format('pg_catalog.current_setting(%L)', s.name), ', ' order by s.nr),
                  string_agg(format(E'v_changes := pg_catalog.set_config(%L, %L, true);\n', s.name, s.value), '' order by s.nr)),
           string_agg(format(E'v_changes := pg_catalog.set_config(%L, v_settings[%s], true);\n', s.name, s.nr), '' order by s.nr)
    into is_pinned, pin, unpin
    from (select p.name, p.value, row_number() over (order by p.name) as nr
          from londiste.capture_pins() p
          where p.name = any (v_needs)) s;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
