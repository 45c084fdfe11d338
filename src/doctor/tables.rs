//! The tables of the queue on both sides.

use std::collections::BTreeSet;

use crate::londiste::{SubscribedTable, TableState};
use crate::pg::FqName;

/// The tables of the queue, as both sides have them.
#[derive(Default)]
pub(super) struct Tables {
    /// In the set of the provider.
    pub(super) offered: Vec<FqName>,
    pub(super) subscribed: Vec<SubscribedTable>,
}

impl Tables {
    /// The names of the subscribed tables.
    pub(super) fn names(&self) -> Vec<FqName> {
        self.subscribed.iter().map(|table| table.name.clone()).collect()
    }

    /// The subscribed tables that the provider offers: those that are replicated.
    pub(super) fn common(&self) -> Vec<FqName> {
        let offered: BTreeSet<&FqName> = self.offered.iter().collect();
        self.names().into_iter().filter(|name| offered.contains(name)).collect()
    }

    /// The state of a table; `None` where it is not subscribed.
    pub(super) fn state(&self, table: &FqName) -> Option<TableState> {
        self.subscribed.iter().find(|t| t.name == *table).map(|t| t.state)
    }

    /// The consumers of copies.
    pub(super) fn copying(&self) -> Vec<String> {
        let waits = |table: &&SubscribedTable| table.state != TableState::Ok && !table.is_parked();
        self.subscribed.iter().filter(waits).filter_map(|table| table.copy_consumer.clone()).collect()
    }
}
