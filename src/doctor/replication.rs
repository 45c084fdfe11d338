//! The state of replication: position, tables, foreign keys, triggers, sequences.

use std::collections::{BTreeMap, BTreeSet};

use super::case::{Case, Reach, Side, on, shell_word};
use super::check::{self, Check};
use super::finding::{Findings, count, names};
use super::tables::Tables;
use crate::config::{self, ApplyRole};
use crate::error::{Error, Result, Role};
use crate::job::{self, LastError};
use crate::londiste::conditions;
use crate::londiste::{
    Place, STANDS_STILL, Standstill, TableState, is_replication_function, missing_sequences, overlaps, position,
    provider_queue, sequences, standstill, stored_foreign_keys, stored_triggers, turned, verified,
};
use crate::pg::FqName;
use crate::pg::catalog;
use crate::pg::name::quote_ident;

/// Whether replay applies what is there. For `health`, as a finding of the check of the process: `doctor` says the same of position,
/// tables and consumer in more detail.
pub(super) async fn works(case: &Case<'_>) -> Result<Findings> {
    let (config, _) = case.replication()?;
    let mut found = Findings::default();
    if let Some(Standstill { fact, fix }) = standstill(config, case.control).await? {
        found.error(&check::PROCESS, &config.common.job_name, fact, fix.unwrap_or_default());
    }
    Ok(found)
}

pub(super) const POSITION: &[&Check] = &[&check::POSITION];

/// That a switchover has turned replication round, so that the job has no work: nothing where it has, and where a side cannot tell.
pub(super) async fn turned(case: &Case<'_>, sides: [&Reach; 2]) -> Result<Option<Findings>> {
    let [Ok(provider), Ok(subscriber)] = sides else { return Ok(None) };
    let (config, job) = case.replication()?;
    let (Ok(_there), Ok(_here)) = (provider.look().await, subscriber.look().await) else { return Ok(None) };
    match turned::objection(&provider.db, &subscriber.db, &job.queue).await {
        Err(Error::Aborted) => Err(Error::Aborted),
        Ok(None) | Err(_) => Ok(None),
        Ok(Some(error)) => {
            let mut found = Findings::default();
            let other = config::other_path(&config.path);
            let fix = if other.exists() {
                format!("rlondiste {} doctor", shell_word(&other.display().to_string()))
            } else {
                case.command("switchover status")
            };
            let object = format!("consumer {}", job.consumer);
            found.warning(&check::POSITION, object, format_args!("{error}: this job has no work any more"), fix);
            Ok(Some(found))
        }
    }
}

/// Whether the consumer is registered where the subscriber stands.
pub(super) async fn position_fits(
    case: &Case<'_>,
    provider: &Side,
    subscriber: &Side,
    tables: &Tables,
) -> Result<Findings> {
    let (config, job) = case.replication()?;
    let consumer = job.main_consumer();
    let object = format!("consumer {}", consumer.name);
    let mut found = Findings::default();
    let (stop, rewind, start) = (case.command("-s"), case.command("--rewind"), case.command("replay -d"));
    let fix = format!("{stop}; {rewind} && {start}");
    let Some(position) = position(config, &provider.db).await? else {
        if tables.subscribed.iter().all(|table| table.state != TableState::Ok) {
            let fact =
                format!("is not registered on queue {} yet: replay does so, once the queue has a tick", consumer.queue);
            found.warning(&check::POSITION, object, fact, start);
            return Ok(found);
        }
        let fact = format!("is not registered on queue {} on the provider: events may be lost", consumer.queue);
        found.error(&check::POSITION, object, fact, fix);
        return Ok(found);
    };
    if tables.subscribed.iter().any(|table| table.state == TableState::Ok)
        && let Some(objection) = conditions::position_objection(&provider.db, &subscriber.db, &consumer).await?
    {
        found.error(&check::POSITION, object, format_args!("tables are ok, but {objection}"), fix);
        return Ok(found);
    }
    let last_error = case.common.logfile.as_deref().and_then(job::last_error).filter(|error| error.stands);
    if let Some(LastError { time, message, .. }) = last_error
        // Until then the next try may go through.
        && position.is_behind()
        && position.lag_seconds.is_some_and(|lag| lag > STANDS_STILL)
    {
        let fact = format!("no batch was applied since the error of {time}: {message}");
        found.error(&check::POSITION, object, fact, case.command("subscriber status"));
        return Ok(found);
    }
    let lag = position.lag_seconds.map_or_else(|| "?".to_owned(), |lag| format!("{lag:.1}"));
    let pending = position.pending_events.map_or_else(String::new, |events| format!(", {events} events are pending"));
    found.ok(&check::POSITION, object, format_args!("has all changes up to {lag} s ago{pending}"));
    Ok(found)
}

