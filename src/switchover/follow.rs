//! `subscriber follow --provider DSN`: after a switchover, another subscriber of the provider that was left goes over to the new one,
//! without a copy.
//!
//! The *old* provider is closed, and gets only what its own replay brings from the *new* one.
//!
//! | step | what is done | killed after it, the next call |
//! |---|---|---|
//! | 1 | the position of the old provider's replay is locked: it has just what the new one had at this tick, and nothing more comes | begins anew |
//! | 2 | a tick of the old provider, which replay of this subscriber applies: now the subscriber has the same | begins anew |
//! | 3 | replay is stopped, its consumer is registered on the new provider at the tick of step 1 | begins anew, with the tick of that moment |
//! | 4 | tables, sequences and position go over to the new queue, in one transaction of the subscriber | goes on |
//! | 5 | the consumer is unregistered on the old provider, the ini file is written anew, replay is started | goes on |

use std::time::{Duration, Instant};

use super::sides::{consumer, open, pause, require_schema};
use super::takeover::{start, stop};
use super::way::write_private;
use crate::config::{self, File};
use crate::error::{Error, Result, Role};
use crate::failpoint::failpoint;
use crate::job::pidfile::{Status, status};
use crate::job::{Control, Output};
use crate::londiste::fence::{self, State};
use crate::londiste::{TableState, completed, conditions, provider_queue, queue_consumer, sequences, tables};
use crate::pg::{Db, FqName};
use crate::pgq::TickId;
use crate::pgq::consumer::{Abilities, Consumer, make_tick};

/// Time between two looks at the position of replay.
const POLL: Duration = Duration::from_millis(10);

/// The subscriber that goes over.
struct Follower<'a> {
    config: &'a config::Londiste,
    control: &'a Control,
    old: Db,
    new: Db,
    subscriber: Db,
    /// Replay of this subscriber on the old provider.
    from: Consumer,
    /// Replay of the old provider on the new one.
    back: Consumer,
    /// Replay of this subscriber on the new provider.
    to: Consumer,
}

/// Goes over to the provider of the connection string. Replay of the ini file has to run, and is stopped and started.
pub(crate) async fn follow(
    provider: &str,
    timeout: Duration,
    config: &config::Londiste,
    control: &Control,
) -> Result<Output> {
    if config.fake {
        return Err(Error::refused("\"subscriber follow\" makes no sense with fake = 1", "Set fake = 0."));
    }
    if config.path.extension().is_some_and(|extension| extension == "toml") {
        return Err(Error::unsupported(
            format!("cannot write {} anew: it is no ini file", config.path.display()),
            "Write the same settings as an ini file, and use that.",
        ));
    }
    let follower = Follower::open(provider, config, control).await?;
    let runs = config.common.pidfile.as_deref().is_some_and(|path| matches!(status(path), Ok(Status::Running(_))));
    if !follower.has_gone_over().await? {
        let tables = follower.tables().await?;
        if let Err(error) = follower.go_over(&tables, timeout).await {
            // Nothing has changed for the job of the ini file.
            if runs && let Err(why) = start(config).await {
                tracing::warn!("{why}");
            }
            return Err(error);
        }
    }
    failpoint!("follow::gone_over");
    stop(config, control).await?;
    follower.from.unregister(&follower.old).await?;
    follower.write_ini(provider)?;
    failpoint!("follow::written");
    tracing::info!("{} follows {} now", follower.subscriber.target(), follower.new.target());
    if runs && let Err(why) = start(config).await {
        tracing::warn!("{why}");
        return Ok(Output::none().failed(true));
    }
    Ok(Output::none())
}

