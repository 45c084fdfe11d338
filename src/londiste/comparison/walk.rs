//! Reads both sides in the order of the key, and pairs their rows. A cursor on each side is read in portions of about
//! [`PORTION`] bytes: memory holds at most two portions of each side, one that is compared and one that the server
//! sends meanwhile.

use std::cmp::Ordering;
use std::pin::Pin;

use futures_util::FutureExt;
use futures_util::future::{MaybeDone, maybe_done};
use tokio_postgres::Row;

use crate::error::Result;
use crate::pg::{Db, Sql, sql};

use super::rows::{ComparedTable, Pair, RowText, values};

/// Makes reading in key order use an index if there is one: a sort of a big table writes temporary files. Queries of the
/// catalog must come before: without sorts they read it whole.
pub(super) const WALK: &str = "set local enable_sort = off";

/// About how many bytes are fetched at a time. Less than any usual work_mem: the server writes the result of a bigger
/// FETCH to a temporary file.
const PORTION: usize = 1024 * 1024;
/// Rows of the first portion, and the most rows of any portion.
const FIRST_ROWS: usize = 100;
const MOST_ROWS: usize = 10_000;

/// Reads both sides in step.
pub(super) struct Merge<'a> {
    compared: &'a ComparedTable,
    provider: Walk<'a>,
    subscriber: Walk<'a>,
    their: Option<RowText>,
    our: Option<RowText>,
}

impl<'a> Merge<'a> {
    /// Declares the cursors in the open transactions, and reads the first row of each side. The statements return the
    /// columns of the key in their order, then further columns.
    pub(super) async fn start(
        compared: &'a ComparedTable,
        provider: (&'a Db, Sql),
        subscriber: (&'a Db, Sql),
    ) -> Result<Merge<'a>> {
        for (db, _) in [&provider, &subscriber] {
            db.batch("read a table", WALK).await?;
        }
        let (mut provider, mut subscriber) =
            tokio::try_join!(Walk::start(provider, compared), Walk::start(subscriber, compared))?;
        let (their, our) = tokio::try_join!(provider.next(), subscriber.next())?;
        Ok(Merge { compared, provider, subscriber, their, our })
    }

    /// The next pair in the order of the key; `None` after the last one.
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

/// Returns the row in `head`, and puts the next row of the walk there.
async fn take(head: &mut Option<RowText>, walk: &mut Walk<'_>) -> Result<Option<RowText>> {
    let next = walk.next().await?;
    Ok(std::mem::replace(head, next))
}

/// The rows of one side.
struct Walk<'a> {
    db: &'a Db,
    table: String,
    rows: std::vec::IntoIter<Row>,
    /// The portion that was asked for and not taken yet; `None` after the last portion.
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