pub(super) const TABLES: &[&Check] = &[&check::TABLE_STATE, &check::PARKED];

/// The states of the tables.
pub(super) fn states(case: &Case<'_>, tables: &Tables) -> Findings {
    let mut found = Findings::default();
    let mut others: BTreeMap<&str, Vec<&FqName>> = BTreeMap::new();
    for table in &tables.subscribed {
        if let Some(parked) = &table.parked {
            let resync = case.command(format_args!("subscriber resync {}", shell_word(&table.name.to_string())));
            found.error(&check::PARKED, &table.name, &parked.reason, parked.mend.clone().unwrap_or(resync));
        } else if table.state != TableState::Ok {
            others.entry(table.state.word()).or_default().push(&table.name);
        }
    }
    for (state, tables) in others {
        let fact = format!("{} not in sync yet: {}", count(tables.len(), "table"), names(&tables));
        found.warning(&check::TABLE_STATE, format_args!("state {state}"), fact, case.command("subscriber wait-sync"));
    }
    let ok = tables.subscribed.iter().filter(|table| table.state == TableState::Ok).count();
    found.rest_of_all(
        &check::TABLE_STATE,
        "subscriber",
        format_args!("{ok} of {} ok", count(tables.subscribed.len(), "table")),
    );
    found.rest_of_all(&check::PARKED, "subscriber", "no table is parked");
    found
}

pub(super) const SUBSCRIPTION: &[&Check] = &[
    &check::NOT_SUBSCRIBED,
    &check::OTHER_QUEUE,
    &check::SEQUENCE_VALUES,
    &check::CAPTURE,
    &check::SKIPPED_EVENTS,
    &check::DIFFERING_ROWS,
];

