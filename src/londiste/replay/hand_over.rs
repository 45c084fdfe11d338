//! The steps of a table's life that are replay's: `-` to `in-copy`, and `wanna-sync` to `do-sync`.

use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;

use crate::error::{Report, Result};
use crate::pg::{Db, FqName, text, text_array};

use super::super::table_state::TableState;
use super::super::tables::{self, Actor, SubscribedTable};
use super::{Replay, Sessions, foreign_keys};

/// How long to leave a table alone whose foreign keys could not be dropped because of a lock.
const LOCKED_PAUSE: Duration = Duration::from_secs(10);

impl Replay {
    /// `-` to `in-copy`, for as many tables as may be copied at a time, the biggest first. Returns whether a state was
    /// changed.
    pub(super) async fn begin_copies(
        &mut self,
        provider: &Db,
        subscriber: &Db,
        tables: &mut [SubscribedTable],
    ) -> Result<bool> {
        let room = self.copies.room(&self.config, tables);
        let missing: Vec<usize> = (0..tables.len()).filter(|i| tables[*i].state == TableState::Missing).collect();
        if room == 0 || missing.is_empty() || self.control.stopping() {
            return Ok(false);
        }
        let mut begun = 0;
        for i in biggest_first(provider, tables, missing).await? {
            if self.begin_copy(subscriber, tables, i).await? {
                begun += 1;
            }
            if begun == room || self.control.stopping() {
                break;
            }
        }
        Ok(begun > 0)
    }

    /// `wanna-sync:N` to `do-sync:M` where replay has reached N; M is where it stands. Returns whether a state was
    /// changed.
    pub(super) async fn order_sync(&self, sessions: &Sessions, tables: &[SubscribedTable]) -> Result<bool> {
        let mut changed = false;
        for table in tables {
            if matches!(table.state, TableState::WannaSync(reached) if reached <= sessions.position) {
                let state = TableState::DoSync(sessions.position);
                self.change_state(&sessions.subscriber, table, state).await?;
                changed = true;
            }
        }
        if changed {
            self.news.announce();
        }
        Ok(changed)
    }

    /// `-` to `in-copy`: the foreign keys from and to the table go, and the copy gets a consumer name.
    async fn begin_copy(&mut self, subscriber: &Db, tables: &mut [SubscribedTable], i: usize) -> Result<bool> {
        let name = tables[i].name.clone();
        if self.locked.get(&name).is_some_and(|until| Instant::now() < *until) {
            return Ok(false);
        }
        if let Err(error) = foreign_keys::drop_all(subscriber, &name).await {
            if error.code() != Some(&SqlState::LOCK_NOT_AVAILABLE) {
                return Err(error);
            }
            tracing::warn!("copy of {name} has to wait: {}", Report(&error));
            self.locked.insert(name, Instant::now() + LOCKED_PAUSE);
            return Ok(false);
        }
        let consumer = self.free_consumer(tables);
        let queue = &self.consumer.queue;
        let tx = subscriber.begin("start the copy", "begin").await?;
        if !still_missing(&tx, queue, &name).await? {
            return Ok(true);
        }
        tables::store_copy_consumer(&tx, queue, &name, &consumer).await?;
        self.change_state(&tx, &tables[i], TableState::InCopy).await?;
        tx.commit("start the copy").await?;
        tables[i].state = TableState::InCopy;
        tables[i].copy_consumer = Some(consumer);
        Ok(true)
    }

    /// The first of `ID_copy`, `ID_copy2`, ... that no copy has.
    pub(super) fn free_consumer(&self, tables: &[SubscribedTable]) -> String {
        let base = format!("{}_copy", self.consumer.name);
        let taken = |name: &String| {
            self.copies.has_consumer(name)
                || tables.iter().any(|t| t.state.is_copying() && t.copy_consumer.as_ref().unwrap_or(&base) == name)
        };
        let mut name = base.clone();
        let mut nr = 2;
        while taken(&name) {
            name = format!("{base}{nr}");
            nr += 1;
        }
        name
    }

    async fn change_state(&self, subscriber: &Db, table: &SubscribedTable, state: TableState) -> Result<()> {
        let queue = &self.consumer.queue;
        tables::store_state(subscriber, queue, &table.name, state, table.snapshot.as_ref(), Actor::Replay).await?;
        tracing::info!("Table {} status changed to '{state}'", table.name);
        Ok(())
    }
}

/// The tables at these places, by their size on the provider: a big one that starts last would be waited for alone.
async fn biggest_first(provider: &Db, tables: &[SubscribedTable], places: Vec<usize>) -> Result<Vec<usize>> {
    if places.len() < 2 {
        return Ok(places);
    }
    let names: Vec<String> = places.iter().map(|i| tables[*i].name.quoted()).collect();
    let rows = provider
        .query(
            "read the sizes of tables",
            "select nr - 1 from unnest($1) with ordinality as u(name, nr)
              order by coalesce(pg_catalog.pg_table_size(to_regclass(name)), 0) desc, nr",
            &[text_array(&names)],
        )
        .await?;
    Ok(rows.iter().filter_map(|row| places.get(usize::try_from(row.get::<_, i64>(0)).ok()?).copied()).collect())
}

/// Locks the table's row and looks whether its state is still `-`: a `copy` command that runs beside replay may have
/// read the same `-` and have been faster.
async fn still_missing(tx: &Db, queue: &str, name: &FqName) -> Result<bool> {
    let row = tx
        .query_opt(
            "lock the state of a table",
            "select merge_state is null from londiste.subscriber_table
              where queue_name = $1 and table_name = $2 for update",
            &[text(&queue), text(&name.to_string())],
        )
        .await?;
    Ok(row.is_some_and(|row| row.get(0)))
}
