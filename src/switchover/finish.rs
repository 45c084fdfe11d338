//! `switchover finish`: gives up the way back, or what is left of a switchover that was undone.

use super::command::{Command, Direction};
use super::takeover;
use super::task::Ground;
use crate::config;
use crate::error::{Error, Result};
use crate::job::{Control, Output};
use crate::londiste::switchover::{self, Phase, Stored};
use crate::londiste::way_back;

/// Removes the queue of the way back, its capture, its subscriptions and its ini file. After a switchover the old side stays closed, and
/// nothing replicates any more. After a switchback, or after an undone switchover, the job of the ini file goes on, and the subscriber is
/// open.
pub(super) async fn run(command: &Command, config: &config::Londiste, control: &Control) -> Result<Output> {
    let ground = Ground::open(Direction::There, config, control).await?;
    let (task, way, sides) = (ground.task(command, control), &ground.way, &ground.sides);
    let stored = match switchover::load(&sides.new, &way.queue).await? {
        Some(stored) if !stored.phase.is_at_rest() => {
            return Err(Error::refused(
                format!("a switchover is in phase {}", stored.phase),
                "Run the command again that has begun it: it goes on, or undoes what it has begun.",
            ));
        }
        stored => stored,
    };
    // Writers are on the subscriber of the ini file.
    let is_there = stored.is_some_and(|stored| (stored.phase != Phase::Undone) != stored.is_back);
    takeover::stop(&way.next, control).await?;
    way_back::remove(&way.next, control).await?;
    way.remove_back_ini()?;
    match stored {
        // The job of the ini file finds here that it must not work any more.
        Some(stored) if is_there => {
            sides.store(way, &Stored { is_back: false, phase: Phase::Finished, ..stored }).await?;
        }
        _ => {
            takeover::free(&sides.new, &task).await?;
            for db in [&sides.old, &sides.new] {
                switchover::forget(db, &way.queue).await?;
            }
        }
    }
    tracing::info!(
        "The way back is given up. {}",
        if is_there {
            format!("Writers stay on {}, {} stays closed", sides.new.target(), sides.old.target())
        } else {
            format!("{} goes on to follow {}", sides.new.target(), sides.old.target())
        }
    );
    Ok(Output::none())
}
