//! The commands on the subscriber: subscribing to tables, their states, and the consumer on the provider's queue.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::progress::{self, Progress};
use super::replay::foreign_keys::{self, PendingFkey, Restored};
use super::selection::{self, Pattern};
use super::setup::{Setup, TableLock, set_aside};
use super::{
    CopyMode, Selection, Subscriber, consumer, fkeys, install, provider, seqs, skip, status, structure, tables,
    triggers, wait,
};
use crate::config;
use crate::error::{Error, Result};
use crate::job::{Control, Output};
use crate::pg::catalog;
use crate::pg::{Db, FqName, Role, boolean, text};

/// Runs a command on the subscriber.
pub(crate) async fn run(command: Subscriber, config: &config::Londiste, control: &Control) -> Result<Output> {
    let setup = Setup::new(config, control);
    match command {
        Subscriber::Install => install::subscriber(&setup).await.map(|()| Output::none()),
        Subscriber::Add { tables, force, mode } => add(&setup, &tables, force, mode).await,
        Subscriber::Remove(tables) => remove(&setup, &tables).await,
        Subscriber::Tables { progress: false } => list(&setup).await,
        Subscriber::Tables { progress: true } => list_progress(&setup).await,
        Subscriber::Missing => missing(&setup).await,
        Subscriber::Check => check(&setup).await,
        Subscriber::Resync(tables) => resync(&setup, &tables).await,
        Subscriber::Fkeys(shown) => fkeys::show(&setup, &shown).await,
        Subscriber::Triggers(shown) => triggers::show(&setup, &shown).await,
        Subscriber::RestoreTriggers { table, triggers: names } => triggers::restore(&setup, &table, &names).await,
        Subscriber::Register => consumer::register(&setup).await,
        Subscriber::Unregister => consumer::unregister(&setup).await,
        Subscriber::AddSeq(sequences) => seqs::subscriber_add(&setup, &sequences).await,
        Subscriber::RemoveSeq(sequences) => seqs::subscriber_remove(&setup, &sequences).await,
        Subscriber::Seqs => seqs::subscriber_list(&setup).await,
        Subscriber::WaitSync { tables, timeout } => wait::wait_sync(&setup, &tables, timeout).await,
        Subscriber::Status => status::show(&setup).await,
        Subscriber::SkipEvent(event) => skip::run(&setup, event).await,
    }
}

/// A table that the subscriber has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Subscribed {
    /// Its name.
    #[serde(serialize_with = "as_text")]
    pub(crate) table: FqName,
    /// `merge_state`; null before the copy has begun.
    pub(crate) state: Option<String>,
}

impl Subscribed {
    /// Whether the table is in sync. `?` is an old word for it.
    pub(crate) fn is_ok(&self) -> bool {
        matches!(self.state.as_deref(), Some("ok" | "?"))
    }

    /// The state as it is shown.
    pub(crate) fn shown(&self) -> &str {
        self.state.as_deref().unwrap_or("-")
    }
}

/// For serde: a value as its text.
pub(crate) fn as_text<T: fmt::Display, S: serde::Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// The tables of the subscriber, in the order in which they were added.
pub(crate) async fn subscribed(db: &Db, queue: &str) -> Result<Vec<Subscribed>> {
    let sql = "select table_name, merge_state from londiste.subscriber_get_table_list($1)";
    let rows = db.query("list the subscribed tables", sql, &[text(&queue)]).await?;
    Ok(rows.iter().map(|r| Subscribed { table: FqName::parse(r.get(0)), state: r.get(1) }).collect())
}

/// `subscriber tables`, to the byte: shell loops cut it into columns.
#[derive(Serialize)]
#[serde(transparent)]
struct TableStates(Vec<Subscribed>);

impl fmt::Display for TableStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<30}   {:>20}", "Table", "State")?;
        self.0.iter().try_for_each(|t| writeln!(f, "{:<30}   {:>20}", t.table.to_string(), t.shown()))
    }
}

async fn list(setup: &Setup<'_>) -> Result<Output> {
    let db = setup.subscriber().await?;
    Ok(Output::of(&TableStates(subscribed(&db, setup.queue()).await?)))
}

/// `subscriber tables --progress`.
#[derive(Serialize)]
#[serde(transparent)]
struct TableProgress(Vec<WithProgress>);

#[derive(Serialize)]
struct WithProgress {
    #[serde(flatten)]
    table: Subscribed,
    progress: Option<Progress>,
}

impl fmt::Display for TableProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<30}   {:>20}   Progress", "Table", "State")?;
        self.0.iter().try_for_each(|WithProgress { table, progress }| {
            let progress = progress.as_ref().map(|p| format!("   {p}")).unwrap_or_default();
            writeln!(f, "{:<30}   {:>20}{progress}", table.table.to_string(), table.shown())
        })
    }
}

