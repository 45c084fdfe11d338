//! The commands on the subscriber: runs each, and has those that list, check, remove and resync tables.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::super::context::{Context, Job, Outcome};
use super::super::copy::{Progress, read_progress};
use super::super::foreign_keys::Restored;
use super::super::state::conditions::{self, Problem};
use super::super::state::foreign_keys as stored_fkeys;
use super::super::state::sequences::{self, Subscribed};
use super::super::state::table_state::TableState;
use super::super::state::tables::{self, SubscribedTable};
use super::super::state::turned;
use super::super::state::{provider_queue, triggers};
use super::super::table_lock::TableLock;
use super::command::{Selection, Subscriber};
use super::listing::as_text;
use super::{install, put_aside, registration, selection, seqs, skip_event, status, structure, subscribe, wait};
use crate::error::Result;
use crate::failpoint::failpoint;
use crate::job::Output;
use crate::pg::catalog;
use crate::pg::{Db, FqName};

/// Runs a command on the subscriber. A table that cannot be changed is logged, and makes the output failed.
pub(crate) async fn run(command: Subscriber, context: &Context<'_>) -> Result<Output> {
    match command {
        Subscriber::Install => install::subscriber(context, install::Maker::Operator).await.map(|()| Output::none()),
        Subscriber::Add { tables, problems, mode } => subscribe::add(context, &tables, problems, mode).await,
        Subscriber::Remove(tables) => remove(context, &tables).await,
        Subscriber::Tables { progress: false } => list(context).await,
        Subscriber::Tables { progress: true } => list_progress(context).await,
        Subscriber::Missing => missing(context).await,
        Subscriber::Check => check(context).await,
        Subscriber::Resync(tables) => resync(context, &tables).await,
        Subscriber::Fkeys(shown) => put_aside::show_fkeys(context, &shown).await,
        Subscriber::Triggers(shown) => put_aside::show_triggers(context, &shown).await,
        Subscriber::RestoreTriggers { table, triggers } => put_aside::restore_named(context, &table, &triggers).await,
        Subscriber::Register => registration::register(context).await,
        Subscriber::Unregister => registration::unregister(context).await,
        Subscriber::AddSeq(sequences) => seqs::subscriber_add(context, &sequences).await,
        Subscriber::RemoveSeq(sequences) => seqs::subscriber_remove(context, &sequences).await,
        Subscriber::Seqs => seqs::subscriber_list(context).await,
        Subscriber::WaitSync { tables, timeout } => wait::wait_sync(context, &tables, timeout).await,
        Subscriber::Status { tables } => status::show(context, tables).await,
        Subscriber::SkipEvent(event) => skip_event::run(context, event).await,
    }
}

/// A table and its state, as they are shown.
#[derive(Serialize)]
struct Listed {
    #[serde(serialize_with = "as_text")]
    table: FqName,
    state: TableState,
}

impl From<SubscribedTable> for Listed {
    fn from(table: SubscribedTable) -> Listed {
        Listed { table: table.name, state: table.state }
    }
}

/// `subscriber tables`. The text is SkyTools' to the byte: scripts cut it into columns.
#[derive(Serialize)]
#[serde(transparent)]
struct TableStates(Vec<Listed>);

impl fmt::Display for TableStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<30}   {:>20}", "Table", "State")?;
        self.0.iter().try_for_each(|t| writeln!(f, "{:<30}   {:>20}", t.table.to_string(), t.state.to_string()))
    }
}

async fn list(context: &Context<'_>) -> Result<Output> {
    let db = context.subscriber().await?;
    let tables = tables::load(&db, context.queue()).await?;
    Ok(Output::of(&TableStates(tables.into_iter().map(Listed::from).collect())))
}

/// `subscriber tables --progress`.
#[derive(Serialize)]
#[serde(transparent)]
struct TableProgress(Vec<WithProgress>);

#[derive(Serialize)]
struct WithProgress {
    #[serde(flatten)]
    table: Listed,
    progress: Option<Progress>,
}

