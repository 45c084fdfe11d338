//! An installation of SkyTools 2.1 goes on under rlondiste, with the same ini files and without a new copy, and can be
//! given back.
//!
//! The installation is made by SQL as the original leaves it: schemas of PgQ 2.1.8 and Londiste 2.1.12, classic row
//! triggers, events in the queue, and tables in every state. At most one table is between `in-copy` and `do-sync` there,
//! so there is a test for each of these states.

use crate::support::{Database, Load, QUEUE, Replication, assert_same_rows, compare_tables, wait_until};

const PGQ: &str = include_str!("../sql/pgq_2.sql");
const PGQ_FUNCTIONS: &str = include_str!("../sql/pgq_2_functions.sql");
const LONDISTE: &str = include_str!("../sql/londiste_2.sql");

/// Tables with the letters of their trigger. `moving` is in the state of the test, `fresh` is not started.
const TABLES: [(&str, &str); 5] =
    [("parents", "kv"), ("children", "kvv"), ("snapped", "kv"), ("moving", "kv"), ("fresh", "kv")];

const SCHEMA: &str = "
    create table parents (id int primary key, data text);
    create table moving (id int primary key, data text);
    create table children (id int primary key, parent int references parents, moving int references moving);
    create table snapped (id int primary key, data text);
    create table fresh (id int primary key, parent int references parents);
    create sequence numbers";

/// The columns of the classic schemas' tables, without those that an upgrade of pgq adds.
const SHAPE: &str = "
    select c.oid::regclass || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull
           || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
    from pg_class c join pg_attribute a on a.attrelid = c.oid
        left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relnamespace in (select oid from pg_namespace where nspname in ('pgq', 'londiste')) and c.relkind in ('r', 'c')
      and a.attnum > 0 and not a.attisdropped
    order by 1";

const FUNCTIONS: &str = "
    select p.oid::regprocedure || ' ' || pg_get_function_result(p.oid)
    from pg_proc p where p.pronamespace in (select oid from pg_namespace where nspname in ('pgq', 'londiste')) order by 1";

const TRIGGERS: &str = "select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal order by 1";

/// The state of table `moving`, and what the original's processes have done by then.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moving {
    InCopy,
    CatchingUp,
    WannaSync,
    DoSync,
}

/// Where the original stands when it is stopped.
struct Original {
    r: Replication,
    moving: Moving,
}

impl Original {
    fn tick(&self) -> i64 {
        self.r.provider.value(&format!("select pgq.ticker('{QUEUE}')")).parse().unwrap()
    }

    /// Makes the rows of subscriber tables those that the provider has now; marked rows stay.
    fn bring(&self, tables: &[&str]) {
        for table in tables {
            let rows = self.r.provider.value(&format!("select coalesce(json_agg(t), '[]') from {table} t"));
            self.r.subscriber.sql(&format!(
                "begin; set local session_replication_role = replica; delete from {table} where id > 0;
                 insert into {table} select * from json_populate_recordset(null::{table}, $rows${rows}$rows$); commit"
            ));
        }
    }

    /// The consumer's position on both sides.
    fn stands_at(&self, consumer: &str, tick: i64) {
        self.r.provider.sql(&format!(
            "select pgq.register_consumer('{QUEUE}', '{consumer}', {tick});
             update pgq.subscription set sub_last_tick = {tick}, sub_batch = null, sub_next_tick = null
             where sub_consumer = (select co_id from pgq.consumer where co_name = '{consumer}')"
        ));
        self.r.subscriber.sql(&format!(
            "insert into londiste.completed values ('{consumer}', {tick})
             on conflict (consumer_id) do update set last_tick_id = {tick}"
        ));
    }

    fn table(&self, name: &str, state: &str, snapshot: &str) {
        self.r.subscriber.sql(&format!(
            "insert into londiste.subscriber_table (queue_name, table_name, merge_state, snapshot)
             values ('{QUEUE}', 'public.{name}', {state}, {snapshot})"
        ));
    }

