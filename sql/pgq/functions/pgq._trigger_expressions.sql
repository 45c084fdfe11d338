create or replace function pgq._trigger_expressions(i_relid oid, i_args text[])
returns text as $$
-- ----------------------------------------------------------------------
-- Function: pgq._trigger_expressions(2)
--     Makes the query that computes a trigger's when= and ev_...= expressions from a row, given as $1.
--
--     The trigger functions run with the rights of the owner of schema pgq, so that writers need no right there, and an
--     expression runs with the rights of the function around it. So expressions are computed only for tables whose owner has
--     the rights of the schema's owner or the right "admin". Otherwise any role that may create a trigger could run anything
--     as the owner of the schema. An expression that is just the name of a column is not computed, because the column's text
--     is known already (pgq._trigger_insert): the owner of any table may use such expressions.
-- Parameters:
--     i_relid - the table
--     i_args  - the trigger's arguments
-- Returns:
--     a query with one text[] column: ev_type, ev_data, ev_extra1..4, condition ('true' or 'false'); null when there is
--     nothing to compute
-- ----------------------------------------------------------------------
declare
    v_options   record;
    v_owner     oid;
    v_expr      text;
    v_is_column boolean;
    v_items     text[];
    v_needed    boolean := false;
begin
    select * into v_options from pgq._trigger_options(i_args);
    if v_options.fields is null and v_options.condition is null then
        return null;
    end if;

    select c.relowner into v_owner from pg_class c where c.oid = i_relid;
    foreach v_expr in array coalesce(v_options.fields, array_fill(null::text, array[6])) || v_options.condition
    loop
        v_is_column := v_expr is null or exists (
            select 1
            from pg_attribute a
            where a.attrelid = i_relid and a.attnum > 0 and not a.attisdropped and v_expr = quote_ident(a.attname));
        v_items := v_items || case when v_is_column then 'null::text' else format('(%s)::text', v_expr) end;
        if not v_is_column and not pgq._is_trusted(v_owner) then
            raise exception using
                errcode = 'insufficient_privilege',
                message = format('expression in the arguments of a queue trigger on %s refused', i_relid::regclass),
                detail = format('Expression: %s. It would run with the rights of %s, which %s, the table''s owner, does'
                                ' not have.', v_expr, current_user, pg_get_userbyid(v_owner)),
                hint = format(case when to_regrole('pgq_admin') is null
                                   then 'Use the name of a column instead, or: select pgq.grant_right(%L, ''admin'').'
                                   else 'Use the name of a column instead, or: grant pgq_admin to %I.' end,
                              pg_get_userbyid(v_owner));
        end if;
        v_needed := v_needed or not v_is_column;
    end loop;
    if not v_needed then
        return null;
    end if;
    return format('select array[%s] from (select ($1).*) as r', array_to_string(v_items, ', '));
end;
$$ language plpgsql;