impl fmt::Display for TableProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<30}   {:>20}   Progress", "Table", "State")?;
        self.0.iter().try_for_each(|WithProgress { table, progress }| {
            let progress = progress.as_ref().map(|p| format!("   {p}")).unwrap_or_default();
            writeln!(f, "{:<30}   {:>20}{progress}", table.table.to_string(), table.state.to_string())
        })
    }
}

async fn list_progress(context: &Context<'_>) -> Result<Output> {
    let (provider, db) = (context.provider().await?, context.subscriber().await?);
    let mut progress = read_progress(&db, Some(&provider)).await?;
    let tables = tables::load(&db, context.queue()).await?;
    let with = |table: SubscribedTable| WithProgress { progress: progress.remove(&table.name), table: table.into() };
    Ok(Output::of(&TableProgress(tables.into_iter().map(with).collect())))
}

/// The provider's tables and sequences that are not subscribed.
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

async fn missing(context: &Context<'_>) -> Result<Output> {
    let (provider_db, db) = (context.provider().await?, context.subscriber().await?);
    let have: BTreeSet<FqName> = tables::load(&db, context.queue()).await?.into_iter().map(|t| t.name).collect();
    let mut tables = provider_queue::tables(&provider_db, context.queue()).await?;
    tables.retain(|t| !have.contains(t));
    let sequences = seqs::missing(&provider_db, &db, context.queue()).await?;
    let names = |names: Vec<FqName>| names.iter().map(ToString::to_string).collect();
    Ok(Output::of(&Missing { tables: names(tables), sequences: names(sequences) }))
}

async fn check(context: &Context<'_>) -> Result<Output> {
    let (provider_db, db) = (context.provider().await?, context.subscriber().await?);
    conditions::require(&provider_db, context.queue()).await?;
    turned::refuse(&provider_db, &db, context.queue()).await?;
    let tables = provider_queue::tables(&provider_db, context.queue()).await?;
    let found = structure::compare_all(context, &provider_db, &db, &tables).await?;
    let failed = found.different().next().is_some() | !ok_holds(context, &provider_db, &db).await?;
    Ok(Output::of(&found).failed(failed))
}

/// Whether the conditions hold under which tables are `ok`, and sequences get their values; logs those that do not.
async fn ok_holds(context: &Context<'_>, provider: &Db, db: &Db) -> Result<bool> {
    let tables = tables::load(db, context.queue()).await?;
    let mut holds = true;
    if tables.iter().any(|t| t.state == TableState::Ok) {
        let objection = conditions::position_objection(provider, db, &Job::of(context.config).main_consumer()).await?;
        if let Some(objection) = &objection {
            holds = false;
            tracing::error!("Tables are ok, but {objection}");
        }
    }
    let problems = conditions::table_problems(provider, db, context.queue()).await?;
    for table in &tables {
        let Some(problem) = problems.get(&table.name) else { continue };
        match (problem, table.state) {
            (Problem::Loop(_), _) => tracing::error!("Table {} is never in sync: {problem}", table.name),
            (_, TableState::Ok) => tracing::error!("Table {} is ok, but changes may be missing: {problem}", table.name),
            (Problem::NotInSet(_), _) => tracing::error!("Table {} is not replicated: {problem}", table.name),
            // A copy that runs or comes has all changes.
            (Problem::Lost(_) | Problem::LeftOut(_), _) => continue,
        }
        holds = false;
    }
    for Subscribed { name, value } in sequences::subscribed(provider, db, context.queue()).await? {
        if let Err(objection) = value {
            holds = false;
            tracing::error!("{}", objection.describe(&name));
        }
    }
    Ok(holds)
}

