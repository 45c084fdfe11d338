//! Events of types that nobody knows go to the provider's failed queue, whatever their number.

use super::log_lines::logged_after;
use crate::support::{Cluster, QUEUE, Replication};

/// Writes events of types X, Y and JSON that no trigger writes, with rows of table `t` between them, in one transaction.
fn write(r: &Replication, count: u32) {
    let table = r.provider.value(&format!("select pgq.current_event_table('{QUEUE}')"));
    r.provider.sql(&format!(
        "begin;
         insert into t select g from generate_series(1, 100) g;
         insert into {table} (ev_id, ev_time, ev_type, ev_data, ev_extra1, ev_extra4)
         select nextval(q.queue_event_seq), now(), (array['X', 'Y', '{{\"op\":\"VACUUM\"}}'])[1 + g % 3], 'data ' || g, 'public.t', g
         from pgq.queue q, generate_series(1, {count}) g where q.queue_name = '{QUEUE}';
         insert into t select g from generate_series(101, 200) g;
         commit"
    ));
}

/// Lets replay apply them; returns its lines but for batches without events and the end of the table's copy.
fn replay(r: &Replication, count: u32) -> Vec<String> {
    // The batches of the time before have their lines.
    r.replay_until_in_sync();
    let start = r.londiste.log().len();
    write(r, count);
    r.replay_until_in_sync();
    r.assert_in_sync();
    let failed =
        "select count(*), count(distinct ev_id), count(distinct ev_data), min(ev_failed_reason), max(ev_failed_reason),
                         bool_and(ev_data = 'data ' || ev_extra4 and ev_extra1 = 'public.t' and ev_time is not null)
                  from pgq.failed_queue f join pgq.subscription s on s.sub_id = f.ev_owner";
    let count = count.to_string();
    let reason = "Unknown operation";
    assert_eq!(r.provider.rows(failed), [[&count, &count, &count, reason, reason, "t"]]);
    let told = |line: &String| !line.contains("{count: 0,") && !line.starts_with("INFO storing state of ");
    logged_after(&r.londiste, start).into_iter().filter(told).collect()
}

#[test]
fn a_batch_with_very_many_puts_them_aside_and_says_so_once() {
    let r = Replication::new().with_table("t", "id int primary key").up();
    let lines = replay(&r, 200_000);
    let [warning, batch] = &lines[..] else { panic!("{lines:#?}") };
    assert!(warning.starts_with("WARNING Unknown op X (66666 events), Y (66667 events), {\"op\":\"VACUUM\"} (66667 events); first event ids "), "{warning}");
    assert_eq!(batch, "INFO {count: 200200, ignored: 0, duration: N, failed-events: 200000}");
}

#[test]
fn a_user_who_may_not_write_to_the_queue_puts_them_aside_too() {
    let mut r = Replication::new().with_table("t", "id int primary key").up();
    r.londiste.stop();
    let user = format!("reader_{}", r.provider.name());
    Cluster::provider().sql(&format!("create role {user} login"));
    r.provider.sql(&format!(
        "grant usage on schema pgq, londiste to {user}; grant execute on all functions in schema pgq, londiste to {user};
         grant select on all tables in schema pgq, londiste to {user}; grant select on t to {user}"
    ));
    r.londiste.configure("provider_db", &r.provider.conninfo_as(&user));
    r.londiste.start();
    assert_eq!(r.provider.value(&format!("select has_table_privilege('{user}', 'pgq.failed_queue', 'insert')")), "f");
    replay(&r, 7);
}