/// Whether all of the set is subscribed, and arrives.
pub(super) async fn subscription(
    case: &Case<'_>,
    provider: &Side,
    subscriber: &Side,
    tables: &Tables,
) -> Result<Findings> {
    let (config, job) = case.replication()?;
    let mut found = Findings::default();
    let subscribed = tables.names();
    let known: BTreeSet<&FqName> = subscribed.iter().collect();
    let missing: Vec<&FqName> = tables.offered.iter().filter(|table| !known.contains(table)).collect();
    let sequences = missing_sequences(&provider.db, &subscriber.db, &job.queue).await?;
    let sequences: Vec<&FqName> = sequences.iter().collect();
    for (command, noun, missing) in [("add", "table", missing), ("add-seq", "sequence", sequences)] {
        if !missing.is_empty() {
            let words: Vec<String> = missing.iter().map(|name| shell_word(&name.to_string())).collect();
            let fact = format!("{} of the set not subscribed: {}", count(missing.len(), noun), names(&missing));
            let fix = case.command(format_args!("subscriber {command} {}", words.join(" ")));
            found.warning(&check::NOT_SUBSCRIBED, format_args!("{noun}s"), fact, fix);
        }
    }
    found.rest_of_all(&check::NOT_SUBSCRIBED, "subscriber", "all tables and sequences of the set are subscribed");
    for (table, queue) in overlaps::other_queues(&subscriber.db, &job.queue, &subscribed).await? {
        let fact = format!("queue {queue} writes to it too");
        let word = shell_word(&table.to_string());
        let fix = format!("rlondiste INI subscriber remove {word}, with the ini file of one of the two queues");
        found.warning(&check::OTHER_QUEUE, table, fact, fix);
    }
    found.rest_of_all(&check::OTHER_QUEUE, "subscriber", "no other queue writes to the tables");
    let all = sequences::subscribed(&provider.db, &subscriber.db, &job.queue).await?;
    for sequence in &all {
        let Err(objection) = &sequence.value else { continue };
        let user = if let Some((Role::Provider, _)) = objection.mend(&sequence.name, "") {
            provider.quoted_user()
        } else {
            subscriber.quoted_user()
        };
        let fix = match objection.mend(&sequence.name, &user) {
            Some((role, statement)) => on(role, format_args!("{statement};")),
            None => case.command(format_args!("subscriber remove-seq {}", shell_word(&sequence.name.to_string()))),
        };
        found.error(&check::SEQUENCE_VALUES, &sequence.name, objection.reason(&sequence.name), fix);
    }
    found.rest_of_all(
        &check::SEQUENCE_VALUES,
        "subscriber",
        format_args!("the values of {} arrive", count(all.len(), "sequence")),
    );
    captured(case, provider, subscriber, tables, &mut found).await?;
    for (table, known) in verified::read(config, &subscriber.db, true).await? {
        let differs = verified::condition(&table, &known).filter(|_| tables.state(&table) == Some(TableState::Ok));
        if let Some(differs) = differs {
            let fix = case.command(format_args!("repair --online --apply {}", shell_word(&table.to_string())));
            found.error(&check::DIFFERING_ROWS, &table, differs.fact, fix);
        }
    }
    found.rest_of_all(&check::DIFFERING_ROWS, "subscriber", "verification knows of no row that differs");
    Ok(found)
}

/// Whether all changes are captured.
async fn captured(
    case: &Case<'_>,
    provider: &Side,
    subscriber: &Side,
    tables: &Tables,
    found: &mut Findings,
) -> Result<()> {
    let (_, job) = case.replication()?;
    let problems = conditions::table_problems(&provider.db, &subscriber.db, &job.queue).await?;
    for (table, problem) in problems {
        let word = shell_word(&table.to_string());
        let fix = match &problem {
            // A copy that runs or comes has all changes.
            conditions::Problem::Lost(_) if tables.state(&table).is_some_and(|state| state != TableState::Ok) => {
                continue;
            }
            conditions::Problem::Lost(_) => format!(
                "{} && {}",
                case.command(format_args!("provider refresh {word}")),
                case.command(format_args!("subscriber resync {word}"))
            ),
            conditions::Problem::NotInSet(_) => case.command(format_args!("provider add {word}")),
            conditions::Problem::Loop(_) => case.command(format_args!("subscriber remove {word}")),
            conditions::Problem::LeftOut(_) => {
                let fix = case.command(format_args!("repair --online --apply {word}"));
                found.error(&check::SKIPPED_EVENTS, &table, problem, fix);
                continue;
            }
        };
        found.error(&check::CAPTURE, &table, format_args!("changes may be missing: {problem}"), fix);
    }
    found.rest_of_all(
        &check::CAPTURE,
        "provider",
        format_args!("all changes of {} are captured", count(tables.offered.len(), "table")),
    );
    found.rest_of_all(&check::SKIPPED_EVENTS, "subscriber", "no event was left out of a table that is ok");
    Ok(())
}

pub(super) const CAPTURE_FUNCTIONS: &[&Check] = &[&check::CAPTURE_ORDER, &check::CAPTURE_FUNCTIONS];

