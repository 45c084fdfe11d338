//! Unregisters the consumers of copies that are over.

use super::super::state::{completed, copy_consumer};
use crate::error::Result;
use crate::failpoint::failpoint;
use crate::pg::{Db, FqName};
use crate::pgq::consumer::Consumer;

/// Unregisters the consumer of a copy that is over, and deletes its position and its row. Safe to repeat; does nothing
/// while a copy needs the consumer, or another transaction has the consumer's row locked.
///
/// The consumer's row in `londiste.table_position` is locked until the provider has answered. Without the lock:
///
/// 1. This process sees that the copy is over.
/// 2. Another process begins a new copy of the table under the same name and registers the consumer.
/// 3. This process unregisters the consumer of the new copy.
///
/// With the lock, step 2 comes before step 1 or after step 3.
pub(super) async fn forget(provider: &Db, subscriber: &Db, consumer: &Consumer, table: &FqName) -> Result<()> {
    let tx = subscriber.begin("forget the copy's consumer", "begin").await?;
    if copy_consumer::hold_unused(&tx, &consumer.queue, table, &consumer.name).await? {
        if consumer.position(provider).await?.is_some() {
            consumer.unregister(provider).await?;
            failpoint!("copy::unregistered");
        }
        completed::set_last_tick(&tx, &consumer.name, None).await?;
        copy_consumer::forget(&tx, &consumer.queue, table, &consumer.name).await?;
    }
    tx.commit("forget the copy's consumer").await?;
    failpoint!("copy::forgotten");
    Ok(())
}
