//! How far the comparison of a table is: a bar on a terminal, else a line in the log now and then.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::job::{Bar, Bars};
use crate::pg::{Db, FqName};

use super::table_size::table_size;

/// The pause between two lines in the log.
const PAUSE: Duration = Duration::from_secs(10);

/// The progress of one table.
pub(super) struct Progress {
    table: FqName,
    /// Rows of the provider by its statistics; 0 where it has none.
    expected: u64,
    state: Mutex<State>,
}

struct State {
    bars: Option<Bars>,
    rows: u64,
    logged: Instant,
}

impl Progress {
    /// At the beginning of a table.
    pub(super) async fn of(provider: &Db, table: &FqName) -> Result<Progress> {
        let [expected, _] = table_size(provider, table).await?;
        let state = State { bars: Bars::open(), rows: 0, logged: Instant::now() };
        let progress = Progress { table: table.clone(), expected, state: Mutex::new(state) };
        progress.add([0, 0]);
        Ok(progress)
    }

    /// So many more rows of both sides are compared.
    pub(super) fn add(&self, [provider, subscriber]: [u64; 2]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        state.rows += provider.max(subscriber);
        #[expect(clippy::cast_precision_loss, reason = "a bar")]
        let share = (self.expected > 0).then(|| (state.rows as f64 / self.expected as f64).min(1.0));
        let text = match share {
            Some(_) => format!("{} of about {} rows", state.rows, self.expected.max(state.rows)),
            None => format!("{} rows", state.rows),
        };
        match &mut state.bars {
            Some(bars) => bars.draw(&[Bar { name: self.table.to_string(), share, text }]),
            None if state.logged.elapsed() >= PAUSE => {
                state.logged = Instant::now();
                tracing::info!("{}: {text} compared", self.table);
            }
            None => {}
        }
    }
}
