//! What the parts of a switchover share.

use super::command::Command;
use super::sides::Sides;
use super::way::Way;
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
