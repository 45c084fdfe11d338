//! The job that replicates the other way: its queue and capture on the side that is to be written to, its subscriptions on the side
//! that is to be left. Both sides have the same rows when it begins, so nothing is copied.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use super::super::context::Context;
use super::super::state::provider_queue::{self, HowToCapture, Truncate};
use super::super::state::table_state::TableState;
use super::super::state::tables::{self, Rows};
use super::super::state::{completed, sequences, triggers};
use super::super::table_lock::TableLock;
use super::install::{self, Maker};
use crate::config;
use crate::error::{Error, Report, Result};
use crate::job::Control;
use crate::pg::{Db, FqName, text};
use crate::pgq::consumer::Consumer;

const RESTORE: &str = "restore the triggers of a table";

/// Shorter than the default of `deadlock_timeout`.
const REHEARSAL_WAIT: Duration = Duration::from_millis(300);

/// What the job is to replicate.
pub(crate) struct Set {
    pub(crate) tables: Vec<FqName>,
    /// The keys that were chosen by `--key`.
    pub(crate) keys: BTreeMap<FqName, Vec<String>>,
    pub(crate) sequences: Vec<FqName>,
}

impl Set {
    /// The tables of a queue that are subscribed, and its subscribed sequences.
    pub(crate) async fn of(provider: &Db, subscriber: &Db, queue: &str) -> Result<Set> {
        Ok(Set {
            tables: tables::load(subscriber, queue).await?.into_iter().map(|table| table.name).collect(),
            keys: provider_queue::chosen_keys(provider, queue).await?,
            sequences: sequences::list(subscriber, queue).await?,
        })
    }
}

/// Makes the job of the ini file ready to begin at any tick of its queue; does what is still to be done. Each table has a transaction
/// of its own on each side, with the locks of `provider add` and of `subscriber add --expect-sync`, waited for in short tries.
pub(crate) async fn prepare(job: &config::Londiste, control: &Control, set: &Set) -> Result<()> {
    let context = Context::new(job, control);
    install::provider(&context, Maker::Tool).await?;
    install::subscriber(&context, Maker::Tool).await?;
    let (provider, subscriber) = (context.provider().await?, context.subscriber().await?);
    let functions = provider_queue::functions(&provider).await?;
    let captured = provider_queue::tables(&provider, context.queue()).await?;
    for table in set.tables.iter().filter(|table| !captured.contains(table)) {
        context.proceed()?;
        let how = HowToCapture {
            capture: job.capture,
            format: job.event_format,
            key: set.keys.get(table).cloned(),
            truncate: Truncate::Event,
        };
        context
            .change_table(&provider, table, TableLock::Writers, async |tx: &Db| {
                provider_queue::add(tx, context.queue(), table, functions, &how).await
            })
            .await?;
    }
    let subscribed = tables::load(&subscriber, context.queue()).await?;
    for table in &set.tables {
        context.proceed()?;
        match subscribed.iter().find(|have| have.name == *table) {
            Some(have) if have.state == TableState::Ok => {}
            Some(have) => {
                return Err(Error::refused(
                    format!(
                        "table {table} is subscribed to queue {} and is not ok there but {}",
                        context.queue(),
                        have.state
                    ),
                    format!("Remove it with \"rlondiste {} subscriber remove {table}\".", job.path.display()),
                ));
            }
            None => {
                context
                    .change_table(&subscriber, table, TableLock::Writers, async |tx: &Db| {
                        tables::subscribe(tx, context.queue(), table, Rows::Equal).await
                    })
                    .await?;
            }
        }
    }
    for sequence in &set.sequences {
        for db in [&provider, &subscriber] {
            context.change(db, async |tx: &Db| sequences::add(tx, context.queue(), sequence).await).await?;
        }
    }
    Ok(())
}

