//! `londiste.verification`: the ranges of keys of each table, and when both sides were last found equal in each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::error::Result;
use crate::pg::{Db, FqName, Param, RawText, Sql, int4, int8, sql, text, text_array};

/// The values of a key as text.
pub(crate) type Key = Vec<Option<RawText>>;

/// A range of keys, with what its last look found.
#[derive(Clone, Debug, Default)]
pub(crate) struct VerifiedRange {
    /// The keys after this one; without an end where it is `None`.
    pub(crate) after: Option<Key>,
    /// Up to and with this key.
    pub(crate) to: Option<Key>,
    /// What the range had at its last look; an estimate before the first one.
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// When the last look began.
    pub(crate) looked: Option<Instant>,
    /// When the last look began that found no row that differs.
    pub(crate) equal: Option<Instant>,
    /// Rows that changed too often to be compared.
    pub(crate) unverified: u64,
    /// Rows that differ.
    pub(crate) differing: u64,
    /// The first of these, for people.
    pub(crate) examples: Vec<String>,
}

/// What is stored of a table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
    pub(crate) ranges: Vec<VerifiedRange>,
    pub(crate) problem: Option<String>,
}

/// The table is subscribed and `ok`, and its events are not held back. `$1` and `$2` are queue and table.
const IS_OK: &str = "exists (select from londiste.subscriber_table s
                              where s.queue_name = $1 and s.table_name = $2 and s.merge_state = 'ok')
            and not exists (select from londiste.table_position p
                             where p.queue_name = $1 and p.table_name = $2 and p.parked_reason is not null)";

const ACTION: &str = "store what was verified";

/// Reads the ranges of a table, in the order of their keys.
pub(crate) async fn load(subscriber: &Db, queue: &str, table: &FqName) -> Result<Stored> {
    let sql = "select v.from_key, v.to_key, v.rows, v.bytes,
                      extract(epoch from pg_catalog.clock_timestamp() - v.looked_at)::float8,
                      extract(epoch from pg_catalog.clock_timestamp() - v.equal_at)::float8,
                      v.unverified, v.differing, v.examples, v.problem
                 from londiste.verification v where v.queue_name = $1 and v.table_name = $2 order by v.range_nr";
    let rows = subscriber.query("read what was verified", sql, &[text(&queue), text(&table.to_string())]).await?;
    let count = |row: &Row, i| row.get::<_, i64>(i).unsigned_abs();
    let range = |row: &Row| VerifiedRange {
        after: row.get(0),
        to: row.get(1),
        rows: count(row, 2),
        bytes: count(row, 3),
        looked: row.get::<_, Option<f64>>(4).and_then(ago),
        equal: row.get::<_, Option<f64>>(5).and_then(ago),
        unverified: count(row, 6),
        differing: count(row, 7),
        examples: row.get(8),
    };
    let problem = rows.first().and_then(|row| row.get(9));
    Ok(Stored { ranges: rows.iter().map(range).collect(), problem })
}

/// The moment so many seconds ago; `None` where the clock does not go back that far.
fn ago(seconds: f64) -> Option<Instant> {
    Instant::now().checked_sub(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// The tables of which something is stored.
pub(crate) async fn begun(subscriber: &Db, queue: &str) -> Result<BTreeSet<FqName>> {
    let sql = "select v.table_name from londiste.verification v where v.queue_name = $1 and v.range_nr = 0";
    let rows = subscriber.query("read what was verified", sql, &[text(&queue)]).await?;
    Ok(rows.iter().map(|row| FqName::parse(row.get(0))).collect())
}

/// Begins the table with one range, unless it has some. Does nothing for a table that is not `ok`.
pub(crate) async fn begin(subscriber: &Db, queue: &str, table: &FqName, range: &VerifiedRange) -> Result<()> {
    let sql = sql!(
        "insert into londiste.verification (queue_name, table_name, range_nr, rows, bytes)
         select $1, $2, 0, $3, $4 where {is_ok}
         on conflict (queue_name, table_name, range_nr) do nothing",
        is_ok = IS_OK
    );
    let (name, rows, bytes) = (table.to_string(), signed(range.rows), signed(range.bytes));
    subscriber.execute(ACTION, sql, &[text(&queue), text(&name), int8(&rows), int8(&bytes)]).await.map(drop)
}

/// Stores the range with this number again. `false`, without a change, when the table was copied or removed meanwhile, or is not
/// `ok`: what was found may be of other rows.
pub(crate) async fn save(
    subscriber: &Db,
    queue: &str,
    table: &FqName,
    nr: usize,
    range: &VerifiedRange,
) -> Result<bool> {
    let sql = sql!(
        "update londiste.verification v
            set from_key = $4, to_key = $5, rows = $6, bytes = $7,
                looked_at = pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $8),
                equal_at = pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $9),
                unverified = $10, differing = $11, examples = $12, problem = null
          where v.queue_name = $1 and v.table_name = $2 and v.range_nr = $3 and {is_ok}",
        is_ok = IS_OK
    );
    write(subscriber, sql, queue, table, nr, range).await.map(|count| count > 0)
}

/// Stores all ranges of the table anew. `false` as in [`save`].
pub(crate) async fn replace(subscriber: &Db, queue: &str, table: &FqName, ranges: &[VerifiedRange]) -> Result<bool> {
    let tx = subscriber.begin(ACTION, "begin").await?;
    let sql = sql!(
        "delete from londiste.verification v where v.queue_name = $1 and v.table_name = $2 and {is_ok}",
        is_ok = IS_OK
    );
    if tx.execute(ACTION, sql, &[text(&queue), text(&table.to_string())]).await? == 0 {
        tx.rollback(ACTION).await?;
        return Ok(false);
    }
    for (nr, range) in ranges.iter().enumerate() {
        let sql = "insert into londiste.verification
                          (queue_name, table_name, range_nr, from_key, to_key, rows, bytes, looked_at, equal_at,
                           unverified, differing, examples)
                   values ($1, $2, $3, $4, $5, $6, $7,
                           pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $8),
                           pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $9), $10, $11, $12)";
        write(&tx, sql.into(), queue, table, nr, range).await?;
    }
    tx.commit(ACTION).await?;
    Ok(true)
}

