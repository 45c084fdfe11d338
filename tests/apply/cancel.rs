//! Applying may be cut short at any point: nothing of the batch stays, and the next try applies all of it.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use rlondiste::londiste::apply::Settings;
use rlondiste::pg::Sql;
use rlondiste::pgq::event;

use super::events::events;
use super::{SETTINGS, replay};

/// Lets a future run until it has been polled `limit` times. `None` when it was not ready by then.
pub(super) async fn within<F: Future + Unpin>(mut future: F, limit: usize) -> Option<F::Output> {
    let mut polls = 0;
    std::future::poll_fn(|cx| {
        if polls == limit {
            return Poll::Ready(None);
        }
        polls += 1;
        Pin::new(&mut future).poll(cx).map(Some)
    })
    .await
}

#[test]
fn a_batch_that_is_cut_short_anywhere_leaves_nothing() {
    // Chunks of some events each, with inserts by COPY, updates, deletes and a table that goes row by row.
    let settings = Settings { memory: 8 * 20_000, small_chunk: 2, ..SETTINGS };
    let schema = "create table t (id int primary key, a int); create table u (id int primary key, u int unique);
        insert into t select g, 0 from generate_series(1000, 1100) g; insert into u values (1, 1), (2, 2)";
    let (mut replay, subscriber) = replay(settings, schema, "public.t public.u");
    let mut data: Vec<(&str, String, &str)> =
        (1..300).map(|id| ("I", format!("(id,a) values ('{id}','1')"), "public.t")).collect();
    data.extend((1000..1050).map(|id| ("U", format!("a='{id}' where id='{id}'"), "public.t")));
    data.extend((1050..1100).map(|id| ("D", format!("id='{id}'"), "public.t")));
    for (from, to) in [(1, 9), (2, 1), (1, 2), (2, 7)] {
        data.push(("U", format!("u='{to}' where id='{from}'"), "public.u"));
    }
    let list: Vec<_> =
        (1..).zip(&data).map(|(id, (kind, data, table))| (id, 1, *kind, data.as_str(), *table)).collect();
    let sql = events(&list);
    let state = "select (select row(count(*), sum(id), sum(a)) from public.t)::text || (select row(sum(u)) from public.u)::text";
    let before = subscriber.value(state);
    let mut tries = 0;
    for limit in 0.. {
        let applied = replay.runtime.block_on(async {
            let tx = replay.subscriber.begin("begin", "begin").await.unwrap();
            let events = event::stream(&replay.provider, &Sql::from_operator(&sql)).await.unwrap();
            let applied = within(Box::pin(replay.applier.apply(events, &replay.tables, &tx)), limit).await;
            if let Some(result) = applied {
                result.unwrap();
                tx.commit("commit").await.unwrap();
                return true;
            }
            drop(tx);
            // The session is usable, and shows the state as it was.
            let row = replay.subscriber.query_one("look", state, &[]).await.unwrap();
            assert_eq!(row.get::<_, String>(0), before, "after {limit} steps");
            false
        });
        tries = limit;
        if applied {
            break;
        }
        assert_eq!(subscriber.value(state), before, "after {limit} steps");
    }
    // How many there are depends on how many of the servers' answers come together.
    assert!(tries >= 5, "only {tries} points to stop at");
    assert_eq!(subscriber.value(state), "(350,97175,51524)(9)");
}
