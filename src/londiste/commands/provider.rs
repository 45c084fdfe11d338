//! The commands on the provider: its schemas, and the tables of the queue. Sequences are in `seqs`.

use std::collections::{BTreeMap, BTreeSet};

use super::super::context::{Context, Outcome};
use super::super::state::provider_queue::{self, Functions, HowToCapture};
use super::super::table_lock::TableLock;
use super::command::{Provider, Selection};
use super::install::{self, Maker};
use super::listing::{CaptureList, NameList};
use super::selection::{self, Match};
use super::seqs;
use crate::config;
use crate::error::{Error, Result};
use crate::failpoint::failpoint;
use crate::job::Output;
use crate::pg::catalog::{self, RelationKind, TableEntry, Trigger};
use crate::pg::{Db, FqName};

/// Runs a command on the provider. A table that cannot be changed is logged, and makes the output failed.
pub(crate) async fn run(command: Provider, context: &Context<'_>) -> Result<Output> {
    match command {
        Provider::Install => install::provider(context, Maker::Operator).await.map(|()| Output::none()),
        Provider::Add { tables, capture, key, truncate } => {
            let capture = capture.unwrap_or(context.config.capture);
            add(context, &tables, &HowToCapture { capture, format: context.config.event_format, key, truncate }).await
        }
        Provider::Remove(tables) => remove(context, &tables).await,
        Provider::Tables { verbose: false } => list(context).await,
        Provider::Tables { verbose: true } => captures(context).await,
        Provider::Refresh { tables, capture } => refresh(context, &tables, capture).await,
        Provider::AddSeq(sequences) => seqs::provider_add(context, &sequences).await,
        Provider::RemoveSeq(sequences) => seqs::provider_remove(context, &sequences).await,
        Provider::Seqs => seqs::provider_list(context).await,
    }
}

async fn list(context: &Context<'_>) -> Result<Output> {
    let db = context.provider().await?;
    provider_queue::require(&db, context.queue()).await?;
    Ok(Output::of(&NameList::of(&provider_queue::tables(&db, context.queue()).await?)))
}

/// `provider tables -v`.
async fn captures(context: &Context<'_>) -> Result<Output> {
    let db = context.provider().await?;
    provider_queue::require(&db, context.queue()).await?;
    if provider_queue::functions(&db).await? == Functions::Classic {
        return list(context).await;
    }
    Ok(Output::of(&CaptureList(provider_queue::captures(&db, context.queue()).await?)))
}

async fn add(context: &Context<'_>, tables: &Selection, how: &HowToCapture) -> Result<Output> {
    if tables.is_empty() {
        return Ok(Output::none());
    }
    let db = context.provider().await?;
    provider_queue::require(&db, context.queue()).await?;
    let functions = provider_queue::functions(&db).await?;
    if functions == Functions::Classic && how.key.is_some() {
        return Err(Error::unsupported(
            format!("cannot choose a key on provider ({}): schema londiste is that of Londiste 2.1", db.target()),
            "Upgrade it with \"rlondiste INI provider install\".",
        ));
    }
    let registered: BTreeSet<FqName> = provider_queue::tables(&db, context.queue()).await?.into_iter().collect();
    let entries = catalog::tables(&db).await?;
    let matches = tables.matches(&names_of(&entries));
    let mut failed = report_unmatched(&db, &matches, &registered).await?;

    let mut wanted = to_add(&matches, &entries, &registered);
    wanted.retain(|table| {
        let Some(objection) = table.objection() else { return true };
        failed = true;
        tracing::error!("Table {} on provider cannot be added: {objection}", table.quoted());
        false
    });
    let after_triggers = group_by_table(catalog::triggers(&db, &wanted).await?);
    let capture = if functions == Functions::Classic { config::Capture::Row } else { how.capture };
    for table in &wanted {
        context.proceed()?;
        tracing::info!("Adding {table}");
        let added = context
            .change_table(&db, table, TableLock::Writers, async |tx: &Db| {
                provider_queue::add(tx, context.queue(), table, functions, how).await?;
                failpoint!("provider::captured");
                Ok(())
            })
            .await;
        failpoint!("provider::added");
        match Outcome::of(&db, added)? {
            Outcome::Done => warn_of_triggers(context, table, capture, after_triggers.get(table)),
            Outcome::Logged => failed = true,
        }
    }
    Ok(Output::none().failed(failed))
}

fn names_of(entries: &[TableEntry]) -> Vec<FqName> {
    entries.iter().map(|e| e.name.clone()).collect()
}

/// The tables that the patterns match and the queue does not have yet. A partition is captured with its root: it is
/// added by itself only when a pattern is its name.
fn to_add(matches: &[Match], entries: &[TableEntry], registered: &BTreeSet<FqName>) -> Vec<FqName> {
    let partitions: BTreeSet<&FqName> = entries.iter().filter(|e| e.is_partition).map(|e| &e.name).collect();
    let by_name: BTreeSet<FqName> = matches.iter().filter_map(|m| m.pattern.name()).collect();
    let mut wanted = selection::union(matches);
    wanted.retain(|name| !registered.contains(name) && (by_name.contains(name) || !partitions.contains(name)));
    wanted
}

