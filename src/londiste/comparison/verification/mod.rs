//! `verify_interval`: replay looks at all rows of its tables again and again, and tells of those that differ from the provider's.
//!
//! The work is done by a task beside replay, with a session of its own on each side, and by the steps of
//! [`range_walk`](super::range_walk), which wait for replay as a command would: replay never waits for the task, and an error here
//! stops nothing.
//!
//! * [`plan`] says which range of keys is looked at next, and when.
//! * [`look`] looks at one range, and [`round`] at one after the other, while the sessions last.
//! * What was found is stored on the subscriber (`londiste.verification`), where `subscriber status`, metrics and events read it.
//!
//! A snapshot lasts for one query about some thousands of rows. Nothing is remembered by the sessions, so that they may go through a
//! pooler.

mod look;
mod plan;
mod round;
mod watch;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use tokio_util::task::AbortOnDropHandle;

use super::super::context::Job;
use super::range_walk::Amount;
use crate::config;
use crate::error::Report;
use crate::job::Control;
use crate::job::retry::{Faults, Say};
use crate::task::Abort;
use crate::text::Lines;
use round::Round;

/// What the task has read since the process began. Clones share the numbers.
#[derive(Clone, Debug, Default)]
pub(in crate::londiste) struct ReadAmount(Arc<Amount>);

impl ReadAmount {
    /// The rows, and the bytes of their text; of the two sides the one that had more counts.
    pub(in crate::londiste) fn get(&self) -> [u64; 2] {
        self.0.get()
    }
}

/// The task. Dropped, it ends; a statement that runs is cancelled.
#[derive(Debug)]
pub(in crate::londiste) struct Verification {
    _task: AbortOnDropHandle<()>,
}

impl Verification {
    /// Verifies until a stop is requested, if the ini file says so.
    pub(in crate::londiste) fn start(config: &config::Londiste, read: ReadAmount, control: &Control) -> Verification {
        let (config, requests, seen) = (config.clone(), control.clone(), control.reload_generation());
        let task = control.abort().spawn(Box::pin(run(config, read, requests, seen)));
        Verification { _task: AbortOnDropHandle::new(task) }
    }
}

async fn run(mut config: config::Londiste, read: ReadAmount, control: Control, mut seen: u64) {
    while !control.stopping() {
        let abort = control.abort().child_token();
        {
            let mut work = pin!(verify(&config, &read, &abort));
            tokio::select! {
                never = &mut work => match never {},
                () = control.stopped() => {}
                generation = control.reloaded(seen) => seen = generation,
            }
            // While the sessions are open: their statements are cancelled on the servers.
            abort.cancel();
        }
        // Replay itself logs what is wrong with the ini file.
        if let Ok(new) = config.reload()
            && Job::of(&config).check_reload(&new).is_ok()
        {
            config = new;
        }
    }
}

async fn verify(config: &config::Londiste, read: &ReadAmount, abort: &Abort) -> Infallible {
    let Some(interval) = config.verify_interval else { return std::future::pending().await };
    let mut faults = Faults::default();
    let mut round = Round::of(config, interval, &read.0, abort);
    loop {
        match round.run().await {
            Ok(()) => faults.clear(),
            Err(error) => {
                let text = Report(&error).to_string();
                if let Say::Now { .. } = faults.say(&text, Instant::now()) {
                    tracing::error!("Verification waits: {}", Lines(&text));
                }
                tokio::time::sleep(faults.wait_after_transient(rand::random())).await;
            }
        }
    }
}