impl<'a> Follower<'a> {
    async fn open(provider: &str, config: &'a config::Londiste, control: &'a Control) -> Result<Follower<'a>> {
        let abort = control.abort().for_clean_up();
        let old = open(config, Role::Provider, &config.provider_db, &abort).await?;
        let new = open(config, Role::Provider, provider, &abort).await?;
        let subscriber = open(config, Role::Subscriber, &config.subscriber_db, &abort).await?;
        for db in [&old, &new, &subscriber] {
            require_schema(db).await?;
        }
        let from = consumer(config);
        let back = replay_of(&old, &new, &from).await?;
        let to = Consumer { queue: back.queue.clone(), name: from.name.clone() };
        if to.name == back.name {
            return Err(Error::refused(
                format!("{} reads queue {} as consumer {}, too", old.target(), back.queue, back.name),
                "Give this job another pgq_consumer_id.",
            ));
        }
        Ok(Follower { config, control, old, new, subscriber, from, back, to })
    }

    /// Whether an earlier call has done step 4.
    async fn has_gone_over(&self) -> Result<bool> {
        let stored = queue_consumer::get(&self.subscriber, &self.to.queue).await?;
        Ok(stored.as_ref() == Some(&self.to.name) && tables::load(&self.subscriber, &self.from.queue).await?.is_empty())
    }

    /// The subscribed tables, all of which must be in sync and captured on the new provider.
    async fn tables(&self) -> Result<Vec<FqName>> {
        let (state, _) = fence::state(&self.old).await?;
        if state != State::CLOSED {
            return Err(Error::refused(
                format!("{} is not closed: writers may be there", self.old.target()),
                "A subscriber goes over when a switchover has moved the writers, see \"switchover status\" of its ini file.",
            ));
        }
        let captured = provider_queue::tables(&self.new, &self.to.queue).await?;
        let problems = conditions::table_problems(&self.old, &self.subscriber, &self.from.queue).await?;
        let mut names = Vec::new();
        for table in tables::load(&self.subscriber, &self.from.queue).await? {
            if table.state != TableState::Ok {
                return Err(Error::refused(
                    format!("table {} is not ok but {}", table.name, table.state),
                    "Wait until it is in sync: \"subscriber wait-sync\".",
                ));
            }
            if !captured.contains(&table.name) {
                return Err(Error::refused(
                    format!("table {} is not in queue {} of {}", table.name, self.to.queue, self.new.target()),
                    "Add it there with \"provider add\" and copy it, or remove it here with \"subscriber remove\".",
                ));
            }
            if let Some(problem) = problems.get(&table.name) {
                return Err(Error::refused(
                    format!("table {} is ok, but changes may be missing: {problem}", table.name),
                    "What mends it: \"rlondiste INI doctor\".",
                ));
            }
            names.push(table.name);
        }
        Ok(names)
    }

    /// Steps 1 to 4.
    async fn go_over(&self, names: &[FqName], timeout: Duration) -> Result<()> {
        let abort = self.control.abort().for_clean_up();
        let ticker = open(self.config, Role::Provider, &self.config.provider_db, &abort).await?;
        let held = self.old.begin("keep the position of replay", "begin").await?;
        let Some(position) = completed::hold(&held, &self.back.name).await? else {
            return Err(Error::missing(
                format!("{} has no position of consumer {}", self.old.target(), self.back.name),
                "Let replay of the way back run first.",
            ));
        };
        let last = make_tick(&ticker, &self.from.queue).await?;
        self.wait_applied(last, timeout).await?;
        tracing::info!("Has all that {} had at tick {position} of queue {}", self.new.target(), self.to.queue);
        failpoint!("follow::applied");
        stop(self.config, self.control).await?;
        self.to.start_at(&self.new, Abilities::of(&self.new).await?, position).await?;
        failpoint!("follow::registered");
        let tx = self.subscriber.begin("go over to another provider", "begin").await?;
        for name in names {
            tables::unsubscribe(&tx, &self.from.queue, name).await?;
            tables::subscribe(&tx, &self.to.queue, name, tables::Rows::Equal).await?;
        }
        for sequence in sequences::list(&tx, &self.from.queue).await? {
            sequences::remove(&tx, &self.from.queue, &sequence).await?;
            sequences::add(&tx, &self.to.queue, &sequence).await?;
        }
        completed::set_last_tick(&tx, &self.to.name, Some(position)).await?;
        queue_consumer::forget(&tx, &self.from.queue).await?;
        queue_consumer::set(&tx, &self.to.queue, &self.to.name).await?;
        tx.commit("go over to another provider").await?;
        held.rollback("release the position of replay").await
    }

    async fn wait_applied(&self, last: TickId, timeout: Duration) -> Result<()> {
        let started = Instant::now();
        loop {
            let reached = completed::last_tick(&self.subscriber, &self.from.name).await?;
            if reached.is_some_and(|tick| tick >= last) {
                return Ok(());
            }
            if started.elapsed() > timeout {
                return Err(Error::blocked(
                    format!("replay of {} has not reached tick {last} within {} s", self.from, timeout.as_secs()),
                    "See that it runs and what it waits for: \"subscriber status\"; or raise --timeout.",
                ));
            }
            pause(self.control, POLL).await?;
        }
    }

    /// The ini file with the new provider and its queue; the text before stays in a file beside it.
    fn write_ini(&self, provider: &str) -> Result<()> {
        const SECTION: &str = "londiste";
        let path = &self.config.path;
        let file = File::read(path)?;
        let changes =
            [("provider_db", provider.replace('%', "%%")), ("pgq_queue_name", self.to.queue.replace('%', "%%"))];
        let before = path.with_extension("ini.before");
        std::fs::copy(path, &before).map_err(|source| Error::Io {
            action: "keep the old ini file",
            path: before,
            source,
        })?;
        write_private(path, &file.rewritten(SECTION, &changes))
    }
}

/// The consumer by which the old provider follows the new one.
async fn replay_of(old: &Db, new: &Db, from: &Consumer) -> Result<Consumer> {
    for (queue, name) in queue_consumer::all(old).await? {
        let found = Consumer { queue, name };
        if found.queue != from.queue && found.position(new).await?.is_some() {
            return Ok(found);
        }
    }
    Err(Error::refused(
        format!("{} does not follow {}", old.target(), new.target()),
        "A subscriber goes over after a switchover, before \"switchover finish\".",
    ))
}
