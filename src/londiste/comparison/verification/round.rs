//! Looks at ranges one after the other, as the plan says.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::super::copy::Throttle;
use super::super::fingerprint::Fingerprint;
use super::super::range_walk::{Amount, Sessions};
use super::super::rows::{By, ComparedTable, Subject};
use super::super::sync_point;
use super::super::table_size::table_size;
use super::look::{Look, Looked};
use super::plan::{Next, Plan, Table};
use crate::config;
use crate::error::{Error, Report, Result};
use crate::londiste::context::Job;
use crate::londiste::state::table_state::TableState;
use crate::londiste::state::tables;
use crate::londiste::state::verification::{self, VerifiedRange};
use crate::pg::{Db, FqName, Role, catalog};
use crate::pgq::consumer::Consumer;
use crate::task::Abort;
use crate::text::one_line;

/// How often the tables are read again, and replay that is behind is asked again.
const REFRESH: Duration = Duration::from_secs(10);

/// The longest and the shortest pause before a table that failed is looked at again; between them a tenth of the interval.
const RETRY: [Duration; 2] = [Duration::from_secs(1), Duration::from_mins(1)];

/// The work of the task by one ini file.
pub(super) struct Round<'a> {
    config: &'a config::Londiste,
    interval: Duration,
    read: &'a Amount,
    abort: &'a Abort,
    throttle: Throttle,
    consumer: Consumer,
    plan: Plan,
    /// What the log says of tables that cannot be looked at.
    logged: BTreeMap<FqName, String>,
}

impl<'a> Round<'a> {
    pub(super) fn of(config: &'a config::Londiste, interval: Duration, read: &'a Amount, abort: &'a Abort) -> Self {
        Round {
            throttle: Throttle::new(config.verify_rate),
            consumer: Job::of(config).main_consumer(),
            plan: Plan::default(),
            logged: BTreeMap::new(),
            config,
            interval,
            read,
            abort,
        }
    }

