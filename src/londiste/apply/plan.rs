//! Which net changes of a chunk can be applied as sets of rows, and in which order.
//!
//! A step is one verb on one table. There are two rules for the order of steps:
//!
//! * A row may be inserted under a key, or with another unique value, that a deleted or updated row gives up. So deletes
//!   of a table come first, then updates, then inserts.
//! * A foreign key leads from a child to a parent. The parent's inserts come before the child's inserts, and before
//!   updates of the child that set the foreign key. The child's deletes, and such updates, come before the parent's
//!   deletes. So no row is ever without its parent, and no `on delete` action reaches a row that is to be kept. Such an
//!   action may also go through tables without events in the chunk.
//!
//! On the provider a foreign key is checked at the end of a statement, and one statement may delete a row that others refer
//! to and insert it again. Once the server has refused that in two steps, [`Refusals`] has the table's deletes and inserts
//! in one.
//!
//! The events of a table go one by one when no order keeps the rules, when the table has triggers or rules, or when it has
//! no net changes. So do the events of all tables that foreign keys tie to such a table.

use std::collections::HashMap;

use tokio_postgres::error::SqlState;

use super::chunk::Chunk;
use super::net_changes::{NetAction, NetChanges};
use super::order::{self, DisjointSets};
use super::shape::TableId;
use super::target_table::{ColumnId, ForeignKey, ForeignKeyEnd};
use crate::config::ApplyRole;
use crate::error::Error;
use crate::pgq::fragment::Verb;

/// How to apply a chunk.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// What to apply as sets of rows, in this order.
    pub(super) steps: Vec<Step>,
    /// Tables whose events are to be applied one by one.
    pub(super) by_row: Vec<TableId>,
}

impl Plan {
    /// The plan that applies all events one by one.
    pub(super) fn by_row(chunk: &Chunk) -> Plan {
        Plan { steps: Vec::new(), by_row: chunk.active.clone() }
    }
}

/// One verb on one table.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) table: TableId,
    pub(super) verb: Verb,
    pub(super) row_sets: Vec<RowSet>,
    /// The net changes that the same statement deletes before it inserts the only row set.
    pub(super) deleted: Vec<u32>,
}

/// What the server refused in earlier plans of the chunk.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// Tables whose deletes and inserts go by one statement.
    replaced: Vec<TableId>,
    /// Tables whose events go one by one.
    by_row: Vec<TableId>,
}

/// After more refusals of a kind than this, all events of a chunk go one by one.
const MAX_REFUSALS: usize = 2;

impl Refusals {
    /// Adds a table whose steps the server refused. False when there are too many.
    #[must_use]
    pub(super) fn add(&mut self, chunk: &Chunk, table: TableId, error: &Error) -> bool {
        let violates_foreign_key = error.code() == Some(&SqlState::FOREIGN_KEY_VIOLATION);
        let replaces = violates_foreign_key && !self.replaced.contains(&table) && may_replace(chunk, table);
        let list = if replaces { &mut self.replaced } else { &mut self.by_row };
        list.push(table);
        list.len() <= MAX_REFUSALS
    }
}

/// Whether one statement may delete and insert rows of the table. Not where a foreign key acts on deletes: it would act when
/// the statement ends, on rows too that are to stay.
fn may_replace(chunk: &Chunk, table: TableId) -> bool {
    let mut led_to = chunk.table(table).foreign_keys.iter().filter(|key| key.end == ForeignKeyEnd::Parent);
    chunk.net_changes(table).reinserted && led_to.all(|key| !key.acts_on_delete)
}

/// Rows that one statement changes.
#[derive(Debug)]
pub(super) struct RowSet {
    /// Indexes of the table's net changes. Updates and deletes are in the order of their keys, so that neighbours in the
    /// index, and mostly in the table, come one after the other.
    pub(super) rows: Vec<u32>,
    pub(super) columns: SetColumns,
}

/// Whether the rows of a row set set the same columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SetColumns {
    /// All rows set the same columns.
    Same,
    /// Some rows set columns that others do not: the statement says for each row and column whether to set it.
    Different,
}

/// When the updates of a table would be more statements than this, with fewer rows each than [`FEW_ROWS`] on average, they
/// become statements whose rows set different columns. A statement costs as much as some tens of rows.
const MANY_STATEMENTS: usize = 4;
const FEW_ROWS: usize = 50;
/// Such a statement has at most so many values. It has one for each row and column, also where the row does not set the
/// column, so their number is not bounded by the size of the events.
const MAX_VALUES: usize = 100_000;

