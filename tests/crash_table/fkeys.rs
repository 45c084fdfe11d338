//! Ends while a foreign key is dropped for a copy, and while it is restored.

use super::copied_table::{Child, CopiedTable};
use super::{End, places_of};

// Each end, and what it leaves: state, rows, indexes and trigger, foreign key, registered consumers of copies. Each process takes up
// what the one before has left.

const FITS: &[End] = &[
    ("replay fkeys::put_aside", "- | old | whole | key | 0 registered"),
    ("replay fkeys::dropped", "- | old | whole | no key, pending | 0 registered"),
    ("replay fkeys::due", "ok | new | without trigger | no key, pending | *"),
    ("replay fkeys::created", "ok | new | without trigger | no key, pending | *"),
    ("replay fkeys::added", "ok | new | without trigger | key not valid, pending | *"),
    ("replay fkeys::checked", "ok | new | without trigger | key not valid, pending | *"),
    ("replay fkeys::validated", "ok | new | without trigger | key, pending | *"),
    ("replay fkeys::deleted", "ok | new | without trigger | key, pending | *"),
    ("replay fkeys::forgotten", "ok | new | without trigger | key | *"),
];

const ORPHANED: &[End] = &[
    ("replay fkeys::violated", "ok | new | without trigger | key not valid, pending | *"),
    ("replay fkeys::taken_back", "ok | new | without trigger | no key, pending | *"),
    ("replay fkeys::failure_stored", "ok | new | without trigger | no key, pending, failed | *"),
];

pub(super) fn places() -> Vec<&'static str> {
    places_of(FITS.iter().chain(ORPHANED).map(|(end, _)| end))
}

#[test]
#[cfg_attr(not(feature = "failpoints"), ignore = "needs a program with --features failpoints")]
fn foreign_key_comes_back_whenever_replay_ends() {
    let mut table = CopiedTable::new();
    table.round(FITS, Child::Fits);
    table.round(ORPHANED, Child::Orphaned);
}
