//! `events`: shows the events of a queue without consuming them.

use std::fmt;

use serde::Serialize;
use tokio_postgres::Row;

use super::queue_settings::no_such_queue;
use crate::error::{Error, Result};
use crate::pg::{Db, FqName, int4, int8, sql, text};

/// How many events are shown when no limit is given.
const LIMIT: u32 = 100;

/// The columns of an event that are shown. Texts are read as bytes, since event data need not be UTF-8.
pub(super) const COLUMNS: &str = "e.ev_id, e.ev_time::text, e.ev_txid, coalesce(e.ev_retry, 0),
       textsend(e.ev_type), textsend(e.ev_data), textsend(e.ev_extra1), textsend(e.ev_extra2),
       textsend(e.ev_extra3), textsend(e.ev_extra4)";

/// Events of a queue.
#[derive(Debug, Serialize)]
pub(super) struct Listing {
    queue: String,
    consumer: Option<String>,
    /// Whether there are more events than `events`.
    more: bool,
    events: Vec<Event>,
}

/// One event.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names that the queue has for them")]
pub(super) struct Event {
    ev_id: i64,
    ev_time: String,
    ev_txid: Option<i64>,
    ev_retry: i32,
    ev_type: Option<String>,
    ev_data: Option<String>,
    ev_extra1: Option<String>,
    ev_extra2: Option<String>,
    ev_extra3: Option<String>,
    ev_extra4: Option<String>,
}

/// Reads the events that are pending for a consumer: all after its last finished batch, those of an open batch too.
/// Without a consumer, all events that are still stored. At most `limit`, or [`LIMIT`]. Changes and locks nothing.
pub(super) async fn read(db: &Db, queue: &str, consumer: Option<&str>, limit: Option<u32>) -> Result<Listing> {
    const ACTION: &str = "read the events";
    const QUEUE: &str = "select q.queue_id, q.queue_data_pfx from pgq.queue q where q.queue_name = $1";
    let Some(row) = db.query_opt(ACTION, QUEUE, &[text(&queue)]).await? else {
        return Err(no_such_queue(db, queue));
    };
    let (id, table): (i32, String) = (row.get(0), row.get(1));
    let limit = limit.unwrap_or(LIMIT);
    // One more than is shown, to know whether there is more.
    let fetched = i64::from(limit) + 1;
    let table = FqName::parse(&table);
    let rows = match consumer {
        None => {
            let sql =
                sql!("select {columns}\nfrom {table} e\norder by e.ev_id\nlimit $1", columns = COLUMNS, table = &table);
            db.query(ACTION, sql, &[int8(&fetched)]).await?
        }
        Some(name) => {
            let position = Position::find(db, queue, id, name).await?;
            // The bound on ev_txid lets the server use its index.
            let sql = sql!(
                "select {columns}\nfrom {table} e\nwhere e.ev_txid >= txid_snapshot_xmin($1::text::txid_snapshot)
  and not txid_visible_in_snapshot(e.ev_txid, $1::text::txid_snapshot)
  and (e.ev_owner is null or e.ev_owner = $2)
order by e.ev_id\nlimit $3",
                columns = COLUMNS,
                table = &table
            );
            db.query(ACTION, sql, &[text(&position.snapshot), int4(&position.owner), int8(&fetched)]).await?
        }
    };
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(Listing {
        queue: queue.to_owned(),
        consumer: consumer.map(str::to_owned),
        more: rows.len() > shown,
        events: rows.iter().take(shown).map(Event::read).collect(),
    })
}

/// The position of a consumer.
struct Position {
    /// The snapshot of its last tick.
    snapshot: String,
    /// Its subscription, `ev_owner` of its retry events.
    owner: i32,
}