/// Whether triggers and capture functions are those that would be made today.
pub(super) async fn capture_functions(case: &Case<'_>, provider: &Side) -> Result<Findings> {
    let (_, job) = case.replication()?;
    let mut found = Findings::default();
    for table in provider_queue::outdated(&provider.db, &job.queue).await? {
        let fix = case.command(format_args!("provider refresh {}", shell_word(&table.table.to_string())));
        if table.is_misfit {
            let fact =
                format!("{}: events may come in the wrong order until maintenance makes them anew", table.problem);
            found.warning(&check::CAPTURE_ORDER, &table.table, fact, fix);
        } else {
            let fact = format!("its capture functions: {}; a slower way is taken meanwhile", table.problem);
            found.warning(&check::CAPTURE_FUNCTIONS, &table.table, fact, fix);
        }
    }
    found.rest_of_all(&check::CAPTURE_ORDER, provider.role, "capture triggers fit the other triggers of the tables");
    found.rest_of_all(&check::CAPTURE_FUNCTIONS, provider.role, "all are up to date with their tables");
    Ok(found)
}

pub(super) const PUT_ASIDE: &[&Check] =
    &[&check::PENDING_FOREIGN_KEYS, &check::PENDING_TRIGGERS, &check::FIRING_TRIGGERS];

/// Foreign keys and triggers of the subscriber: those that are dropped, and those that fire.
pub(super) async fn put_aside(case: &Case<'_>, side: &Side, tables: &Tables) -> Result<Findings> {
    let (config, _) = case.replication()?;
    let mut found = Findings::default();
    let all = tables.names();
    let names_of: Vec<String> = all.iter().map(ToString::to_string).collect();
    let pending = stored_foreign_keys::list(&side.db, Place::Pending, &names_of).await?;
    for [table, name, since, reason] in stored_foreign_keys::failures(&side.db, &names_of).await?.unwrap_or_default() {
        let definition = pending
            .iter()
            .find(|[from, _, key, _]| *from == table && *key == name)
            .map(|[_, _, _, definition]| definition);
        let fact = format!("foreign key {name} could not be restored since {since}: {reason}");
        let fix = definition.map_or_else(String::new, |definition| side.sql(format_args!("{definition};")));
        found.warning(&check::PENDING_FOREIGN_KEYS, table, fact, fix);
    }
    let fact = format!("{} waiting for copies to end", count(pending.len(), "foreign key"));
    found.rest_of_all(&check::PENDING_FOREIGN_KEYS, side.role, fact);
    for table in stored_triggers::abandoned(&side.db).await? {
        let fix = case.command(format_args!("subscriber remove {}", shell_word(&table.to_string())));
        found.warning(
            &check::PENDING_TRIGGERS,
            table,
            "is not subscribed any more, and its triggers are still dropped",
            fix,
        );
    }
    let pending = stored_triggers::list(&side.db, Place::Pending, &names_of).await?;
    let fact =
        format!("{} put aside, for \"subscriber restore-triggers\" at a switchover", count(pending.len(), "trigger"));
    found.rest_of_all(&check::PENDING_TRIGGERS, side.role, fact);
    for trigger in catalog::triggers(&side.db, &all).await? {
        let fires = match trigger.enabled {
            'A' => true,
            'O' => config.apply_role == ApplyRole::Origin,
            'R' => config.apply_role == ApplyRole::Replica,
            _ => false,
        };
        // The capture triggers of a subscriber that provides the table to others must fire.
        if fires && !is_replication_function(&trigger.function) {
            let fact =
                format!("trigger {} fires when changes are applied, and may make changes of its own", trigger.name);
            let (table, name) = (trigger.table.quoted(), quote_ident(&trigger.name));
            let fix = side.sql(format_args!("alter table {table} disable trigger {name};"));
            found.warning(&check::FIRING_TRIGGERS, &trigger.table, fact, fix);
        }
    }
    found.rest_of_all(&check::FIRING_TRIGGERS, side.role, "no trigger of a user fires when changes are applied");
    Ok(found)
}