async fn write(db: &Db, sql: Sql, queue: &str, table: &FqName, nr: usize, range: &VerifiedRange) -> Result<u64> {
    let VerifiedRange { after, to, rows, bytes, looked, equal, unverified, differing, examples } = range;
    let (name, nr) = (table.to_string(), i32::try_from(nr).unwrap_or(i32::MAX));
    let numbers = [rows, bytes, unverified, differing].map(|number| signed(*number));
    let ages = [looked, equal].map(|moment| moment.map(|moment| moment.elapsed().as_secs_f64()));
    let age = |nr: usize| (&ages[nr] as _, Type::FLOAT8);
    let params: [Param<'_>; 12] = [
        text(&queue),
        text(&name),
        int4(&nr),
        text_array(after),
        text_array(to),
        int8(&numbers[0]),
        int8(&numbers[1]),
        age(0),
        age(1),
        int8(&numbers[2]),
        int8(&numbers[3]),
        text_array(examples),
    ];
    db.execute(ACTION, sql, &params).await
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Stores why the last look at the table failed; the next look that does not fail takes it away.
pub(crate) async fn fail(subscriber: &Db, queue: &str, table: &FqName, problem: &str) -> Result<()> {
    let sql = "update londiste.verification v set problem = $3
                where v.queue_name = $1 and v.table_name = $2 and v.range_nr = 0";
    subscriber.execute(ACTION, sql, &[text(&queue), text(&table.to_string()), text(&problem)]).await.map(drop)
}

/// Forgets the table, in the transaction of its copy.
pub(crate) async fn forget(tx: &Db, queue: &str, table: &FqName) -> Result<()> {
    let sql = "delete from londiste.verification where queue_name = $1 and table_name = $2";
    tx.execute("forget what was verified", sql, &[text(&queue), text(&table.to_string())]).await.map(drop)
}

/// How far a table is verified.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(clippy::struct_field_names, reason = "the fields of the JSON document")]
pub(crate) struct Verified {
    /// Rows on the provider; an estimate until all were looked at.
    pub(crate) rows: i64,
    /// Those that were found equal at the last look.
    pub(crate) equal_rows: i64,
    /// Those that changed each time they were looked at.
    pub(crate) unverified_rows: i64,
    /// Rows of either side that differed at the last look.
    pub(crate) differing_rows: i64,
    /// Every row was looked at, at this time or later, in UTC; null before the end of the first round.
    pub(crate) verified_up_to: Option<String>,
    /// The seconds since then.
    pub(crate) age_seconds: Option<f64>,
    /// When rows that differ were still equal, in UTC.
    pub(crate) last_equal: Option<String>,
    /// The first rows that differ.
    pub(crate) differing: Vec<String>,
    /// Why the last look failed.
    pub(crate) problem: Option<String>,
}

/// How many rows that differ [`read`] names of a table.
const NAMED: i32 = 10;

/// Reads how far the tables of the queue are verified. Empty on a schema of Londiste 2.1 or of an older rlondiste.
pub(crate) async fn read(subscriber: &Db, queue: &str) -> Result<BTreeMap<FqName, Verified>> {
    const ACTION: &str = "read what was verified";
    let sql = "select pg_catalog.to_regclass('londiste.verification') is not null";
    if !subscriber.query_one(ACTION, sql, &[]).await?.get::<_, bool>(0) {
        return Ok(BTreeMap::new());
    }
    let sql = "select v.table_name, pg_catalog.sum(v.rows)::bigint,
                      pg_catalog.sum(case when v.looked_at is null then 0
                                          else greatest(v.rows - v.unverified - v.differing, 0) end)::bigint,
                      pg_catalog.sum(v.unverified)::bigint, pg_catalog.sum(v.differing)::bigint,
                      case when pg_catalog.bool_and(v.looked_at is not null)
                           then pg_catalog.to_char(pg_catalog.min(v.looked_at) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') end,
                      case when pg_catalog.bool_and(v.looked_at is not null)
                           then extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.min(v.looked_at))::float8 end,
                      pg_catalog.to_char(pg_catalog.min(v.equal_at) filter (where v.differing > 0) at time zone 'UTC',
                                         'YYYY-MM-DD HH24:MI:SS'),
                      array(select e from londiste.verification d, pg_catalog.unnest(d.examples) with ordinality u(e, nr)
                             where d.queue_name = $1 and d.table_name = v.table_name and d.differing > 0
                             order by d.range_nr, u.nr limit $2),
                      pg_catalog.max(v.problem)
                 from londiste.verification v where v.queue_name = $1 group by v.table_name";
    let rows = subscriber.query(ACTION, sql, &[text(&queue), int4(&NAMED)]).await?;
    let verified = |row: &Row| Verified {
        rows: row.get(1),
        equal_rows: row.get(2),
        unverified_rows: row.get(3),
        differing_rows: row.get(4),
        verified_up_to: row.get(5),
        age_seconds: row.get(6),
        last_equal: row.get(7),
        differing: row.get(8),
        problem: row.get(9),
    };
    Ok(rows.iter().map(|row| (FqName::parse(row.get(0)), verified(row))).collect())
}
