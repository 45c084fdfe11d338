//! Capture is adapted to what is done to a table: the level of updates (`--capture=auto`), the short way for columns that usually change,
//! and what a connection's first statement looks at.

use std::time::Duration;

use super::{events, maintain, provider};
use crate::support::{QUEUE, Replication, wait_until, wait_within};

const TABLE: &str = "create table t (id int primary key, n int, v text, seen timestamptz, gap int);
    insert into t select g, g, 'row ' || g, '2026-01-01' from generate_series(1, 30000) g; analyze t";

fn adapt(r: &Replication) -> String {
    r.provider.value(&format!("select londiste.provider_adapt('{QUEUE}')"))
}

fn adapt_and_maintain(r: &Replication) {
    adapt(r);
    assert_eq!(maintain(&r.provider, QUEUE), ("1".to_owned(), vec![]));
}

/// Level of updates and columns of the short way.
fn way(r: &Replication) -> Vec<String> {
    r.provider.rows(&format!(
        "select op_update, coalesce(hot_columns::text, '') from londiste.provider_get_capture_list('{QUEUE}')"
    ))[0]
        .clone()
}

/// Each row in a statement and a transaction of its own.
fn update_one_by_one(r: &Replication, set: &str, count: usize) {
    let session = r.provider.session();
    for id in 1..=count {
        session.sql(&format!("update t set {set} where id = {id}"));
    }
}

fn an_hour_later(r: &Replication) {
    r.provider.sql("update londiste.capture set adapted_at = adapted_at - interval '61 minutes'");
}

#[test]
fn updates_are_captured_by_what_is_cheaper() {
    let r = provider("auto", TABLE, "t");
    assert_eq!(way(&r), ["statement", ""]);
    // Too few to tell.
    update_one_by_one(&r, "n = n + 1", 30);
    assert_eq!((adapt(&r).as_str(), way(&r)), ("0", vec!["statement".to_owned(), String::new()]));
    update_one_by_one(&r, "n = n + 1", 120);
    adapt_and_maintain(&r);
    assert_eq!(way(&r), ["row", "{n}"]);
    assert_eq!(adapt(&r), "0");

    // Not more than once an hour.
    r.provider.sql("update t set v = v || 'x'");
    assert_eq!((adapt(&r).as_str(), way(&r)), ("0", vec!["row".to_owned(), "{n}".to_owned()]));
    an_hour_later(&r);
    for _ in 0..100 {
        r.provider.sql("update t set v = v || 'x' where id <= 200");
    }
    adapt_and_maintain(&r);
    assert_eq!(way(&r), ["statement", "{v}"]);

    // A pin is a pin.
    an_hour_later(&r);
    r.provider.sql(&format!("select londiste.provider_refresh_table('{QUEUE}', 'public.t', 'statement')"));
    update_one_by_one(&r, "n = n + 1", 20_000 / 100);
    r.provider.sql("delete from pgq.event_1 where ev_data like 'v=%'");
    adapt(&r);
    assert_eq!(way(&r)[0], "statement");
}

