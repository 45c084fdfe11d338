//! Which events replay applies.

use std::collections::HashMap;

use super::super::apply::Filter;
use super::super::state::table_state::TableState;
use super::super::state::tables::SubscribedTable;
use crate::pg::FqName;

/// The events that replay applies: those of tables that are `ok`, less the events that the snapshot of the table's copy
/// shows.
pub(super) fn filters(tables: &[SubscribedTable]) -> HashMap<FqName, Filter> {
    tables
        .iter()
        .filter(|t| t.state == TableState::Ok)
        .map(|t| (t.name.clone(), t.snapshot.clone().map_or(Filter::Apply, Filter::ApplyUnlessVisibleIn)))
        .collect()
}
