//! Behind a transaction pooler each transaction may come by another session, and a session is handed on to other clients: nothing
//! that a function of the schema does may need, or leave behind, anything of a session.

use super::{create_roles, session_as, with_queue};
use crate::support::{Database, KEPT, Session};

/// Sessions that take turns, a transaction each.
struct Pool {
    sessions: Vec<Session>,
    turn: usize,
}

impl Pool {
    fn new(database: &Database, role: &str) -> Self {
        Pool { sessions: (0..3).map(|_| session_as(database, role)).collect(), turn: 0 }
    }

    #[track_caller]
    fn value(&mut self, sql: &str) -> String {
        self.turn = (self.turn + 1) % self.sessions.len();
        let session = &self.sessions[self.turn];
        let rows = session.rows(sql);
        let kept = session.column(KEPT);
        assert!(kept.is_empty(), "{sql}: {kept:?}");
        rows.last().map_or_else(String::new, |row| row[0].clone())
    }
}

#[test]
fn each_call_may_come_by_another_session_and_leaves_nothing_behind() {
    create_roles(&["pgq_test_pooled"]);
    let (database, owner) = with_queue();
    owner.sql(
        "select pgq.grant_right('pgq_test_pooled', 'admin'); select pgq.set_queue_config('q', 'per_tx_limit', '100');
         create table public.t (id int primary key, data text);
         grant all on public.t to pgq_test_pooled;
         create trigger logger after insert or update or delete on public.t for each row execute procedure pgq.sqltriga('q')",
    );
    let mut pool = Pool::new(&database, "pgq_test_pooled");
    for round in 1..=4 {
        pool.value(&format!("select pgq.insert_event('q', 'type', 'data {round}')"));
        pool.value(&format!("insert into public.t values ({round}, 'x'); update public.t set data = 'y'"));
        pool.value("select pgq.force_tick('q')");
        pool.value("select pgq.ticker()");
        assert_eq!(pool.value("select pgq.register_consumer('q', 'c')"), "0");
        let batch = pool.value("select pgq.next_batch('q', 'c')");
        assert_eq!(pool.value("select batch_id from pgq.next_batch_custom('q', 'c', null, 10, null)"), batch);
        pool.value(&format!("select tick_id from pgq.get_batch_info({batch})"));
        pool.value(&format!("select pgq.batch_event_sql({batch})"));
        let events = pool.value(&format!("select count(*) from pgq.get_batch_events({batch})"));
        assert!(events.parse::<u32>().unwrap() >= 3, "{events}");
        pool.value(&format!(
            "begin; select ev_id from pgq.get_batch_cursor({batch}, 'walk', 2); fetch 1 from walk; commit"
        ));
        pool.value(&format!("select pgq.event_retry({batch}, max(ev_id), 0) from pgq.get_batch_events({batch})"));
        pool.value(&format!("select pgq.event_failed({batch}, min(ev_id), 'bad') from pgq.get_batch_events({batch})"));
        assert_eq!(pool.value(&format!("select pgq.finish_batch({batch})")), "1");
        assert_eq!(pool.value("select pgq.maint_retry_events()"), "1");
        pool.value("select pgq.failed_event_count('q', 'c')");
        pool.value("update pgq.queue set queue_rotation_period = '0'");
        pool.value("select pgq.maint_rotate_tables_step1('q')");
        pool.value("select pgq.maint_rotate_tables_step2()");
        for call in [
            "get_queue_info()",
            "get_consumer_info()",
            "rotation_blockers('q')",
            "tick_blockers('q')",
            "maint_operations()",
        ] {
            pool.value(&format!("select * from pgq.{call}"));
        }
    }
    pool.value("select pgq.create_queue('other')");
    pool.value("select pgq.rebase_queue('other')");
    pool.value("select pgq.drop_queue('other')");
    pool.value("select pgq.unregister_consumer('q', 'c')");
}
