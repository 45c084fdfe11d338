//! One batch exactly once: the protocol by which replay and the catch-up of a copy apply the events between two ticks.
//!
//! The tick is stored in the subscriber's transaction that applies the batch, and the batch is finished on the provider
//! afterwards:
//!
//! | the process ends after | what the subscriber shows | what happens next |
//! |---|---|---|
//! | 1 next_batch, on the provider | nothing | the provider gives the same batch again, which is applied |
//! | 2 reading events | nothing | as after 1 |
//! | 3 applying, storing the tick, on the subscriber | nothing: rolled back | as after 1 |
//! | 4 commit on the subscriber | the batch and its end tick | the same batch again: [`Standing::Done`], it is only finished |
//! | 5 finish_batch on the provider | the batch and its end tick | the next batch, which starts at the stored tick |

mod pace;

use std::collections::HashMap;

use tokio_postgres::error::SqlState;

use super::apply::{Applied, Applier, Changes, Filter, TableCounts};
use super::state::completed::{self, Advance, Advanced, Position, Standing};
use super::state::ledger::Counted;
use super::state::skips::{self, Skips};
use crate::config;
use crate::error::{Error, Result};
use crate::failpoint::failpoint;
use crate::pg::{Db, FqName, Sql, sql};
use crate::pgq::consumer::{self, Consumer, Join};
use crate::pgq::{Batch, TickId, event};

pub(crate) use pace::Pace;

/// The ini file's limits for joining waiting ticks into one batch.
pub(crate) fn join(config: &config::Londiste) -> Join {
    Join { least_events: config.batch_min_events, most_events: config.batch_max_events, before: None }
}

/// The sessions and the consumer by which a batch is read and applied.
pub(crate) struct Reader<'a> {
    pub(crate) provider: &'a Db,
    pub(crate) subscriber: &'a Db,
    /// The consumer that has the batch open: replay's or that of a copy.
    pub(crate) consumer: &'a Consumer,
    /// The name of replay's consumer: orders to skip an event are stored under this name.
    pub(crate) job: &'a str,
}

/// Which events of a batch are applied.
pub(crate) struct Wanted {
    /// The tables whose events are applied. The filter leaves out the events that the table's copy holds already.
    pub(crate) filters: HashMap<FqName, Filter>,
    /// Only the events of this table are read from the provider; `None`: all events.
    pub(crate) only: Option<FqName>,
}

impl Wanted {
    /// The statement, less the events of other tables where only one is wanted.
    fn select(&self, all: Sql) -> Sql {
        let Some(table) = &self.only else { return all };
        // An event in JSON may name its table in its type only, which the applier reads.
        sql!(
            "select * from ({all}) e
              where e.ev_extra1 = {name} or e.ev_extra1 is null and pg_catalog.left(e.ev_type, 1) = '{'
              order by e.ev_id",
            all = all,
            name = Sql::literal(&table.to_string())
        )
    }
}

/// What replay or a copy adds to the transaction of a batch, beside the batch's events.
pub(crate) trait BatchExtras {
    /// The result of [`BatchExtras::read`].
    type Found;

    /// Reads what [`BatchExtras::before`] is to write. Runs before the transaction begins, beside the queries for the
    /// batch.
    async fn read(&mut self) -> Result<Self::Found>;

    /// Runs in the transaction before the first event. After [`Turn::Overtaken`] the transaction is rolled back.
    async fn before(&mut self, tx: &Db, found: &Self::Found) -> Result<Turn>;

    /// Whether what [`BatchExtras::before`] failed to write was altered since [`BatchExtras::read`]. Runs after the rollback.
    async fn is_outdated(&mut self, found: &Self::Found) -> Result<bool>;

    /// Runs in the transaction after the last event. `events_sql` is the statement that read the events from the
    /// provider.
    async fn after(&mut self, tx: &Db, applied: &Applied, events_sql: &Sql) -> Result<()>;

    /// Runs after the commit, before the batch is finished on the provider.
    fn committed(&mut self, found: Self::Found);
}

/// Whether the batch may be applied, as seen inside its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// This process may apply the batch.
    Ours,
    /// Another process applies the batch, or has applied it.
    Overtaken,
}

/// How a batch ended.
#[derive(Debug)]
pub(crate) enum Processed {
    /// The batch was applied and finished.
    Applied(Box<Applied>),
    /// The batch had been applied before, and was finished.
    AlreadyDone,
    /// Nothing was changed here, and the provider gives the batch again: another process applies or has applied the batch, or a table
    /// or sequence was altered meanwhile.
    ComesAgain,
}

