//! Parks a table, in the middle of a batch.
//!
//! The batch's transaction is rolled back, so nothing of it is there; this is what follows:
//!
//! 1. The table's foreign keys go, as for a copy: the tables at their other ends do not wait for it.
//! 2. The consumer's name is stored on the subscriber. The table is still `ok`.
//! 3. The consumer is registered on the provider, at the tick where the batch begins.
//! 4. State `catching-up`, the consumer's tick and the reason are stored, in one transaction.
//! 5. The batch comes again, and is applied without this table. The next table with a fault is parked in the same way.
//!
//! | the process ends after | what the next start finds and does |
//! |---|---|
//! | 1 | foreign keys that wait for tables that are `ok`: they come back; the batch comes again and the table is parked |
//! | 2 or 3 | the consumer of a table that is `ok`: unregistered as one of a copy that is over; the batch comes again |
//! | 4 | a parked table: its task goes on, the batch is applied without it |

use crate::error::{ApplyFault, Error, Report, Result};
use crate::pg::{FqName, text};
use crate::pgq::Batch;
use crate::pgq::consumer::Consumer;
use crate::text::Lines;

use super::super::table_state::TableState;
use super::super::tables::{self, Actor, SubscribedTable};
use super::super::{completed, parking};
use super::{Replay, Sessions, foreign_keys};

impl Replay {
    /// Steps 1 to 4.
    pub(super) async fn park(
        &mut self,
        sessions: &Sessions,
        batch: &Batch,
        tables: &[SubscribedTable],
        mut fault: Box<ApplyFault>,
    ) -> Result<()> {
        let Sessions { provider, subscriber, abilities, .. } = sessions;
        let name = FqName::parse(&fault.table);
        let Some(table) = tables.iter().find(|t| t.name == name) else { return Err(Error::Apply(fault)) };
        parking::find_mend(provider, &mut fault).await?;
        foreign_keys::drop_all(subscriber, &name).await?;
        let queue = self.consumer.queue.clone();
        let consumer = Consumer { queue: queue.clone(), name: self.free_consumer(tables) };
        tables::store_copy_consumer(subscriber, &queue, &name, &consumer.name).await?;
        consumer.start_at(provider, *abilities, batch.prev_tick).await?;
        let tx = subscriber.begin("park a table", "begin").await?;
        if still_ok(&tx, &queue, &name).await? {
            let state = TableState::CatchingUp;
            tables::store_state(&tx, &queue, &name, state, table.snapshot.as_ref(), Actor::Replay).await?;
            completed::set_last_tick(&tx, &consumer.name, Some(batch.prev_tick)).await?;
            parking::store(&tx, &queue, &name, &consumer.name, &fault).await?;
            tx.commit("park a table").await?;
            let text = Report(&Error::Apply(fault)).to_string();
            crate::job::critical(format_args!("Table {name} is parked, the other tables go on: {}", Lines(&text)));
            self.copies.note_parked(name, text);
        }
        Ok(())
    }
}

/// Locks the table's row and looks whether it is still replay's: an operator may have removed it or ordered a copy.
async fn still_ok(tx: &crate::pg::Db, queue: &str, name: &FqName) -> Result<bool> {
    let row = tx
        .query_opt(
            "lock the state of a table",
            "select merge_state in ('ok', '?') from londiste.subscriber_table
              where queue_name = $1 and table_name = $2 for update",
            &[text(&queue), text(&name.to_string())],
        )
        .await?;
    Ok(row.is_some_and(|row| row.get::<_, Option<bool>>(0) == Some(true)))
}
