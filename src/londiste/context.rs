//! What all commands share: settings, stop requests, sessions and transactions.
//!
//! A command changes each table or sequence in a transaction of its own, which `fake = 1` rolls back. So a command that
//! stops half-way leaves every table and sequence either changed or as before.

use std::time::Duration;

use super::state::{pass, turned};
use crate::config;
use crate::error::{Error, Report, Result};
use crate::job::{Control, Wake};
use crate::pg::{Db, Role, Tx};
use crate::pgq::consumer::Consumer;
use crate::text::Lines;

/// The queue and the consumer of the process. Both are fixed until the process ends: every position and every copy on
/// the subscriber belongs to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    /// `pgq_queue_name`
    pub(crate) queue: String,
    /// `pgq_consumer_id`
    pub(crate) consumer: String,
}

impl Job {
    /// The queue and the consumer of the ini file.
    pub(crate) fn of(config: &config::Londiste) -> Job {
        Job { queue: config.pgq_queue_name.clone(), consumer: config.pgq_consumer_id.clone() }
    }

    /// The consumer by which replay reads the queue. Copies have consumers of their own.
    pub(crate) fn main_consumer(&self) -> Consumer {
        Consumer { queue: self.queue.clone(), name: self.consumer.clone() }
    }

    /// Fails when the reloaded ini file has another queue or consumer.
    pub(crate) fn check_reload(&self, config: &config::Londiste) -> Result<()> {
        let new = Job::of(config);
        for (key, now, then) in
            [("pgq_queue_name", &self.queue, &new.queue), ("pgq_consumer_id", &self.consumer, &new.consumer)]
        {
            if now != then {
                return Err(Error::refused(
                    format!("a change of {key} from \"{now}\" to \"{then}\" needs a restart"),
                    "Nothing of the ini file was taken over. Restart the process if the change is meant.",
                ));
            }
        }
        Ok(())
    }
}

/// The settings of a command, and the requests to stop or reload.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) config: &'a config::Londiste,
    control: &'a Control,
}

impl<'a> Context<'a> {
    pub(crate) fn new(config: &'a config::Londiste, control: &'a Control) -> Self {
        Context { config, control }
    }

    /// `pgq_queue_name`
    pub(crate) fn queue(&self) -> &'a str {
        &self.config.pgq_queue_name
    }

    /// `pgq_consumer_id`
    pub(crate) fn consumer(&self) -> &'a str {
        &self.config.pgq_consumer_id
    }

    /// Opens a session on the provider.
    pub(crate) async fn provider(&self) -> Result<Db> {
        self.open(Role::Provider, &self.config.provider_db).await
    }

    /// Opens a session on the subscriber, which may write there also while the fence of a switchover is closed.
    pub(crate) async fn subscriber(&self) -> Result<Db> {
        let mut db = self.open(Role::Subscriber, &self.config.subscriber_db).await?;
        pass::show(&mut db).await?;
        Ok(db)
    }

    async fn open(&self, role: Role, conninfo: &str) -> Result<Db> {
        Db::open(role, conninfo, self.config.common.client(), self.control.abort()).await
    }

    /// Fails where a switchover has turned the job round, before a command makes it copy or apply old rows. The provider is asked only
    /// where that may be.
    pub(crate) async fn refuse_turned(&self) -> Result<()> {
        let subscriber = self.subscriber().await?;
        if turned::may_be(&subscriber, self.queue()).await? {
            turned::refuse(&self.provider().await?, &subscriber, self.queue()).await?;
        }
        Ok(())
    }

    /// Waits, at most until a reload is requested. Fails with `Error::Aborted` when a stop is requested.
    pub(crate) async fn pause(&self, duration: Duration) -> Result<()> {
        match self.control.sleep(duration).await {
            Wake::Elapsed | Wake::Reload => Ok(()),
            Wake::Stop => Err(Error::Aborted),
        }
    }

    /// Fails with `Error::Aborted` when a stop was requested. Called between two tables.
    pub(crate) fn proceed(&self) -> Result<()> {
        if self.control.stopping() { Err(Error::Aborted) } else { Ok(()) }
    }

    /// Runs `work` in a transaction of its own, which [`Context::end`] ends: locks are held until then. An error rolls
    /// back.
    pub(crate) async fn change<T>(&self, db: &Db, work: impl AsyncFnOnce(&Db) -> Result<T>) -> Result<T> {
        let tx = db.begin("begin a transaction", "begin").await?;
        let done = work(&tx).await?;
        self.end(tx).await?;
        Ok(done)
    }

    /// Commits; with `fake = 1` rolls back.
    pub(crate) async fn end(&self, tx: Tx<'_>) -> Result<()> {
        if self.config.fake { tx.rollback("roll back").await } else { tx.commit("commit").await }
    }
}

/// The result of the change of one table or sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The change was made.
    Done,
    /// The change failed; the error is in the log.
    Logged,
}

impl Outcome {
    /// Logs an error, so that the caller goes on to the next table or sequence. Returns the error when the session is
    /// closed or a stop was requested: then the command ends.
    pub(crate) fn of(db: &Db, done: Result<()>) -> Result<Outcome> {
        let Err(error) = done else { return Ok(Outcome::Done) };
        if matches!(error, Error::Aborted) || db.is_closed() {
            return Err(error);
        }
        tracing::error!("{}", Lines(without_origin(&Report(&error).to_string())));
        Ok(Outcome::Logged)
    }

    /// Whether the change failed.
    pub(crate) fn is_failed(self) -> bool {
        self == Outcome::Logged
    }
}

/// Removes the CONTEXT line of an error that a function of the schema raised on purpose: such an error tells a fact
/// about the table, and the line of the function is of no use to the operator.
fn without_origin(report: &str) -> String {
    let raised = |line: &str| {
        line.strip_prefix("CONTEXT: ")
            .and_then(|c| c.split("; ").next())
            .is_some_and(|frame| frame.ends_with("at RAISE"))
    };
    report.lines().filter(|line| !raised(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_is_shown_only_of_errors_that_were_not_raised() {
        let raised =
            "need key column (42P16)\nCONTEXT: PL/pgSQL function f(text) line 1 at RAISE; PL/pgSQL function g()";
        assert_eq!(without_origin(raised), "need key column (42P16)");
        let fault = "division by zero (22012)\nCONTEXT: PL/pgSQL function f(text) line 1 at assignment";
        assert_eq!(without_origin(fault), fault);
    }
}
