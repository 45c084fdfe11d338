//! The figures of the queues of a database, for `/metrics`. Uses only what PgQ 2.1 and 3 both have; columns that only PgQ 3
//! has are read through `to_jsonb(row)`.

use super::rotation;
use crate::error::Result;
use crate::http::Samples;
use crate::http::metrics::{self, Program};
use crate::pg::Db;

const ACTION: &str = "read the figures of the queues";

/// The figures of all queues of the database `name`.
pub(super) async fn read(db: &Db, name: &str) -> Result<Samples> {
    let mut samples = Samples::of(Program::Ticker);
    samples.add(&metrics::DATABASE_UP, [name], 1.0);
    queues(db, name, &mut samples).await?;
    consumers(db, name, &mut samples).await?;
    retries(db, name, &mut samples).await?;
    rotations(db, name, &mut samples).await?;
    Ok(samples)
}

/// The figures of the queues alone, by one query.
pub(super) async fn queues(db: &Db, name: &str, samples: &mut Samples) -> Result<()> {
    const SQL: &str = "select q.queue_name, extract(epoch from now() - n.tick_time)::float8, e.seq::float8,
       greatest(e.seq - (pg_catalog.to_jsonb(n) ->> 'tick_event_seq')::int8, 0)::float8,
       (select coalesce(sum(pg_catalog.pg_total_relation_size(i.inhrelid)), 0)::float8
          from pg_catalog.pg_inherits i where i.inhparent = pg_catalog.to_regclass(q.queue_data_pfx)),
       extract(epoch from now() - q.queue_switch_time)::float8, extract(epoch from q.queue_rotation_period)::float8
from pgq.queue q
cross join lateral (
    select coalesce(pg_catalog.pg_sequence_last_value(pg_catalog.to_regclass(q.queue_event_seq)), 0) as seq
) e
left join lateral (select t.* from pgq.tick t where t.tick_queue = q.queue_id order by t.tick_id desc limit 1) n on true
order by q.queue_name";
    for row in db.query(ACTION, SQL, &[]).await? {
        let labels = [name, row.get(0)];
        for (metric, column) in [
            (&metrics::TICKER_LAG, 1),
            (&metrics::EVENTS, 2),
            (&metrics::EVENTS_NEW, 3),
            (&metrics::SIZE, 4),
            (&metrics::ROTATION_AGE, 5),
            (&metrics::ROTATION_PERIOD, 6),
        ] {
            samples.add_known(metric, labels, row.get(column));
        }
    }
    Ok(())
}

async fn consumers(db: &Db, name: &str, samples: &mut Samples) -> Result<()> {
    const SQL: &str = "select q.queue_name, c.co_name, extract(epoch from now() - t.tick_time)::float8,
       extract(epoch from now() - s.sub_active)::float8,
       greatest(coalesce(pg_catalog.pg_sequence_last_value(pg_catalog.to_regclass(q.queue_event_seq)), 0)
                - (pg_catalog.to_jsonb(t) ->> 'tick_event_seq')::int8, 0)::float8
from pgq.subscription s
join pgq.queue q on q.queue_id = s.sub_queue
join pgq.consumer c on c.co_id = s.sub_consumer
left join pgq.tick t on t.tick_queue = s.sub_queue and t.tick_id = s.sub_last_tick
order by q.queue_name, c.co_name";
    for row in db.query(ACTION, SQL, &[]).await? {
        let labels = [name, row.get(0), row.get(1)];
        for (metric, column) in
            [(&metrics::CONSUMER_LAG, 2), (&metrics::CONSUMER_LAST_SEEN, 3), (&metrics::CONSUMER_PENDING, 4)]
        {
            samples.add_known(metric, labels, row.get(column));
        }
    }
    Ok(())
}

/// Counts to a bound, because the server reads each event that it counts. Events of retries are not for everybody.
async fn retries(db: &Db, name: &str, samples: &mut Samples) -> Result<()> {
    const MAY: &str = "select pg_catalog.has_table_privilege('pgq.retry_queue', 'select')";
    const SQL: &str = "select q.queue_name, c.co_name,
       (select count(*) from (select from pgq.retry_queue r where r.ev_owner = s.sub_id limit 100000) counted)::float8
from pgq.subscription s
join pgq.queue q on q.queue_id = s.sub_queue
join pgq.consumer c on c.co_id = s.sub_consumer
order by q.queue_name, c.co_name";
    if db.query_one(ACTION, MAY, &[]).await?.get(0) {
        for row in db.query(ACTION, SQL, &[]).await? {
            samples.add(&metrics::CONSUMER_RETRY, [name, row.get(0), row.get(1)], row.get(2));
        }
    }
    Ok(())
}

async fn rotations(db: &Db, name: &str, samples: &mut Samples) -> Result<()> {
    let due = rotation::due(db).await?;
    for late in rotation::late(db, &due).await? {
        if late.blockers.is_empty() {
            samples.add(&metrics::ROTATION_BLOCKED, [name, &late.queue, "unknown", "", ""], late.seconds);
        }
        for blocker in &late.blockers {
            let pid = blocker.pid.map(|pid| pid.to_string()).unwrap_or_default();
            let labels = [name, &late.queue, blocker.kind.word(), &blocker.name, &pid];
            samples.add(&metrics::ROTATION_BLOCKED, labels, late.seconds);
            samples.add_known(&metrics::BLOCKER_AGE, labels, blocker.age);
        }
    }
    Ok(())
}
