create or replace function londiste.capture_settings() returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_settings(0)
--     The settings under which capture functions turn values into text, whatever the writer's session has.
-- ----------------------------------------------------------------------
select ' set "DateStyle" = ''ISO, YMD'' set "IntervalStyle" = postgres set extra_float_digits = 3 set bytea_output = hex'
       ' set "TimeZone" = ''UTC'' set lc_monetary = ''C''';
$$ language sql immutable set search_path = pg_catalog, pg_temp;
