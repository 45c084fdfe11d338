//! How fast events are written and applied, and when the subscriber will be up to date, as one look tells: by where the consumer stood
//! a minute or two ago. A running replay, which looks on, knows it better: [`super::catch_up`].

use serde::Serialize;

use super::super::context::Job;
use super::super::state::completed;
use super::catch_up::{Reached, seconds_to_catch_up};
use crate::error::Result;
use crate::pg::{Db, int8, text};
use crate::pgq::TickId;

/// A position that is older than so many seconds tells nothing of the present.
const LONGEST: f64 = 180.0;

/// One that is younger tells of too few batches.
const SHORTEST: f64 = 5.0;

/// Rates over the last minute or two, in events a second. Null where they cannot be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Pace {
    pub(super) written_per_second: Option<f64>,
    pub(super) applied_per_second: Option<f64>,
    /// 0 when all ticks are applied; null when the backlog does not shrink.
    pub(super) seconds_to_catch_up: Option<f64>,
}

impl Pace {
    /// Reads it from both sides; `reached` is the consumer's position.
    pub(super) async fn read(provider: &Db, subscriber: &Db, job: &Job, reached: Reached) -> Result<Pace> {
        let past = base(&completed::past(subscriber, &job.consumer).await?);
        let sql = "select (select (to_jsonb(t) ->> 'tick_event_seq')::bigint from pgq.tick t
                            where t.tick_queue = q.queue_id and t.tick_id = $2),
                          minute.seq, extract(epoch from pg_catalog.now() - minute.tick_time)::float8
                     from pgq.queue q
                          left join lateral (
                              select (to_jsonb(t) ->> 'tick_event_seq')::bigint as seq, t.tick_time from pgq.tick t
                               where t.tick_queue = q.queue_id and t.tick_time < pg_catalog.now() - interval '1 minute'
                               order by t.tick_id desc limit 1) minute on true
                    where q.queue_name = $1";
        let tick = past.map(|(TickId(tick), _)| tick);
        let params = [text(&job.queue), int8(&tick)];
        let Some(row) = provider.query_opt("read the pace of the queue", sql, &params).await? else {
            return Ok(Pace::default());
        };
        let applied_from: Option<i64> = row.get(0);
        let written_from: Option<(i64, f64)> = Option::zip(row.get(1), row.get(2));
        Ok(Pace::of(reached, written_from, applied_from.zip(past.map(|(_, age)| age))))
    }

    /// By numbers of the event sequence, with how many seconds ago they were reached.
    fn of(reached: Reached, written_from: Option<(i64, f64)>, applied_from: Option<(i64, f64)>) -> Pace {
        let rate = |to: i64, (from, age): (i64, f64)| (age > 0.0 && to >= from).then(|| number(to - from) / age);
        let written = written_from.and_then(|from| rate(reached.written, from));
        let applied = applied_from.and_then(|from| rate(reached.finished, from));
        let seconds = if reached.finished >= reached.ticked {
            Some(0.0)
        } else {
            let backlog = number(reached.written - reached.finished);
            applied.zip(written).and_then(|(applied, written)| seconds_to_catch_up(backlog, applied, written))
        };
        Pace { written_per_second: written, applied_per_second: applied, seconds_to_catch_up: seconds }
    }
}

/// The position that the rate is measured from.
fn base(past: &[(TickId, f64)]) -> Option<(TickId, f64)> {
    past.iter().rfind(|(_, age)| (SHORTEST..LONGEST).contains(age)).copied()
}

#[expect(clippy::cast_precision_loss, reason = "numbers that are far from 2^53")]
fn number(events: i64) -> f64 {
    events as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_since_the_positions() {
        let reached = |written, ticked, finished| Reached { written, ticked, finished };
        let pace = |written, applied, seconds| Pace {
            written_per_second: written,
            applied_per_second: applied,
            seconds_to_catch_up: seconds,
        };
        let behind = reached(7000, 6900, 5000);
        let from = (Some((1000, 60.0)), Some((2000, 20.0)));
        assert_eq!(Pace::of(behind, from.0, from.1), pace(Some(100.0), Some(150.0), Some(40.0)));
        // Nobody knows since when, the backlog grows, or the sequence was set back.
        assert_eq!(Pace::of(behind, from.0, None), pace(Some(100.0), None, None));
        assert_eq!(Pace::of(behind, Some((1000, 10.0)), from.1), pace(Some(600.0), Some(150.0), None));
        assert_eq!(Pace::of(behind, Some((8000, 60.0)), from.1), pace(None, Some(150.0), None));
        assert_eq!(Pace::of(reached(7000, 6900, 6900), None, None), pace(None, None, Some(0.0)));
    }

    #[test]
    fn position_of_a_minute_or_two_ago_counts() {
        let at = |ages: &[f64]| {
            let past: Vec<_> = ages.iter().map(|age| (TickId(7), *age)).collect();
            base(&past).map(|(_, age)| age)
        };
        assert_eq!(at(&[]), None);
        assert_eq!(at(&[1.0]), None);
        assert_eq!(at(&[1.0, 70.0]), Some(70.0));
        assert_eq!(at(&[30.0, 95.0]), Some(95.0));
        // Replay has stood still for an hour, and works again.
        assert_eq!(at(&[30.0, 3700.0]), Some(30.0));
    }
}