/// Rows in which just the hot columns change, and all kinds of others.
#[test]
fn the_short_way_and_the_long_way_make_the_same_events() {
    for (capture, level) in [("auto", "row"), ("statement", "statement"), ("row", "row")] {
        let r = provider(capture, TABLE, "t");
        update_one_by_one(&r, "n = n + 1, seen = seen + interval '1 hour'", 110);
        adapt_and_maintain(&r);
        assert_eq!(way(&r), [level, "{n,seen}"], "{capture}");
        // Always null, as the statistics say.
        assert_eq!(r.provider.value("select empty_columns from londiste.capture"), "{gap}");
        let start = events(&r.provider).len();
        for statement in [
            "update t set n = 7, seen = '2026-02-03 04:05:06+00' where id = 1",
            "update t set n = 8 where id = 1",
            "update t set n = null, seen = '2026-02-04 00:00:00+00' where id = 1",
            "update t set n = 9, seen = '2026-02-05 00:00:00+00', v = 'it''s \\ ok' where id = 1",
            "update t set n = 10, seen = null where id = 1",
            "update t set n = 11, seen = '2026-02-06 00:00:00+00', gap = 1 where id = 1",
            "update t set n = 12, seen = '2026-02-07 00:00:00+00' where id = 1",
            "update t set n = 13, seen = '2026-02-08 00:00:00+00', id = -1 where id = 1",
            "update t set n = n, seen = seen where id = -1",
            "update t set n = n + 1, seen = '2026-02-09 00:00:00+00', v = case id when 2 then v else 'x' end where id in (2, 3)",
        ] {
            r.provider.sql(&format!("set datestyle = 'German'; set timezone = 'Asia/Kolkata'; {statement}"));
        }
        let expected = [
            "t U n='7',seen='2026-02-03 04:05:06+00' where id='1'",
            "t U n='8' where id='1'",
            "t U n=NULL,seen='2026-02-04 00:00:00+00' where id='1'",
            "t U n='9',v=E'it''s \\\\ ok',seen='2026-02-05 00:00:00+00' where id='1'",
            "t U n='10',seen=NULL where id='1'",
            "t U n='11',seen='2026-02-06 00:00:00+00',gap='1' where id='1'",
            "t U n='12',seen='2026-02-07 00:00:00+00' where id='1'",
            "t U id='-1',n='13',seen='2026-02-08 00:00:00+00' where id='1'",
            "t U n='4',seen='2026-02-09 00:00:00+00' where id='2'",
            "t U n='5',v='x',seen='2026-02-09 00:00:00+00' where id='3'",
        ];
        assert_eq!(events(&r.provider)[start..], expected, "{capture}");
    }
}

/// The settings that a capture function changes are those of the session again, also after an error, and until the end of the
/// transaction.
#[test]
fn settings_of_the_session_stay_as_they_are() {
    for capture in ["statement", "row"] {
        let r = provider(
            capture,
            "create table t (id int primary key, seen timestamptz, i interval, f float8, b bytea)",
            "t",
        );
        let session = r.provider.session();
        let settings = "select concat_ws('|', current_setting('datestyle'), current_setting('timezone'),
            current_setting('intervalstyle'), current_setting('extra_float_digits'), current_setting('bytea_output'))";
        session.sql(
            "set datestyle = 'German'; set timezone = 'Asia/Kolkata'; set intervalstyle = iso_8601; set extra_float_digits = -3;
             set bytea_output = escape",
        );
        let before = session.value(settings);
        session.sql("begin; insert into t values (1, '2026-01-01 00:00:00+00', '1 mon', 0.5, 'a')");
        assert_eq!(session.value(settings), before);
        session.sql("savepoint s");
        r.provider.sql(&format!("update pgq.queue set queue_disable_insert = true where queue_name = '{QUEUE}'"));
        assert!(session.try_rows("update t set f = f + 1").is_err());
        session.sql("rollback to s");
        r.provider.sql("update pgq.queue set queue_disable_insert = false");
        assert_eq!(session.value(settings), before);
        session.sql("update t set f = 0.25; commit");
        assert_eq!(session.value(settings), before);
        let expected = [
            "t I (id,seen,i,f,b) values ('1','2026-01-01 00:00:00+00','1 mon','0.5',E'\\\\x61')",
            "t U f='0.25' where id='1'",
        ];
        assert_eq!(events(&r.provider), expected, "{capture}");
    }
}

