//! Parks a table whose event cannot be applied, after the batch's transaction was rolled back:
//!
//! 1. The table's foreign keys are dropped, as for a copy: the tables at their other ends go on without this table.
//! 2. A consumer name for the table is stored on the subscriber. The table is still `ok`.
//! 3. The consumer is registered on the provider, at the tick where the batch begins.
//! 4. State `catching-up`, the consumer's tick and the reason are stored, in one transaction, which also drops a key that was
//!    restored since step 1.
//! 5. The provider gives the batch again, which is applied without this table. The next table with a fault is parked in
//!    the same way.
//!
//! | the process ends after | what the next start finds and does |
//! |---|---|
//! | 1 | pending foreign keys of tables that are `ok`: restores them; the batch comes again and the table is parked |
//! | 2 or 3 | the consumer of a table that is `ok`: unregisters it as one of a copy that is over; the batch comes again |
//! | 4 | a parked table: starts its task, and applies the batch without the table |

use tokio_postgres::error::SqlState;

use super::super::copy::find_mend;
use super::super::foreign_keys;
use super::super::state::table_state::{Actor, TableState};
use super::super::state::tables::{self, Moved, SubscribedTable};
use super::super::state::{completed, copy_consumer, parking};
use super::main_loop::Replay;
use super::sessions::Sessions;
use crate::error::{ApplyFault, Error, Report, Result};
use crate::failpoint::failpoint;
use crate::pg::FqName;
use crate::pgq::Batch;
use crate::pgq::consumer::Consumer;
use crate::text::Lines;

impl Replay {
    /// Steps 1 to 4. Does not park a table whose state has changed, or whose consumer another process is using: the
    /// batch comes again. So it does after an error, with SQLSTATE 55P03 when a foreign key could not be locked. Returns the fault where
    /// the user may not drop the table's foreign keys: then replay stops.
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
        failpoint!("parking::rolled_back");
        find_mend(provider, subscriber, &mut fault).await?;
        match foreign_keys::drop_all(subscriber, &name).await {
            // While the keys are there, rows of other tables would miss the rows of this one.
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => return Err(Error::Apply(fault)),
            dropped => dropped?,
        }
        failpoint!("parking::fkeys_dropped");
        let queue = self.job.queue.clone();
        let Some(consumer) = copy_consumer::take(subscriber, &queue, &name, &self.job.consumer).await? else {
            // Another process is unregistering the consumer of the table's last copy; the batch comes again.
            return Ok(());
        };
        failpoint!("parking::named");
        let consumer = Consumer { queue: queue.clone(), name: consumer };
        consumer.start_at(provider, *abilities, batch.prev_tick).await?;
        failpoint!("parking::registered");
        let tx = subscriber.begin("park a table", "begin").await?;
        if tables::transition(&tx, &queue, table, TableState::CatchingUp, Actor::Replay).await? == Moved::Moved {
            foreign_keys::drop_restored(&tx, &name).await?;
            completed::set_last_tick(&tx, &consumer.name, Some(batch.prev_tick)).await?;
            parking::store(&tx, &queue, &name, &fault).await?;
            failpoint!("parking::stored");
            tx.commit("park a table").await?;
            failpoint!("parking::parked");
            let text = Report(&Error::Apply(fault)).to_string();
            crate::job::critical(format_args!("Table {name} is parked, the other tables go on: {}", Lines(&text)));
            self.copies.note_parked(name, text);
        }
        Ok(())
    }
}
