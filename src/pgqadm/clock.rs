//! Warns when the server's clock was set back. Ticks carry its time, so earlier ticks then lie in the future. Ticks go on,
//! but times and lags look wrong until the clock has passed its old time.

use std::time::{Duration, Instant};

use super::warnings::Warning;
use crate::error::Result;
use crate::pg::{Db, int4};

/// Smaller steps back give no warning: clocks are adjusted all the time.
pub(crate) const TOLERANCE: Duration = Duration::from_secs(5);

/// The last reading of the server's clock, and when it was taken by the clock of this process.
#[derive(Debug, Default)]
pub(super) struct Clock {
    last: Option<(Duration, Instant)>,
}

impl Clock {
    /// Takes a reading of the server's clock, as the time since 1970. Returns by how much the clock was set back since the
    /// last reading, when that is more than [`TOLERANCE`].
    pub(super) fn read(&mut self, server: Duration, now: Instant) -> Option<Duration> {
        let last = self.last.replace((server, now));
        let (last_server, at) = last?;
        let expected = last_server + now.saturating_duration_since(at);
        expected.checked_sub(server).filter(|back| *back > TOLERANCE)
    }

    /// Forgets the last reading: the next one comes from another session, perhaps of another server.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }
}

/// The warning of a clock that was set back.
pub(super) fn warning(db: &Db, back: Duration) -> Warning {
    Warning {
        about: "clock".to_owned(),
        text: format!(
            "The clock of {} ({}) was set back by {} s. Ticks go on; times and lags that are shown are wrong until the clock has \
             passed its old time",
            db.role(),
            db.target(),
            back.as_secs()
        ),
    }
}

/// The warning of a queue whose newest tick lies in the future.
pub(crate) async fn future_tick(db: &Db, queue_id: i32, queue: &str) -> Result<Option<Warning>> {
    const SQL: &str = "select extract(epoch from t.tick_time - pg_catalog.clock_timestamp())::float8
from pgq.tick t
where t.tick_queue = $1
order by t.tick_id desc
limit 1";
    let row = db.query_opt("look at the newest tick", SQL, &[int4(&queue_id)]).await?;
    let ahead: f64 = row.map_or(0.0, |row| row.get(0));
    Ok((ahead > TOLERANCE.as_secs_f64()).then(|| Warning {
        about: format!("future {queue_id}"),
        text: format!(
            "The newest tick of queue {queue} lies {ahead:.0} s in the future: the clock of {} ({}) was set back. Ticks go on; \
             times and lags that are shown are wrong until the clock has passed its old time",
            db.role(),
            db.target()
        ),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_step_back_is_told() {
        let start = Instant::now();
        let mut clock = Clock::default();
        let mut told = Vec::new();
        // Seconds that have passed here, and what the server's clock says then.
        for (passed, server) in [(0, 1000), (1, 1001), (2, 1000), (3, 5000), (4, 1402), (5, 1403), (60, 1500)] {
            if let Some(back) = clock.read(Duration::from_secs(server), start + Duration::from_secs(passed)) {
                told.push((server, back.as_secs()));
            }
        }
        assert_eq!(told, [(1402, 3599)]);
        clock.forget();
        assert_eq!(clock.read(Duration::from_secs(1), start + Duration::from_secs(61)), None);
    }
}