    fn with_schemas() -> Replication {
        let r = Replication::new().with_schema(SCHEMA).with_schema(LONDISTE);
        r.provider.sql(PGQ);
        r.provider.sql(PGQ_FUNCTIONS);
        r.provider.sql(&format!(
            "delete from pgq.consumer;
             update pgq.queue set queue_name = '{QUEUE}', queue_ticker_max_lag = '200 ms',
                 queue_ticker_idle_period = '200 ms';
             insert into londiste.provider_seq (queue_name, seq_name) values ('{QUEUE}', 'public.numbers')"
        ));
        for (table, letters) in TABLES {
            r.provider.sql(&format!(
                "create trigger \"{QUEUE}_logger\" after insert or update or delete on {table}
                     for each row execute procedure pgq.logtriga('{QUEUE}', '{letters}', 'public.{table}');
                 insert into londiste.provider_table (queue_name, table_name, trigger_name)
                     values ('{QUEUE}', 'public.{table}', '{QUEUE}_logger')"
            ));
        }
        r.subscriber.sql(&format!(
            "insert into londiste.subscriber_seq (queue_name, seq_name) values ('{QUEUE}', 'public.numbers');
             create function count_up() returns trigger as $$ begin return new; end $$ language plpgsql;
             insert into londiste.subscriber_pending_triggers values ('public.parents', 'count_up',
                 'CREATE TRIGGER count_up BEFORE INSERT ON public.parents FOR EACH ROW EXECUTE PROCEDURE count_up()');
             alter table children drop constraint children_moving_fkey;
             insert into londiste.subscriber_pending_fkeys values ('public.children', 'public.moving',
                 'children_moving_fkey', 'alter table only public.children add constraint children_moving_fkey '
                 'FOREIGN KEY (moving) REFERENCES moving(id)')"
        ));
        r
    }

    /// Replay has applied some batches, a copy is at some point, and both are stopped.
    fn stopped(moving: Moving) -> Self {
        let o = Original { r: Self::with_schemas(), moving };
        let (provider, subscriber) = (&o.r.provider, &o.r.subscriber);
        provider.sql(
            "insert into parents select i, 'first' from generate_series(1, 10) i;
             insert into moving select i, 'first' from generate_series(1, 5) i;
             insert into children select i, i from generate_series(1, 10) i;
             insert into snapped select i, 'first' from generate_series(1, 10) i;
             insert into fresh select i, i from generate_series(1, 10) i",
        );
        let first = o.tick();
        o.stands_at("db1-londiste", first);
        o.bring(&["parents", "children"]);
        provider.sql("insert into parents values (11, 'applied'); update children set parent = 11 where id = 1");
        let second = o.tick();
        o.bring(&["parents", "children"]);
        o.stands_at("db1-londiste", second);
        if moving == Moving::CatchingUp {
            // Killed between the commit on the subscriber and finish_batch.
            provider.sql(&format!(
                "update pgq.subscription set sub_last_tick = {first};
                 select pgq.next_batch('{QUEUE}', 'db1-londiste')"
            ));
        }

        // The copy of table `snapped` is over. One transaction of the next batch is in its rows, and one is not.
        let open = provider.session();
        open.sql("begin; insert into snapped values (50, 'open at the snapshot')");
        provider.sql("insert into snapped values (40, 'in the copy'); update snapped set data = 'too' where id = 1");
        let snapshot = provider.value("select txid_current_snapshot()");
        o.bring(&["snapped"]);
        open.sql("commit");
        o.table("parents", "'ok'", "null");
        o.table("children", "'ok'", "null");
        o.table("snapped", "'ok'", &format!("'{snapshot}'"));
        o.copy_moving(second);
        o.table("fresh", "null", "null");

        subscriber.sql(
            "insert into parents values (-1, 'mark'); insert into children values (-1, -1);
             insert into snapped values (-1, 'mark'); insert into fresh values (99, -1)",
        );
        provider.sql(
            "update parents set data = E'with ''quotes'' and \\\\' where id = 2; delete from children where id = 3;
             update snapped set data = null where id in (40, 50); update fresh set parent = 1 where id = 2;
             update moving set data = 'changed' where id in (1, 20, 30); insert into moving values (31, 'last');
             insert into parents values (12, 'new');
             update children set parent = 12, moving = 31 where id = 4;
             select setval('numbers', 4711)",
        );
        o
    }

