//! The commands on the provider: its schemas, and the tables of the queue. Sequences are in `seqs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::selection::{self, Match};
use super::setup::{Setup, TableLock, set_aside};
use super::{Provider, Selection, install, seqs};
use crate::config;
use crate::error::{Error, Result};
use crate::job::{Control, Output};
use crate::pg::catalog::{self, RelationKind, TableEntry, Trigger};
use crate::pg::{Db, FqName, text, text_array};

/// Runs a command on the provider.
pub(crate) async fn run(command: Provider, config: &config::Londiste, control: &Control) -> Result<Output> {
    let setup = Setup::new(config, control);
    match command {
        Provider::Install => install::provider(&setup).await.map(|()| Output::none()),
        Provider::Add { tables, capture, key } => {
            add(&setup, &tables, Capture { kind: capture.unwrap_or(config.capture), key }).await
        }
        Provider::Remove(tables) => remove(&setup, &tables).await,
        Provider::Tables => list(&setup).await,
        Provider::Refresh(tables) => refresh(&setup, &tables).await,
        Provider::AddSeq(sequences) => seqs::provider_add(&setup, &sequences).await,
        Provider::RemoveSeq(sequences) => seqs::provider_remove(&setup, &sequences).await,
        Provider::Seqs => seqs::provider_list(&setup).await,
    }
}

/// How a table is to be captured.
struct Capture {
    kind: config::Capture,
    key: Option<Vec<String>>,
}

/// Names for standard output: one per line, an array as JSON.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct NameList(pub(crate) Vec<String>);

impl fmt::Display for NameList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|name| writeln!(f, "{name}"))
    }
}

impl NameList {
    pub(crate) fn of(names: &[FqName]) -> NameList {
        NameList(names.iter().map(ToString::to_string).collect())
    }
}

/// The tables of the queue, in the order in which they were added.
pub(crate) async fn registered(db: &Db, queue: &str) -> Result<Vec<FqName>> {
    let sql = "select table_name from londiste.provider_get_table_list($1)";
    let rows = db.query("list the tables of the queue", sql, &[text(&queue)]).await?;
    Ok(rows.iter().map(|r| FqName::parse(r.get(0))).collect())
}

/// Fails when the queue does not exist. An unknown queue is no row in PgQ 3 and a row of nulls in 2.1.
pub(crate) async fn require_queue(db: &Db, queue: &str) -> Result<()> {
    let sql = "select count(queue_name) from pgq.get_queue_info($1)";
    let row = db.query_one("look for the queue", sql, &[text(&queue)]).await?;
    if row.get::<_, i64>(0) > 0 {
        return Ok(());
    }
    Err(Error::refused(
        format!("Event queue does not exist yet: no queue \"{queue}\" on provider ({})", db.target()),
        "Check pgq_queue_name in the ini file, or create the queue with \"rlondiste INI provider install\".",
    ))
}

/// The keys that were chosen by name when tables were added. There are none where only the functions of 2.1 are, and
/// they are not seen where the user may not read the table that holds them.
pub(crate) async fn chosen_keys(db: &Db, queue: &str) -> Result<BTreeMap<FqName, Vec<String>>> {
    const ACTION: &str = "read the keys of the tables";
    let sql = "select coalesce(has_table_privilege(to_regclass('londiste.capture')::oid, 'select'), false)";
    if !db.query_one(ACTION, sql, &[]).await?.get::<_, bool>(0) {
        return Ok(BTreeMap::new());
    }
    let sql = "select table_name, key_columns from londiste.capture where queue_name = $1 and key_columns is not null";
    let rows = db.query(ACTION, sql, &[text(&queue)]).await?;
    Ok(rows.iter().map(|r| (FqName::parse(r.get(0)), r.get(1))).collect())
}

/// Tells subscribers which tables are left. They forget those that are not in the list.
pub(crate) async fn notify_change(setup: &Setup<'_>, db: &Db) -> Result<()> {
    setup
        .change(db, async |tx: &Db| {
            let sql = "select londiste.provider_notify_change($1)";
            tx.query("tell subscribers of the change", sql, &[text(&setup.queue())]).await.map(drop)
        })
        .await
}

