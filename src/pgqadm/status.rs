//! `status`: an overview of queues and consumers, byte by byte as in SkyTools, since scripts read it.

use std::fmt;

use serde::Serialize;

use super::rotation::{self, Late};
use crate::error::Result;
use crate::pg::Db;
use crate::pgq::consumer_lag::{self, ConsumerLag};

/// What `status` shows. Durations are in seconds.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    postgres_version: String,
    pgq_version: String,
    queues: Vec<Queue>,
}

#[derive(Debug, Serialize)]
struct Queue {
    name: String,
    ntables: i32,
    rotation_period: f64,
    ticker_max_count: i32,
    ticker_max_lag: f64,
    ticker_idle_period: f64,
    ticker_lag: Option<f64>,
    /// The size of the event tables with their indexes and TOAST.
    size_bytes: i64,
    /// Time since the last rotation.
    rotation_age: f64,
    /// What blocks a rotation that is late; null when none is.
    rotation_blocked: Option<Late>,
    consumers: Vec<Consumer>,
}

#[derive(Debug, Serialize)]
struct Consumer {
    name: String,
    lag: Option<f64>,
    last_seen: Option<f64>,
}

/// Reads the state of all queues. Uses only what PgQ 2.1 and 3 both have.
pub(super) async fn read(db: &Db) -> Result<Status> {
    const VERSIONS: &str = "select pg_catalog.current_setting('server_version'), pgq.version()";
    const QUEUES: &str = "select i.queue_name, i.queue_ntables,
       extract(epoch from i.queue_rotation_period)::float8, q.queue_ticker_max_count,
       extract(epoch from q.queue_ticker_max_lag)::float8, extract(epoch from q.queue_ticker_idle_period)::float8,
       extract(epoch from i.ticker_lag)::float8,
       (select coalesce(sum(pg_catalog.pg_total_relation_size(t.inhrelid)), 0)::int8
          from pg_catalog.pg_inherits t where t.inhparent = pg_catalog.to_regclass(q.queue_data_pfx)),
       extract(epoch from now() - q.queue_switch_time)::float8
from pgq.get_queue_info() i
join pgq.queue q on q.queue_name = i.queue_name
order by i.queue_name";

    let versions = db.query_one("read the version of PgQ", VERSIONS, &[]).await?;
    let mut queues: Vec<Queue> = db
        .query("read the state of the queues", QUEUES, &[])
        .await?
        .iter()
        .map(|row| Queue {
            name: row.get(0),
            ntables: row.get(1),
            rotation_period: row.get(2),
            ticker_max_count: row.get(3),
            ticker_max_lag: row.get(4),
            ticker_idle_period: row.get(5),
            ticker_lag: row.get(6),
            size_bytes: row.get(7),
            rotation_age: row.get(8),
            rotation_blocked: None,
            consumers: Vec::new(),
        })
        .collect();
    for ConsumerLag { queue, consumer, lag, last_seen, .. } in consumer_lag::read(db, None).await? {
        if let Some(queue) = queues.iter_mut().find(|q| q.name == queue) {
            queue.consumers.push(Consumer { name: consumer, lag, last_seen });
        }
    }
    let due = rotation::due(db).await?;
    for late in rotation::late(db, &due).await? {
        if let Some(queue) = queues.iter_mut().find(|q| q.name == late.queue) {
            queue.rotation_blocked = Some(late);
        }
    }
    Ok(Status { postgres_version: versions.get(0), pgq_version: versions.get(1), queues })
}

/// Of each queue whose ticks are this ticker's, how old the newest tick is, in seconds; `None` without a tick.
pub(super) async fn ticker_lags(db: &Db) -> Result<Vec<(String, Option<f64>)>> {
    const SQL: &str = "select q.queue_name,
       (select extract(epoch from now() - t.tick_time)::float8 from pgq.tick t where t.tick_queue = q.queue_id
        order by t.tick_id desc limit 1)
from pgq.queue q
where not q.queue_external_ticker and not coalesce((pg_catalog.to_jsonb(q) ->> 'queue_ticker_paused')::bool, false)
order by q.queue_name";
    let rows = db.query("read the newest ticks", SQL, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Whole seconds: `20s`; `NULL` when unknown.
fn seconds(value: Option<f64>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |value| format!("{}s", value.round()))
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = "-".repeat(78);
        writeln!(f, "Postgres version: {}   PgQ version: {}", self.postgres_version, self.pgq_version)?;
        writeln!(f, "\n{:<45} {:>9} {:>13} {:>6}\n{rule}", "Event queue", "Rotation", "Ticker", "TLag")?;
        for queue in &self.queues {
            let rotation = format!("{}/{}", queue.ntables, seconds(Some(queue.rotation_period)));
            let ticker = format!(
                "{}/{}/{}",
                queue.ticker_max_count,
                seconds(Some(queue.ticker_max_lag)),
                seconds(Some(queue.ticker_idle_period))
            );
            writeln!(f, "{:<45} {rotation:>9} {ticker:>13} {:>6}", queue.name, seconds(queue.ticker_lag))?;
        }
        writeln!(f, "{rule}\n\n{:<56} {:>9} {:>9}\n{rule}", "Consumer", "Lag", "LastSeen")?;
        for queue in &self.queues {
            writeln!(f, "{}:", queue.name)?;
            for consumer in &queue.consumers {
                let (lag, seen) = (seconds(consumer.lag), seconds(consumer.last_seen));
                writeln!(f, "  {:<54} {lag:>9} {seen:>9}", consumer.name)?;
            }
        }
        writeln!(f, "{rule}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    fn queue(name: &str, ticker_lag: Option<f64>) -> Queue {
        Queue {
            name: name.to_owned(),
            ntables: 3,
            rotation_period: 3600.0,
            ticker_max_count: 300,
            ticker_max_lag: 10.0,
            ticker_idle_period: 60.0,
            ticker_lag,
            size_bytes: 0,
            rotation_age: 0.0,
            rotation_blocked: None,
            consumers: Vec::new(),
        }
    }

    #[test]
    fn tables_are_as_scripts_know_them() {
        let mut first = queue("q1", Some(19.6));
        first.consumers.push(Consumer { name: "c1".to_owned(), lag: Some(19.6), last_seen: Some(0.7) });
        first.consumers.push(Consumer { name: "cons2".to_owned(), lag: Some(20.2), last_seen: Some(0.0) });
        let mut second = queue("q2", None);
        (second.ticker_max_count, second.ticker_max_lag, second.rotation_period) = (500, 3.0, 7200.0);
        let status = Status {
            postgres_version: "15.20 (Debian 15.20-0+deb12u1)".to_owned(),
            pgq_version: "2.1.8".to_owned(),
            queues: vec![first, second],
        };
        assert_eq!(
            status.to_string(),
            "\
Postgres version: 15.20 (Debian 15.20-0+deb12u1)   PgQ version: 2.1.8

Event queue                                    Rotation        Ticker   TLag
------------------------------------------------------------------------------
q1                                              3/3600s   300/10s/60s    20s
q2                                              3/7200s    500/3s/60s   NULL
------------------------------------------------------------------------------

Consumer                                                       Lag  LastSeen
------------------------------------------------------------------------------
q1:
  c1                                                           20s        1s
  cons2                                                        20s        0s
q2:
------------------------------------------------------------------------------
"
        );
    }
}
