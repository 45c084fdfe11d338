//! Reads both sides in the order of the key, and pairs their rows. Neither side is held in memory: a cursor on each is
//! read in portions of a bounded size, and while one portion is looked at the server prepares the next.

use std::cmp::Ordering;
use std::pin::Pin;

use futures_util::FutureExt;
use futures_util::future::{MaybeDone, maybe_done};
use tokio_postgres::Row;

use crate::error::Result;
use crate::pg::{Db, Sql, sql};

use super::compared_table::ComparedTable;
use super::row::{RowText, values};

/// About how many bytes are fetched at a time: less than the least work_mem in use, since the server writes the result of
/// a bigger FETCH to a temporary file.
const PORTION: usize = 1024 * 1024;
/// Rows of the first portion, and the most of any.
const FIRST_ROWS: usize = 100;
const MOST_ROWS: usize = 10_000;

/// Rows of the two sides that have the same key, or the row that only one side has.
pub(super) enum Pair {
    Provider(RowText),
    Subscriber(RowText),
    Both { provider: RowText, subscriber: RowText },
}

/// Both sides, walked side by side.
pub(super) struct Merge<'a> {
    compared: &'a ComparedTable,
    provider: Walk<'a>,
    subscriber: Walk<'a>,
    their: Option<RowText>,
    our: Option<RowText>,
}

impl<'a> Merge<'a> {
    /// Starts the walk. The statements return the columns of the key in their order, and whatever else is wanted.
    pub(super) async fn start(
        compared: &'a ComparedTable,
        provider: (&'a Db, Sql),
        subscriber: (&'a Db, Sql),
    ) -> Result<Merge<'a>> {
        let (mut provider, mut subscriber) =
            tokio::try_join!(Walk::start(provider, compared), Walk::start(subscriber, compared))?;
        let (their, our) = tokio::try_join!(provider.next(), subscriber.next())?;
        Ok(Merge { compared, provider, subscriber, their, our })
    }

    /// The next pair in the order of the key.
    pub(super) async fn next(&mut self) -> Result<Option<Pair>> {
        let order = match (&self.their, &self.our) {
            (None, None) => return Ok(None),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => self.compared.order(a, b),
        };
        let provider = if order.is_le() { take(&mut self.their, &mut self.provider).await? } else { None };
        let subscriber = if order.is_ge() { take(&mut self.our, &mut self.subscriber).await? } else { None };
        Ok(match (provider, subscriber) {
            (Some(provider), Some(subscriber)) => Some(Pair::Both { provider, subscriber }),
            (Some(row), None) => Some(Pair::Provider(row)),
            (None, Some(row)) => Some(Pair::Subscriber(row)),
            (None, None) => None,
        })
    }
}

/// Takes the row at the head, and puts the next one there.
async fn take(head: &mut Option<RowText>, walk: &mut Walk<'_>) -> Result<Option<RowText>> {
    let next = walk.next().await?;
    Ok(std::mem::replace(head, next))
}

/// The rows of one side.
struct Walk<'a> {
    db: &'a Db,
    table: String,
    rows: std::vec::IntoIter<Row>,
    /// The portion that the server is at; `None` when the last one has been taken.
    ahead: Option<Pin<Box<MaybeDone<Fetch<'a>>>>>,
}

type Fetch<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>>> + Send + 'a>>;

impl<'a> Walk<'a> {
    async fn start((db, rows): (&'a Db, Sql), compared: &ComparedTable) -> Result<Walk<'a>> {
        let table = format!("table {}", compared.name);
        let declare = sql!("declare rows_by_key no scroll cursor for {rows}", rows = rows);
        db.batch("read a table", &declare).await.map_err(|e| e.about(&table))?;
        let mut walk = Walk { db, table, rows: Vec::new().into_iter(), ahead: None };
        walk.fetch(FIRST_ROWS);
        Ok(walk)
    }

    /// Asks for the next portion.
    fn fetch(&mut self, count: usize) {
        let (db, table) = (self.db, self.table.clone());
        let fetch: Fetch<'a> = Box::pin(async move {
            let sql = sql!("fetch {count} from rows_by_key", count = count);
            db.query("read a table", &sql, &[]).await.map_err(|e| e.about(table))
        });
        let mut ahead = Box::pin(maybe_done(fetch));
        // The first poll sends the statement.
        let _ = ahead.as_mut().now_or_never();
        self.ahead = Some(ahead);
    }

    async fn next(&mut self) -> Result<Option<RowText>> {
        if self.rows.len() == 0
            && let Some(mut ahead) = self.ahead.take()
        {
            ahead.as_mut().await;
            let rows = ahead.as_mut().take_output().transpose()?.unwrap_or_default();
            if let Some(average) = rows.iter().map(Row::raw_size_bytes).sum::<usize>().checked_div(rows.len()) {
                self.fetch((PORTION / average.max(1)).clamp(1, MOST_ROWS));
            }
            self.rows = rows.into_iter();
        }
        self.rows.next().map(|row| values(self.db, &row)).transpose()
    }
}