async fn list(setup: &Setup<'_>) -> Result<Output> {
    let db = setup.provider().await?;
    require_queue(&db, setup.queue()).await?;
    Ok(Output::of(&NameList::of(&registered(&db, setup.queue()).await?)))
}

async fn add(setup: &Setup<'_>, tables: &Selection, mut capture: Capture) -> Result<Output> {
    if tables.is_empty() {
        return Ok(Output::none());
    }
    let db = setup.provider().await?;
    require_queue(&db, setup.queue()).await?;
    let extended = has_capture(&db).await?;
    if !extended {
        if capture.key.is_some() {
            return Err(Error::refused(
                format!("cannot choose a key on provider ({}): schema londiste is that of Londiste 2.1", db.target()),
                "Upgrade it with \"rlondiste INI provider install\".",
            ));
        }
        capture.kind = config::Capture::Row;
    }
    let registered: BTreeSet<FqName> = registered(&db, setup.queue()).await?.into_iter().collect();
    let entries = catalog::tables(&db).await?;
    let matches = tables.matches(&names_of(&entries));
    let mut failed = report_unmatched(&db, &matches, &registered).await?;

    let (wanted, unnameable): (Vec<_>, Vec<_>) =
        to_add(&matches, &entries, &registered).into_iter().partition(FqName::is_plain);
    for table in unnameable {
        failed = true;
        tracing::error!("Table {} on provider cannot be added: its schema's name has a dot", table.quoted());
    }
    let after_triggers = group_by_table(catalog::triggers(&db, &wanted).await?);
    for table in &wanted {
        setup.proceed()?;
        tracing::info!("Adding {table}");
        let added = setup
            .change_table(&db, table, TableLock::Writers, async |tx: &Db| {
                add_one(setup, tx, table, &capture, extended).await
            })
            .await;
        match added {
            Ok(()) => warn_of_triggers(setup, table, capture.kind, after_triggers.get(table)),
            Err(error) => {
                failed = true;
                set_aside(&db, error)?;
            }
        }
    }
    Ok(Output::none().failed(failed))
}

fn names_of(entries: &[TableEntry]) -> Vec<FqName> {
    entries.iter().map(|e| e.name.clone()).collect()
}

/// What the patterns match and is not in the queue yet. Partitions come with their root; alone only by their own name.
fn to_add(matches: &[Match], entries: &[TableEntry], registered: &BTreeSet<FqName>) -> Vec<FqName> {
    let partitions: BTreeSet<&FqName> = entries.iter().filter(|e| e.is_partition).map(|e| &e.name).collect();
    let by_name: BTreeSet<FqName> = matches.iter().filter_map(|m| m.pattern.name()).collect();
    let mut wanted = selection::union(matches);
    wanted.retain(|name| !registered.contains(name) && (by_name.contains(name) || !partitions.contains(name)));
    wanted
}

/// Warns of each pattern that adds nothing. Returns whether one of them names something that does not exist.
async fn report_unmatched(db: &Db, matches: &[Match], registered: &BTreeSet<FqName>) -> Result<bool> {
    let unmatched: Vec<FqName> =
        matches.iter().filter(|m| m.names.is_empty()).filter_map(|m| m.pattern.name()).collect();
    let found = catalog::relations(db, &unmatched).await?;
    let mut missing = false;
    for Match { pattern, names } in matches {
        // `--all` on a queue that has all tables already is the usual repetition of a set-up script.
        if pattern.typed() == "*.*" && names.iter().all(|n| registered.contains(n)) {
            continue;
        }
        match (pattern.name(), names.is_empty()) {
            (Some(name), true) => {
                missing = true;
                match found.get(&name) {
                    Some(RelationKind::Other(kind)) => {
                        tracing::warn!("{name} on provider is {kind}, only tables can be added");
                    }
                    Some(RelationKind::Sequence) => {
                        tracing::warn!("{name} on provider is a sequence, add it with \"provider add-seq\"");
                    }
                    Some(_) => tracing::warn!("Table {name} on provider belongs to the system, it cannot be added"),
                    None => tracing::warn!("Table {name} does not exist on provider"),
                }
            }
            (None, true) => {
                missing = true;
                tracing::warn!("No table on provider matches {}", pattern.typed());
            }
            (Some(name), false) if registered.contains(&name) => tracing::warn!("Table {name} already added to queue"),
            (None, false) if names.iter().all(|n| registered.contains(n)) => {
                tracing::warn!("All tables on provider that match {} are already added to queue", pattern.typed());
            }
            (_, false) => {}
        }
    }
    Ok(missing)
}

