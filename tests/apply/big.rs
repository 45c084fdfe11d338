//! Big values, which take other ways than small ones: they are not copied, nothing is read ahead after them, and they go
//! to the server in pieces or as bytes.

use rlondiste::config::Apply;
use rlondiste::londiste::apply::Settings;
use rlondiste::pg::Sql;
use rlondiste::pgq::{event, value_buffer::BIG};

use super::cancel::within;
use super::events::events;
use super::{SETTINGS, replay};

/// As the triggers write a literal.
fn literal(value: &str) -> String {
    let doubled = value.replace('\'', "''");
    if value.contains('\\') { format!("E'{}'", doubled.replace('\\', r"\\")) } else { format!("'{doubled}'") }
}

/// A value that is lent by its event, two that have to be unescaped, one that begins with a backslash as bytea does, and
/// one that only just is not big.
fn big_values() -> Vec<String> {
    let tail = "\t\n\r€x".repeat(BIG / 4);
    vec![
        tail.clone(),
        format!("it's{tail}'"),
        format!(r"a\{tail}\"),
        format!(r"\x{}", "5c".repeat(BIG)),
        "y".repeat(BIG - 1),
    ]
}

#[test]
fn big_values_arrive_whichever_way_they_are_applied() {
    let settings = [
        SETTINGS,
        Settings { small_chunk: 0, memory: 1, ..SETTINGS },
        Settings { small_chunk: 0, memory: 16 * BIG as u64, ..SETTINGS },
        Settings { apply: Apply::Row, ..SETTINGS },
    ];
    let values = big_values();
    for settings in settings {
        let (mut replay, subscriber) =
            replay(settings, "create table t (id int primary key, v text, n int)", "public.t");
        let mut apply = |make: &dyn Fn(usize, &str) -> (&'static str, String)| {
            let made: Vec<_> = values.iter().enumerate().map(|(id, value)| make(id, value)).collect();
            let list: Vec<_> =
                (1..).zip(&made).map(|(id, (kind, data))| (id, 1, *kind, data.as_str(), "public.t")).collect();
            replay.apply(&events(&list)).unwrap()
        };
        let expect = |expected: &dyn Fn(&str) -> String| {
            for (id, value) in values.iter().enumerate() {
                let found = subscriber.value(&format!("select v from t where id = {id}"));
                assert!(found == expected(value), "value {id} with {settings:?}");
            }
        };
        let applied = apply(&|id, value| ("I", format!("(id,v,n) values ('{id}',{},null)", literal(value))));
        assert_eq!(applied.count, 5);
        expect(&str::to_owned);
        apply(&|id, value| ("U", format!("v={},n='{id}' where id='{id}'", literal(&value.replace('y', "z")))));
        expect(&|value| value.replace('y', "z"));
        let applied = apply(&|id, value| match id {
            0 => ("D", "id='0'".to_owned()),
            _ => ("U", format!("v={} where id='{id}'", literal(&format!("{value}+")))),
        });
        assert_eq!(applied.missing_rows, 0);
        assert_eq!(subscriber.value("select count(*) from t"), "4");
        apply(&|id, value| match id {
            0 => ("I", format!("(id,v) values ('0',{})", literal(&format!("{value}+")))),
            _ => ("U", format!("n='7' where id='{id}'")),
        });
        expect(&|value| format!("{value}+"));
        assert_eq!(subscriber.value("select sum(n) from t"), "28");
    }
}

#[test]
fn sessions_are_usable_after_a_stop_at_a_big_event() {
    let settings = Settings { memory: 1, ..SETTINGS };
    let (mut replay, subscriber) = replay(settings, "create table t (id int primary key, v text)", "public.t");
    let value = "x".repeat(BIG);
    let data: Vec<_> = (1..5).map(|id| (id, format!("(id,v) values ('{id}','{value}')"))).collect();
    let list: Vec<_> = data.iter().map(|(id, data)| (*id, 1, "I", data.as_str(), "public.t")).collect();
    let sql = events(&list);
    for limit in 0.. {
        let done = replay.runtime.block_on(async {
            let tx = replay.subscriber.begin("begin", "begin").await.unwrap();
            let events = event::stream(&replay.provider, &Sql::from_operator(&sql)).await.unwrap();
            let applied = within(Box::pin(replay.applier.apply(events, &replay.tables, &tx)), limit).await;
            drop(tx);
            let row = replay.subscriber.query_one("look", "select count(*) from public.t", &[]).await.unwrap();
            assert_eq!(row.get::<_, i64>(0), 0, "after {limit} steps");
            // The rest of the events comes and is thrown away before the answer.
            replay.provider.query_one("look", "select 1", &[]).await.unwrap();
            applied.map(|result| result.unwrap().count)
        });
        if let Some(count) = done {
            assert_eq!(count, 4);
            assert!(limit >= 4, "only {limit} points to stop at");
            break;
        }
    }
    replay.apply(&sql).unwrap();
    assert_eq!(subscriber.value("select sum(length(v)) from t"), (4 * BIG).to_string());
}
