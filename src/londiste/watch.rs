//! What somebody at a terminal sees while tables are copied: how many are done, and a bar for each copy that runs.

use std::convert::Infallible;
use std::future;
use std::time::{Duration, Instant};

use super::progress::{self, Progress};
use super::setup::Setup;
use super::subscriber::{Subscribed, subscribed};
use super::table_state::TableState;
use crate::error::{Report, Result};
use crate::job::{Bar, Bars};
use crate::pg::Db;

/// How often the picture changes.
const REFRESH: Duration = Duration::from_millis(200);

/// How long to do without the provider's estimates when it cannot be reached.
const PROVIDER_PAUSE: Duration = Duration::from_secs(30);

/// How long to wait for the next session after one was lost.
const SESSION_PAUSE: Duration = Duration::from_secs(1);

/// So many tables have a line; more would push the log off a small terminal.
const LINES: usize = 8;

/// The picture on the terminal.
pub(super) struct Watch {
    bars: Bars,
    /// Knows how many rows there will be.
    provider: Option<Db>,
    ask_provider_at: Instant,
}

impl Watch {
    /// `None` where nobody would see it.
    pub(super) fn open() -> Option<Watch> {
        Bars::open().map(|bars| Watch { bars, provider: None, ask_provider_at: Instant::now() })
    }

    /// Shows the tables that are not there yet. `all` is how many there are, `done` what they are when they are there.
    pub(super) async fn draw(
        &mut self,
        setup: &Setup<'_>,
        db: &Db,
        left: &[Subscribed],
        all: usize,
        done: &str,
    ) -> Result<()> {
        self.reach_provider(setup).await;
        let mut progress = progress::read(db, self.provider.as_ref()).await?;
        let there = all - left.len();
        #[expect(clippy::cast_precision_loss, reason = "a bar")]
        let share = (all > 0).then(|| there as f64 / all as f64);
        let mut lines = vec![Bar { name: String::new(), share, text: format!("{there} of {all} tables {done}") }];
        let begun: Vec<&Subscribed> = left.iter().filter(|table| table.state.is_some()).collect();
        let line = |table: &&Subscribed| line(table, progress.remove(&table.table));
        lines.extend(begun.iter().take(LINES).map(line));
        if begun.len() > LINES {
            lines.push(Bar { name: String::new(), share: None, text: format!("and {} more", begun.len() - LINES) });
        }
        self.bars.draw(&lines);
        Ok(())
    }

    /// The estimates are a help, not a must.
    async fn reach_provider(&mut self, setup: &Setup<'_>) {
        if self.provider.as_ref().is_some_and(Db::is_closed) {
            self.provider = None;
        }
        if self.provider.is_none() && Instant::now() >= self.ask_provider_at {
            self.provider = setup.provider().await.ok();
            self.ask_provider_at = Instant::now() + PROVIDER_PAUSE;
        }
    }
}

fn line(table: &Subscribed, progress: Option<Progress>) -> Bar {
    let text = progress.as_ref().map_or_else(|| table.shown().to_owned(), ToString::to_string);
    Bar { name: table.table.to_string(), share: progress.and_then(|p| p.share()), text }
}

/// Shows how far the copies are until somebody stops polling. What goes wrong here is no fault of theirs.
pub(super) async fn copies(setup: &Setup<'_>) -> Infallible {
    let Some(mut watch) = Watch::open() else { return future::pending().await };
    loop {
        let Err(error) = watch_in_one_session(setup, &mut watch).await;
        tracing::debug!("no progress to show: {}", Report(&error));
        tokio::time::sleep(SESSION_PAUSE).await;
    }
}

async fn watch_in_one_session(setup: &Setup<'_>, watch: &mut Watch) -> Result<Infallible> {
    let db = setup.subscriber().await?;
    loop {
        let tables = subscribed(&db, setup.queue()).await?;
        let all = tables.len();
        let left: Vec<Subscribed> = tables.into_iter().filter(is_to_copy).collect();
        watch.draw(setup, &db, &left, all, "copied").await?;
        tokio::time::sleep(REFRESH).await;
    }
}

fn is_to_copy(table: &Subscribed) -> bool {
    matches!(
        TableState::parse(table.state.as_deref()),
        Ok(TableState::Missing | TableState::InCopy | TableState::CatchingUp)
    )
}
