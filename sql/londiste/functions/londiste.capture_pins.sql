create or replace function londiste.capture_pins() returns table (name text, value text)
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_pins(0)
--     Returns the settings that the text of values depends on, with the values that they have while events are made.
-- ----------------------------------------------------------------------
values ('search_path', 'pg_catalog, pg_temp'), ('DateStyle', 'ISO, YMD'), ('TimeZone', 'UTC'), ('IntervalStyle', 'postgres'),
       ('extra_float_digits', '3'), ('bytea_output', 'hex'), ('lc_monetary', 'C'), ('quote_all_identifiers', 'off');
$$ language sql immutable set search_path = pg_catalog, pg_temp;
