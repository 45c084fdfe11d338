//! How fast events are taken apart and folded. Run with `cargo bench`.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rlondiste::londiste::apply::measure::{TableSketch, fold};
use rlondiste::pgq::event::Event;
use rlondiste::pgq::fragment::{self, Verb};
use rlondiste::pgq::value_buffer::{NameList, ValueBuffer};
use rlondiste::pgq::{EventId, json, urlenc};

const TRANSACTIONS: i64 = 5_000;
const INT4: u32 = 23;
const TEXT: u32 = 25;

const WIDE: &str = r#"(id,a_text,b_text,created,updated,amount,qty,doc,blob,note) values ('17','row 17 rrrrrrrrrrrrrrrrrrrrrrrrrrrrrr',E'70efdf2ec9b086079795c442636b55fb it''s \\ back','2020-01-01 00:00:17+00','2021-06-01 12:00:00.017+00','2.4286','17','{"k": 17, "name": "n17", "tags": ["a", "b", 7]}',E'\\x70efdf2ec9b086079795c442636b55fb6f4922f45568161a8cdf4ad2299f6d23','zlutoucky 17')"#;

fn event(id: i64, kind: &str, data: &str, table: &str) -> Event {
    Event::new(EventId(id), 1, kind.as_bytes(), Some(data.as_bytes()), Some(table.as_bytes()))
}

/// Transactions of TPC-B: few branches and tellers, many accounts, a history.
fn tpcb() -> Vec<Event> {
    let mut events = Vec::new();
    for n in 0..TRANSACTIONS {
        let (account, teller, branch) = (n * 7919 % 1_000_000 + 1, n * 31 % 100 + 1, n % 10 + 1);
        let update = |column: &str, key: &str, id: i64| format!("{column}='{}' where {key}='{id}'", n * 17 % 10_000);
        let history = format!(
            "(tid,bid,aid,delta,mtime,filler,hid) values ('{teller}','{branch}','{account}','{n}','2026-11-22 14:48:32.365023',null,'{n}')"
        );
        events.push(event(n * 4, "U", &update("abalance", "aid", account), "public.pgbench_accounts"));
        events.push(event(n * 4 + 1, "U", &update("tbalance", "tid", teller), "public.pgbench_tellers"));
        events.push(event(n * 4 + 2, "U", &update("bbalance", "bid", branch), "public.pgbench_branches"));
        events.push(event(n * 4 + 3, "I", &history, "public.pgbench_history"));
    }
    events
}

fn folding(c: &mut Criterion) {
    let tables = [
        TableSketch { name: "public.pgbench_accounts", columns: &[("aid", INT4), ("abalance", INT4)] },
        TableSketch { name: "public.pgbench_tellers", columns: &[("tid", INT4), ("tbalance", INT4)] },
        TableSketch { name: "public.pgbench_branches", columns: &[("bid", INT4), ("bbalance", INT4)] },
        TableSketch {
            name: "public.pgbench_history",
            columns: &[
                ("hid", INT4),
                ("tid", INT4),
                ("bid", INT4),
                ("aid", INT4),
                ("delta", INT4),
                ("mtime", TEXT),
                ("filler", TEXT),
            ],
        },
    ];
    let events = tpcb();
    let mut group = c.benchmark_group("fold");
    group.throughput(Throughput::Elements(events.len() as u64));
    group.bench_function("tpcb", |b| b.iter(|| fold(&tables, black_box(&events)).unwrap()));
    group.finish();
}

fn decoding(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(1));
    let mut values = ValueBuffer::default();
    let parsed = fragment::parse(Verb::Insert, WIDE.as_bytes(), &mut values).unwrap();
    group.bench_function("fragment by names", |b| {
        b.iter(|| {
            values.clear(usize::MAX);
            fragment::parse(Verb::Insert, black_box(WIDE.as_bytes()), &mut values).is_ok()
        });
    });
    group.bench_function("fragment by template", |b| {
        b.iter(|| {
            values.clear(usize::MAX);
            parsed.template.read(black_box(WIDE.as_bytes()), &mut values)
        });
    });
    let mut names = NameList::default();
    let urlencoded = "id=17&a_text=row+17+rrrrrrrrrrrrrrrrrrrrrrrr&b_text=it%27s&created=2020-01-01+00%3A00%3A17%2B00&updated&qty=17";
    group.bench_function("urlenc", |b| {
        b.iter(|| {
            values.clear(usize::MAX);
            urlenc::parse(black_box(urlencoded.as_bytes()), &mut values, &mut names).is_ok()
        });
    });
    let object = r#"{"id":17,"a_text":"row 17 rrrrrrrrrrrrrrrrrrrrrrrr","b_text":"it's","created":"2020-01-01T00:00:17+00:00","updated":null,"qty":17}"#;
    group.bench_function("json", |b| {
        b.iter(|| {
            values.clear(usize::MAX);
            json::parse(black_box(object.as_bytes()), &mut values, &mut names).is_ok()
        });
    });
    group.finish();
}

criterion_group!(benches, decoding, folding);
criterion_main!(benches);
