//! Every kind of event in one batch, from each kind of provider: tables captured as SQL, urlencoded and as JSON, TRUNCATE
//! (`R`), a list of tables (`T`) and a script (`EXECUTE`). The subscriber ends equal.

use super::extension::{create, is_installed};
use crate::support::{Database, QUEUE, Replication, wait_until};

const PGQ: &str = include_str!("../sql/pgq_2.sql");
const PGQ_FUNCTIONS: &str = include_str!("../sql/pgq_2_functions.sql");
const LONDISTE: &str = include_str!("../sql/londiste_2.sql");

/// The table of each format, and the generic trigger that writes it.
const TABLES: [(&str, &str); 3] = [("sql", "sqltriga"), ("urlenc", "logutriga"), ("json", "jsontriga")];

fn new() -> Replication {
    TABLES.into_iter().fold(Replication::new().with_table("leaving", "id int primary key"), |r, (format, _)| {
        r.with_table(
            &format!("by_{format}"),
            "id int, code text, name text, data bytea, flag bool, n numeric, at timestamptz, list text[],
             primary key (id, code)",
        )
    })
}

/// Adds the provider's tables under the generic triggers of its schema `pgq`.
fn follow_by_generic_triggers(provider: &Database) {
    for (format, function) in TABLES {
        let table = format!("by_{format}");
        provider.sql(&format!(
            "insert into londiste.provider_table (queue_name, table_name, trigger_name)
                 values ('{QUEUE}', 'public.{table}', '{QUEUE}_logger');
             create trigger \"{QUEUE}_logger\" after insert or update or delete on {table}
                 for each row execute procedure pgq.{function}('{QUEUE}');
             create trigger \"{QUEUE}_truncate\" after truncate on {table}
                 for each statement execute procedure pgq.{function}('{QUEUE}')"
        ));
    }
}

/// Changes of many transactions. `truncate` empties a table and lets the queue know.
fn change(provider: &Database, truncate: impl Fn(&str) -> String) {
    let all = |sql: &str| {
        for (format, _) in TABLES {
            provider.sql(&sql.replace("TABLE", &format!("by_{format}")));
        }
    };
    for (format, _) in TABLES {
        provider.sql(&truncate(&format!("by_{format}")));
    }
    all(
        r#"insert into TABLE select i, 'c' || i % 3, names[1 + i % 10], decode(md5(i::text), 'hex'), i % 2 = 0, i / 7.0,
                  timestamptz '1999-12-31' + i * interval '1 day 3.14 s', array[names[1 + i % 10], null, 'x']
           from generate_series(1, 200) i, (select array[null, '', 'plain', 'it''s "quoted"', E'back\\slash \\n \\\\',
               E'new\nline\ttab\r', 'a=b&c=d%41+e', 'NULL', 'äöü € 漢字 🐘', '{"a": [1, "\u0041"]}'] as names) as odd"#,
    );
    all("update TABLE set name = 'changed ' || id, flag = not flag where id % 3 = 0");
    all("begin; delete from TABLE; rollback");
    provider.sql(&format!(
        "select pgq.insert_event('{QUEUE}', 'EXECUTE', 'create table by_script ()', 'script.sql', null, null, null)"
    ));
    all("update TABLE set data = null, n = n + 0.5, at = null, list = '{}' where id % 4 = 0");
    all("delete from TABLE where id % 5 = 0");
    all("insert into TABLE (id, code, name) values (5, 'c2', 'again'), (-1, '', null)");
}

/// Subscribes and copies, gives one batch with all of `change`, and compares. Returns the types of its events.
#[track_caller]
fn replicate(r: &Replication, change: impl Fn(&Database), leave: impl Fn(&Replication)) -> Vec<String> {
    for (format, _) in TABLES {
        r.provider.sql(&format!("insert into by_{format} (id, code) values (1, 'copied'), (2, 'copied')"));
    }
    r.start();
    r.londiste.run("subscriber add leaving by_sql by_urlenc by_json");
    r.wait_until_ok();
    r.assert_in_sync();
    r.ticker.stop();
    let last = r.provider.value("select max(ev_id) from pgq.event_1");
    let last = if last == "NULL" { "0".to_owned() } else { last };
    change(&r.provider);
    leave(r);
    r.provider.sql("insert into leaving values (1); insert into by_sql (id, code) values (7, 'after the list')");
    let kinds = r.provider.column(&format!(
        "select distinct split_part(coalesce(ev_extra1, ''), '.', 2) || ' ' || regexp_replace(ev_type, ',.*', '')
         from pgq.event_1 where ev_id > {last} order by 1"
    ));
    r.ticker.start();
    let tables = TABLES.map(|(format, _)| format!("by_{format}"));
    r.replay_until_in_sync();
    crate::support::assert_same_rows(&r.provider, &r.subscriber, &tables);
    assert_eq!(r.subscriber.value("select count(*) from by_json where name like 'changed %'"), "53");
    assert_eq!(r.subscriber.value("select count(*) from by_json where code = 'copied'"), "0");
    wait_until("the table has left", || {
        match r.subscriber.value("select count(*) from londiste.subscriber_table where table_name = 'public.leaving'") {
            count if count == "0" => Ok(()),
            count => Err(count),
        }
    });
    assert_eq!(r.subscriber.value("select count(*) from leaving"), "0");
    assert_eq!(r.subscriber.value("select to_regclass('by_script') is null"), "t");
    let log = r.londiste.log();
    let skipped = log.lines().filter(|l| l.contains("of type EXECUTE is skipped")).collect::<Vec<_>>();
    assert!(matches!(skipped[..], [line] if line.contains(" WARNING ")), "{log}");
    assert!(!log.contains("crashed") && !log.contains("Unknown op") && !log.contains("parked"), "{log}");
    println!("{}", kinds.join("\n"));
    kinds
}

