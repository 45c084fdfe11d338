//! Progress bars on a terminal while tables are copied: the number of finished tables, and a bar for each running copy.

use std::convert::Infallible;
use std::future;
use std::time::{Duration, Instant};

use super::super::context::Context;
use super::super::copy::{Progress, read_progress};
use super::super::state::table_state::TableState;
use super::super::state::tables::{self, SubscribedTable};
use crate::error::{Report, Result};
use crate::job::{Bar, Bars};
use crate::pg::Db;

/// How often the bars are drawn.
const REFRESH: Duration = Duration::from_millis(200);

/// The pause between two tries to reach the provider for its estimates.
const PROVIDER_PAUSE: Duration = Duration::from_secs(30);

/// The pause before a new session after an error.
const SESSION_PAUSE: Duration = Duration::from_secs(1);

/// At most so many tables have a bar: more would leave no room for the log on a small terminal.
const LINES: usize = 8;

/// The bars on the terminal.
pub(super) struct CopyBars {
    bars: Bars,
    /// For the estimated numbers of rows; `None` while the provider cannot be reached.
    provider: Option<Db>,
    ask_provider_at: Instant,
}

impl CopyBars {
    /// `None` when standard error is not a terminal.
    pub(super) fn open() -> Option<CopyBars> {
        Bars::open().map(|bars| CopyBars { bars, provider: None, ask_provider_at: Instant::now() })
    }

    /// Draws the number of finished tables out of `all`, and a bar for each table of `left` whose copy has begun.
    /// `done` is the word for finished tables.
    pub(super) async fn draw(
        &mut self,
        context: &Context<'_>,
        db: &Db,
        left: &[SubscribedTable],
        all: usize,
        done: &str,
    ) -> Result<()> {
        self.reach_provider(context).await;
        let mut progress = read_progress(db, self.provider.as_ref()).await?;
        let there = all - left.len();
        #[expect(clippy::cast_precision_loss, reason = "a bar")]
        let share = (all > 0).then(|| there as f64 / all as f64);
        let mut lines = vec![Bar { name: String::new(), share, text: format!("{there} of {all} tables {done}") }];
        let begun: Vec<&SubscribedTable> = left.iter().filter(|table| table.state != TableState::Missing).collect();
        let line = |table: &&SubscribedTable| line(table, progress.remove(&table.name));
        lines.extend(begun.iter().take(LINES).map(line));
        if begun.len() > LINES {
            lines.push(Bar { name: String::new(), share: None, text: format!("and {} more", begun.len() - LINES) });
        }
        self.bars.draw(&lines);
        Ok(())
    }

    /// Opens the provider's session when the pause is over. Without it only the estimates are missing.
    async fn reach_provider(&mut self, context: &Context<'_>) {
        if self.provider.as_ref().is_some_and(Db::is_closed) {
            self.provider = None;
        }
        if self.provider.is_none() && Instant::now() >= self.ask_provider_at {
            self.provider = context.provider().await.ok();
            self.ask_provider_at = Instant::now() + PROVIDER_PAUSE;
        }
    }
}

fn line(table: &SubscribedTable, progress: Option<Progress>) -> Bar {
    let text = progress.as_ref().map_or_else(|| table.state.to_string(), ToString::to_string);
    Bar { name: table.name.to_string(), share: progress.and_then(|p| p.share()), text }
}

/// Draws the progress of all copies until the future is dropped. Errors are logged at debug level and never returned:
/// the copies go on without the bars.
pub(super) async fn copies(context: &Context<'_>) -> Infallible {
    let Some(mut bars) = CopyBars::open() else { return future::pending().await };
    loop {
        let Err(error) = draw_in_one_session(context, &mut bars).await;
        tracing::debug!("no progress to show: {}", Report(&error));
        tokio::time::sleep(SESSION_PAUSE).await;
    }
}

async fn draw_in_one_session(context: &Context<'_>, bars: &mut CopyBars) -> Result<Infallible> {
    let db = context.subscriber().await?;
    loop {
        let tables = tables::load(&db, context.queue()).await?;
        let all = tables.len();
        let left: Vec<SubscribedTable> = tables.into_iter().filter(is_to_copy).collect();
        bars.draw(context, &db, &left, all, "copied").await?;
        tokio::time::sleep(REFRESH).await;
    }
}

fn is_to_copy(table: &SubscribedTable) -> bool {
    matches!(table.state, TableState::Missing | TableState::InCopy | TableState::CatchingUp)
}
