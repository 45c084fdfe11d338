//! `compare` and `repair`: whether tables hold the same rows on both sides, and what would make them equal.
//!
//! * [`sync_point`] finds a moment at which both sides must be equal.
//! * [`shape`] knows how the two tables are read in one order, [`walk`] reads both and pairs their rows by key.
//! * [`compare`] runs a query on both sides, [`checksum`] compares every row, [`repair`] writes the statements of [`fix`],
//!   and [`apply`] executes them.
//!
//! A table that cannot be compared is reported and does not keep the others from being compared.

mod apply;
mod checksum;
mod compare;
mod fix;
mod repair;
mod shape;
mod sync_point;
mod walk;

use std::path::PathBuf;

use crate::config;
use crate::error::Result;
use crate::job::{Control, Output};
use crate::pg::catalog::{self, RelationKind};
use crate::pg::{Db, FqName};

use super::setup::{Setup, set_aside};
use super::table_state::TableState;
use super::tables;
use sync_point::SyncPoints;

/// Which tables `compare` and `repair` are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    /// Their names; all subscribed ones when empty.
    pub(crate) names: Vec<String>,
    /// `--force`: in spite of lag, waiting for replay without a limit.
    pub(crate) force: bool,
}

/// What `compare` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compare {
    /// Which tables.
    pub(crate) tables: Tables,
    /// `--checksum`: compare every row, in place of `compare_sql`.
    pub(crate) checksum: bool,
}

/// What `repair` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repair {
    /// Which tables.
    pub(crate) tables: Tables,
    /// `--apply`: execute the statements on the subscriber.
    pub(crate) apply: bool,
    /// `--output-dir`: where the files of statements go; else the current directory.
    pub(crate) output_dir: Option<PathBuf>,
}

/// Runs `compare`.
pub(super) async fn compare(wanted: &Compare, config: &config::Londiste, control: &Control) -> Result<Output> {
    let setup = Setup::new(config, control);
    if wanted.checksum { checksum::run(&wanted.tables, setup).await } else { compare::run(&wanted.tables, setup).await }
}

/// Runs `repair`.
pub(super) async fn repair(wanted: &Repair, config: &config::Londiste, control: &Control) -> Result<Output> {
    repair::run(wanted, Setup::new(config, control)).await
}

/// A table that exists on both sides.
#[derive(Clone, Debug)]
struct Subject {
    name: FqName,
    on_provider: RelationKind,
    on_subscriber: RelationKind,
}

/// The table as `from` and `lock table` have it. The rows of a partitioned table are all in its partitions.
fn source(name: &FqName, kind: RelationKind) -> String {
    let only = if kind == RelationKind::Partitioned { "" } else { "only " };
    format!("{only}{}", name.quoted())
}

/// The tables that can be compared now, and whether all could that were asked for. Says why for the others.
async fn subjects(wanted: &Tables, setup: Setup<'_>, points: &SyncPoints<'_>) -> Result<(Vec<Subject>, Failed)> {
    let subscribed = tables::load(points.subscriber(), setup.queue()).await?;
    let names = if wanted.names.is_empty() {
        subscribed.iter().map(|t| t.name.clone()).collect()
    } else {
        wanted.names.iter().map(|name| FqName::parse(name)).collect::<Vec<_>>()
    };
    let on_provider = catalog::relations(points.provider(), &names).await?;
    let on_subscriber = catalog::relations(points.subscriber(), &names).await?;
    let (mut list, mut failed) = (Vec::with_capacity(names.len()), Failed(false));
    for name in names {
        let kinds = (on_provider.get(&name).copied(), on_subscriber.get(&name).copied());
        match (subscribed.iter().find(|t| t.name == name), kinds) {
            (None, _) => tracing::warn!("Table not subscribed: {name}"),
            (Some(table), _) if table.state != TableState::Ok => {
                tracing::info!("Table {name} not synced yet, no point");
            }
            (_, (None, _)) => failed.because(format_args!("Table {name} does not exist on provider side")),
            (_, (_, None)) => failed.because(format_args!("Table {name} does not exist on subscriber side")),
            (_, (Some(on_provider), Some(on_subscriber))) => list.push(Subject { name, on_provider, on_subscriber }),
        }
    }
    Ok((list, failed))
}

/// Whether something went wrong that is in the log already; the exit status is 1 then.
struct Failed(bool);

impl Failed {
    fn because(&mut self, warning: std::fmt::Arguments<'_>) {
        tracing::warn!("{warning}");
        self.0 = true;
    }

    /// Takes the result of one table. An error is reported, and the next table is tried unless a session is gone.
    fn take<T>(&mut self, result: Result<T>, sessions: [&Db; 2]) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                self.0 = true;
                let closed = sessions.iter().find(|db| db.is_closed());
                set_aside(closed.unwrap_or(&sessions[0]), error).map(|()| None)
            }
        }
    }
}