/// The first statement of a connection compares one hash. It must be another one whenever the text is another one that the functions
/// are made for; else it would write events for a table of another shape.
#[test]
fn mark_changes_whenever_the_plan_does() {
    let r = provider(
        "statement",
        "create table t (id int not null, a int not null unique, b varchar(10), c text collate \"C\", constraint t_pkey primary key (id));
         create domain positive as int check (value > 0)",
        "t",
    );
    let state = || {
        r.provider.rows(
            "select londiste.capture_plan('t'::regclass, 't'::regclass, null), l.mark
             from pgq.queue q cross join lateral londiste.capture_queue(q.queue_id) c
             cross join lateral londiste.capture_look(c.relations, q.queue_id, 't'::regclass, 't'::regclass) l",
        )[0]
        .clone()
    };
    let mut changed = 0;
    for ddl in [
        "add column d int",
        "alter column b set not null",
        "alter column b drop not null",
        "alter column d type bigint",
        "alter column b type varchar(20)",
        "alter column b type char(5)",
        "alter column c type text collate pg_catalog.\"default\"",
        "rename column d to e",
        "alter column e type positive",
        "drop column e",
        "drop constraint t_pkey",
        "drop constraint t_a_key",
        "add constraint t_b unique (b)",
        "alter column b set not null",
        "drop constraint t_b",
        "add constraint t_d unique (b) deferrable",
        "add constraint t_e primary key (a, id)",
        "alter column c set statistics 200",
    ] {
        let before = state();
        r.provider.sql(&format!("alter table t {ddl}"));
        let after = state();
        if before[0] != after[0] {
            assert_ne!(before[1], after[1], "{ddl}");
            changed += 1;
        }
        // Another connection, the first statement.
        r.provider.sql("insert into t (id, a, b) values ((select count(*) from t), (select count(*) from t), (select count(*) from t))");
    }
    assert!(changed >= 12, "{changed}");
    assert_eq!(maintain(&r.provider, QUEUE).0, "1");
    assert_eq!(maintain(&r.provider, QUEUE).0, "0");
    let ids = r
        .provider
        .column("select substring(ev_data from $$'(\\d+)'$$) from pgq.event_1 where ev_type = 'I' order by ev_id");
    assert_eq!(ids.len(), 18, "{ids:?}");
}

#[test]
fn tables_v_tells_how_tables_are_captured() {
    let r = provider("auto", TABLE, "t");
    r.provider.sql(&format!("create table pinned (id int primary key); select londiste.provider_add_table_as('{QUEUE}', 'public.pinned', 'row', 'sql', null)"));
    update_one_by_one(&r, "n = n + 1", 110);
    adapt_and_maintain(&r);
    let listed = r.londiste.program(["-v", "provider", "tables"]).run().stdout;
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(
        lines[..2],
        ["public.t", "    auto: insert by statement, update by row, delete by statement"],
        "{listed}"
    );
    assert!(
        lines[2].starts_with("    update by row since ")
            && lines[2].ends_with(": 1.0 rows a statement in the newest 110 updates"),
        "{listed}"
    );
    assert_eq!(
        lines[3..6],
        ["    updates usually change: n", "public.pinned", "    row: insert by row, update by row, delete by row"],
        "{listed}"
    );
    assert!(lines[6].ends_with(": chosen with --capture"), "{listed}");
    assert_eq!(r.londiste.program(["provider", "tables"]).run().stdout, "public.t\npublic.pinned\n");
    r.londiste.run("provider refresh t --capture=statement");
    let listed = r.londiste.program(["provider", "tables", "-v"]).run().stdout;
    assert!(
        listed.contains("    statement: insert by statement, update by statement, delete by statement"),
        "{listed}"
    );
    let refused = r.londiste.program(["provider", "refresh", "t", "--capture=none"]).status(2).run();
    assert!(refused.stderr.contains("it is auto, statement or row"), "{}", refused.stderr);
}

/// A table that was just added does not wait for a whole round of maintenance.
#[test]
fn the_ticker_adapts_a_new_table_soon() {
    let mut r = provider("auto", TABLE, "t");
    r.ticker.configure("maint_delay", "1000");
    r.ticker.start();
    wait_until("the first round is over", || {
        let log = r.ticker.log();
        if log.contains("maint_duration") { Ok(()) } else { Err(log) }
    });
    update_one_by_one(&r, "n = n + 1", 120);
    wait_within(Duration::from_mins(2), "the capture is adapted", || {
        let now = way(&r);
        if now == ["row", "{n}"] { Ok(()) } else { Err(now.join(" ")) }
    });
    wait_until("the log says so", || {
        let log = r.ticker.log();
        if log.contains("Refreshed the capture of public.t") { Ok(()) } else { Err(log) }
    });
}
