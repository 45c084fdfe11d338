//! The two loops of one database.

use super::database_settings::DatabaseSettings;
use super::maintenance::Maintenance;
use super::ticker::Ticker;
use crate::error::Result;
use crate::job::{Control, Health, run_loop};

/// Runs ticker and maintenance of one database until a stop is requested: two loops on two connections, so that a slow or
/// failing maintenance delays no tick. One task polls both loops. Errors as of [`run_loop`].
pub(super) async fn tick_and_maintain(settings: DatabaseSettings, control: &Control, health: &Health) -> Result<()> {
    let mut ticker = Ticker::new(settings.clone(), control);
    let mut maintenance = Maintenance::new(settings, control);
    let ticks = Box::pin(run_loop(&mut ticker, control, health));
    let upkeep = Box::pin(run_loop(&mut maintenance, control, health));
    let ends = tokio::join!(ticks, upkeep);
    ends.0.and(ends.1)
}
