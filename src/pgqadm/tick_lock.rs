//! Finds the sessions that hold locks which the ticker needs, when a tick that is due is not made.

use std::time::{Duration, Instant};

use super::warnings::Warning;
use crate::error::Result;
use crate::pg::{Db, int8, text};

/// How long a tick may be due and not made before the reason is looked for, and the time between two such looks.
const PATIENCE: Duration = Duration::from_secs(5);

/// Since when a queue's tick is due and not made.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wait {
    since: Option<Instant>,
    looked_at: Option<Instant>,
}

impl Wait {
    /// Notes that a tick was made, or that none was needed.
    pub(super) fn end(&mut self) {
        *self = Wait::default();
    }

    /// Notes that a tick was needed and not made. Returns since how long, when it is time to look for the reason: at
    /// most once in [`PATIENCE`].
    pub(super) fn went_on(&mut self, now: Instant) -> Option<Duration> {
        let since = *self.since.get_or_insert(now);
        let last = self.looked_at.unwrap_or(since);
        if now.saturating_duration_since(last) < PATIENCE {
            return None;
        }
        self.looked_at = Some(now);
        Some(now.saturating_duration_since(since))
    }
}

/// The warning that names the sessions which keep a queue of rlondiste's own schema from its tick; `None` when there
/// are none any more.
pub(crate) async fn blocked(db: &Db, queue: &str, waited: Duration) -> Result<Option<Warning>> {
    const SQL: &str = "select b.pid, coalesce(b.username, '?'), coalesce(b.application_name, ''), b.detail,
       extract(epoch from pg_catalog.clock_timestamp() - b.since)::float8
from pgq.get_queue_info($1) q, pgq.tick_blockers($1) b
where q.ticker_lag > $2::int8 * interval '1 second'
limit 3";
    // Another ticker may make this queue's ticks, and hold the lock at this moment: so the lag is looked at too.
    let patience = i64::try_from(PATIENCE.as_secs()).unwrap_or(i64::MAX);
    let rows = db.query("look who keeps a tick from being made", SQL, &[text(&queue), int8(&patience)]).await?;
    let describe = |row: &tokio_postgres::Row| {
        let (user, application, detail): (String, String, String) = (row.get(1), row.get(2), row.get(3));
        let who = match row.get::<_, Option<i32>>(0) {
            Some(pid) => format!("pid {pid} (user {user}, application \"{application}\")"),
            None => format!("user {user}"),
        };
        let age = row.get::<_, Option<f64>>(4).map_or_else(String::new, |age| format!(", for {age:.0} s"));
        format!("{who}, which {detail}{age}")
    };
    if rows.is_empty() {
        return Ok(None);
    }
    let who: Vec<_> = rows.iter().map(describe).collect();
    let pids: Vec<Option<i32>> = rows.iter().map(|row| row.get(0)).collect();
    Ok(Some(Warning {
        about: format!("tick {queue} {pids:?}"),
        text: format!(
            "Queue {queue} has got no tick for {} s, its consumers wait. It is blocked by {}",
            waited.as_secs(),
            who.join("; ")
        ),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_is_looked_for_after_a_while_and_then_now_and_then() {
        let start = Instant::now();
        let mut wait = Wait::default();
        let mut looks = Vec::new();
        for second in 0..18 {
            if let Some(waited) = wait.went_on(start + Duration::from_secs(second)) {
                looks.push((second, waited.as_secs()));
            }
        }
        assert_eq!(looks, [(5, 5), (10, 10), (15, 15)]);
        wait.end();
        assert_eq!(wait.went_on(start + Duration::from_secs(20)), None);
    }
}