/// Removes what [`prepare`] has made, and the job's consumer and position. The schemas stay.
pub(crate) async fn remove(job: &config::Londiste, control: &Control) -> Result<()> {
    let context = Context::new(job, control);
    let (provider, subscriber) = (context.provider().await?, context.subscriber().await?);
    let queue = context.queue();
    for table in tables::load(&subscriber, queue).await? {
        context.change(&subscriber, async |tx: &Db| tables::unsubscribe(tx, queue, &table.name).await).await?;
    }
    for sequence in sequences::list(&subscriber, queue).await? {
        context.change(&subscriber, async |tx: &Db| sequences::remove(tx, queue, &sequence).await).await?;
    }
    completed::set_last_tick(&subscriber, context.consumer(), None).await?;
    let has_queue = "select pg_catalog.count(*) > 0 from pgq.queue where queue_name = $1";
    if !provider.query_one("look for the queue", has_queue, &[text(&queue)]).await?.get::<_, bool>(0) {
        return Ok(());
    }
    for table in provider_queue::tables(&provider, queue).await? {
        context
            .change_table(&provider, &table, TableLock::Everybody, async |tx: &Db| {
                provider_queue::remove(tx, queue, &table).await
            })
            .await?;
    }
    for sequence in sequences::list(&provider, queue).await? {
        context.change(&provider, async |tx: &Db| sequences::remove(tx, queue, &sequence).await).await?;
    }
    Consumer { queue: queue.to_owned(), name: context.consumer().to_owned() }.unregister(&provider).await?;
    let sql = "select pgq.drop_queue($1)";
    provider.query("drop the queue", sql, &[text(&queue)]).await.map(drop).map_err(|e| e.about(queue))
}

/// The tables with triggers of users that were dropped for their copies.
pub(crate) async fn lacking_triggers(db: &Db, tables: &[FqName]) -> Result<Vec<FqName>> {
    having(db, triggers::Place::Pending, tables).await
}

/// Creates again the triggers of users that were dropped for the copies of the tables. Takes SHARE ROW EXCLUSIVE on such a table.
/// Returns of how many tables.
pub(crate) async fn restore_triggers(db: &Db, tables: &[FqName]) -> Result<usize> {
    let pending = lacking_triggers(db, tables).await?;
    for table in &pending {
        let tx = db.begin(RESTORE, "begin").await?;
        triggers::restore_all(&tx, table).await?;
        tx.commit(RESTORE).await?;
    }
    Ok(pending.len())
}

/// [`restore_triggers`], taken back: fails where that would, so that it does not when nobody can write. A table whose lock is not granted
/// within [`REHEARSAL_WAIT`] is left out.
pub(crate) async fn rehearse_triggers(db: &Db, tables: &[FqName]) -> Result<usize> {
    let pending = lacking_triggers(db, tables).await?;
    for table in &pending {
        let tx = db.begin(RESTORE, "begin").await?;
        tx.limit_lock_wait(Some(REHEARSAL_WAIT)).await?;
        match triggers::restore_all(&tx, table).await {
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {}
            Err(error) if error.server().is_some() => {
                return Err(Error::refused(
                    format!("triggers that were put aside cannot come back: {}", Report(&error).message()),
                    "Make there what they need, such as their function, and repeat the command; \"subscriber triggers\" lists them.",
                ));
            }
            done => done?,
        }
        tx.rollback(RESTORE).await?;
    }
    Ok(pending.len())
}

/// Drops and stores the triggers of users of the tables, as a copy does: replay brings what they have done. Takes ACCESS EXCLUSIVE on
/// such a table, waited for at most as long as the ini file says.
pub(crate) async fn put_triggers_aside(job: &config::Londiste, control: &Control, tables: &[FqName]) -> Result<usize> {
    let context = Context::new(job, control);
    let db = context.subscriber().await?;
    let active = having(&db, triggers::Place::Active, tables).await?;
    for table in &active {
        context
            .change_table(&db, table, TableLock::Everybody, async |tx: &Db| triggers::put_aside(tx, table).await)
            .await?;
    }
    Ok(active.len())
}

/// Those of the tables that have triggers of users there.
async fn having(db: &Db, place: triggers::Place, tables: &[FqName]) -> Result<Vec<FqName>> {
    let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
    let found = triggers::list(db, place, &names).await?;
    let mut having: Vec<FqName> = found.iter().map(|[table, ..]| FqName::parse(table)).collect();
    having.dedup();
    Ok(having)
}

/// Sets sequences, all by one statement.
pub(crate) async fn set_sequences(db: &Db, values: &[(FqName, sequences::Value)]) -> Result<()> {
    if values.is_empty() {
        return Ok(());
    }
    db.batch("set sequence values", sequences::set_sql(values)).await
}
