//! Reads the events of a batch from the provider.
//!
//! Events are read by binary COPY, which gives each row as one message. An [`Event`] is such a message and the places of
//! its fields. The fields are bytes, which need not be UTF-8.
//!
//! After an event of [`BIG`] bytes or more, nothing is read from the socket until the next event is requested.

use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use tokio_postgres::CopyOutStream;

use super::EventId;
use super::value_buffer::BIG;
use crate::error::{Error, Result};
use crate::pg::{Db, Sql, sql};

/// One event of a queue.
#[derive(Clone, Debug)]
pub struct Event {
    /// `ev_id`
    pub id: EventId,
    /// `ev_txid`: the transaction that wrote the event.
    pub txid: i64,
    row: Bytes,
    kind: Range<u32>,
    data: Option<Range<u32>>,
    extra1: Option<Range<u32>>,
}

impl Event {
    /// Makes an event that does not come from a queue, for tests and benchmarks.
    pub fn new(id: EventId, txid: i64, kind: &[u8], data: Option<&[u8]>, extra1: Option<&[u8]>) -> Event {
        let mut row = Vec::new();
        let mut add = |field: &[u8]| {
            let start = position(row.len());
            row.extend_from_slice(field);
            start..position(row.len())
        };
        let (kind, data, extra1) = (add(kind), data.map(&mut add), extra1.map(&mut add));
        Event { id, txid, row: row.into(), kind, data, extra1 }
    }

    /// `ev_type`; empty when it is null.
    pub fn kind(&self) -> &[u8] {
        self.field(&self.kind)
    }

    /// `ev_data`
    pub fn data(&self) -> Option<&[u8]> {
        self.data.as_ref().map(|range| self.field(range))
    }

    /// `ev_extra1`, which names the table.
    pub fn extra1(&self) -> Option<&[u8]> {
        self.extra1.as_ref().map(|range| self.field(range))
    }

    /// The message that the fields are parts of.
    pub(crate) fn row(&self) -> &Bytes {
        &self.row
    }

    fn field(&self, range: &Range<u32>) -> &[u8] {
        &self.row[range.start as usize..range.end as usize]
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a row of COPY has at most 1 GB")]
fn position(at: usize) -> u32 {
    at as u32
}

const ACTION: &str = "read the events of the batch";

/// Starts to read the events of a batch, in the order of their ids. `batch_sql` is a statement that gives rows with the
/// columns of an event, such as the text that `pgq.batch_event_sql` returns. Until the stream has ended, the provider's
/// session is busy and holds a snapshot, which holds vacuum back; after the stream is dropped early, until the server has
/// sent all rows or the statement is cancelled.
///
/// Fails, here or in the stream, with [`Error::Query`], or with [`Error::Data`] for a row that cannot be read.
pub async fn stream<'a>(provider: &'a Db, batch_sql: &Sql) -> Result<EventStream<'a>> {
    let sql = sql!(
        "copy (select ev_id, ev_txid, ev_type, ev_data, ev_extra1 from ({batch_sql}) e order by ev_id) \
         to stdout (format binary)",
        batch_sql = batch_sql
    );
    let rows = provider.copy_out(ACTION, sql).await?;
    Ok(EventStream { provider, rows: Box::pin(rows), started: false })
}

/// The events of a batch, in the order of their ids.
pub struct EventStream<'a> {
    provider: &'a Db,
    rows: Pin<Box<CopyOutStream>>,
    started: bool,
}

impl Drop for EventStream<'_> {
    fn drop(&mut self) {
        self.provider.resume();
    }
}

impl Stream for EventStream<'_> {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Event>>> {
        self.provider.resume();
        loop {
            let row = match ready!(self.rows.as_mut().poll_next(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(self.provider.failed(ACTION, error)))),
                Some(Ok(row)) => row,
            };
            if row.len() >= BIG {
                self.provider.hold();
            }
            let start = if self.started { 0 } else { header_len(&row).unwrap_or(usize::MAX) };
            self.started = true;
            match decode(row, start) {
                Some(Row::Event(event)) => return Poll::Ready(Some(Ok(event))),
                // The header without a row, or the end mark, behind which the stream ends.
                Some(Row::Nothing) => {}
                None => return Poll::Ready(Some(Err(malformed(self.provider)))),
            }
        }
    }
}

fn malformed(provider: &Db) -> Error {
    provider.unexpected(ACTION, "the server sent a row of COPY that cannot be understood")
}

/// What a message of a binary COPY is.
pub(crate) enum Row {
    /// A row.
    Event(Event),
    /// The header without a row, or the end mark.
    Nothing,
}