/// Whether the provider has rlondiste's capture functions. Where it has only those of 2.1, its C trigger serves.
async fn has_capture(db: &Db) -> Result<bool> {
    let sql = "select to_regprocedure('londiste.provider_add_table_as(text,text,text,text,text[])') is not null";
    Ok(db.query_one("look for the capture functions", sql, &[]).await?.get(0))
}

async fn add_one(setup: &Setup<'_>, tx: &Db, table: &FqName, capture: &Capture, extended: bool) -> Result<()> {
    let (queue, name) = (setup.queue(), table.to_string());
    let action = "add a table to the queue";
    let added = if extended {
        let kind = match capture.kind {
            config::Capture::Statement => "statement",
            config::Capture::Row => "row",
        };
        let format = match setup.config.event_format {
            config::EventFormat::Sql => "sql",
            config::EventFormat::Urlenc => "urlenc",
            config::EventFormat::Json => "json",
        };
        let params = [text(&queue), text(&name), text(&kind), text(&format), text_array(&capture.key)];
        tx.query(action, "select londiste.provider_add_table_as($1, $2, $3, $4, $5)", &params).await
    } else {
        tx.query(action, "select londiste.provider_add_table($1, $2)", &[text(&queue), text(&name)]).await
    };
    added.map(drop).map_err(|e| e.about(table))
}

fn group_by_table(triggers: Vec<Trigger>) -> BTreeMap<FqName, Vec<Trigger>> {
    let mut groups: BTreeMap<FqName, Vec<Trigger>> = BTreeMap::new();
    for trigger in triggers {
        groups.entry(trigger.table.clone()).or_default().push(trigger);
    }
    groups
}

/// What a user's AFTER trigger changes reaches the queue before its cause when the trigger runs first: a row trigger
/// before all statement triggers, otherwise in the order of names.
fn warn_of_triggers(setup: &Setup<'_>, table: &FqName, capture: config::Capture, triggers: Option<&Vec<Trigger>>) {
    let ours = trigger_name(setup.queue());
    for trigger in triggers.into_iter().flatten() {
        let runs_first = match capture {
            config::Capture::Statement => trigger.each_row || trigger.name < ours,
            config::Capture::Row => trigger.each_row && trigger.name < ours,
        };
        if trigger.after && trigger.enabled != 'D' && runs_first && !is_replication_function(&trigger.function) {
            tracing::warn!(
                "Table {table} has AFTER trigger '{}' which runs before Londiste trigger.  \
                 If it modifies data, then events will appear in queue in wrong order.",
                trigger.name
            );
        }
    }
}

/// The name of a queue's triggers, without the suffix of the statement triggers.
fn trigger_name(queue: &str) -> String {
    format!("{}_logger", queue.to_lowercase().replace('.', "_"))
}

/// Whether a trigger that calls this function only writes events: a generated capture function, or a trigger function of `PgQ`.
/// `londiste.is_own_trigger()` says the same in the database.
fn is_replication_function(function: &FqName) -> bool {
    let generated = |name: &str| {
        let (number, suffix) = name.strip_prefix("capture_").and_then(|rest| rest.split_once('_')).unwrap_or_default();
        number.parse::<u32>().is_ok() && suffix.len() == 1
    };
    match function.schema.as_str() {
        "londiste" => generated(&function.name),
        "pgq" => ["logtriga", "sqltriga", "logutriga", "jsontriga"].contains(&function.name.as_str()),
        _ => false,
    }
}