    fn copy_moving(&self, before: i64) {
        let (provider, subscriber) = (&self.r.provider, &self.r.subscriber);
        provider.sql("insert into moving values (20, 'in the copy'); delete from moving where id = 5");
        let snapshot = format!("'{}'", provider.value("select txid_current_snapshot()"));
        if self.moving == Moving::InCopy {
            subscriber.sql("insert into moving values (99, 'from before')");
            provider.sql(&format!("select pgq.register_consumer('{QUEUE}', 'db1-londiste_copy', {before})"));
            return self.table("moving", "'in-copy'", "null");
        }
        self.bring(&["moving"]);
        subscriber.sql("insert into moving values (-1, 'mark')");
        self.stands_at("db1-londiste_copy", before);
        provider.sql("insert into moving values (30, 'after the copy')");
        let third = self.tick();
        match self.moving {
            Moving::InCopy => unreachable!(),
            Moving::CatchingUp => self.table("moving", "'catching-up'", &snapshot),
            // Each process writes its state with the batch open and not applied that ends at the state's tick.
            Moving::WannaSync => {
                self.opens_batch("db1-londiste_copy");
                self.table("moving", &format!("'wanna-sync:{third}'"), &snapshot);
            }
            Moving::DoSync => {
                self.opens_batch("db1-londiste_copy");
                self.opens_batch("db1-londiste");
                self.table("moving", &format!("'do-sync:{third}'"), &snapshot);
            }
        }
    }

    fn opens_batch(&self, consumer: &str) {
        let batch = self.r.provider.value(&format!("select pgq.next_batch('{QUEUE}', '{consumer}')"));
        assert_ne!(batch, "NULL", "no batch for {consumer}");
    }

    /// What the original's replay does until there is no batch, by its statements. Returns the number of events.
    fn applies_batches(&self) -> usize {
        let next = format!("select pgq.next_batch('{QUEUE}', 'db1-londiste')");
        std::iter::repeat_with(|| self.r.provider.value(&next))
            .take_while(|batch| batch != "NULL")
            .map(|batch| self.applies(&batch))
            .sum()
    }

    fn applies(&self, batch: &str) -> usize {
        let (provider, subscriber) = (&self.r.provider, &self.r.subscriber);
        let info = provider.rows(&format!("select prev_tick_id, tick_id from pgq.get_batch_info({batch})")).remove(0);
        assert_eq!(subscriber.value("select londiste.get_last_tick('db1-londiste')"), info[0], "lost position");
        let events = provider.rows(&format!("select ev_type, ev_extra1, ev_data from pgq.get_batch_events({batch})"));
        let session = subscriber.session();
        session.sql("begin");
        for event in &events {
            let [kind, table, data] = event.as_slice() else { unreachable!() };
            session.sql(&match kind.as_str() {
                "I" => format!("insert into {table} {data};"),
                "U" => format!("update only {table} set {data};"),
                "D" => format!("delete from only {table} where {data};"),
                _ => panic!("{event:?}"),
            });
        }
        session.sql(&format!("select londiste.set_last_tick('db1-londiste', {}); commit", info[1]));
        provider.sql(&format!("select pgq.finish_batch({batch})"));
        events.len()
    }
}

/// Writes on in all tables while rlondiste takes over.
fn visitors(database: &Database) -> Load {
    Load::start(database, 2, |client, n| {
        let id = 100_000 * (client + 1) + n;
        format!(
            "begin; insert into parents values ({id}, 'visit'); insert into moving values ({id}, 'visit');
             insert into children values ({id}, {id}, {id}); insert into snapped values ({id}, 'visit'); commit;
             update moving set data = '{n}' where id = 1 + {id} % 4; insert into fresh values ({id}, {id});
             delete from children where id = {id} and id % 3 = 0"
        )
    })
}

fn marked(database: &Database) -> Vec<String> {
    database.column(
        "select 'parents' from parents where id < 0 union all select 'children' from children where id < 0
         union all select 'snapped' from snapped where id < 0 union all select 'moving' from moving where id < 0",
    )
}

/// Positions of consumers on both sides.
fn positions(r: &Replication) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    (
        r.provider.rows(
            "select co_name, sub_last_tick from pgq.subscription join pgq.consumer on co_id = sub_consumer
             where sub_batch is null order by 1",
        ),
        r.subscriber.rows("select consumer_id, last_tick_id from londiste.completed order by 1"),
    )
}

/// Removes the marked rows.
const UNMARK: &str =
    "delete from children where id < 0; delete from parents where id < 0; delete from snapped where id < 0;
                      delete from moving where id < 0";

