create or replace function londiste.urlencode(i_value text) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.urlencode(1)
--     Encodes a text for format urlenc: letters, digits, ".", "_" and "-" stay, a space becomes "+", every other byte %xx.
-- ----------------------------------------------------------------------
declare
    v_encoded text;
    v_char text;
begin
    if i_value !~ '[^A-Za-z0-9._-]' then
        return i_value;
    end if;
    -- One replace() for each different character: "%" first, because every other one inserts "%"; the space last, after "+".
    v_encoded := replace(i_value, '%', '%25');
    for v_char in
        select distinct u.c
        from unnest(string_to_array(regexp_replace(i_value, '[A-Za-z0-9._ %-]+', '', 'g'), null)) u(c)
    loop
        v_encoded := replace(v_encoded, v_char,
                             regexp_replace(encode(convert_to(v_char, getdatabaseencoding()), 'hex'), '(..)', E'%\\1', 'g'));
    end loop;
    return replace(v_encoded, ' ', '+');
end;
$$ language plpgsql strict immutable set search_path = pg_catalog, pg_temp;