async fn list_progress(setup: &Setup<'_>) -> Result<Output> {
    let (provider, db) = (setup.provider().await?, setup.subscriber().await?);
    let mut progress = progress::read(&db, Some(&provider)).await?;
    let tables = subscribed(&db, setup.queue()).await?;
    let with = |table: Subscribed| WithProgress { progress: progress.remove(&table.table), table };
    Ok(Output::of(&TableProgress(tables.into_iter().map(with).collect())))
}

/// What the subscriber could still subscribe to.
#[derive(Serialize)]
struct Missing {
    tables: Vec<String>,
    sequences: Vec<String>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tables.iter().try_for_each(|t| writeln!(f, "Table: {t}"))?;
        self.sequences.iter().try_for_each(|s| writeln!(f, "Sequence: {s}"))
    }
}

async fn missing(setup: &Setup<'_>) -> Result<Output> {
    let (provider_db, db) = (setup.provider().await?, setup.subscriber().await?);
    let have: BTreeSet<FqName> = subscribed(&db, setup.queue()).await?.into_iter().map(|s| s.table).collect();
    let mut tables = provider::registered(&provider_db, setup.queue()).await?;
    tables.retain(|t| !have.contains(t));
    let sequences = seqs::missing(&provider_db, &db, setup.queue()).await?;
    let names = |names: Vec<FqName>| names.iter().map(ToString::to_string).collect();
    Ok(Output::of(&Missing { tables: names(tables), sequences: names(sequences) }))
}

async fn check(setup: &Setup<'_>) -> Result<Output> {
    let (provider_db, db) = (setup.provider().await?, setup.subscriber().await?);
    let tables = provider::registered(&provider_db, setup.queue()).await?;
    let found = compare_structures(setup, &provider_db, &db, &tables).await?;
    let failed = found.0.iter().any(|finding| !finding.differences.is_empty());
    Ok(Output::of(&found).failed(failed))
}

/// How tables compare. As text it is nothing, since it has been logged.
#[derive(Serialize)]
#[serde(transparent)]
struct Findings(Vec<Finding>);

/// How one table compares.
#[derive(Serialize)]
struct Finding {
    #[serde(serialize_with = "as_text")]
    table: FqName,
    notes: Vec<String>,
    differences: Vec<String>,
}

impl fmt::Display for Findings {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

/// Logs how the tables differ, and returns it. Those with differences cannot be replicated.
async fn compare_structures(setup: &Setup<'_>, provider_db: &Db, db: &Db, tables: &[FqName]) -> Result<Findings> {
    let theirs = catalog::structures(provider_db, tables).await?;
    let ours = catalog::structures(db, tables).await?;
    let keys = provider::chosen_keys(provider_db, setup.queue()).await?;
    let mut list = Vec::with_capacity(tables.len());
    for table in tables {
        tracing::info!("Checking {table}");
        let key = keys.get(table).map(Vec::as_slice);
        let found = structure::compare(table, theirs.get(table), ours.get(table), key);
        found.log();
        let differences = found.differences.iter().map(ToString::to_string).collect();
        list.push(Finding { table: table.clone(), notes: found.notes, differences });
    }
    Ok(Findings(list))
}

/// What `subscriber add` knows of both sides before it begins.
struct Sides {
    /// The provider's queue, in its order.
    offered: Vec<FqName>,
    /// What the subscriber has already.
    subscribed: BTreeSet<FqName>,
    /// The tables of the subscriber's database; true for partitions.
    local: BTreeMap<FqName, bool>,
}

impl Sides {
    async fn read(setup: &Setup<'_>, provider_db: &Db, db: &Db) -> Result<Sides> {
        let subscribed = subscribed(db, setup.queue()).await?;
        let local = catalog::tables(db).await?;
        Ok(Sides {
            offered: provider::registered(provider_db, setup.queue()).await?,
            subscribed: subscribed.into_iter().map(|s| s.table).collect(),
            local: local.into_iter().filter(|t| t.name.is_plain()).map(|t| (t.name, t.is_partition)).collect(),
        })
    }

    /// What the selection means, first in the provider's order. `--all` also asks for each offered table by its name, so
    /// that one that is not there is reported.
    fn select(&self, tables: &Selection) -> Vec<FqName> {
        let mut patterns = tables.patterns();
        if tables.names.is_empty() && tables.all {
            let missing = self.offered.iter().filter(|t| !self.subscribed.contains(t));
            patterns.extend(missing.map(|t| Pattern::parse(&t.to_string())));
        }
        let mut wanted = BTreeSet::new();
        for pattern in &patterns {
            let named = pattern.name();
            // A partition's rows arrive through its root, unless it is replicated by itself.
            let meant = |(name, is_partition): &(&FqName, &bool)| {
                pattern.matches(name) && (named.is_some() || !**is_partition || self.offered.contains(*name))
            };
            let found: Vec<&FqName> = self.local.iter().filter(meant).map(|(name, _)| name).collect();
            if found.is_empty() && pattern.typed() != "*.*" {
                tracing::info!("No tables found that match {}", pattern.typed());
            }
            wanted.extend(found.into_iter().cloned());
        }
        let mut ordered: Vec<FqName> = self.offered.iter().filter(|t| wanted.remove(*t)).cloned().collect();
        ordered.extend(wanted);
        ordered
    }

