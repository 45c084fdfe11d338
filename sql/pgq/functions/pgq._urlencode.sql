create or replace function pgq._urlencode(i_value text)
returns text as $$
-- ----------------------------------------------------------------------
-- Function: pgq._urlencode(1)
--     Encodes a text for use in name=value&...: letters of ASCII, digits and "._-" stay, a space becomes "+", every
--     other byte becomes %xx.
-- Parameters:
--     i_value - the text
-- Returns:
--     the encoded text
-- ----------------------------------------------------------------------
declare
    v_encoded   text := i_value;
    v_char      text;
begin
    if i_value !~ '[^A-Za-z0-9._-]' then
        return i_value;
    end if;
    -- One replace() for each different character, "%" before those that bring in new ones, and the space after "+".
    v_encoded := replace(v_encoded, '%', '%25');
    for v_char in
        select distinct c
        from unnest(string_to_array(regexp_replace(i_value, '[A-Za-z0-9._% -]+', '', 'g'), null)) c
    loop
        v_encoded := replace(v_encoded, v_char,
            regexp_replace(encode(convert_to(v_char, getdatabaseencoding()), 'hex'), '(..)', E'%\\1', 'g'));
    end loop;
    return replace(v_encoded, ' ', '+');
end;
$$ language plpgsql strict immutable;
