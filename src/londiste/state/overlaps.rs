//! Tables that two queues write to: two queues into one table of the subscriber, and a table that provider and subscriber
//! get from each other.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::pg::{Db, FqName, text, text_array};

/// Fails when both sessions are in the same database: each event would be applied to the rows that it came from.
pub(crate) async fn refuse_same_database(provider: &Db, subscriber: &Db) -> Result<()> {
    // A physical copy of a server has the same system identifier and the same oids, but was started at another time.
    let sql = "select extract(epoch from pg_catalog.pg_postmaster_start_time())::text || ' ' || d.oid
                 from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()";
    let action = "look for the database";
    let theirs: String = provider.query_one(action, sql, &[]).await?.get(0);
    let ours: String = subscriber.query_one(action, sql, &[]).await?.get(0);
    if theirs != ours {
        return Ok(());
    }
    Err(Error::refused(
        format!("provider_db and subscriber_db are the same database ({})", subscriber.target()),
        "Set them to two databases in the ini file. Nothing was changed.",
    ))
}

/// The other queues of this subscriber that write to each of the tables, to its partitions, or to a table of which it is a
/// partition. Takes the locks of a reader of the catalog.
pub(crate) async fn other_queues(subscriber: &Db, queue: &str, tables: &[FqName]) -> Result<BTreeMap<FqName, String>> {
    const ACTION: &str = "look for other queues of a table";
    const KNOWN: &str = "select pg_catalog.to_regprocedure('londiste.capture_tree(oid)') is not null";
    const RELATED: &str = "select w.name, t.queue_name
          from pg_catalog.unnest($2) w(name)
               join londiste.subscriber_table t on t.queue_name <> $1 and (
                   t.table_name = w.name
                   or londiste.find_table_oid(t.table_name) in (
                          select r from londiste.capture_tree(londiste.find_table_oid(w.name)) r))
         order by 1, 2 desc";
    // The schema of Londiste 2.1.
    const SAME: &str = "select t.table_name, t.queue_name from londiste.subscriber_table t
         where t.queue_name <> $1 and t.table_name = any ($2) order by 1, 2 desc";
    let known = subscriber.query_one(ACTION, KNOWN, &[]).await?.get(0);
    let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
    let params = [text(&queue), text_array(&names)];
    let rows = subscriber.query(ACTION, if known { RELATED } else { SAME }, &params).await?;
    Ok(rows.iter().map(|row| (FqName::parse(row.get(0)), row.get(1))).collect())
}

/// The tables of the provider that are subscribed there to a queue of this subscriber, with the queue: what the subscriber gets of
/// such a table comes back to it.
///
/// A queue of the same name is not enough, since every database of a chain may use one name: the provider's consumer must be
/// registered on the subscriber's queue, and its position, where it has one, must be a tick of that queue. None are found where one
/// of the two schemas is that of Londiste 2.1, which does not store a queue's consumer, or of an older rlondiste, which lets only its
/// owner read it.
pub(crate) async fn loops(provider: &Db, subscriber: &Db) -> Result<BTreeMap<FqName, String>> {
    const ACTION: &str = "look for a loop";
    const SUBSCRIBES: &str =
        "select coalesce(pg_catalog.has_table_privilege(pg_catalog.to_regclass('londiste.queue_consumer')::oid, 'select')
                     and pg_catalog.has_table_privilege(pg_catalog.to_regclass('londiste.completed_tick')::oid, 'select'), false)";
    const PROVIDES: &str = "select pg_catalog.to_regclass('pgq.subscription') is not null";
    const POSITIONS: &str =
        "select q.queue_name, q.consumer_id, coalesce(c.last_tick_id::text, ''), coalesce(k.tick_time, '')
          from londiste.queue_consumer q
               left join londiste.completed c on c.consumer_id = q.consumer_id
               left join londiste.completed_tick k on k.consumer_id = c.consumer_id and k.tick_id = c.last_tick_id";
    const OWN: &str = "select q.queue_name
          from rows from (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4))
                   w(queue_name, consumer_id, tick_id, tick_time)
               join pgq.queue q on q.queue_name = w.queue_name
               join pgq.consumer c on c.co_name = w.consumer_id
               join pgq.subscription s on s.sub_queue = q.queue_id and s.sub_consumer = c.co_id
         where w.tick_time = ''
            or exists (select from pgq.tick t
                        where t.tick_queue = q.queue_id and t.tick_id::text = w.tick_id
                          and pg_catalog.to_char(t.tick_time at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') = w.tick_time)";
    const TABLES: &str = "select t.table_name, t.queue_name from londiste.subscriber_table t
         where t.queue_name = any ($1) order by 1, 2 desc";
    let nothing = BTreeMap::new();
    if !provider.query_one(ACTION, SUBSCRIBES, &[]).await?.get::<_, bool>(0) {
        return Ok(nothing);
    }
    let positions = provider.query(ACTION, POSITIONS, &[]).await?;
    if positions.is_empty() || !subscriber.query_one(ACTION, PROVIDES, &[]).await?.get::<_, bool>(0) {
        return Ok(nothing);
    }
    let column = |nr: usize| positions.iter().map(|row| row.get(nr)).collect::<Vec<String>>();
    let [queues, consumers, ticks, times] = [0, 1, 2, 3].map(column);
    let params = [text_array(&queues), text_array(&consumers), text_array(&ticks), text_array(&times)];
    let rows = subscriber.query(ACTION, OWN, &params).await?;
    let own: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    if own.is_empty() {
        return Ok(nothing);
    }
    let rows = provider.query(ACTION, TABLES, &[text_array(&own)]).await?;
    Ok(rows.iter().map(|row| (FqName::parse(row.get(0)), row.get(1))).collect())
}

/// Why a copy must not truncate a table that another queue writes to too.
pub(crate) fn truncate_refusal(table: &FqName, other: &str) -> String {
    format!(
        "Table {table} is in queue {other} on this subscriber too, and a copy would delete the rows that come from queue {other}"
    )
}
