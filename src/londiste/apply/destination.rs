//! What the names of tables in events stand for.

use std::collections::{HashMap, HashSet};

use super::settings::Filter;
use super::shape::TableId;
use super::table_cache::TableCache;
use crate::pg::FqName;

/// Where an event goes.
#[derive(Clone, Copy)]
pub(super) enum Destination<'a> {
    /// Nowhere: its table is not applied here.
    Ignored,
    /// To a table, if the filter does not hide it.
    Table(TableId, &'a Filter),
}

/// The answer to a name.
pub(super) enum Lookup<'a> {
    /// Known.
    Found(Destination<'a>),
    /// The table was not compared with the catalog in this transaction yet.
    NotLoaded(FqName),
}

/// How many names are remembered; they are forgotten when there are more. Tables that are not subscribed are among them.
const MAX_NAMES: usize = 10_000;
/// Longer names, in bytes, are not remembered: no table has one.
const MAX_NAME: usize = 256;

/// The destinations of the names in the events of a batch.
pub(super) struct Destinations<'a> {
    filters: &'a HashMap<FqName, Filter>,
    /// Tables that a list of the provider's tables, earlier in the batch, does not have.
    left_out: HashSet<FqName>,
    known: HashMap<Vec<u8>, Destination<'a>>,
    /// The name that was looked up last, which the next event often has too.
    last: (Vec<u8>, Destination<'a>),
}

impl<'a> Destinations<'a> {
    pub(super) fn new(filters: &'a HashMap<FqName, Filter>) -> Destinations<'a> {
        let last = (Vec::new(), Destination::Ignored);
        Destinations { filters, left_out: HashSet::new(), known: HashMap::new(), last }
    }

    /// Ignores tables that are not in a list of the provider's tables from here on: they leave the set or are copied again,
    /// and their later events are of rows that were not captured in between.
    pub(super) fn leave_out_others(&mut self, tables: &[FqName]) {
        self.left_out.extend(self.filters.keys().filter(|name| !tables.contains(name)).cloned());
        self.known.clear();
        self.last = (Vec::new(), Destination::Ignored);
    }

    /// Looks up a name as events have it: `schema.table`, not quoted.
    pub(super) fn find(&mut self, name: &[u8], tables: &mut TableCache) -> Lookup<'a> {
        if self.last.0 == name {
            return Lookup::Found(self.last.1);
        }
        let destination = match self.known.get(name) {
            Some(destination) => *destination,
            None => match self.resolve(name, tables) {
                Lookup::Found(destination) => {
                    self.remember(name, destination);
                    destination
                }
                Lookup::NotLoaded(name) => return Lookup::NotLoaded(name),
            },
        };
        self.last.0.clear();
        self.last.0.extend_from_slice(name);
        self.last.1 = destination;
        Lookup::Found(destination)
    }

    fn resolve(&self, name: &[u8], tables: &mut TableCache) -> Lookup<'a> {
        let Ok(name) = std::str::from_utf8(name) else { return Lookup::Found(Destination::Ignored) };
        let name = FqName::parse(name);
        let Some(filter) = self.filters.get(&name).filter(|_| !self.left_out.contains(&name)) else {
            return Lookup::Found(Destination::Ignored);
        };
        match tables.find(&name) {
            Some(id) => Lookup::Found(Destination::Table(id, filter)),
            None => Lookup::NotLoaded(name),
        }
    }

    fn remember(&mut self, name: &[u8], destination: Destination<'a>) {
        if name.len() > MAX_NAME {
            return;
        }
        if self.known.len() >= MAX_NAMES {
            self.known.clear();
        }
        self.known.insert(name.to_vec(), destination);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tables_that_are_not_subscribed_do_not_pile_up() {
        let (filters, mut tables) = (HashMap::new(), TableCache::default());
        let mut destinations = Destinations::new(&filters);
        for n in 0..30_000 {
            for name in [format!("public.t{n}"), format!("public.{}{n}", "t".repeat(400))] {
                let found = destinations.find(name.as_bytes(), &mut tables);
                assert!(matches!(found, Lookup::Found(Destination::Ignored)));
            }
            assert!(destinations.known.len() <= MAX_NAMES);
            assert!(destinations.known.keys().all(|name| name.len() < 20) || n % 1000 > 0);
        }
        assert!(!destinations.known.is_empty());
    }
}
