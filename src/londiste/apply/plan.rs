//! Which changes of a chunk can be applied as sets, and in which order.
//!
//! A step is one verb on one table. Steps have to follow each other where
//!
//! * a row is inserted under a key, or with another unique value, that a deleted or updated row gives up: deletes of a
//!   table come first, then updates, then inserts;
//! * a foreign key leads from a child to a parent: the parent's inserts come before the child's inserts, and before those
//!   updates of the child that set the foreign key; the child's deletes, and those updates, come before the parent's
//!   deletes. So no row is seen without its parent, and no `on delete` action reaches a row that was to be kept. Such
//!   actions also go through tables that have no events here.
//!
//! Tables for which no such order exists, which have triggers or rules, or whose events could not be folded, are applied
//! row by row, together with all tables that foreign keys tie to them.

use std::collections::HashMap;

use super::chunk::Chunk;
use super::fold::{Change, Fold};
use super::order::{self, Sets};
use super::shape::TableId;
use super::table::{ColumnId, End, ForeignKey};
use crate::pgq::fragment::Verb;

/// How to apply a chunk.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// What to apply as sets, in this order.
    pub(super) steps: Vec<Step>,
    /// Tables whose events are to be applied one by one.
    pub(super) by_row: Vec<TableId>,
}

impl Plan {
    /// All events one by one.
    pub(super) fn by_row(chunk: &Chunk) -> Plan {
        Plan { steps: Vec::new(), by_row: chunk.active.clone() }
    }
}

/// One verb on one table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) table: TableId,
    pub(super) verb: Verb,
    pub(super) groups: Vec<Group>,
}

/// Rows that one statement can change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    /// Places in the table's fold. Of updates and deletes in the order of their keys, so that neighbours in the index, and
    /// mostly in the table, come one after the other.
    pub(super) rows: Vec<u32>,
    /// The updates do not all set the same columns.
    pub(super) mixed: bool,
}

/// More groups of updates than this become one when they have, on average, fewer rows than [`SMALL_GROUP`]: a statement
/// costs as much as some tens of rows.
const MANY_GROUPS: usize = 4;
const SMALL_GROUP: usize = 50;
/// A statement with such a mixed group has at most so many values. It has one for each row and column, also where the row
/// does not set the column: their number is not bounded by the size of the events.
const MIXED_VALUES: usize = 100_000;

/// Works out the plan. `foreign_keys` says whether they are checked at all; the tables in `refused` go by row.
pub(super) fn plan(chunk: &Chunk, foreign_keys: bool, refused: &[TableId]) -> Plan {
    let mut tables: Vec<Changes> = chunk.active.iter().map(|id| Changes::collect(chunk, *id)).collect();
    for table in &mut tables {
        table.by_row |= refused.contains(&table.id);
    }
    let links = if foreign_keys { links(chunk, &mut tables) } else { Vec::new() };
    let mut sets = Sets::new(tables.len());
    for link in &links {
        sets.join(link.child, link.parent);
    }
    spread(&mut tables, &sets);
    loop {
        let steps = Steps::new(&tables);
        let mut edges = Vec::new();
        for (i, table) in tables.iter().enumerate() {
            steps.order_table(i, table, chunk, &mut edges);
        }
        for link in &links {
            steps.order_link(link, &tables, &mut edges);
        }
        match order::sort(steps.list.len(), &edges) {
            Ok(order) => return finish(chunk, tables, &order.iter().map(|i| steps.list[*i]).collect::<Vec<_>>()),
            Err(stuck) => {
                for step in stuck {
                    tables[steps.list[step].0].by_row = true;
                }
                spread(&mut tables, &sets);
            }
        }
    }
}

/// What applies row by row takes with it all it is tied to.
fn spread(tables: &mut [Changes], sets: &Sets) {
    let by_row: Vec<usize> = (0..tables.len()).filter(|i| tables[*i].by_row).map(|i| sets.find(i)).collect();
    for (i, table) in tables.iter_mut().enumerate() {
        table.by_row |= by_row.contains(&sets.find(i));
    }
}

