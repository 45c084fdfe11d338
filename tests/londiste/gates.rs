//! Gates that hold a copy, or replay on its behalf, at a place that a test has closed, until the test opens it again:
//! triggers in both databases.

use super::original;
use crate::support::{Replication, Session, wait_until};

/// The database that has the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Provider,
    Subscriber,
}

/// `pass(stage)` waits while the stage is like a pattern in `closed` and the test holds the lock of its key.
/// `value` is for expressions of indexes.
pub(super) const GATES: &str = "
    create schema gate;
    create table gate.closed (stage text, key int);
    create function gate.pass(stage text) returns void language plpgsql as $$
        declare
            v_key int := (select c.key from gate.closed c where $1 ilike c.stage);
        begin
            if v_key is not null then
                perform pg_advisory_lock_shared(v_key);
                perform pg_advisory_unlock_shared(v_key);
            end if;
        end $$;
    create function gate.value(int) returns int language plpgsql immutable as $$
        begin perform gate.pass('value ' || $1 || ' ' || current_query()); return $1; end $$;";

pub(super) const PROVIDER_GATES: &str = "
    create function gate.subscription() returns trigger language plpgsql as $$
        declare
            r pgq.subscription;
        begin
            if tg_op = 'DELETE' then r := old; else r := new; end if;
            if exists (select from pgq.consumer where co_id = r.sub_consumer and co_name like '%_copy') then
                perform gate.pass(case tg_op when 'INSERT' then 'register' when 'DELETE' then 'unregister'
                                  else case when new.sub_batch is not null then 'next batch' else 'finish batch' end end);
            end if;
            return r;
        end $$;
    create trigger gate before insert or update or delete on pgq.subscription
        for each row execute procedure gate.subscription();";

pub(super) const SUBSCRIBER_GATES: &str = "
    create function gate.statement() returns event_trigger language plpgsql as $$
        begin perform gate.pass('ddl ' || current_query()); end $$;
    create event trigger gate on ddl_command_start execute procedure gate.statement();
    create function gate.completed() returns trigger language plpgsql as $$
        begin perform gate.pass('completed ' || lower(tg_op) || ' ' || new.consumer_id); return new; end $$;
    create trigger gate before insert or update on londiste.completed for each row execute procedure gate.completed();
    create function gate.state() returns trigger language plpgsql as $$
        begin perform gate.pass('state ' || new.merge_state); return new; end $$;
    create trigger gate before update of merge_state on londiste.subscriber_table
        for each row when (new.merge_state is distinct from old.merge_state) execute procedure gate.state();
    create function londiste.capture_0_g() returns trigger language plpgsql as $$
        begin perform gate.pass(tg_argv[0]); return new; end $$;";

/// Gates in a table of the subscriber: `truncate`, and `row in the middle` before the row whose id is 500. By their
/// function they are no triggers of a user, which a copy puts aside.
pub(super) fn of_table(table: &str) -> String {
    format!(
        "create trigger gate_truncate before truncate on {table}
             for each statement execute procedure londiste.capture_0_g('truncate');
         create trigger gate_row before insert on {table} for each row when (new.id = 500)
             execute procedure londiste.capture_0_g('row in the middle')"
    )
}

/// Holds everybody who comes to the stage, until this session unlocks the key.
pub(super) fn close(r: &Replication, side: Side, stage: &str, key: u32) -> Session {
    let gate = if side == Side::Provider { r.provider.session() } else { r.subscriber.session() };
    gate.sql(&format!("select pg_advisory_lock({key}); insert into gate.closed values ('{stage}', {key})"));
    gate
}

pub(super) fn open(gate: &Session, key: u32) {
    gate.sql(&format!("delete from gate.closed where key = {key}; select pg_advisory_unlock({key})"));
}

pub(super) fn wait_until_held(gate: &Session, key: u32) {
    let sql = format!(
        "select (select string_agg(stage, ' ') from gate.closed where key = {key}), count(*) from pg_locks
          where locktype = 'advisory' and objid = {key} and not granted
            and database = (select oid from pg_database where datname = current_database())"
    );
    wait_until("the copy is held at the gate", || match gate.rows(&sql) {
        rows if rows[0][1] == "0" => Err(rows[0][0].clone()),
        _ => Ok(()),
    });
}

/// Subscribes to `t`, which has an `id` and a text, and holds its copy where the subscriber has committed a batch that the
/// provider has still to finish. Replay is further by more ticks than a copy hands over with at once: with fewer ones
/// the table may be handed over before the copy has finished a batch.
pub(super) fn copy_to_finish_batch(r: &Replication, key: u32) -> Session {
    let copied = close(r, Side::Subscriber, "ddl alter table%add constraint%t_pkey%", key + 1);
    r.londiste.run("subscriber add t");
    wait_until_held(&copied, key + 1);
    for id in 102..116 {
        r.provider.sql(&format!("insert into t values ({id}, 'behind')"));
        original::tick(&r.provider);
    }
    r.replay_until_in_sync();
    let finish = close(r, Side::Provider, "finish batch", key);
    open(&copied, key + 1);
    wait_until_held(&finish, key);
    finish
}
