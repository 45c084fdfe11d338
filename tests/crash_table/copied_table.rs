//! A table with an index, a trigger of a user and a foreign key from a table outside of the set, which is copied again and again.

use super::{End, assert_left, killed_at};
use crate::support::{QUEUE, Replication, Session, assert_same_rows, wait_until};

/// What else a round does before the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Child {
    /// Every row of the referencing table has its row.
    Fits,
    /// One has none after the copy, so that the key cannot be validated.
    Orphaned,
}

/// The replication between two rounds: replay does not run, the table is `ok`, everything is applied.
pub(super) struct CopiedTable {
    // A new session for each statement would cost more than all that is tested.
    provider: Session,
    subscriber: Session,
    r: Replication,
    round: u32,
    structure: Vec<String>,
}

impl CopiedTable {
    pub(super) fn new() -> CopiedTable {
        let r = Replication::new().with_schema(
            "create table t (id int primary key, round int, data text); create index t_round on t (round)",
        );
        r.provider.sql("insert into t select i, 0, 'first' from generate_series(1, 100) i");
        r.subscriber.sql(
            "create table child (t_id int constraint child_key references t deferrable);
             create function note() returns trigger language plpgsql as 'begin return new; end';
             create trigger note before insert on t for each row execute procedure note()",
        );
        let r = r.up();
        r.subscriber.sql("insert into child values (1), (null)");
        r.londiste.run("subscriber restore-triggers t");
        let (provider, subscriber) = (r.provider.session(), r.subscriber.session());
        let mut table = CopiedTable { provider, subscriber, r, round: 0, structure: Vec::new() };
        table.wait_until_nothing_is_left();
        table.structure = table.structure();
        table.r.londiste.stop();
        table
    }

    /// Has the table copied, by processes that end one after the other: the place of each, and what it must leave. Then runs replay,
    /// and checks that all is as after a copy that nothing has disturbed.
    #[track_caller]
    pub(super) fn round(&mut self, ends: &[End], child: Child) {
        self.round += 1;
        let (r, round) = (&self.r, self.round);
        if child == Child::Orphaned {
            self.subscriber.sql("insert into child values (7)");
            self.provider.sql("delete from t where id = 7");
        }
        self.provider
            .sql(&format!("update t set round = {round}; insert into t values (1000 + {round}, {round}, 'before')"));
        self.subscriber.sql(&format!("select londiste.subscriber_set_table_state('{QUEUE}', 'public.t', null, null)"));
        for (end, left) in ends {
            if end.starts_with("copy batch::") {
                self.pass_by();
            }
            killed_at(&r.londiste, &[&r.provider, &r.subscriber], end);
            assert_left(end, left, &self.left());
            // What the copy's consumer has to bring, also when the next process is to end in its batch.
            self.provider.sql(&format!("update t set data = data || '.' where id % 3 = {round} % 3"));
        }
        self.provider.sql(&format!("insert into t values (2000 + {round}, {round}, 'after')"));
        if child == Child::Orphaned {
            let reason = "keys (t_id) of public.child that public.t does not have: (7)";
            r.londiste.log_contains(reason, || r.londiste.start());
            r.londiste.stop();
            self.subscriber.sql("delete from child where t_id = 7");
            self.provider.sql(&format!("insert into t values (7, {round}, 'again')"));
        }
        r.londiste.start();
        r.wait_until_ok();
        self.wait_until_nothing_is_left();
        r.replay_until_in_sync();
        assert_same_rows(&r.provider, &r.subscriber, &["t"]);
        r.londiste.stop();
        self.subscriber.sql("select londiste.subscriber_restore_all_table_triggers('public.t')");
        assert_eq!(self.structure(), self.structure, "after the end at {ends:?}");
    }

    /// Moves replay's consumer to the newest tick, as replay does in whose set nothing else is. A copy that is not far behind replay
    /// is handed over at once, without a batch of its own.
    fn pass_by(&self) {
        for _ in 0..15 {
            self.provider.sql(&format!("select pgq.force_tick('{QUEUE}')"));
            self.provider.sql(&format!("select pgq.ticker('{QUEUE}')"));
        }
        while self.provider.value(&format!("select pgq.next_batch('{QUEUE}', 'db1-londiste')")) != "NULL" {
            self.provider.sql(
                "select pgq.finish_batch(sub_batch) from pgq.subscription, pgq.consumer
                          where co_id = sub_consumer and co_name = 'db1-londiste'",
            );
        }
        let tick = self.provider.value(
            "select sub_last_tick from pgq.subscription, pgq.consumer where co_id = sub_consumer and co_name = 'db1-londiste'",
        );
        self.subscriber.sql(&format!(
            "update londiste.completed set last_tick_id = {tick} where consumer_id = 'db1-londiste';
             delete from londiste.completed_tick where consumer_id = 'db1-londiste'"
        ));
    }

    /// State, rows, indexes and trigger, foreign key, registered consumers of copies.
    fn left(&self) -> String {
        let state = self.subscriber.value("select coalesce(merge_state, '-') from londiste.subscriber_table");
        let rounds = self.subscriber.value("select string_agg(distinct round::text, ' ') from t where id < 1000");
        let rows = match rounds.parse::<u32>() {
            Ok(round) if round == self.round => "new".to_owned(),
            Ok(round) if round + 1 == self.round => "old".to_owned(),
            _ => format!("of rounds {rounds}"),
        };
        let whole: Vec<String> = self.structure.iter().filter(|line| !line.starts_with("key")).cloned().collect();
        let mut now = self.structure();
        now.retain(|line| !line.starts_with("key"));
        let structure = if now == whole {
            "whole".to_owned()
        } else if now.iter().eq(whole.iter().filter(|line| !line.starts_with("trigger"))) {
            "without trigger".to_owned()
        } else {
            format!("{now:?}")
        };
        let key = self.subscriber.value(
            "select coalesce((select case when convalidated then 'key' else 'key not valid' end
                                from pg_constraint where conname = 'child_key'), 'no key')
                    || case when exists (select from londiste.subscriber_pending_fkeys) then ', pending' else '' end
                    || case when exists (select from londiste.fkey_failure) then ', failed' else '' end",
        );
        format!("{state} | {rows} | {structure} | {key} | {} registered", self.copy_consumers().len())
    }

    fn copy_consumers(&self) -> Vec<String> {
        self.provider.column(
            "select co_name from pgq.subscription join pgq.consumer on co_id = sub_consumer where co_name like '%\\_copy%'",
        )
    }

    fn wait_until_nothing_is_left(&self) {
        wait_until("nothing is left of the copy", || {
            let left = self.subscriber.column(
                "select consumer_id from londiste.table_position
                 union all select consumer_id from londiste.completed where consumer_id like '%\\_copy%'
                 union all select fkey_name from londiste.subscriber_pending_fkeys
                 union all select fkey_name from londiste.fkey_failure
                 union all select snapshot from londiste.subscriber_table where snapshot is not null",
            );
            let consumers = self.copy_consumers();
            if left.is_empty() && consumers.is_empty() { Ok(()) } else { Err(format!("{left:?} {consumers:?}")) }
        });
    }

    fn structure(&self) -> Vec<String> {
        self.subscriber.column(
            "select format('key %s %s', pg_get_constraintdef(oid), convalidated) from pg_constraint where conname = 'child_key'
             union all
             select format('%s %s', indexdef, i.indisvalid) from pg_indexes, pg_index i
              where tablename = 't' and i.indexrelid = indexname::regclass
             union all
             select 'trigger ' || tgname from pg_trigger where tgrelid = 't'::regclass and not tgisinternal
             order by 1",
        )
    }
}
