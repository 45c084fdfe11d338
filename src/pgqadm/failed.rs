//! `failed`: the failed queue of a consumer, with the events that it could not use.

use std::fmt;

use serde::Serialize;
use tracing::info;

use super::command::FailedAction;
use super::events::{COLUMNS, Event, copy_text, no_such_consumer};
use crate::error::{Error, Result};
use crate::job::Output;
use crate::pg::{Db, int8, sql, text};

/// The failed events of a consumer.
#[derive(Debug, Serialize)]
pub(super) struct Listing {
    queue: String,
    consumer: String,
    events: Vec<FailedEvent>,
}

#[derive(Debug, Serialize)]
struct FailedEvent {
    ev_failed_time: String,
    ev_failed_reason: Option<String>,
    #[serde(flatten)]
    event: Event,
}

/// Reads the failed events of a consumer.
pub(super) async fn read(db: &Db, queue: &str, consumer: &str) -> Result<Listing> {
    check(db, queue, consumer).await?;
    let sql = sql!(
        "select {columns}, e.ev_failed_time::text, e.ev_failed_reason
from pgq.failed_event_list($1, $2) e
order by e.ev_id",
        columns = COLUMNS
    );
    let rows = db.query("read the failed events", sql, &[text(&queue), text(&consumer)]).await?;
    let event =
        |row| FailedEvent { event: Event::read(row), ev_failed_time: row.get(10), ev_failed_reason: row.get(11) };
    Ok(Listing { queue: queue.to_owned(), consumer: consumer.to_owned(), events: rows.iter().map(event).collect() })
}

/// Puts one failed event back into the queue, or deletes it.
pub(super) async fn act(db: &Db, queue: &str, consumer: &str, action: FailedAction) -> Result<Output> {
    check(db, queue, consumer).await?;
    let (what, sql, id) = match action {
        FailedAction::Retry(id) => {
            info!("Retrying event {id} of consumer {consumer} on queue {queue}");
            ("retry the event", "select pgq.failed_event_retry($1, $2, $3)", id)
        }
        FailedAction::Delete(id) => {
            info!("Deleting event {id} of consumer {consumer} on queue {queue}");
            ("delete the event", "select pgq.failed_event_delete($1, $2, $3)", id)
        }
    };
    db.query(what, sql, &[text(&queue), text(&consumer), int8(&id)])
        .await
        .map_err(|e| e.about(format!("event {id} of consumer \"{consumer}\" on queue \"{queue}\"")))?;
    Ok(Output::none())
}

/// Fails where there is no such consumer ([`Error::Missing`]) or this PgQ keeps no failed events ([`Error::Unsupported`]).
async fn check(db: &Db, queue: &str, consumer: &str) -> Result<()> {
    const SQL: &str = "select pg_catalog.to_regprocedure('pgq.failed_event_list(text, text)') is not null,
       exists (select 1 from pgq.get_consumer_info($1, $2) i where i.consumer_name = $2)";
    let row = db.query_one("look for the consumer", SQL, &[text(&queue), text(&consumer)]).await?;
    let (kept, registered): (bool, bool) = (row.get(0), row.get(1));
    if !kept {
        return Err(Error::unsupported(
            format!("there are no failed events on {} ({}): this PgQ does not keep them", db.role(), db.target()),
            "PgQ 2.1 and the schema of rlondiste do.",
        ));
    }
    if registered { Ok(()) } else { Err(no_such_consumer(db, queue, consumer)) }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\tev_failed_time\tev_failed_reason", Event::HEADER)?;
        for failed in &self.events {
            let reason = copy_text(failed.ev_failed_reason.as_deref());
            writeln!(f, "{}\t{}\t{reason}", failed.event, failed.ev_failed_time)?;
        }
        Ok(())
    }
}
