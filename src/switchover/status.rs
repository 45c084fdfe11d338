//! `switchover status`: where writers may write, and how far a switchover is.

use std::fmt;

use serde::Serialize;

use super::command::Direction;
use super::sides::Sides;
use super::way::Way;
use crate::config;
use crate::error::Result;
use crate::job::{Control, Output};
use crate::londiste::fence::{self, State};
use crate::londiste::switchover;
use crate::pg::Db;

#[derive(Serialize)]
struct Status {
    /// `switchover` or `switchback`; null when there was none.
    direction: Option<&'static str>,
    phase: Option<String>,
    provider: Side,
    subscriber: Side,
}

#[derive(Serialize)]
struct Side {
    target: String,
    /// `open`, `closed`, or `closed for N s`.
    fence: String,
    armed_tables: usize,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.direction, &self.phase) {
            (Some(direction), Some(phase)) => writeln!(f, "{direction}: {phase}")?,
            _ => writeln!(f, "no switchover")?,
        }
        for (name, side) in [("provider", &self.provider), ("subscriber", &self.subscriber)] {
            writeln!(f, "{name:10} {}: {}, {} tables armed", side.target, side.fence, side.armed_tables)?;
        }
        Ok(())
    }
}

pub(super) async fn run(config: &config::Londiste, control: &Control) -> Result<Output> {
    let way = Way::of(config, Direction::There)?;
    let sides = Sides::open(&way, control).await?;
    sides.require_schemas().await?;
    // The row of the side that is left counts; that of the other one may be older.
    let there = switchover::load(&sides.old, &way.queue).await?.filter(|stored| !stored.is_back);
    let back = switchover::load(&sides.new, &way.queue).await?.filter(|stored| stored.is_back);
    let is_at_work = |stored: &switchover::Stored| !stored.phase.is_at_rest();
    let stored = there.filter(is_at_work).or(back).or(there);
    let word =
        |stored: switchover::Stored| if stored.is_back { Direction::Back.word() } else { Direction::There.word() };
    let status = Status {
        direction: stored.map(word),
        phase: stored.map(|stored| stored.phase.to_string()),
        provider: side(&sides.old).await?,
        subscriber: side(&sides.new).await?,
    };
    Ok(Output::of(&status))
}

async fn side(db: &Db) -> Result<Side> {
    let (state, now) = fence::state(db).await?;
    let fence = match state {
        State::CLOSED => "closed".to_owned(),
        state if state.0 <= now => "open".to_owned(),
        state => format!("closed for {:.1} s", std::time::Duration::from_micros(state.0.abs_diff(now)).as_secs_f64()),
    };
    Ok(Side { target: db.target().to_owned(), fence, armed_tables: fence::armed(db).await?.len() })
}