fn finish(chunk: &Chunk, mut tables: Vec<Changes>, order: &[(usize, Verb)]) -> Plan {
    let mut plan = Plan::default();
    for (i, verb) in order {
        let table = &mut tables[*i];
        let mut groups = std::mem::take(&mut table.groups[*verb as usize]);
        let count: usize = groups.iter().map(Vec::len).sum();
        let mixed = *verb == Verb::Update && groups.len() > MANY_GROUPS && count / groups.len() < SMALL_GROUP;
        if mixed {
            groups = vec![groups.concat()];
        }
        if *verb != Verb::Insert {
            let fold = chunk.fold(table.id);
            for rows in &mut groups {
                sort(rows, fold);
            }
        }
        let limit = if mixed { (MIXED_VALUES / table.updated.len().max(1)).max(1) } else { usize::MAX };
        let groups = groups.iter().flat_map(|rows| rows.chunks(limit));
        let groups = groups.map(|rows| Group { rows: rows.to_vec(), mixed }).collect();
        plan.steps.push(Step { table: table.id, verb: *verb, groups });
    }
    plan.by_row = tables.iter().filter(|table| table.by_row).map(|table| table.id).collect();
    plan
}

fn sort(rows: &mut [u32], fold: &Fold) {
    let key = |row: &u32| fold.key(&fold.rows()[*row as usize]);
    if rows.is_sorted_by(|one, other| key(one) <= key(other)) {
        return;
    }
    // The first bytes are enough for a good order, and all of an integer.
    rows.sort_by_cached_key(|row| {
        let key = key(row);
        let mut prefix = [0; 8];
        let len = key.len().min(8);
        prefix[..len].copy_from_slice(&key[..len]);
        u64::from_be_bytes(prefix)
    });
}

/// The net changes of a table.
struct Changes {
    id: TableId,
    by_row: bool,
    /// By verb.
    groups: [Vec<Vec<u32>>; 3],
    /// All columns that updates set, ascending.
    updated: Vec<ColumnId>,
}

impl Changes {
    fn collect(chunk: &Chunk, id: TableId) -> Changes {
        let fold = chunk.fold(id);
        let mut changes = Changes { id, by_row: fold.by_row, groups: Default::default(), updated: Vec::new() };
        if fold.by_row {
            return changes;
        }
        let mut group_places: HashMap<u32, usize> = HashMap::new();
        let mut last = None;
        for (row, net) in fold.rows().iter().enumerate() {
            let verb = match net.change {
                Change::Insert => Verb::Insert,
                Change::Update => Verb::Update,
                Change::Delete => Verb::Delete,
                Change::Nothing => continue,
            };
            let groups = &mut changes.groups[verb as usize];
            let place = if verb == Verb::Delete {
                0
            } else if let Some((shape, place)) = last
                && shape == net.shape
            {
                place
            } else {
                let shape = chunk.shape(net.shape);
                if shape.written.is_empty() && verb == Verb::Update {
                    // Only columns that the subscriber generates itself.
                    continue;
                }
                let place = *group_places.entry(shape.group).or_insert(groups.len());
                if place == groups.len() && verb == Verb::Update {
                    changes.updated.extend_from_slice(&shape.written);
                }
                last = Some((net.shape, place));
                place
            };
            if place == groups.len() {
                groups.push(Vec::new());
            }
            groups[place].push(u32::try_from(row).unwrap_or(u32::MAX));
        }
        changes.updated.sort_unstable();
        changes.updated.dedup();
        changes
    }

    fn has(&self, verb: Verb) -> bool {
        !self.groups[verb as usize].is_empty()
    }

    fn updates_any(&self, columns: &[ColumnId]) -> bool {
        columns.iter().any(|column| self.updated.binary_search(column).is_ok())
    }
}

