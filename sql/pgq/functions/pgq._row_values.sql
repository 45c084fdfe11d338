create or replace function pgq._row_values(i_row text)
returns text[] as $$
-- ----------------------------------------------------------------------
-- Function: pgq._row_values(1)
--     Splits the text of a whole row, such as (1,,"a ""b"" c"), into the texts of its columns as their types print them. The
--     server makes the text of a row in one conversion, for any table.
--
--     In such a text a field is quoted when it is empty or has a character that is part of the syntax; a null has no
--     character at all. Within quotes, quotes and backslashes are doubled. The text is cut at every quote: pieces outside of
--     quotes and pieces within quotes alternate, and an empty piece outside, except the first and the last, is the middle of
--     a doubled quote. (A regular expression does the same in one line, ten times slower.)
-- Parameters:
--     i_row - text of a row
-- Returns:
--     texts of the row's columns in their order, without dropped columns; null when i_row is null
-- ----------------------------------------------------------------------
declare
    v_fields    text := substr(i_row, 2, length(i_row) - 2);
    v_pieces    text[];
    v_count     integer;
    v_piece     text;
    v_nr        integer := 0;
    v_quoted    text[];
    v_values    text[] := '{}';
begin
    if v_fields = '' then
        return array[null::text];
    elsif position('"' in v_fields) = 0 then
        return string_to_array(v_fields, ',', '');
    end if;

    v_pieces := string_to_array(v_fields, '"');
    v_count := cardinality(v_pieces);
    foreach v_piece in array v_pieces
    loop
        v_nr := v_nr + 1;
        if v_nr % 2 = 0 then
            v_quoted := array_append(v_quoted, v_piece);
            continue;
        elsif v_piece = '' and v_nr > 1 and v_nr < v_count then
            v_quoted := array_append(v_quoted, '"');
            continue;
        end if;
        if v_quoted is not null then
            v_values := array_append(v_values, replace(array_to_string(v_quoted, ''), E'\\\\', E'\\'));
            v_quoted := null;
            v_piece := substr(v_piece, 2);
            continue when v_piece = '' and (v_nr < v_count or v_pieces[v_count] = '');
        end if;
        -- Before a quoted field, a comma ends the piece.
        if v_nr < v_count then
            continue when v_piece = '';
            v_piece := left(v_piece, -1);
        end if;
        v_values := case v_piece
            when '' then array_append(v_values, null)
            else v_values || string_to_array(v_piece, ',', '')
        end;
    end loop;
    return v_values;
end;
$$ language plpgsql strict immutable;
