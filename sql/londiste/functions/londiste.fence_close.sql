create or replace function londiste.fence_close(
    i_queue_name text, i_from bigint, i_to bigint, i_message text, i_hint text) returns bigint
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.fence_close(5)
--     Closes the fence, or makes a fence that ends at a time final. Waits at the gate until all transactions have ended that wrote to
--     an armed table; the caller limits the wait (lock_timeout). To be sent in one message with the end of its transaction, and with
--     synchronous_commit on: a client that vanishes between two messages would leave all writers at the gate, and a value of a
--     sequence that is not flushed is lost in a crash.
--
--     A rollback does not take the new state back. A caller whose call has failed calls londiste.fence_open().
-- Parameters:
--     i_queue_name - the tables that must be armed, see londiste.fence_relations()
--     i_from  - the state that the caller has left: 1 for open, else the time at which the fence ends
--     i_to    - microseconds since 1970 at which the fence ends; 9223372036854775807 for a fence that does not end
--     i_message, i_hint - what writers are told
-- Returns: the microseconds between the call and the moment when the gate was free
-- Raises:
--     object_not_in_prerequisite_state - the state is another one: the fence has expired, or somebody else has changed it
--     object_in_use - the definition of a table with partitions is being changed: it may get one that is not armed; or, where all
--         tables of the database are closed, a transaction has made a table (or a view, a sequence), and has not ended
--     undefined_object - a table is not armed, for example a partition that was made later
-- Writes: londiste.fence_state, londiste.fence
-- Locks: the gate, exclusively, until the end of the transaction. It is an advisory lock of this database, because writers of armed
--     tables must be able to take it: any role can hold up a switchover by it, and is seen by londiste.fence_holders().
-- ----------------------------------------------------------------------
declare
    v_start     bigint := londiste.fence_clock();
    v_passed    bigint;
    v_state     bigint;
    v_open      text;
begin
    perform pg_advisory_xact_lock(1919709038, 1734440037);
    v_passed := londiste.fence_clock();
    select s.last_value into v_state from londiste.fence_state s;
    if v_state <> i_from or v_state > 1 and v_state <= v_passed or i_to <= v_passed then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = case when v_state = i_from or v_state = 1 then 'the time of the fence is over'
                           else 'the fence was changed by another session' end;
    end if;
    -- The locks first and then the catalog: a transaction that ends in between has left its tables there.
    select string_agg(distinct l.relation::regclass::text, ', ') into v_open
    from pg_locks l
    join pg_class c on c.oid = l.relation
    where l.database = (select d.oid from pg_database d where d.datname = current_database())
      and l.granted and l.pid is distinct from pg_backend_pid()
      and l.mode in ('ShareUpdateExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
      and c.relkind = 'p' and londiste.fence_is_armed(c.oid);
    if v_open is not null then
        raise exception using
            errcode = 'object_in_use',
            message = format('the definition of %s is being changed: it may get a partition that is not armed', v_open);
    end if;
    -- A table that is not committed is seen by its lock alone. Its maker has a lock on its schema, too: whoever makes new storage of an
    -- old table has none, and temporary tables have schemas of their own (but a schema that is new itself may be one of those).
    if i_queue_name is null then
        select string_agg(distinct coalesce('process ' || l.pid, 'a prepared transaction'), ', ') into v_open
        from pg_locks l
        where l.locktype = 'relation' and l.database = (select d.oid from pg_database d where d.datname = current_database())
          and l.granted and l.pid is distinct from pg_backend_pid() and l.mode = 'AccessExclusiveLock'
          and not exists (select 1 from pg_class c where c.oid = l.relation)
          and exists (select 1 from pg_locks s
                      where s.locktype = 'object' and s.database = l.database and s.classid = 'pg_namespace'::regclass
                        and s.virtualtransaction = l.virtualtransaction
                        and not exists (select 1 from pg_namespace n where n.oid = s.objid and left(n.nspname::text, 8) = 'pg_temp_'));
        if v_open is not null then
            raise exception using
                errcode = 'object_in_use',
                message = format('a table is being made, to which the fence does not reach: by %s', v_open);
        end if;
    end if;
    select string_agg(r.name, ', ' order by r.name) into v_open
    from londiste.fence_relations(i_queue_name) r
    where not r.is_armed and r.problem is null;
    if v_open is not null then
        raise exception using
            errcode = 'undefined_object',
            message = format('the fence is open at %s: made or changed after the tables were armed', v_open);
    end if;
    perform londiste.fence_pass();
    update londiste.fence set message = i_message, hint = i_hint;
    perform setval('londiste.fence_state', i_to);
    return v_passed - v_start;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