fn takes_over(moving: Moving) -> Original {
    let o = Original::stopped(moving);
    let r = &o.r;
    let provider_before = [SHAPE, FUNCTIONS, TRIGGERS].map(|sql| r.provider.column(sql));
    let subscriber_before = [SHAPE, FUNCTIONS].map(|sql| r.subscriber.column(sql));
    let load = visitors(&r.provider);
    r.start();
    r.wait_until_ok();
    assert!(load.stop() > 0);
    r.replay_until_in_sync();
    wait_until("no snapshot is left", || {
        let left = r.subscriber.column("select table_name from londiste.subscriber_table where snapshot is not null");
        if left.is_empty() { Ok(()) } else { Err(left.join(" ")) }
    });
    wait_until("the foreign keys are back", || {
        let pending = r.subscriber.rows("select from_table, fkey_name from londiste.subscriber_pending_fkeys");
        if pending.is_empty() { Ok(()) } else { Err(format!("{pending:?}")) }
    });

    // A copy would have taken the marked rows away.
    let mut expected = vec!["parents", "children", "snapped"];
    if moving != Moving::InCopy {
        expected.push("moving");
    }
    assert_eq!(marked(&r.subscriber), expected);
    r.subscriber.sql(UNMARK);
    assert_same_rows(&r.provider, &r.subscriber, &compare_tables(&r.provider));
    r.assert_sequences_in_sync();
    assert!(!r.londiste.log().contains("CRITICAL"), "{}", r.londiste.log());

    r.londiste.stop();
    r.ticker.stop();
    // The provider is as it was; the subscriber has all that the original needs.
    assert_eq!([SHAPE, FUNCTIONS, TRIGGERS].map(|sql| r.provider.column(sql)), provider_before);
    let after = [SHAPE, FUNCTIONS].map(|sql| r.subscriber.column(sql));
    for (before, after) in subscriber_before.iter().flatten().map(|before| (before, after.concat())) {
        assert!(after.contains(before), "{before} is gone");
    }
    let states =
        r.subscriber.rows("select table_name, merge_state, skip_truncate from londiste.subscriber_table order by nr");
    assert!(states.iter().all(|row| row[1] == "ok" && row[2] == "NULL"), "{states:?}");
    let (provider, subscriber) = positions(r);
    assert_eq!(provider, subscriber);
    assert_eq!(provider.len(), 1, "{provider:?}");
    o
}

#[test]
fn table_in_copy_is_copied_anew_and_the_others_go_on() {
    takes_over(Moving::InCopy);
}

#[test]
fn table_that_is_catching_up_goes_on() {
    takes_over(Moving::CatchingUp);
}

#[test]
fn table_that_waits_for_replay_goes_on() {
    takes_over(Moving::WannaSync);
}

#[test]
fn table_that_replay_waits_for_goes_on_and_all_is_given_back() {
    let o = takes_over(Moving::DoSync);
    let r = &o.r;
    // The original goes on.
    r.provider
        .sql("insert into parents values (5000, 'under the original'); update moving set data = null where id = 31");
    o.tick();
    assert_eq!(o.applies_batches(), 2);
    assert_same_rows(&r.provider, &r.subscriber, &compare_tables(&r.provider));
    // And rlondiste again.
    r.start();
    r.provider.sql("delete from parents where id = 5000");
    r.assert_in_sync();
}

#[test]
fn pending_triggers_stay_pending_until_they_are_restored() {
    let o = takes_over(Moving::CatchingUp);
    let count = "select count(*) from pg_trigger where tgname = 'count_up'";
    assert_eq!(o.r.subscriber.value(count), "0");
    o.r.londiste.program(["subscriber", "restore-triggers", "parents"]).stdout("").run();
    assert_eq!(o.r.subscriber.value(count), "1");
    assert_eq!(o.r.subscriber.value("select count(*) from londiste.subscriber_pending_triggers"), "0");
}

/// The fork has a column more, and a function with another argument.
#[test]
fn schema_of_the_fork_is_taken_over() {
    let o = Original::stopped(Moving::CatchingUp);
    let r = &o.r;
    r.subscriber.sql(
        "alter table londiste.subscriber_pending_triggers add column trigger_type char not null default 't';
         alter table londiste.subscriber_pending_triggers alter column trigger_type drop default;
         create function londiste.subscriber_drop_all_table_triggers(t text, types text) returns int language sql as 'select 0';
         create or replace function londiste.version() returns text language sql as $$ select '2.1.14'::text $$;
         create function noop() returns trigger language plpgsql as 'begin return new; end';
         create constraint trigger late after insert on parents deferrable for each row execute procedure noop()",
    );
    r.londiste.run("subscriber install");
    r.londiste.run("subscriber resync parents");
    r.start();
    r.wait_until_ok();
    let kinds = "select trigger_name || ' ' || trigger_type from londiste.subscriber_pending_triggers order by 1";
    assert_eq!(r.subscriber.column(kinds), ["count_up t", "late c"]);
    let shown = r.londiste.run("subscriber triggers pending").stdout;
    assert!(shown.contains("late") && shown.contains("count_up"), "{shown}");
    r.londiste.run("subscriber restore-triggers parents");
    let count = "select count(*) from pg_trigger where tgname in ('count_up', 'late')";
    assert_eq!(r.subscriber.value(count), "2");
    r.subscriber.sql(UNMARK);
    r.assert_in_sync();
}

