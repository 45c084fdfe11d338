//! `subscriber add`: subscribes to tables of the provider's queue.

use std::collections::{BTreeMap, BTreeSet};

use super::super::context::{Context, Outcome};
use super::super::state::tables::{self, Rows};
use super::super::state::{overlaps, provider_queue, triggers};
use super::super::table_lock::TableLock;
use super::command::{CopyMode, Problems, Selection};
use super::selection::Pattern;
use super::structure;
use crate::config::ApplyRole;
use crate::error::Result;
use crate::failpoint::failpoint;
use crate::job::Output;
use crate::pg::catalog::{self, Rule};
use crate::pg::name::quote_ident;
use crate::pg::{Db, FqName};
use crate::text::{Lines, shown};

/// What `subscriber add` reads of both sides before its first change.
struct Sides {
    /// The tables of the provider's queue, in the order in which they were added.
    offered: Vec<FqName>,
    /// The tables that are subscribed already.
    subscribed: BTreeSet<FqName>,
    /// The tables of the subscriber's database, with whether each is a partition.
    local: BTreeMap<FqName, bool>,
}

impl Sides {
    async fn read(context: &Context<'_>, provider_db: &Db, db: &Db) -> Result<Sides> {
        let subscribed = tables::load(db, context.queue()).await?;
        let local = catalog::tables(db).await?;
        Ok(Sides {
            offered: provider_queue::tables(provider_db, context.queue()).await?,
            subscribed: subscribed.into_iter().map(|t| t.name).collect(),
            local: local.into_iter().filter(|t| t.name.is_plain()).map(|t| (t.name, t.is_partition)).collect(),
        })
    }

    /// The selected tables: those of the provider's queue in its order, then all others. `--all` also asks for each
    /// offered table by its name, so that a table which the subscriber does not have is logged.
    fn select(&self, tables: &Selection) -> Vec<FqName> {
        let mut patterns = tables.patterns();
        if tables.names.is_empty() && tables.all {
            let missing = self.offered.iter().filter(|t| !self.subscribed.contains(t));
            patterns.extend(missing.map(|t| Pattern::parse(&t.to_string())));
        }
        let mut wanted = BTreeSet::new();
        for pattern in &patterns {
            let named = pattern.name();
            // The rows of a partition come with its root, unless the partition is in the queue by itself.
            let meant = |(name, is_partition): &(&FqName, &bool)| {
                pattern.matches(name) && (named.is_some() || !**is_partition || self.offered.contains(*name))
            };
            let found: Vec<&FqName> = self.local.iter().filter(meant).map(|(name, _)| name).collect();
            if found.is_empty() && pattern.typed() != "*.*" {
                tracing::info!("No tables found that match {}", pattern.typed());
                if let Some(name) = named.filter(|name| self.offered.contains(name)) {
                    tracing::warn!("Table {name} of the provider does not exist on subscriber: create it there first");
                }
            }
            wanted.extend(found.into_iter().cloned());
        }
        let mut ordered: Vec<FqName> = self.offered.iter().filter(|t| wanted.remove(*t)).cloned().collect();
        ordered.extend(wanted);
        ordered
    }

    /// Logs the tables that the provider's queue does not have, and leaves them out unless their problems are ignored. Of those
    /// that nobody has named the log has the number, and the names only with `-v`.
    fn keep_offered(&self, wanted: &mut Vec<FqName>, selection: &Selection, problems: Problems) {
        let offered: BTreeSet<&FqName> = self.offered.iter().collect();
        let not_offered = |table: &FqName| !offered.contains(table) && !self.subscribed.contains(table);
        let unknown: Vec<FqName> = wanted.iter().filter(|table| not_offered(table)).cloned().collect();
        let are_named = !selection.names.is_empty() || problems == Problems::Ignore;
        for table in &unknown {
            if are_named {
                tracing::error!("Table {table} not attached to queue");
            } else {
                tracing::debug!("Table {table} not attached to queue");
            }
        }
        if !unknown.is_empty() && !are_named {
            tracing::info!("Leaving out tables that are not attached to queue: {} (-v names them)", unknown.len());
        }
        match problems {
            Problems::LeaveOut => wanted.retain(|table| !unknown.contains(table)),
            Problems::Ignore if unknown.is_empty() => {}
            Problems::Ignore => warn_of_force(),
        }
    }
}

fn warn_of_force() {
    tracing::warn!("--force used, ignoring errors");
}

/// Logs the tables that must not be subscribed to, and returns them, whatever problems are ignored: those that the provider
/// gets from this subscriber, and those that another queue writes to, unless the copy keeps its rows.
async fn overlapping(
    context: &Context<'_>,
    provider_db: &Db,
    db: &Db,
    wanted: &[FqName],
    mode: CopyMode,
) -> Result<BTreeSet<FqName>> {
    let mut refused = BTreeSet::new();
    let loops = overlaps::loops(provider_db, db).await?;
    for (table, queue) in loops.iter().filter(|(table, _)| wanted.contains(table)) {
        tracing::error!(
            "Table {table} on provider is a subscriber of queue {queue} of this database: each change would go round for ever"
        );
        refused.insert(table.clone());
    }
    if mode == CopyMode::Copy {
        for (table, other) in overlaps::other_queues(db, context.queue(), wanted).await? {
            let refusal = overlaps::truncate_refusal(&table, &other);
            tracing::error!("{refusal}. To merge the queues' rows, use --skip-truncate");
            refused.insert(table);
        }
    }
    Ok(refused)
}