async fn remove(setup: &Setup<'_>, tables: &Selection) -> Result<Output> {
    let db = setup.provider().await?;
    require_queue(&db, setup.queue()).await?;
    let registered = registered(&db, setup.queue()).await?;
    let mut failed = false;
    for table in selection::union(&tables.matches(&registered)) {
        setup.proceed()?;
        tracing::info!("Removing {table}");
        let removed = setup
            .change_table(&db, &table, TableLock::Everybody, async |tx: &Db| {
                let (queue, name) = (setup.queue(), table.to_string());
                let sql = "select londiste.provider_remove_table($1, $2)";
                let done = tx.query("remove a table from the queue", sql, &[text(&queue), text(&name)]).await;
                done.map(drop).map_err(|e| e.about(&table))
            })
            .await;
        if let Err(error) = removed {
            failed = true;
            set_aside(&db, error)?;
        }
    }
    // Sent even when nothing was removed: so the command can be repeated after it was interrupted before this.
    notify_change(setup, &db).await?;
    Ok(Output::none().failed(failed))
}

async fn refresh(setup: &Setup<'_>, tables: &Selection) -> Result<Output> {
    if tables.is_empty() {
        return Ok(Output::none());
    }
    let db = setup.provider().await?;
    require_queue(&db, setup.queue()).await?;
    let registered = registered(&db, setup.queue()).await?;
    let matches = tables.matches(&registered);
    let mut failed = false;
    for unmatched in matches.iter().filter(|m| m.names.is_empty() && !tables.names.is_empty()) {
        failed = true;
        tracing::warn!("No table of queue {} on provider matches {}", setup.queue(), unmatched.pattern.typed());
    }
    let sql = if has_capture(&db).await? {
        "select londiste.provider_refresh_table($1, $2)"
    } else {
        "select londiste.provider_refresh_trigger($1, $2)"
    };
    for table in selection::union(&matches) {
        setup.proceed()?;
        tracing::info!("Refreshing {table}");
        let refreshed = setup
            .change_table(&db, &table, TableLock::Everybody, async |tx: &Db| {
                let (queue, name) = (setup.queue(), table.to_string());
                let done = tx.query("refresh the capture of a table", sql, &[text(&queue), text(&name)]).await;
                done.map(drop).map_err(|e| e.about(&table))
            })
            .await;
        if let Err(error) = refreshed {
            failed = true;
            set_aside(&db, error)?;
        }
    }
    Ok(Output::none().failed(failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_triggers_are_told_from_those_of_users() {
        for (name, expected) in [
            ("londiste.capture_1_i", true),
            ("londiste.capture_12345_r", true),
            ("pgq.logtriga", true),
            ("pgq.jsontriga", true),
            ("public.capture_1_i", false),
            ("public.logtriga", false),
            ("pgq.insert_event", false),
            ("londiste.capture_pin", false),
            ("londiste.capture_1", false),
            ("londiste.capture__i", false),
            ("londiste.queue_changed", false),
        ] {
            assert_eq!(is_replication_function(&FqName::parse(name)), expected, "{name}");
        }
        assert_eq!(trigger_name("My.Queue"), "my_queue_logger");
    }

    #[test]
    fn partitions_are_added_by_their_own_name_only() {
        let entry = |name: &str, is_partition| TableEntry { name: FqName::parse(name), is_partition };
        let entries = [entry("root", false), entry("part", true), entry("done", false)];
        let registered = BTreeSet::from([FqName::parse("done")]);
        let names = |typed: &[&str], all| {
            let selection = Selection { names: typed.iter().map(ToString::to_string).collect(), all };
            let matches = selection.matches(&names_of(&entries));
            to_add(&matches, &entries, &registered).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names(&[], true), ["public.root"]);
        assert_eq!(names(&["*"], false), ["public.root"]);
        assert_eq!(names(&["part"], false), ["public.part"]);
        assert_eq!(names(&["done"], false), Vec::<String>::new());
    }
}
