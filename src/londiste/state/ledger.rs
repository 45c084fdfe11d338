//! `londiste.ledger`: how many events of each table came since its copy, by what became of them. Written in the transaction of
//! each batch, so that it is as exact as the rows.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use tokio_postgres::types::Type;

use crate::error::Result;
use crate::pg::{Db, FqName, Param, text, text_array};

/// A part of the statement that moves a consumer, with the parameters `$6` to `$13` of [`Counted::params`]: adds the numbers where
/// `moved` has a row. Tables that are not subscribed any more are left out.
pub(super) const COUNTED: &str = ", counted as (
       insert into londiste.ledger as l (queue_name, table_name, inserts, updates, deletes, truncates, in_copy, missing)
       select s.queue_name, s.table_name, t.inserts, t.updates, t.deletes, t.truncates, t.in_copy, t.missing
         from moved, rows from (pg_catalog.unnest($7), pg_catalog.unnest($8), pg_catalog.unnest($9), pg_catalog.unnest($10),
                                pg_catalog.unnest($11), pg_catalog.unnest($12), pg_catalog.unnest($13))
                         as t (table_name, inserts, updates, deletes, truncates, in_copy, missing)
              join londiste.subscriber_table s on s.queue_name = $6 and s.table_name = t.table_name
       on conflict (queue_name, table_name) do update
           set inserts = l.inserts + excluded.inserts, updates = l.updates + excluded.updates,
               deletes = l.deletes + excluded.deletes, truncates = l.truncates + excluded.truncates,
               in_copy = l.in_copy + excluded.in_copy, missing = l.missing + excluded.missing)";

/// What a batch did, as parameters of a statement.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    queue: String,
    tables: Vec<String>,
    /// The lists of [`Counted::add`], each by table.
    numbers: [Vec<i64>; 6],
}

impl Counted {
    pub(crate) fn of(queue: &str) -> Counted {
        Counted { queue: queue.to_owned(), ..Counted::default() }
    }

    /// Adds a table with its numbers of inserts, updates, deletes, truncates, events in the copy already, rows not found.
    pub(crate) fn add(&mut self, table: &FqName, numbers: [u64; 6]) {
        self.tables.push(table.to_string());
        for (list, number) in self.numbers.iter_mut().zip(numbers) {
            list.push(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }

    pub(super) fn params(&self) -> impl Iterator<Item = Param<'_>> {
        let numbers = self.numbers.iter().map(|list| (list as _, Type::INT8_ARRAY));
        [text(&self.queue), text_array(&self.tables)].into_iter().chain(numbers)
    }
}

/// The events of a table since its copy, or since the subscription where nothing was copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Entry {
    /// In UTC.
    pub(crate) since: String,
    pub(crate) inserts: i64,
    pub(crate) updates: i64,
    pub(crate) deletes: i64,
    pub(crate) truncates: i64,
    /// Events that the copy had the effects of already.
    pub(crate) in_copy: i64,
    /// Updates and deletes, among those above, that found no row.
    pub(crate) missing: i64,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { since, inserts, updates, deletes, truncates, in_copy, missing } = self;
        write!(f, "since {since} UTC: {inserts} inserts, {updates} updates, {deletes} deletes, {truncates} truncates")?;
        if *in_copy > 0 {
            write!(f, "; {in_copy} events that the copy had already")?;
        }
        if *missing > 0 {
            write!(f, "; {missing} updates and deletes found no row")?;
        }
        Ok(())
    }
}

/// Reads the entries of a queue's tables. Empty on a schema of Londiste 2.1 or of an older rlondiste.
pub(crate) async fn read(subscriber: &Db, queue: &str) -> Result<BTreeMap<FqName, Entry>> {
    const ACTION: &str = "read the ledger";
    let sql = "select pg_catalog.to_regclass('londiste.ledger') is not null";
    if !subscriber.query_one(ACTION, sql, &[]).await?.get::<_, bool>(0) {
        return Ok(BTreeMap::new());
    }
    let sql = "select l.table_name,
                      pg_catalog.to_char(l.since at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
                      l.inserts, l.updates, l.deletes, l.truncates, l.in_copy, l.missing
                 from londiste.ledger l where l.queue_name = $1";
    let rows = subscriber.query(ACTION, sql, &[text(&queue)]).await?;
    let entry = |row: &tokio_postgres::Row| Entry {
        since: row.get(1),
        inserts: row.get(2),
        updates: row.get(3),
        deletes: row.get(4),
        truncates: row.get(5),
        in_copy: row.get(6),
        missing: row.get(7),
    };
    Ok(rows.iter().map(|row| (FqName::parse(row.get(0)), entry(row))).collect())
}

/// Begins the entry of a table anew, in the transaction of its copy.
pub(crate) async fn begin(tx: &Db, queue: &str, table: &FqName) -> Result<()> {
    let sql = "delete from londiste.ledger where queue_name = $1 and table_name = $2";
    tx.execute("begin the ledger of the table", sql, &[text(&queue), text(&table.to_string())]).await.map(drop)
}