/// Warns of each pattern that adds no table. Returns whether one of them matches no table of the provider.
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

fn group_by_table(triggers: Vec<Trigger>) -> BTreeMap<FqName, Vec<Trigger>> {
    let mut groups: BTreeMap<FqName, Vec<Trigger>> = BTreeMap::new();
    for trigger in triggers {
        groups.entry(trigger.table.clone()).or_default().push(trigger);
    }
    groups
}

/// Warns of AFTER triggers of users that run before the capture triggers: changes that such a trigger makes would come
/// into the queue before the change that fired it. PostgreSQL runs row triggers before statement triggers, and each
/// kind in the order of names.
fn warn_of_triggers(context: &Context<'_>, table: &FqName, capture: config::Capture, triggers: Option<&Vec<Trigger>>) {
    let ours = trigger_name(context.queue());
    let comes_first = |trigger: &&Trigger| {
        let runs_first = match capture {
            config::Capture::Auto | config::Capture::Statement => trigger.each_row || trigger.name < ours,
            config::Capture::Row => trigger.each_row && trigger.name < ours,
        };
        trigger.after && trigger.enabled != 'D' && runs_first && !is_replication_function(&trigger.function)
    };
    let first = triggers.into_iter().flatten().filter(comes_first);
    let names: Vec<String> = first.map(|trigger| format!("'{}'", trigger.name)).collect();
    let (which, if_data) = match names.len() {
        0 => return,
        1 => ("trigger", "which runs before Londiste trigger.  If it modifies data"),
        _ => ("triggers", "which run before Londiste trigger.  If they modify data"),
    };
    tracing::warn!(
        "Table {table} has AFTER {which} {} {if_data}, then events will appear in queue in wrong order.",
        names.join(", ")
    );
}

/// The name of a queue's capture triggers, without the suffix that statement triggers have.
fn trigger_name(queue: &str) -> String {
    format!("{}_logger", queue.to_lowercase().replace('.', "_"))
}

/// Whether a trigger that calls this function is replication's own: a generated capture function, a trigger function of `PgQ`, or
/// the fence. The same rule as in `londiste.is_own_trigger()`.
pub(crate) fn is_replication_function(function: &FqName) -> bool {
    let generated = |name: &str| {
        let (number, suffix) = name.strip_prefix("capture_").and_then(|rest| rest.split_once('_')).unwrap_or_default();
        number.parse::<u32>().is_ok() && suffix.len() == 1
    };
    match function.schema.as_str() {
        "londiste" => function.name == "fence" || generated(&function.name),
        "pgq" => ["logtriga", "sqltriga", "logutriga", "jsontriga"].contains(&function.name.as_str()),
        _ => false,
    }
}

async fn remove(context: &Context<'_>, tables: &Selection) -> Result<Output> {
    let db = context.provider().await?;
    provider_queue::require(&db, context.queue()).await?;
    let registered = provider_queue::tables(&db, context.queue()).await?;
    let mut failed = false;
    for table in selection::union(&tables.matches(&registered)) {
        context.proceed()?;
        tracing::info!("Removing {table}");
        let removed = context
            .change_table(&db, &table, TableLock::Everybody, async |tx: &Db| {
                provider_queue::remove(tx, context.queue(), &table).await?;
                failpoint!("provider::released");
                Ok(())
            })
            .await;
        failpoint!("provider::removed");
        failed |= Outcome::of(&db, removed)?.is_failed();
    }
    // Sent even when no table was removed: so the command can be repeated after it was interrupted before this event.
    context.change(&db, async |tx: &Db| provider_queue::notify_change(tx, context.queue()).await).await?;
    failpoint!("provider::notified");
    Ok(Output::none().failed(failed))
}

async fn refresh(context: &Context<'_>, tables: &Selection, capture: Option<config::Capture>) -> Result<Output> {
    if tables.is_empty() {
        return Ok(Output::none());
    }
    let db = context.provider().await?;
    provider_queue::require(&db, context.queue()).await?;
    let registered = provider_queue::tables(&db, context.queue()).await?;
    let matches = tables.matches(&registered);
    let mut failed = false;
    for unmatched in matches.iter().filter(|m| m.names.is_empty() && !tables.names.is_empty()) {
        failed = true;
        tracing::warn!("No table of queue {} on provider matches {}", context.queue(), unmatched.pattern.typed());
    }
    let functions = provider_queue::functions(&db).await?;
    for table in selection::union(&matches) {
        context.proceed()?;
        tracing::info!("Refreshing {table}");
        let refreshed = context
            .change_table(&db, &table, TableLock::Everybody, async |tx: &Db| {
                provider_queue::refresh(tx, context.queue(), &table, functions, capture).await
            })
            .await;
        failed |= Outcome::of(&db, refreshed)?.is_failed();
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