/// The length of the header of a binary COPY, which the first row follows.
pub(crate) fn header_len(bytes: &[u8]) -> Option<usize> {
    const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
    if !bytes.starts_with(SIGNATURE) {
        return None;
    }
    let extension = read_u32(bytes, SIGNATURE.len() + 4)?;
    Some(SIGNATURE.len() + 8 + extension as usize)
}

/// Reads the row of five fields that begins at `start`; `None` when there is no such row.
pub(crate) fn decode(row: Bytes, start: usize) -> Option<Row> {
    let bytes = &row[..];
    if start == bytes.len() || bytes.get(start..)? == [0xff, 0xff] {
        return Some(Row::Nothing);
    }
    if bytes.get(start..start + 2)? != [0, 5] {
        return None;
    }
    let mut at = start + 2;
    let id = read_i64(bytes, &mut at)?;
    let txid = read_i64(bytes, &mut at)?;
    let kind = read_field(bytes, &mut at).ok()?.unwrap_or(0..0);
    let data = read_field(bytes, &mut at).ok()?;
    let extra1 = read_field(bytes, &mut at).ok()?;
    Some(Row::Event(Event { id: EventId(id), txid, row, kind, data, extra1 }))
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// A `bigint` with its length; NULL is not allowed.
fn read_i64(bytes: &[u8], at: &mut usize) -> Option<i64> {
    if read_u32(bytes, *at)? != 8 {
        return None;
    }
    let value = bytes.get(*at + 4..*at + 12)?.try_into().ok()?;
    *at += 12;
    Some(i64::from_be_bytes(value))
}

/// The row ends within a field.
struct CutOff;

/// The place of a field; `None` is NULL.
fn read_field(bytes: &[u8], at: &mut usize) -> Result<Option<Range<u32>>, CutOff> {
    let len = read_u32(bytes, *at).ok_or(CutOff)?;
    *at += 4;
    if len == u32::MAX {
        return Ok(None);
    }
    let start = *at;
    *at += len as usize;
    bytes.get(start..*at).ok_or(CutOff)?;
    Ok(Some(position(start)..position(*at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(fields: &[Option<&[u8]>]) -> Vec<u8> {
        let mut row = vec![0, 5];
        for field in fields {
            match field {
                None => row.extend([0xff; 4]),
                Some(bytes) => {
                    row.extend(u32::try_from(bytes.len()).expect("small").to_be_bytes());
                    row.extend_from_slice(bytes);
                }
            }
        }
        row
    }

    fn header() -> Vec<u8> {
        [&b"PGCOPY\n\xff\r\n\0"[..], &[0; 8]].concat()
    }

    #[test]
    fn a_row_is_read_without_copying_it() {
        let id = 7_i64.to_be_bytes();
        let txid = 8_i64.to_be_bytes();
        let row = row(&[Some(&id), Some(&txid), Some(b"U"), None, Some(b"\xffpublic.t")]);
        let Some(Row::Event(event)) = decode(Bytes::from(row), 0) else { unreachable!("a row") };
        assert_eq!((event.id, event.txid), (EventId(7), 8));
        assert_eq!((event.kind(), event.data(), event.extra1()), (&b"U"[..], None, Some(&b"\xffpublic.t"[..])));
    }

    #[test]
    fn the_header_may_come_alone_or_with_the_first_row() {
        let alone = header();
        assert!(matches!(decode(Bytes::from(alone.clone()), header_len(&alone).expect("header")), Some(Row::Nothing)));
        let id = 7_i64.to_be_bytes();
        let both = [header(), row(&[Some(&id), Some(&id), Some(b"I"), Some(b"x"), None])].concat();
        let start = header_len(&both).expect("header");
        assert!(matches!(decode(Bytes::from(both), start), Some(Row::Event(_))));
    }

    #[test]
    fn the_end_mark_is_no_row() {
        assert!(matches!(decode(Bytes::from_static(&[0xff, 0xff]), 0), Some(Row::Nothing)));
    }

    #[test]
    fn damaged_rows_are_refused() {
        let id = 7_i64.to_be_bytes();
        let good = row(&[Some(&id), Some(&id), Some(b"I"), Some(b"data"), Some(b"t")]);
        for len in 1..good.len() {
            assert!(decode(Bytes::copy_from_slice(&good[..len]), 0).is_none(), "{len}");
        }
        assert!(decode(Bytes::from(good), usize::MAX).is_none());
        assert_eq!(header_len(b"PGCOPY"), None);
    }

    #[test]
    fn a_made_event_has_its_fields() {
        let event = Event::new(EventId(1), 2, b"D", Some(b"id='1'"), None);
        assert_eq!((event.kind(), event.data(), event.extra1()), (&b"D"[..], Some(&b"id='1'"[..]), None));
    }
}