    /// Leaves out what the provider does not offer, or with `--force` only says so.
    fn keep_offered(&self, wanted: &mut Vec<FqName>, force: bool) {
        let offered: BTreeSet<&FqName> = self.offered.iter().collect();
        let mut problems = false;
        wanted.retain(|table| {
            let known = offered.contains(table) || self.subscribed.contains(table);
            if !known {
                tracing::error!("Table {table} not attached to queue");
                problems = true;
            }
            known || force
        });
        if problems && force {
            warn_of_force();
        }
    }
}

fn warn_of_force() {
    tracing::warn!("--force used, ignoring errors");
}

async fn add(setup: &Setup<'_>, tables: &Selection, force: bool, mode: CopyMode) -> Result<Output> {
    if tables.is_empty() {
        return Ok(Output::none());
    }
    let (provider_db, db) = (setup.provider().await?, setup.subscriber().await?);
    let sides = Sides::read(setup, &provider_db, &db).await?;
    let mut wanted = sides.select(tables);
    sides.keep_offered(&mut wanted, force);
    let Findings(found) = compare_structures(setup, &provider_db, &db, &wanted).await?;
    let mut bad: BTreeSet<FqName> =
        found.into_iter().filter(|finding| !finding.differences.is_empty()).map(|finding| finding.table).collect();
    let mut failed = false;
    if !bad.is_empty() && force {
        warn_of_force();
        bad.clear();
    }
    for table in &wanted {
        setup.proceed()?;
        if sides.subscribed.contains(table) {
            tracing::info!("Table {table} already added");
        } else if bad.contains(table) {
            failed = true;
        } else {
            tracing::info!("Adding {table}");
            failed |= !add_one(setup, &db, table, mode).await?;
        }
    }
    Ok(Output::none().failed(failed))
}

/// Returns whether it was done; if not, it has been logged.
async fn add_one(setup: &Setup<'_>, db: &Db, table: &FqName, mode: CopyMode) -> Result<bool> {
    if mode == CopyMode::Contradiction {
        tracing::error!("Too many options: --expect-sync and --skip-truncate");
        return Ok(false);
    }
    let added = setup
        .change_table(db, table, TableLock::Everybody, async |tx: &Db| {
            let (queue, name) = (setup.queue(), table.to_string());
            let about = |error: Error| error.about(table);
            let sql = "select londiste.subscriber_add_table($1, $2)";
            tx.query("subscribe to a table", sql, &[text(&queue), text(&name)]).await.map_err(about)?;
            tables::announce(tx, queue).await?;
            if mode == CopyMode::ExpectSync {
                let sql = "select londiste.subscriber_set_table_state($1, $2, null, 'ok')";
                tx.query("set the state of a table", sql, &[text(&queue), text(&name)]).await.map_err(about)?;
                return Ok(());
            }
            // They would fire for the rows of the copy. "restore-triggers" brings them back.
            let sql = "select londiste.subscriber_drop_all_table_triggers($1)";
            tx.query("put aside the triggers of a table", sql, &[text(&name)]).await.map_err(about)?;
            if mode == CopyMode::SkipTruncate {
                let sql = "select londiste.subscriber_set_skip_truncate($1, $2, $3)";
                let params = [text(&queue), text(&name), boolean(&true)];
                tx.query("mark a table", sql, &params).await.map_err(about)?;
            }
            Ok(())
        })
        .await;
    match added {
        Ok(()) => Ok(true),
        Err(error) => set_aside(db, error).map(|()| false),
    }
}

async fn remove(setup: &Setup<'_>, tables: &Selection) -> Result<Output> {
    let db = setup.subscriber().await?;
    let subscribed = subscribed(&db, setup.queue()).await?;
    let have: Vec<FqName> = subscribed.iter().map(|s| s.table.clone()).collect();
    let wanted = selection::union(&tables.matches(&have));
    let existing = catalog::relations(&db, &wanted).await?;
    let mut failed = false;
    let mut gone = Vec::new();
    for table in wanted {
        setup.proceed()?;
        tracing::info!("Removing: {table}");
        let exists = existing.contains_key(&table);
        let is_ok = subscribed.iter().any(|s| s.table == table && s.is_ok());
        match remove_one(setup, &db, &table, exists, is_ok).await {
            Ok(()) => gone.push(table),
            Err(error) => {
                failed = true;
                set_aside(&db, error)?;
            }
        }
    }
    if !gone.is_empty() && !setup.config.fake {
        let mut pending = foreign_keys::restorable(&db, setup.queue()).await?;
        pending.retain(|fkey| fkey.touches(&gone));
        failed |= restore_fkeys(setup, &db, &pending).await? == Restored::SomeFailed;
    }
    Ok(Output::none().failed(failed))
}

async fn remove_one(setup: &Setup<'_>, db: &Db, table: &FqName, exists: bool, is_ok: bool) -> Result<()> {
    let (queue, name) = (setup.queue(), table.to_string());
    let about = |error: Error| error.about(table);
    let unsubscribe = async |tx: &Db| {
        let sql = "select londiste.subscriber_remove_table($1, $2)";
        tx.query("unsubscribe from a table", sql, &[text(&queue), text(&name)]).await.map_err(about)?;
        tables::announce(tx, queue).await
    };
    let restore_triggers = async |tx: &Db| {
        let sql = "select londiste.subscriber_restore_all_table_triggers($1)";
        tx.query("restore the triggers of a table", sql, &[text(&name)]).await.map(drop).map_err(about)
    };
    if !exists {
        return setup.change(db, unsubscribe).await;
    }
    // A copy that runs keeps everybody out of the table until it hears of this.
    if !is_ok {
        setup.change(db, unsubscribe).await?;
    }
    setup
        .change_table(db, table, TableLock::Everybody, async |tx: &Db| {
            if is_ok {
                unsubscribe(tx).await?;
            }
            restore_triggers(tx).await
        })
        .await
}

/// Brings back foreign keys that were dropped for copies which will not happen any more.
pub(crate) async fn restore_fkeys(setup: &Setup<'_>, db: &Db, pending: &[PendingFkey]) -> Result<Restored> {
    let outlook = "replay tries again while it runs";
    foreign_keys::restore_in(db, setup.config, pending, outlook).await
}

async fn resync(setup: &Setup<'_>, tables: &Selection) -> Result<Output> {
    let db = setup.subscriber().await?;
    let have = subscribed(&db, setup.queue()).await?;
    let wanted: Vec<FqName> = if tables.names.is_empty() && tables.all {
        have.iter().map(|s| s.table.clone()).collect()
    } else {
        tables.names.iter().map(|n| FqName::parse(n)).collect()
    };
    let parked = status::parked(&db, setup.queue()).await?;
    let mut failed = false;
    for table in wanted {
        setup.proceed()?;
        match have.iter().find(|s| s.table == table) {
            None => tracing::warn!("Table {table} not found"),
            // A parked table may stand in any state; copying it again is one way out.
            Some(found) if !found.is_ok() && !parked.contains_key(&table) => {
                tracing::warn!("Table {table} is not in stable state");
            }
            Some(_) => {
                tracing::info!("Resyncing {table}");
                let done = setup.change(&db, async |tx: &Db| forget_states(tx, setup.queue(), &[&table]).await).await;
                if let Err(error) = done {
                    failed = true;
                    set_aside(&db, error)?;
                }
            }
        }
    }
    Ok(Output::none().failed(failed))
}

/// Sets the state of the tables to null: each is to be copied again.
pub(crate) async fn forget_states(tx: &Db, queue: &str, tables: &[&FqName]) -> Result<()> {
    let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
    let sql = "select londiste.subscriber_set_table_state($1, t, null, null) from unnest($2) t";
    tx.query("reset the state of tables", sql, &[text(&queue), crate::pg::text_array(&names)]).await?;
    tables::announce(tx, queue).await?;
    debug_assert_eq!(tx.role(), Role::Subscriber);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_shown_in_two_columns() {
        let row = |name: &str, state: Option<&str>| Subscribed {
            table: FqName::parse(name),
            state: state.map(ToOwned::to_owned),
        };
        let states = TableStates(vec![
            row("customers", Some("ok")),
            row("tags", Some("wanna-sync:69")),
            row("a_very_long_table_name_which_is_over_thirty", Some("wanna-sync:1234567890123")),
            row("new", None),
        ]);
        assert_eq!(
            states.to_string(),
            "Table                                           State\n\
             public.customers                                   ok\n\
             public.tags                             wanna-sync:69\n\
             public.a_very_long_table_name_which_is_over_thirty   wanna-sync:1234567890123\n\
             public.new                                          -\n"
        );
        assert_eq!(
            serde_json::to_string(&states).unwrap_or_default(),
            r#"[{"table":"public.customers","state":"ok"},{"table":"public.tags","state":"wanna-sync:69"},{"table":"public.a_very_long_table_name_which_is_over_thirty","state":"wanna-sync:1234567890123"},{"table":"public.new","state":null}]"#
        );
    }

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