/// Works out the plan of a chunk. With `session_replication_role` replica, which `role` tells, the server checks no foreign
/// keys.
pub(super) fn plan(chunk: &Chunk, role: ApplyRole, refusals: &Refusals) -> Plan {
    let mut tables: Vec<TableChanges> = chunk.active.iter().map(|id| TableChanges::collect(chunk, *id)).collect();
    for table in &mut tables {
        table.by_row |= refusals.by_row.contains(&table.id);
        // One statement inserts into the same columns.
        table.replaces = refusals.replaced.contains(&table.id) && table.groups[Verb::Insert as usize].len() == 1;
    }
    let links = match role {
        ApplyRole::Origin => links(chunk, &mut tables),
        ApplyRole::Replica => Vec::new(),
    };
    let mut sets = DisjointSets::new(tables.len());
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

/// Lets the tables that are in one set with a table whose events go one by one go one by one too.
fn spread(tables: &mut [TableChanges], sets: &DisjointSets) {
    let by_row: Vec<usize> = (0..tables.len()).filter(|i| tables[*i].by_row).map(|i| sets.find(i)).collect();
    for (i, table) in tables.iter_mut().enumerate() {
        table.by_row |= by_row.contains(&sets.find(i));
    }
}

fn finish(chunk: &Chunk, mut tables: Vec<TableChanges>, order: &[(usize, Verb)]) -> Plan {
    let mut plan = Plan::default();
    for (i, verb) in order {
        let table = &mut tables[*i];
        let mut groups = std::mem::take(&mut table.groups[*verb as usize]);
        let count: usize = groups.iter().map(Vec::len).sum();
        let mut columns = SetColumns::Same;
        let mut limit = usize::MAX;
        if *verb == Verb::Update && groups.len() > MANY_STATEMENTS && count / groups.len() < FEW_ROWS {
            groups = vec![groups.concat()];
            columns = SetColumns::Different;
            limit = (MAX_VALUES / table.updated.len().max(1)).max(1);
        }
        if *verb != Verb::Insert {
            let changes = chunk.net_changes(table.id);
            for rows in &mut groups {
                sort(rows, changes);
            }
        }
        let row_sets = groups.iter().flat_map(|rows| rows.chunks(limit));
        let row_sets = row_sets.map(|rows| RowSet { rows: rows.to_vec(), columns }).collect();
        let deleted = if table.replaces && *verb == Verb::Insert {
            std::mem::take(&mut table.groups[Verb::Delete as usize]).concat()
        } else {
            Vec::new()
        };
        plan.steps.push(Step { table: table.id, verb: *verb, row_sets, deleted });
    }
    plan.by_row = tables.iter().filter(|table| table.by_row).map(|table| table.id).collect();
    plan
}

/// Sorts rows by their keys.
fn sort(rows: &mut [u32], changes: &NetChanges) {
    let key = |row: &u32| changes.key(&changes.rows()[*row as usize]);
    if rows.is_sorted_by(|one, other| key(one) <= key(other)) {
        return;
    }
    // The first eight bytes are enough for a good order; an integer has no more.
    rows.sort_by_cached_key(|row| {
        let key = key(row);
        let mut prefix = [0; 8];
        let len = key.len().min(8);
        prefix[..len].copy_from_slice(&key[..len]);
        u64::from_be_bytes(prefix)
    });
}

/// The net changes of a table, by statement.
struct TableChanges {
    id: TableId,
    by_row: bool,
    /// Deletes and inserts go by one statement.
    replaces: bool,
    /// By verb, the rows that one statement can change.
    groups: [Vec<Vec<u32>>; 3],
    /// All columns that updates set, ascending.
    updated: Vec<ColumnId>,
}

impl TableChanges {
    fn collect(chunk: &Chunk, id: TableId) -> TableChanges {
        let net_changes = chunk.net_changes(id);
        let mut changes = TableChanges {
            id,
            by_row: net_changes.by_row,
            replaces: false,
            groups: Default::default(),
            updated: Vec::new(),
        };
        if net_changes.by_row {
            return changes;
        }
        let mut group_places: HashMap<u32, usize> = HashMap::new();
        let mut last = None;
        for (row, net) in net_changes.rows().iter().enumerate() {
            let verb = match net.action {
                NetAction::Insert => Verb::Insert,
                NetAction::Update => Verb::Update,
                NetAction::Delete => Verb::Delete,
                NetAction::Nothing => continue,
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
                    // The update sets only columns that the subscriber computes itself.
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

/// A foreign key between two tables of the chunk, which may be the same.
struct ForeignKeyLink {
    child: usize,
    parent: usize,
    /// Updates of the child set the foreign key.
    set_by_updates: bool,
    /// The foreign key refers to the parent itself, not to a table that in its turn refers to the parent.
    direct: bool,
}

/// The foreign keys between tables of the chunk. The events of a parent whose referenced columns are set by updates have
/// to go one by one.
fn links(chunk: &Chunk, tables: &mut [TableChanges]) -> Vec<ForeignKeyLink> {
    let places: HashMap<u32, usize> =
        tables.iter().enumerate().map(|(i, table)| (chunk.table(table.id).oid, i)).collect();
    let mut links = Vec::new();
    for table in tables.iter_mut() {
        for ForeignKey { from, to, end, columns, .. } in &chunk.table(table.id).foreign_keys {
            let (Some(child), Some(parent)) = (places.get(from), places.get(to)) else { continue };
            let set_by_updates = table.updates_any(columns);
            match end {
                ForeignKeyEnd::Child => {
                    links.push(ForeignKeyLink { child: *child, parent: *parent, set_by_updates, direct: true });
                }
                ForeignKeyEnd::Parent => table.by_row |= set_by_updates,
            }
        }
        let (foreign_keys, ancestors) = (&chunk.table(table.id).foreign_keys, &chunk.table(table.id).ancestors);
        let mut own = foreign_keys.iter().filter(|key| key.end == ForeignKeyEnd::Child);
        let set_by_updates = own.any(|key| table.updates_any(&key.columns));
        let child = places[&chunk.table(table.id).oid];
        for parent in ancestors.iter().filter_map(|oid| places.get(oid)) {
            links.push(ForeignKeyLink { child, parent: *parent, set_by_updates, direct: false });
        }
    }
    links
}

/// The steps of all tables that have steps.
struct Steps {
    list: Vec<(usize, Verb)>,
    numbers: HashMap<(usize, Verb), usize>,
}

impl Steps {
    fn new(tables: &[TableChanges]) -> Steps {
        // The order where no rule asks for another one: deletes, then updates, then inserts, each table by table.
        let mut list = Vec::new();
        for verb in [Verb::Delete, Verb::Update, Verb::Insert] {
            let of_verb = |(_, table): &(usize, &TableChanges)| {
                !table.by_row && table.has(verb) && !(table.replaces && verb == Verb::Delete)
            };
            list.extend(tables.iter().enumerate().filter(of_verb).map(|(i, _)| (i, verb)));
        }
        let mut numbers: HashMap<_, _> = list.iter().enumerate().map(|(number, step)| (*step, number)).collect();
        for (i, _) in tables.iter().enumerate().filter(|(_, table)| table.replaces) {
            if let Some(number) = numbers.get(&(i, Verb::Insert)).copied() {
                numbers.insert((i, Verb::Delete), number);
            }
        }
        Steps { list, numbers }
    }

    fn edge(&self, before: (usize, Verb), after: (usize, Verb), edges: &mut Vec<(usize, usize)>) {
        if let (Some(before), Some(after)) = (self.numbers.get(&before), self.numbers.get(&after))
            && before != after
        {
            edges.push((*before, *after));
        }
    }

    fn order_table(&self, i: usize, changes: &TableChanges, chunk: &Chunk, edges: &mut Vec<(usize, usize)>) {
        let (net_changes, table) = (chunk.net_changes(changes.id), chunk.table(changes.id));
        let updates_unique = net_changes.moved || changes.updates_any(&table.unique_columns);
        if net_changes.moved || net_changes.reinserted || table.unique_indexes > 1 {
            self.edge((i, Verb::Delete), (i, Verb::Insert), edges);
        }
        if updates_unique {
            self.edge((i, Verb::Delete), (i, Verb::Update), edges);
            self.edge((i, Verb::Update), (i, Verb::Insert), edges);
        }
    }

    fn order_link(&self, link: &ForeignKeyLink, tables: &[TableChanges], edges: &mut Vec<(usize, usize)>) {
        let ForeignKeyLink { child, parent, set_by_updates, direct } = *link;
        if tables[child].by_row {
            return;
        }
        // A table's references to itself are checked at the end of each statement.
        if child != parent {
            self.edge((child, Verb::Delete), (parent, Verb::Delete), edges);
        }
        if child != parent && direct {
            self.edge((parent, Verb::Insert), (child, Verb::Insert), edges);
        }
        if set_by_updates {
            self.edge((child, Verb::Update), (parent, Verb::Delete), edges);
        }
        // Where rows of one table refer to each other and some go, this would be a circle with the rules above. Without it a foreign key
        // may refuse the updates, and no row is lost.
        let is_circle = child == parent && tables[child].has(Verb::Delete);
        if set_by_updates && direct && !is_circle {
            self.edge((parent, Verb::Insert), (child, Verb::Update), edges);
        }
    }
}