/// A foreign key between two tables of the chunk, which may be one.
struct Link {
    child: usize,
    parent: usize,
    /// The child's updates set the foreign key.
    set_by_updates: bool,
    /// The foreign key refers to the parent itself, not to a table in between.
    direct: bool,
}

/// The foreign keys between tables of the chunk. A parent whose referenced columns are set by updates has to go by row.
fn links(chunk: &Chunk, tables: &mut [Changes]) -> Vec<Link> {
    let places: HashMap<u32, usize> =
        tables.iter().enumerate().map(|(i, table)| (chunk.table(table.id).oid, i)).collect();
    let mut links = Vec::new();
    for table in tables.iter_mut() {
        for ForeignKey { from, to, end, columns } in &chunk.table(table.id).foreign_keys {
            let (Some(child), Some(parent)) = (places.get(from), places.get(to)) else { continue };
            let set_by_updates = table.updates_any(columns);
            match end {
                End::Child => links.push(Link { child: *child, parent: *parent, set_by_updates, direct: true }),
                End::Parent => table.by_row |= set_by_updates,
            }
        }
        let (foreign_keys, ancestors) = (&chunk.table(table.id).foreign_keys, &chunk.table(table.id).ancestors);
        let mut own = foreign_keys.iter().filter(|key| key.end == End::Child);
        let set_by_updates = own.any(|key| table.updates_any(&key.columns));
        let child = places[&chunk.table(table.id).oid];
        for parent in ancestors.iter().filter_map(|oid| places.get(oid)) {
            links.push(Link { child, parent: *parent, set_by_updates, direct: false });
        }
    }
    links
}

/// The steps of all tables that are applied as sets.
struct Steps {
    list: Vec<(usize, Verb)>,
    numbers: HashMap<(usize, Verb), usize>,
}

impl Steps {
    fn new(tables: &[Changes]) -> Steps {
        // Without other reasons: deletes, then updates, then inserts, each table by table.
        let mut list = Vec::new();
        for verb in [Verb::Delete, Verb::Update, Verb::Insert] {
            let of_verb = |(_, table): &(usize, &Changes)| !table.by_row && table.has(verb);
            list.extend(tables.iter().enumerate().filter(of_verb).map(|(i, _)| (i, verb)));
        }
        let numbers = list.iter().enumerate().map(|(number, step)| (*step, number)).collect();
        Steps { list, numbers }
    }

    fn edge(&self, before: (usize, Verb), after: (usize, Verb), edges: &mut Vec<(usize, usize)>) {
        if let (Some(before), Some(after)) = (self.numbers.get(&before), self.numbers.get(&after)) {
            edges.push((*before, *after));
        }
    }

    fn order_table(&self, i: usize, changes: &Changes, chunk: &Chunk, edges: &mut Vec<(usize, usize)>) {
        let (fold, table) = (chunk.fold(changes.id), chunk.table(changes.id));
        let updates_unique = fold.moved || changes.updates_any(&table.unique_columns);
        if fold.moved || fold.reinserted || table.unique_indexes > 1 {
            self.edge((i, Verb::Delete), (i, Verb::Insert), edges);
        }
        if updates_unique {
            self.edge((i, Verb::Delete), (i, Verb::Update), edges);
            self.edge((i, Verb::Update), (i, Verb::Insert), edges);
        }
    }

    fn order_link(&self, link: &Link, tables: &[Changes], edges: &mut Vec<(usize, usize)>) {
        let Link { child, parent, set_by_updates, direct } = *link;
        if tables[child].by_row {
            return;
        }
        // Within one statement, a table's references to itself are checked at the end.
        if child != parent {
            self.edge((child, Verb::Delete), (parent, Verb::Delete), edges);
        }
        if child != parent && direct {
            self.edge((parent, Verb::Insert), (child, Verb::Insert), edges);
        }
        if set_by_updates {
            self.edge((child, Verb::Update), (parent, Verb::Delete), edges);
        }
        if set_by_updates && direct {
            self.edge((parent, Verb::Insert), (child, Verb::Update), edges);
        }
    }
}
