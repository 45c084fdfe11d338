//! `repair --online`: rows are made equal without a lock on the provider, and no change that is on its way is undone.

use std::fs;
use std::thread;

use pretty_assertions::assert_eq;

use super::compare_online::{in_sync, under_writers};
use crate::support::{Replication, wait_until};

/// Rows of table `big` that only one side has, or that differ: 300 of each kind, first and last ones too.
const SPOIL: &str = "delete from big where id between -100 and 119999 and id % 400 = 0;
                     insert into big select -i, 'extra' from generate_series(1001, 1300) i;
                     update big set v = 'spoiled' where id % 400 = 3 or id in (-99, 119999)";

#[test]
fn rows_are_made_equal_beside_writers() {
    let r = in_sync();
    under_writers(&r, || {
        r.subscriber.sql(SPOIL);
        let before = r.subscriber.value("select count(*) from big where v in ('spoiled', 'extra')");
        r.londiste.program(["repair", "--online", "big"]).stdout("").run();
        let statements = fs::read_to_string(r.scratch().path().join("fix.public.big.sql")).unwrap();
        assert!(statements.contains("delete from only public.big where id = '-1300';\n"), "{statements}");
        assert!(statements.lines().count() > 300, "{}", statements.lines().count());
        assert_ne!(before, "0");
        // Nothing was executed.
        assert_eq!(r.subscriber.value("select count(*) from big where id = -1300"), "1");
        r.londiste.program(["repair", "--online", "--apply", "big"]).stdout("").run();
        assert_eq!(r.subscriber.value("select count(*) from big where v in ('spoiled', 'extra')"), "0");
        r.londiste.program(["compare", "--online", "big"]).stdout("").run();
    });
    r.replay_until_in_sync();
    r.assert_in_sync();
    r.londiste.program(["repair", "--online", "--apply"]).stdout("").run();
    assert!(!r.scratch().path().join("fix.public.big.sql").exists());
}

/// 1. `repair` has read the row and is about to insert it.
/// 2. The provider updates the row.
/// 3. Replay would find no row to update.
#[test]
fn change_that_comes_while_a_row_is_written_is_not_lost() {
    let r = in_sync();
    r.subscriber.sql(
        "create table gate (closed bool);
         create function wait_at_gate() returns trigger language plpgsql as $$ begin
             while exists (select from gate) loop perform pg_sleep(0.01); end loop;
             return new;
         end $$;
         create trigger gate before insert on big for each row when (new.id = 777) execute function wait_at_gate();
         delete from big where id = 777; insert into gate values (true)",
    );
    thread::scope(|scope| {
        let repair = scope.spawn(|| r.londiste.program(["repair", "--online", "--apply", "big"]).stdout("").run());
        let waits = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and query ~ 'big'";
        wait_until("repair is at the gate", || {
            let count = r.subscriber.value(waits);
            if count == "1" { Ok(()) } else { Err(count) }
        });
        r.provider.sql("update big set v = 'on its way' where id = 777");
        let position = "select last_tick_id from londiste.completed where consumer_id = 'db1-londiste'";
        let before = r.subscriber.value(position);
        let tick: i64 = r.provider.value("select pgq.force_tick('db1-londiste-queue')").parse().unwrap();
        // Replay waits behind the repair; without that it passes.
        wait_until("replay waits for the repair", || {
            let blocked = r.subscriber.value(
                "select count(*) from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0 and query ~ 'completed'",
            );
            let now: i64 = r.subscriber.value(position).parse().unwrap();
            if blocked == "1" || now > tick { Ok(()) } else { Err(format!("{before} {now} {tick}")) }
        });
        r.subscriber.sql("delete from gate");
        repair.join().unwrap();
    });
    r.replay_until_in_sync();
    assert_eq!(r.subscriber.value("select v from big where id = 777"), "on its way");
    r.assert_in_sync();
}

#[test]
fn unique_values_that_move_are_no_obstacle_and_refused_rows_are_named() {
    let r = Replication::new().with_table("t", "id int primary key, u text unique").up();
    r.provider.sql("insert into t select i, 'u' || i from generate_series(1, 600) i");
    r.replay_until_in_sync();
    r.subscriber.sql(
        "delete from t where id in (1, 600); insert into t values (601, 'u1'), (0, 'u600');
         alter table t add check (u <> 'u300') not valid; delete from t where id = 300",
    );
    let output = r.londiste.program(["repair", "--online", "--apply", "t"]).status(1).run();
    assert!(output.stderr.contains("public.t: 1 rows could not be made equal: "), "{}", output.stderr);
    assert!(output.stderr.contains("table public.t, insert of key id=300"), "{}", output.stderr);
    assert_eq!(r.subscriber.column("select u from t where id in (1, 600) order by id"), ["u1", "u600"]);
    r.subscriber.sql("alter table t drop constraint t_u_check");
    r.londiste.program(["repair", "--online", "--apply", "t"]).stdout("").run();
    r.assert_in_sync();
}
