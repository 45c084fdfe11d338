//! Replay, and beside it the ticker of the provider's database where the ini file wants one.

use crate::config::{self, TickerMode};
use crate::error::Result;
use crate::http::Listener;
use crate::job::{Control, Health, Output};
use crate::londiste;
use crate::pgqadm::{Inside, tick_inside_replay};

/// Applies batches until a stop is requested, and answers on `listener`. With `ticker = on` or `auto` it makes the ticks too.
pub(crate) async fn replay(config: &config::Londiste, control: &Control, listener: Option<Listener>) -> Result<Output> {
    let health = Health::default();
    let ticker = tick_inside_replay(config, Inside { otherwise: TickerMode::Off }, control, &health);
    let (applied, ticked) =
        tokio::join!(Box::pin(londiste::replay(config, control, listener, &health)), Box::pin(ticker));
    ticked.and(applied)
}