/// Steps 2 to 5: applies the batch, commits, finishes it. Fails with `Error::diverged` when the stored position does
/// not fit the batch. An error before the commit rolls the batch back; after a later error the next call finds the
/// stored tick, and returns [`Processed::AlreadyDone`] if the commit was carried out.
///
/// On the subscriber, the rows and tables that the events change are locked until the commit. On the provider a COPY is
/// open until the last event is read, behind a pooler in a transaction.
pub(crate) async fn process<E: BatchExtras>(
    reader: &Reader<'_>,
    batch: &Batch,
    wanted: &Wanted,
    applier: &mut Applier,
    extras: &mut E,
) -> Result<Processed> {
    let Reader { provider, subscriber, consumer, job } = *reader;
    failpoint!("batch::opened");
    // The four queries run side by side, since a small batch takes little more time than its round trips.
    let looked = tokio::try_join!(
        completed::position(subscriber, &consumer.name),
        skips::pending(subscriber, job),
        consumer.batch_events(provider, batch),
        extras.read(),
    );
    let (stored, pending, (sql, ends), found) = match looked {
        Err(error)
            if error.code() == Some(&SqlState::UNDEFINED_OBJECT) && is_taken(provider, consumer, batch).await? =>
        {
            return Err(other_reader(reader, batch));
        }
        looked => looked?,
    };
    match completed::standing(stored.as_ref(), batch, &ends) {
        Standing::Apply => {}
        Standing::Done => {
            failpoint!("batch::found_done");
            consumer.finish_batch(provider, batch).await?;
            return Ok(Processed::AlreadyDone);
        }
        Standing::Lost(tick) => return Err(lost_position(reader, batch, tick, stored.as_ref()).await?),
        Standing::OtherTick { tick, stored, provider } => {
            return Err(other_tick(reader, tick, &stored, &provider));
        }
    }
    let ours = |table: &FqName| wanted.filters.contains_key(table);
    let skips = Skips::of(provider, &consumer.queue, batch, pending, ours).await?;
    let sql = wanted.select(skips.leave_out(sql));
    // The client library reads a COPY by a statement that it prepares first: behind a pooler both must go to one server
    // connection, which only a transaction guarantees.
    let reading =
        if provider.is_pooled() { Some(provider.begin("read the events of the batch", "begin").await?) } else { None };
    let start = async {
        let tx = subscriber.begin("start the batch's transaction", "begin").await?;
        // A row that somebody else inserts before this batch is committed would be missed by its updates: who makes rows equal
        // keeps the position, and one of the two waits for the other.
        let (_, turn) = tokio::try_join!(completed::hold(&tx, &consumer.name), extras.before(&tx, &found))?;
        if turn == Turn::Ours {
            applier.prepare(&tx).await?;
        }
        Ok((tx, turn))
    };
    let (events, (tx, turn)) = match tokio::try_join!(event::stream(provider, &sql), start) {
        Err(error) if error.code().is_some() && extras.is_outdated(&found).await? => return Ok(altered()),
        begun => begun?,
    };
    if turn == Turn::Overtaken {
        return Ok(Processed::ComesAgain);
    }
    failpoint!("batch::begun");
    let mut applied = match Box::pin(applier.apply(events, &wanted.filters, &tx)).await {
        Ok(applied) => applied,
        Err(error) => {
            // Where the rollback fails, the connection is at fault.
            if tx.rollback("give up the batch").await.is_ok()
                && completed::position(subscriber, &consumer.name).await? != stored
            {
                return Err(other_reader(reader, batch));
            }
            // 1. A batch reads that no foreign key leads from one table to another, and writes them in any order.
            // 2. The key is added, by hand or after a copy.
            // 3. A row comes before the row that it refers to, and the server refuses it.
            if matches!(error, Error::Apply(_)) && applier.is_outdated(subscriber).await? {
                return Ok(altered());
            }
            return Err(error);
        }
    };
    if !applier.confirm(&applied, &tx).await? {
        tx.rollback("give up the batch").await?;
        return Ok(altered());
    }
    failpoint!("batch::applied");
    extras.after(&tx, &applied, &sql).await?;
    skips.mark(&tx, job, batch).await?;
    if let Some(reading) = reading {
        reading.commit("read the events of the batch").await?;
    }
    failpoint!("batch::extras_written");
    let from = stored.map(|position| position.tick);
    let step = Advance {
        consumer: &consumer.name,
        from,
        to: batch.cur_tick,
        ends: &ends,
        counted: counted(&consumer.queue, &applied),
    };
    match completed::advance(&tx, &step).await? {
        Advanced::Moved => {}
        Advanced::Overtaken => {
            tx.rollback("give up the batch").await?;
            return Ok(Processed::ComesAgain);
        }
    }
    failpoint!("batch::tick_stored");
    tx.commit("commit the batch").await?;
    failpoint!("batch::committed");
    extras.committed(found);
    applier.close_batch();
    consumer.finish_batch(provider, batch).await?;
    failpoint!("batch::finished");
    applied.tick_time = ends.cur_time;
    Ok(Processed::Applied(Box::new(applied)))
}

