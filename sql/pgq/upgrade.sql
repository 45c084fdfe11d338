-- Runs first. Refuses a schema pgq that is not ours to change, brings an older one into a shape that the other files
-- can build on, and finds out who may use it. Does nothing on a database without schema pgq, but for the last.
do $$
declare
    v_open      text := '';
begin
    -- The rule of access (grants.sql). It is found out before any function is created, because a new function may be
    -- executed by everybody until grants.sql has run. Empty: no schema here yet.
    if to_regprocedure('pgq.insert_event(text,text,text)') is not null then
        v_open := has_function_privilege('public', 'pgq.insert_event(text,text,text)', 'execute')::text;
    end if;
    perform set_config('pgq.install_open', v_open, true);
end;
$$;
