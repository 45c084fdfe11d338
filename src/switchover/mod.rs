//! `switchover`, `switchback`: writers go over from one side of a replication job to the other, with seconds without writes, nothing
//! lost, exact sequences and a way back.
//!
//! The *old* side is written to before, the *new* side afterwards. The *running* job replicates from old to new, the *next* job from new
//! to old. The job of the ini file is the running job of a switchover and the next job of a switchback.
//!
//! | step | what is done | killed after it, the next call |
//! |---|---|---|
//! | 1 | the next job is prepared, both sides are armed ([`arm`]) | does the rest of it |
//! | 2 | the new side is closed for good | undoes it, begins anew |
//! | 3 | the old side is closed for a time ([`gate`]): writers get 25006 | undoes it (so does the time), begins anew |
//! | 4 | the last tick on the old side | as after 3 |
//! | 5 | the running job has applied it; `--verify` | as after 3 |
//! | 6 | a tick on the new side | as after 3 |
//! | 7 | the next job's consumer stands there | as after 3 |
//! | 8 | so does its position on the old side | as after 3 |
//! | 9 | the old side is closed for good, if its time is not over | goes on |
//! | 10 | the running job's consumer is unregistered, its sessions on the new side are ended | goes on |
//! | 11 | sequences are set, triggers of users are there again | goes on |
//! | 12 | the new side is open | goes on |
//! | 13 | the next job runs, the new side is disarmed | goes on |
//!
//! Both sides are never open: before 12 the new side is closed, and from 9 on the old side is. The states of the two fences are stored in
//! the databases and tell where a switchover stands; [`crate::londiste::switchover`] tells which of them are its own.
//!
//! Everything before 9 is undone when it fails or takes too long: the fence of the old side first.

mod arm;
mod catch_up;
mod checks;
mod command;
mod finish;
mod follow;
mod gate;
mod hook;
mod rehearsal;
mod run;
mod sides;
mod status;
mod takeover;
mod task;
mod way;

pub(crate) use command::{Action, Command, Direction, Hooks, Verify};
pub(crate) use follow::follow;

use command::{NOT_GOOD, UNKNOWN};

use crate::config;
use crate::error::{Error, Report, Result};
use crate::job::{Control, Output};
use crate::text::Lines;

/// Runs the command. Exit status: 0 good, 1 warnings, 2 not good, 3 could not be determined.
pub(crate) async fn run(command: &Command, config: &config::Londiste, control: &Control) -> Result<Output> {
    let done = match command.action {
        Action::Plan => checks::plan(command, config, control).await,
        Action::Rehearse => rehearsal::run(command, config, control).await,
        Action::Run => run::run(command, config, control).await,
        Action::Status => status::run(config, control).await,
        Action::Finish => finish::run(command, config, control).await,
    };
    match done {
        Err(Error::Aborted) => Err(Error::Aborted),
        Err(error) => {
            tracing::error!("{}", Lines(Report(&error).to_string()));
            let is_unknown = matches!(error, Error::Connect { .. }) || error.is_transient();
            Ok(Output::none().with_code(if is_unknown { UNKNOWN } else { NOT_GOOD }))
        }
        Ok(output) => Ok(output),
    }
}