/// What the ledger is told of a batch.
pub(crate) fn counted(queue: &str, applied: &Applied) -> Counted {
    let mut counted = Counted::of(queue);
    for (table, TableCounts { changes, in_copy, missing }) in &applied.tables {
        let Changes { inserts, updates, deletes, truncates } = *changes;
        counted.add(table, [inserts, updates, deletes, truncates, *in_copy, *missing]);
    }
    counted
}

/// What comes of a batch during which the structure of a table or sequence has changed.
fn altered() -> Processed {
    tracing::info!("The subscriber's structure was altered while a batch was applied: the batch is applied again");
    Processed::ComesAgain
}

/// The error of [`Standing::Lost`]. Advises `--rewind` only when the queue still has the stored tick, made at the
/// stored time.
async fn lost_position(reader: &Reader<'_>, batch: &Batch, tick: TickId, stored: Option<&Position>) -> Result<Error> {
    let Consumer { queue, name } = reader.consumer;
    let message =
        format!("Lost position: batch {}..{}, dst has {tick} (consumer {name})", batch.prev_tick, batch.cur_tick);
    let time = consumer::tick_time(reader.provider, queue, tick).await?;
    let known = stored.and_then(|position| position.time.as_ref());
    let is_there = time.as_ref().is_some_and(|time| known.is_none_or(|known| known == time));
    Ok(Error::diverged(
        message,
        if is_there {
            format!(
                "Either another process reads as consumer {name}, or somebody has moved it. Stop replay and the other process, \
                 then run replay once with --rewind to move the provider's consumer to the subscriber's position, or with \
                 --reset to go on from the provider's position (tables may then need a resync)."
            )
        } else {
            "The provider does not have this tick: it was restored or promoted without its last transactions, or another \
             process has read the queue as this consumer. Rows may differ: run \"rlondiste INI subscriber resync --all\"."
                .to_owned()
        },
    ))
}

/// Whether the consumer is registered, and does not have this batch open any more.
async fn is_taken(provider: &Db, consumer: &Consumer, batch: &Batch) -> Result<bool> {
    let registered = consumer.registration(provider).await?;
    Ok(registered.is_some_and(|r| r.last_tick != batch.prev_tick || r.next_tick != Some(batch.cur_tick)))
}

/// The error of a batch that another process has applied or finished while this one was at it.
fn other_reader(reader: &Reader<'_>, batch: &Batch) -> Error {
    let Consumer { queue, name } = reader.consumer;
    Error::diverged(
        format!(
            "another process reads as consumer {name} of queue {queue} on provider ({}): it has taken batch {}..{} from this one",
            reader.provider.target(),
            batch.prev_tick,
            batch.cur_tick
        ),
        "Stop one of the two processes. Where both write to one subscriber, nothing is lost and nothing was applied twice. Of two \
         subscribers each lacks the batches of the other one.",
    )
}

/// The error of [`Standing::OtherTick`].
fn other_tick(reader: &Reader<'_>, tick: TickId, stored: &str, now: &str) -> Error {
    let Consumer { queue, name } = reader.consumer;
    Error::diverged(
        format!(
            "Lost position: tick {tick} of queue {queue} on provider ({}) was made at {now} UTC, but consumer {name} has \
             applied a tick {tick} that was made at {stored} UTC",
            reader.provider.target()
        ),
        "The provider was restored or promoted without its last transactions, or this is another provider. Rows may differ: \
         run \"rlondiste INI subscriber resync --all\".",
    )
}