#[test]
fn schemas_are_brought_up_to_date_in_place() {
    let o = takes_over(Moving::WannaSync);
    let r = &o.r;
    r.ticker.run("install");
    r.londiste.run("provider install");
    r.londiste.run("subscriber install");
    r.start();
    r.subscriber.sql("insert into parents values (-1, 'mark')");
    r.provider.sql("update parents set data = 'after the upgrade' where id < 5");
    r.provider.sql("create table added (id int primary key)");
    r.subscriber.sql("create table added (id int primary key)");
    r.provider.sql("insert into added values (1)");
    r.add("added");
    r.wait_until_ok();
    r.provider.sql("insert into added values (2); delete from children where id = 5");
    r.replay_until_in_sync();
    assert_eq!(marked(&r.subscriber), ["parents"]);
    r.subscriber.sql("delete from parents where id < 0");
    r.assert_in_sync();
    // The classic triggers are still those of the tables that were there.
    let classic = r.provider.value("select count(*) from pg_trigger where tgname = 'db1-londiste-queue_logger'");
    assert_eq!(classic, "5");
    // Until they are refreshed.
    r.londiste.run("provider refresh parents");
    r.londiste.run("provider refresh children --capture row");
    let classic = "select tgrelid::regclass from pg_trigger where tgfoid = 'pgq.logtriga()'::regprocedure order by 1";
    let left = r.provider.column(classic);
    assert!(
        left.len() == 3 && !left.contains(&"parents".to_owned()) && !left.contains(&"children".to_owned()),
        "{left:?}"
    );
    r.provider.sql("update parents set data = 'generated' where id < 5; delete from children where id = 6");
    r.replay_until_in_sync();
    r.assert_in_sync();
}

#[test]
fn early_release_without_skip_truncate_is_brought_up_to_date() {
    let r = Replication::new();
    r.subscriber.sql(LONDISTE);
    r.subscriber.sql(
        "drop type londiste.ret_subscriber_table cascade;
         create type londiste.ret_subscriber_table as (table_name text, merge_state text, snapshot text, trigger_name text);
         alter table londiste.subscriber_table drop column skip_truncate;
         create function londiste.subscriber_get_table_list(q text) returns setof londiste.ret_subscriber_table as
             $$ select null::londiste.ret_subscriber_table $$ language sql;
         insert into londiste.subscriber_table (queue_name, table_name, merge_state)
             values ('db1-londiste-queue', 'public.t', 'ok')",
    );
    let upgrading = format!(
        "DATE PID INFO plpgsql is installed\nDATE PID INFO Upgrading londiste from Londiste 2.1.12\n\
         DATE PID INFO   Reading from rlondiste {}\n",
        env!("CARGO_PKG_VERSION")
    );
    r.londiste.program(["subscriber", "install"]).stdout("").stderr(upgrading).run();
    let list = format!("select * from londiste.subscriber_get_table_list('{QUEUE}')");
    assert_eq!(r.subscriber.rows(&list), [["public.t", "ok", "NULL", "NULL", "NULL"]]);
}

#[test]
fn view_over_the_originals_functions_stops_the_upgrade_and_nothing_is_changed() {
    let r = Replication::new();
    r.subscriber.sql(LONDISTE);
    r.subscriber.sql("create view mine as select londiste.get_last_tick('c')");
    let output = r.londiste.program(["subscriber", "install"]).stdout("").status(1).run();
    let reason = "cannot drop function londiste.get_last_tick(text) because other objects depend on it (2BP01)";
    assert!(
        output.stderr.contains(reason) && output.stderr.contains("view public.mine depends on"),
        "{}",
        output.stderr
    );
    assert_eq!(r.subscriber.value("select londiste.version()"), "2.1.12");
}