fn remove(r: &Replication) {
    r.londiste.run("provider remove leaving");
}

fn truncate(table: &str) -> String {
    format!("truncate {table}")
}

/// The types that the generic triggers write, with those of the provider's commands.
fn every_kind() -> Vec<String> {
    let mut kinds = vec![" T".to_owned(), "sql EXECUTE".to_owned()];
    kinds.extend(["DELETE", "INSERT", "TRUNCATE", "UPDATE"].map(|op| format!("by_json {{\"op\":\"{op}\"")));
    kinds.extend(["D", "I", "R", "U"].map(|op| format!("by_sql {op}")));
    kinds.extend(["D:id", "I:id", "R", "U:id"].map(|op| format!("by_urlenc {op}")));
    kinds
}

#[track_caller]
fn assert_every_kind(mut kinds: Vec<String>) {
    let mut expected = every_kind();
    kinds.sort();
    expected.sort();
    assert_eq!(kinds, expected);
}

#[test]
fn every_format_of_our_capture_arrives() {
    let r = new();
    r.install();
    r.londiste.run("provider add leaving");
    for (format, _) in TABLES {
        r.provider.sql(&format!(
            "select londiste.provider_add_table_as('{QUEUE}', 'public.by_{format}', 'statement', '{format}', null)"
        ));
    }
    assert_every_kind(replicate(&r, |provider| change(provider, truncate), remove));
}

#[test]
fn every_format_of_our_generic_triggers_arrives() {
    let r = new();
    r.install();
    r.londiste.run("provider add leaving");
    follow_by_generic_triggers(&r.provider);
    assert_every_kind(replicate(&r, |provider| change(provider, truncate), remove));
}

#[test]
fn every_format_of_the_extensions_c_triggers_arrives() {
    if !is_installed() {
        return;
    }
    let r = new();
    create(&r.provider);
    r.install();
    r.londiste.run("provider add leaving");
    follow_by_generic_triggers(&r.provider);
    let language = r.provider.value(
        "select l.lanname from pg_proc p join pg_language l on l.oid = p.prolang
        where p.oid = 'pgq.jsontriga()'::regprocedure",
    );
    assert_eq!(language, "c");
    assert_every_kind(replicate(&r, |provider| change(provider, truncate), remove));
}

#[test]
fn classic_events_of_pgq_2_arrive() {
    let r = new();
    r.provider.sql(PGQ);
    r.provider.sql(PGQ_FUNCTIONS);
    r.provider.sql(LONDISTE);
    r.provider.sql(&format!(
        "delete from pgq.consumer;
         update pgq.queue set queue_name = '{QUEUE}', queue_ticker_max_lag = '200 ms', queue_ticker_idle_period = '200 ms'"
    ));
    for (table, letters) in
        [("by_sql", "kkvvvvvv"), ("by_urlenc", "kkvvvvvv"), ("by_json", "kkvvvvvv"), ("leaving", "k")]
    {
        r.provider.sql(&format!(
            "create trigger \"{QUEUE}_logger\" after insert or update or delete on {table}
                 for each row execute procedure pgq.logtriga('{QUEUE}', '{letters}', 'public.{table}');
             insert into londiste.provider_table (queue_name, table_name, trigger_name)
                 values ('{QUEUE}', 'public.{table}', '{QUEUE}_logger')"
        ));
    }
    r.londiste.run("subscriber install");
    // A consumer can be registered only where there is a tick.
    r.ticker.start();
    wait_until("there is a tick", || match r.provider.value("select count(*) from pgq.tick") {
        count if count == "0" => Err(count),
        _ => Ok(()),
    });
    r.ticker.stop();
    // The classic trigger does not see TRUNCATE: whoever truncates writes the event.
    let with_event = |table: &str| {
        format!("truncate {table}; select pgq.insert_event('{QUEUE}', 'R', '', 'public.{table}', null, null, null)")
    };
    // As its `provider remove` does.
    let remove = |r: &Replication| {
        r.provider.sql(&format!(
            "drop trigger \"{QUEUE}_logger\" on leaving;
             delete from londiste.provider_table where table_name = 'public.leaving';
             select pgq.insert_event('{QUEUE}', 'T', string_agg(table_name, ','), null, null, null, null)
             from londiste.provider_table"
        ));
    };
    let mut kinds = replicate(&r, |provider| change(provider, with_event), remove);
    let mut expected = vec![" T".to_owned(), "sql EXECUTE".to_owned()];
    for table in ["by_json", "by_sql", "by_urlenc"] {
        expected.extend(["D", "I", "R", "U"].map(|op| format!("{table} {op}")));
    }
    kinds.sort();
    expected.sort();
    assert_eq!(kinds, expected);
}
