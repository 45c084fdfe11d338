//! What the parts of a switchover share.

use super::command::{Command, Direction};
use super::sides::Sides;
use super::way::Way;
use crate::config;
use crate::error::Result;
use crate::job::Control;
use crate::londiste::way_back::Set;
use crate::pg::Db;

/// A switchover at work.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub(super) command: &'a Command,
    pub(super) way: &'a Way,
    pub(super) sides: &'a Sides,
    pub(super) control: &'a Control,
    /// What the running job replicates.
    pub(super) set: &'a Set,
}

/// What a command looks at first.
pub(super) struct Ground {
    pub(super) way: Way,
    pub(super) sides: Sides,
    set: Set,
}

impl Ground {
    /// Opens a session on each side. Fails when one of the schemas has no fence.
    pub(super) async fn open(direction: Direction, config: &config::Londiste, control: &Control) -> Result<Ground> {
        let way = Way::of(config, direction)?;
        let sides = Sides::open(&way, control).await?;
        sides.require_schemas().await?;
        let set = Set::of(&sides.old, &sides.new, &way.running.pgq_queue_name).await?;
        Ok(Ground { way, sides, set })
    }

    pub(super) fn task<'a>(&'a self, command: &'a Command, control: &'a Control) -> Task<'a> {
        Task { command, way: &self.way, sides: &self.sides, control, set: &self.set }
    }
}

impl<'a> Task<'a> {
    /// The tables around which the fence stands.
    pub(super) fn fenced_queue(&self) -> Option<&'a str> {
        (!self.command.fences_all).then_some(self.way.running.pgq_queue_name.as_str())
    }
}

/// What writers of a side are told that was left for the other one.
pub(super) fn moved(new: &Db) -> String {
    format!("this database has moved to {}: nothing can be written here any more", new.target())
}
