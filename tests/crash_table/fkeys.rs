//! Ends while a foreign key is dropped for a copy, and while it is restored.

use super::copied_table::{Child, CopiedTable};
use super::places_of;

/// The end, and what is left: state, rows, indexes and trigger, foreign key, registered consumers of copies.
const ROWS: &[(Child, &[&str], &str)] = &[
    (Child::Fits, &["replay fkeys::put_aside"], "- | old | whole | key | 0 registered"),
    (Child::Fits, &["replay fkeys::dropped"], "- | old | whole | no key, pending | 0 registered"),
    (Child::Fits, &["replay fkeys::created"], "ok | new | without trigger | no key, pending | *"),
    (Child::Fits, &["replay fkeys::added"], "ok | new | without trigger | key not valid, pending | *"),
    (Child::Fits, &["replay fkeys::checked"], "ok | new | without trigger | key not valid, pending | *"),
    (Child::Fits, &["replay fkeys::validated"], "ok | new | without trigger | key, pending | *"),
    (Child::Fits, &["replay fkeys::deleted"], "ok | new | without trigger | key, pending | *"),
    (Child::Fits, &["replay fkeys::forgotten"], "ok | new | without trigger | key | *"),
    (Child::Orphaned, &["replay fkeys::violated"], "ok | new | without trigger | key not valid, pending | *"),
    (Child::Orphaned, &["replay fkeys::taken_back"], "ok | new | without trigger | no key, pending | *"),
    (Child::Orphaned, &["replay fkeys::failure_stored"], "ok | new | without trigger | no key, pending, failed | *"),
];

pub(super) fn places() -> Vec<&'static str> {
    places_of(ROWS.iter().flat_map(|(_, ends, _)| *ends))
}

#[test]
#[cfg_attr(not(feature = "failpoints"), ignore = "needs a program with --features failpoints")]
fn foreign_key_comes_back_whenever_replay_ends() {
    let mut table = CopiedTable::new();
    for (child, ends, left) in ROWS {
        table.round(ends, *child, left);
    }
}