/// Unsubscribes from tables, and restores their triggers and foreign keys; also of tables that are not subscribed any more:
/// the command may have ended after it had unsubscribed, and is repeated.
async fn remove(context: &Context<'_>, tables: &Selection) -> Result<Output> {
    let db = context.subscriber().await?;
    let subscribed = tables::load(&db, context.queue()).await?;
    let mut have: Vec<FqName> = subscribed.iter().map(|t| t.name.clone()).collect();
    have.extend(triggers::abandoned(&db).await?);
    let wanted = selection::union(&tables.matches(&have));
    let existing = catalog::relations(&db, &wanted).await?;
    let mut failed = false;
    for table in wanted {
        context.proceed()?;
        let state = subscribed.iter().find(|t| t.name == table).map(|t| t.state);
        if state.is_some() {
            tracing::info!("Removing: {table}");
        } else {
            tracing::info!("Restoring the triggers of {table}, which is not subscribed any more");
        }
        let removed = if existing.contains_key(&table) {
            remove_existing(context, &db, &table, state).await
        } else {
            context.change(&db, async |tx: &Db| tables::unsubscribe(tx, context.queue(), &table).await).await
        };
        failed |= Outcome::of(&db, removed)?.is_failed();
    }
    if !context.config.fake {
        let mut pending = stored_fkeys::restorable(&db, context.queue()).await?;
        let ends: Vec<FqName> = pending.iter().flat_map(|f| [f.from_table.clone(), f.to_table.clone()]).collect();
        let meant = selection::union(&tables.matches(&ends));
        pending.retain(|fkey| fkey.touches(&meant));
        failed |= put_aside::restore_fkeys(context, &db, &pending).await? == Restored::SomeFailed;
    }
    Ok(Output::none().failed(failed))
}

/// `state` is that of a subscribed table; `None` for a table of which only the triggers are to be restored.
async fn remove_existing(context: &Context<'_>, db: &Db, table: &FqName, state: Option<TableState>) -> Result<()> {
    let is_ok = state == Some(TableState::Ok);
    let unsubscribe = async |tx: &Db| tables::unsubscribe(tx, context.queue(), table).await;
    // A running copy holds ACCESS EXCLUSIVE on the table. Replay ends the copy once the table is not subscribed any
    // more.
    if state.is_some() && !is_ok {
        context.change(db, unsubscribe).await?;
        failpoint!("subscriber::unsubscribed");
    }
    context
        .change_table(db, table, TableLock::Writers, async |tx: &Db| {
            if is_ok {
                unsubscribe(tx).await?;
            }
            triggers::restore_all(tx, table).await?;
            failpoint!("subscriber::triggers_restored");
            Ok(())
        })
        .await?;
    failpoint!("subscriber::removed");
    Ok(())
}

async fn resync(context: &Context<'_>, tables: &Selection) -> Result<Output> {
    context.refuse_turned().await?;
    let db = context.subscriber().await?;
    let have = tables::load(&db, context.queue()).await?;
    let wanted: Vec<FqName> = if tables.names.is_empty() && tables.all {
        have.iter().map(|t| t.name.clone()).collect()
    } else {
        tables.names.iter().map(|n| FqName::parse(n)).collect()
    };
    let mut failed = false;
    for table in wanted {
        context.proceed()?;
        match have.iter().find(|t| t.name == table) {
            None => tracing::warn!("Table {table} not found"),
            // A parked table may be in any state: copying it again is one way to mend it.
            Some(found) if found.state != TableState::Ok && !found.is_parked() => {
                tracing::warn!("Table {table} is not in stable state");
            }
            Some(_) => {
                tracing::info!("Resyncing {table}");
                let only = std::slice::from_ref(&table);
                let done = context.change(&db, async |tx: &Db| tables::reset(tx, context.queue(), only).await).await;
                failpoint!("subscriber::reset");
                failed |= Outcome::of(&db, done)?.is_failed();
            }
        }
    }
    Ok(Output::none().failed(failed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pgq::TickId;

    #[test]
    fn states_are_shown_in_two_columns() {
        let row = |name: &str, state: TableState| Listed { table: FqName::parse(name), state };
        let states = TableStates(vec![
            row("customers", TableState::Ok),
            row("tags", TableState::WannaSync(TickId(69))),
            row("a_very_long_table_name_which_is_over_thirty", TableState::WannaSync(TickId(1_234_567_890_123))),
            row("new", TableState::Missing),
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
}
