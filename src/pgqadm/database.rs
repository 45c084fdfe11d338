//! The two loops of one database.

use super::database_settings::DatabaseSettings;
use super::maintenance::Maintenance;
use super::ticker::Ticker;
use crate::error::Result;
use crate::job::{Control, run_loop};

/// Ticks and maintenance of one database: two loops on two connections, so that neither a slow nor a failing
/// maintenance ever holds up a tick. Both are polled here, by one task, and end together.
pub(super) async fn tick_and_maintain(settings: DatabaseSettings, control: &Control) -> Result<()> {
    let mut ticker = Ticker::new(settings.clone(), control);
    let mut maintenance = Maintenance::new(settings, control);
    let ticks = Box::pin(run_loop(&mut ticker, control));
    let upkeep = Box::pin(run_loop(&mut maintenance, control));
    let ends = tokio::join!(ticks, upkeep);
    ends.0.and(ends.1)
}