    /// Works until the sessions are older than `connection_lifetime`. The error of one table is stored, and others go on; fails when
    /// a session has ended.
    pub(super) async fn run(&mut self) -> Result<()> {
        let sessions = Sessions {
            provider: self.open(Role::Provider, &self.config.provider_db).await?,
            subscriber: self.open(Role::Subscriber, &self.config.subscriber_db).await?,
            snapshots: None,
        };
        self.plan = Plan::default();
        let pause = REFRESH.min(self.interval / 10);
        let mut refreshed: Option<Instant> = None;
        while self.config.common.connection_lifetime.is_none_or(|lifetime| sessions.provider.age() < lifetime) {
            if refreshed.is_none_or(|at| at.elapsed() >= pause) {
                self.refresh(&sessions).await?;
                refreshed = Some(Instant::now());
            }
            let wait = match self.plan.next(self.interval, Instant::now()) {
                Next::Look(name, nr)
                    if sync_point::is_near(&sessions.provider, &self.consumer).await? == Some(true) =>
                {
                    self.look(&sessions, &name, nr).await?;
                    continue;
                }
                Next::Wait(wait) => wait.min(pause),
                Next::Look(..) | Next::Nothing => pause,
            };
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    async fn open(&self, role: Role, conninfo: &str) -> Result<Db> {
        Db::open(role, conninfo, self.config.common.client(), self.abort).await
    }

    /// Takes in the tables that are `ok` now.
    async fn refresh(&mut self, sessions: &Sessions) -> Result<()> {
        let (db, queue) = (&sessions.subscriber, &self.consumer.queue);
        let subscribed = tables::load(db, queue).await?;
        let ok = subscribed.into_iter().filter(|table| table.state == TableState::Ok && !table.is_parked());
        let begun = verification::begun(db, queue).await?;
        let mut known = std::mem::take(&mut self.plan.tables);
        // A copy has begun the others anew.
        known.retain(|name, _| begun.contains(name));
        for name in ok.map(|table| table.name) {
            let table = if let Some(table) = known.remove(&name) {
                table
            } else {
                let [rows, bytes] = table_size(&sessions.provider, &name).await?;
                let whole = VerifiedRange { rows, bytes, ..VerifiedRange::default() };
                verification::begin(db, queue, &name, &whole).await?;
                let stored = verification::load(db, queue, &name).await?;
                self.logged.extend(stored.problem.map(|problem| (name.clone(), problem)));
                Table { ranges: stored.ranges, retry_at: None }
            };
            self.plan.tables.insert(name, table);
        }
        Ok(())
    }

    async fn look(&mut self, sessions: &Sessions, name: &FqName, nr: usize) -> Result<()> {
        let Some(table) = self.plan.tables.get(name) else { return Ok(()) };
        let Some(before) = table.ranges.get(nr).cloned() else { return Ok(()) };
        let retry = (self.interval / 10).clamp(RETRY[0], RETRY[1]);
        let (retry_at, problem) = match self.look_at(sessions, name, &before).await {
            Ok(Looked::At(found, rest)) => return self.store(sessions, name, nr, (&before, *found, rest)).await,
            Ok(Looked::Later) => (Instant::now() + retry, None),
            Err(error) if matches!(error, Error::Aborted) => return Err(error),
            Err(error) if sessions.provider.is_closed() || sessions.subscriber.is_closed() => return Err(error),
            Err(error) => (Instant::now() + retry, Some(one_line(&Report(&error).to_string()))),
        };
        if let Some(table) = self.plan.tables.get_mut(name) {
            table.retry_at = Some(retry_at);
        }
        if let Some(problem) = problem
            && self.logged.get(name) != Some(&problem)
        {
            tracing::warn!("{name} is not verified: {problem}");
            verification::fail(&sessions.subscriber, &self.consumer.queue, name, &problem).await?;
            self.logged.insert(name.clone(), problem);
        }
        Ok(())
    }

    async fn look_at(&self, sessions: &Sessions, name: &FqName, before: &VerifiedRange) -> Result<Looked> {
        let Sessions { provider, subscriber, .. } = sessions;
        if self.config.copy_condition.contains_key(&name.to_string()) {
            return Err(Error::mismatch("it was copied with copy_condition, so some rows are not here", ""));
        }
        let side = |kinds: BTreeMap<FqName, catalog::RelationKind>, place: &str| {
            let kind = kinds.get(name).copied();
            kind.ok_or_else(|| Error::missing(format!("it does not exist on the {place}"), ""))
        };
        let names = std::slice::from_ref(name);
        let on_provider = side(catalog::relations(provider, names).await?, "provider")?;
        let on_subscriber = side(catalog::relations(subscriber, names).await?, "subscriber")?;
        let subject = Subject { name: name.clone(), on_provider, on_subscriber };
        let compared = ComparedTable::of(provider, subscriber, &subject, &self.consumer.queue, By::Value).await;
        let compared = match compared {
            Err(Error::Mismatch { .. }) if has_no_key(subscriber, name).await? => {
                return Err(Error::mismatch("it has no primary key", ""));
            }
            compared => compared?,
        };
        let [rows, _] = match self.plan.tables.get(name) {
            Some(table) if table.ranges.len() == 1 => table_size(provider, name).await?,
            _ => [0, 0],
        };
        let look = Look {
            sessions,
            compared: &compared,
            fingerprint: Fingerprint::of(provider, subscriber).await?,
            consumer: &self.consumer,
            lock_wait: self.config.lock_timeout,
            throttle: &self.throttle,
            rate: self.config.verify_rate,
            read: self.read,
        };
        look.at(before, self.rows_of_a_range(name, rows)).await
    }

    fn rows_of_a_range(&self, name: &FqName, estimate: u64) -> u64 {
        self.plan.tables.get(name).map_or(u64::MAX / 2, |table| table.rows_of_a_range(estimate))
    }

    async fn store(
        &mut self,
        sessions: &Sessions,
        name: &FqName,
        nr: usize,
        (before, found, rest): (&VerifiedRange, VerifiedRange, Option<VerifiedRange>),
    ) -> Result<()> {
        let (db, queue) = (&sessions.subscriber, &self.consumer.queue);
        let most = self.rows_of_a_range(name, 0);
        let Some(table) = self.plan.tables.get_mut(name) else { return Ok(()) };
        table.retry_at = None;
        let kept = if table.put(nr, found.clone(), rest, most) {
            verification::replace(db, queue, name, &table.ranges).await?
        } else {
            verification::save(db, queue, name, nr, &found).await?
        };
        if !kept {
            // It is read again when it is ok again.
            self.plan.tables.remove(name);
            return Ok(());
        }
        self.logged.remove(name);
        if found.differing > 0 && (found.differing, &found.examples) != (before.differing, &before.examples) {
            let examples = found.examples.join(", ");
            tracing::warn!("{name}: {} rows differ from the provider's: {examples}", found.differing);
        }
        if before.differing > 0 && table.ranges.iter().all(|range| range.differing == 0) {
            tracing::info!("{name}: no rows differ from the provider's any more");
        }
        Ok(())
    }
}

async fn has_no_key(db: &Db, name: &FqName) -> Result<bool> {
    Ok(catalog::structure(db, name).await?.is_some_and(|table| table.key().is_empty()))
}
