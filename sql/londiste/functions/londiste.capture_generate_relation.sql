create or replace function londiste.capture_generate_relation(
    i_capture londiste.capture, i_table oid, i_relation oid, i_common text)
returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_generate_relation(4)
--     Creates the capture functions and triggers of one relation and stores what they were made for.
-- Parameters: i_common - as londiste.capture_common_plan returns it
-- Writes: londiste.capture_relation
-- Raises, Locks: as londiste.capture_create
-- ----------------------------------------------------------------------
declare
    -- Before the plan: DDL that comes in between makes the mark outdated, and capture then compares the plan.
    v_mark text := (select l.mark
                    from pgq.queue q
                    cross join lateral londiste.capture_queue(q.queue_id) c
                    cross join lateral londiste.capture_look(c.relations, q.queue_id, i_table, i_relation) l
                    where q.queue_name = i_capture.queue_name);
    v_plan text := londiste.capture_plan(i_table, i_relation, i_capture.key_columns);
    v_number int;
begin
    insert into londiste.capture_relation as r (queue_name, table_name, table_oid, relation, plan)
    values (i_capture.queue_name, i_capture.table_name, i_table, i_relation,
            londiste.capture_relation_plan(i_relation, i_common, v_plan, v_mark))
    on conflict (queue_name, table_name, relation) do update
    set plan = excluded.plan, table_oid = excluded.table_oid
    returning r.nr into v_number;

    perform londiste.capture_create(v_number, i_capture, i_table, i_relation, v_plan, v_mark);
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
