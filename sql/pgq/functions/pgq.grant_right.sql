create or replace function pgq.grant_right(i_role text, i_right text)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.grant_right(2)
--     Grants a role what it needs to consume, to write to, or to administer the queues of this database; also of queues that
--     are created later. The rights are privileges on the objects of this database. They do not depend on the cluster's roles
--     pgq_reader, pgq_writer and pgq_admin, whose members may use the queues of every database that knows these roles.
-- Parameters:
--     i_role  - name of a role, or "public" for every role
--     i_right - reader: consume (register, batches, retried and failed events), read the event tables
--               writer: pgq.insert_event(), attach queue triggers to tables
--               admin:  everything: create, drop and configure queues, tick, rotate; and in schema londiste what
--                       pgq_admin may do there
-- Returns:
--     1 - granted
--     0 - the role was granted this right before
-- Calls:
--     pgq._check_right(2), pgq._grant_functions(2), pgq.grant_perms(1), londiste.grant_admin(1)
-- Writes:
--     privileges on schema pgq, its functions, tables and sequences
-- Raises:
--     undefined_object for an unknown role, invalid_parameter_value for an unknown right, insufficient_privilege when the caller
--     does not own the schema
-- ----------------------------------------------------------------------
declare
    v_grantee   constant text := pgq._check_right(i_role, i_right);
    v_is_new    constant boolean := i_role not in (select h from pgq._right_holders(i_right) h);
begin
    perform pgq._run_ddl(format('grant usage on schema pgq to %s', v_grantee));
    perform pgq._grant_functions(v_grantee, i_right);
    if i_right in ('reader', 'admin') then
        perform pgq._run_ddl(format('grant %s on table pgq.consumer, pgq.queue, pgq.tick, pgq.subscription, pgq.retry_queue, pgq.failed_queue'
                       ' to %s',
                       case i_right when 'admin' then 'select, insert, update, delete' else 'select' end, v_grantee));
        perform pgq._run_ddl(format('grant %s on table pgq.event_template to %s',
                       case i_right when 'admin' then 'select, insert, truncate' else 'select' end, v_grantee));
        perform pgq.grant_perms(q.queue_name) from pgq.queue q order by q.queue_id;
    end if;
    if i_right = 'admin' then
        if current_setting('server_version_num')::integer >= 170000 then
            -- Servers before 17 let only the owner vacuum; there the tables are autovacuum's.
            perform pgq._run_ddl(format('grant maintain on table pgq.consumer, pgq.queue, pgq.tick, pgq.subscription, pgq.retry_queue to %s',
                           v_grantee));
        end if;
        if to_regprocedure('londiste.grant_admin(text)') is not null then
            execute 'select londiste.grant_admin($1)' using v_grantee;
        end if;
    end if;
    return v_is_new::integer;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