impl Position {
    async fn find(db: &Db, queue: &str, queue_id: i32, consumer: &str) -> Result<Position> {
        const SQL: &str = "select t.tick_snapshot::text, s.sub_id
from pgq.consumer c
join pgq.subscription s on s.sub_consumer = c.co_id
left join pgq.tick t on t.tick_queue = s.sub_queue and t.tick_id = s.sub_last_tick
where c.co_name = $1 and s.sub_queue = $2";
        let params = [text(&consumer), int4(&queue_id)];
        let Some(row) = db.query_opt("look for the consumer", SQL, &params).await? else {
            return Err(no_such_consumer(db, queue, consumer));
        };
        let snapshot: Option<String> = row.get(0);
        let snapshot = snapshot.ok_or_else(|| {
            Error::diverged(
                format!("consumer {consumer} of queue {queue} stands at a tick that is gone"),
                "Register it anew, or move it with pgq.register_consumer_at().",
            )
        })?;
        Ok(Position { snapshot, owner: row.get(1) })
    }
}

/// The error for a consumer that is not registered.
pub(super) fn no_such_consumer(db: &Db, queue: &str, consumer: &str) -> Error {
    Error::missing(
        format!("no such consumer: {consumer} is not registered on queue {queue} (on {}, {})", db.role(), db.target()),
        "\"rlondiste ticker INI status\" lists the consumers.",
    )
}

impl Event {
    /// Reads a row that begins with [`COLUMNS`].
    pub(super) fn read(row: &Row) -> Event {
        Event {
            ev_id: row.get(0),
            ev_time: row.get(1),
            ev_txid: row.get(2),
            ev_retry: row.get(3),
            ev_type: bytes(row, 4),
            ev_data: bytes(row, 5),
            ev_extra1: bytes(row, 6),
            ev_extra2: bytes(row, 7),
            ev_extra3: bytes(row, 8),
            ev_extra4: bytes(row, 9),
        }
    }

    /// The header of the lines that [`Event`] is shown as.
    pub(super) const HEADER: &str =
        "ev_id\tev_time\tev_txid\tev_retry\tev_type\tev_data\tev_extra1\tev_extra2\tev_extra3\tev_extra4";
}

/// The text of a column, with replacement characters for bytes that are not UTF-8.
fn bytes(row: &Row, column: usize) -> Option<String> {
    row.get::<_, Option<&[u8]>>(column).map(|value| String::from_utf8_lossy(value).into_owned())
}

/// A value as in COPY's text format: one line, `\N` for NULL.
pub(super) fn copy_text(value: Option<&str>) -> String {
    let Some(value) = value else { return "\\N".to_owned() };
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c => text.push(c),
        }
    }
    text
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let txid = self.ev_txid.map(|txid| txid.to_string());
        write!(f, "{}\t{}\t{}\t{}", self.ev_id, self.ev_time, copy_text(txid.as_deref()), self.ev_retry)?;
        let extra = [&self.ev_extra1, &self.ev_extra2, &self.ev_extra3, &self.ev_extra4];
        for value in [&self.ev_type, &self.ev_data].into_iter().chain(extra) {
            write!(f, "\t{}", copy_text(value.as_deref()))?;
        }
        Ok(())
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", Event::HEADER)?;
        for event in &self.events {
            writeln!(f, "{event}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn an_event_is_one_line() {
        let event = Event {
            ev_id: 5,
            ev_time: "2026-11-22 06:57:52.294+00".to_owned(),
            ev_txid: None,
            ev_retry: 0,
            ev_type: Some("I".to_owned()),
            ev_data: Some("a\tb\nc\\d".to_owned()),
            ev_extra1: Some(String::new()),
            ev_extra2: None,
            ev_extra3: None,
            ev_extra4: None,
        };
        assert_eq!(event.to_string(), "5\t2026-11-22 06:57:52.294+00\t\\N\t0\tI\ta\\tb\\nc\\\\d\t\t\\N\t\\N\t\\N");
        assert_eq!(event.to_string().split('\t').count(), Event::HEADER.split('\t').count());
    }
}