/// Logs a warning for each `do also` rule that runs on the provider, and on the subscriber too when changes are applied. What the
/// provider's rule writes to a replicated table is captured, so the rows that the subscriber's rule writes are there twice, or
/// take the keys of rows that come later.
async fn warn_of_rules(context: &Context<'_>, provider_db: &Db, db: &Db, tables: &[FqName]) -> Result<()> {
    let role = match context.config.apply_role {
        ApplyRole::Origin => 'O',
        ApplyRole::Replica => 'R',
    };
    let mut theirs = catalog::rules(provider_db, tables).await?;
    theirs.retain(|rule| ['O', 'A'].contains(&rule.enabled));
    let doubled = |rule: &Rule| theirs.iter().any(|other| other.table == rule.table && other.name == rule.name);
    let ours = catalog::rules(db, tables).await?;
    for rule in ours.iter().filter(|rule| ['A', role].contains(&rule.enabled) && doubled(rule)) {
        let (table, name) = (&rule.table, quote_ident(&rule.name));
        let text = format!(
            "Table {table} has rule {name} on both sides: what the rule does on the provider is replicated, and replay makes the \
             subscriber's rule do it once more"
        );
        let statement = format!("alter table {} disable rule {name}", table.quoted());
        let report = format!("{}\nHINT: On the subscriber: {}", shown(text), shown(statement));
        tracing::warn!("{}", Lines(report));
    }
    Ok(())
}

/// Subscribes to the tables, each in a transaction of its own, which holds ACCESS EXCLUSIVE when it drops the table's
/// triggers. Tables that are not offered, or whose structures differ, are left out unless their problems are ignored;
/// those of [`overlapping`] are always left out. Fails when both databases are the same.
pub(super) async fn add(
    context: &Context<'_>,
    tables: &Selection,
    problems: Problems,
    mode: CopyMode,
) -> Result<Output> {
    if tables.is_empty() {
        return Ok(Output::none());
    }
    let (provider_db, db) = (context.provider().await?, context.subscriber().await?);
    let sides = Sides::read(context, &provider_db, &db).await?;
    overlaps::refuse_same_database(&provider_db, &db).await?;
    let mut wanted = sides.select(tables);
    sides.keep_offered(&mut wanted, tables, problems);
    let found = structure::compare_all(context, &provider_db, &db, &wanted).await?;
    let mut bad: BTreeSet<FqName> = found.different().collect();
    let mut failed = false;
    if !bad.is_empty() && problems == Problems::Ignore {
        warn_of_force();
        bad.clear();
    }
    let new: Vec<FqName> = wanted.iter().filter(|table| !sides.subscribed.contains(table)).cloned().collect();
    warn_of_rules(context, &provider_db, &db, &new).await?;
    bad.extend(overlapping(context, &provider_db, &db, &new, mode).await?);
    for table in &wanted {
        context.proceed()?;
        if sides.subscribed.contains(table) {
            tracing::info!("Table {table} already added");
        } else if bad.contains(table) {
            failed = true;
        } else {
            tracing::info!("Adding {table}");
            failed |= add_one(context, &db, table, mode).await?.is_failed();
        }
    }
    Ok(Output::none().failed(failed))
}

async fn add_one(context: &Context<'_>, db: &Db, table: &FqName, mode: CopyMode) -> Result<Outcome> {
    let rows = match mode {
        CopyMode::Copy => Rows::Truncated,
        CopyMode::SkipTruncate => Rows::Kept,
        CopyMode::ExpectSync => Rows::Equal,
        CopyMode::Contradiction => {
            tracing::error!("Too many options: --expect-sync and --skip-truncate");
            return Ok(Outcome::Logged);
        }
    };
    let added = context
        .change_table(db, table, TableLock::Everybody, async |tx: &Db| {
            tables::subscribe(tx, context.queue(), table, rows).await?;
            failpoint!("subscriber::subscribed");
            // The triggers would fire for the rows of the copy. "restore-triggers" restores them.
            if rows != Rows::Equal {
                triggers::put_aside(tx, table).await?;
                failpoint!("subscriber::triggers_dropped");
            }
            Ok(())
        })
        .await;
    failpoint!("subscriber::added");
    Outcome::of(db, added)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_provider() {
        let names = |names: &[&str]| names.iter().map(|n| FqName::parse(n)).collect::<Vec<_>>();
        let sides = Sides {
            offered: names(&["z", "leaf", "a", "gone"]),
            subscribed: BTreeSet::new(),
            local: [("a", false), ("b", false), ("leaf", true), ("other_leaf", true), ("z", false)]
                .into_iter()
                .map(|(n, partition)| (FqName::parse(n), partition))
                .collect(),
        };
        let all = Selection { names: vec![], all: true };
        assert_eq!(sides.select(&all), names(&["z", "leaf", "a", "b"]));
    }
}
