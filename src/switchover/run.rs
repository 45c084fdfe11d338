//! The switchover itself, up to the point of no return, and its undoing. [`super::takeover`] has the rest.

use std::time::{Duration, Instant};

use super::command::{Command, NOT_GOOD, WARNED};
use super::gate::{self, Closed};
use super::sides::{Course, Sides, consumer};
use super::takeover::{self, Taken};
use super::task::{self, Ground, Task};
use super::{arm, checks, hook};
use crate::config;
use crate::error::{Error, Report, Result};
use crate::failpoint::failpoint;
use crate::job::{Control, Output};
use crate::londiste::fence::{self, Closing, State};
use crate::londiste::switchover::{Phase, Stored};
use crate::londiste::{completed, queue_consumer, way_back};
use crate::pgq::consumer::{Abilities, make_tick};
use crate::text::Lines;

/// Before the fence ends by itself, so much time is left for making it final.
const RESERVE: Duration = Duration::from_millis(500);

/// Where an earlier call has ended.
enum Stand {
    /// Nothing was begun.
    Begin,
    /// Before the point of no return.
    Undo(Stored),
    /// Behind it.
    GoOn(Stored),
    Done,
}

pub(super) async fn run(command: &Command, config: &config::Londiste, control: &Control) -> Result<Output> {
    let ground = Ground::open(command.direction, config, control).await?;
    let (task, way, sides) = (ground.task(command, control), &ground.way, &ground.sides);
    match task.stand().await? {
        Stand::Done => {
            tracing::info!("The {} is done: writers are on {}", way.direction.word(), sides.new.target());
            // Long transactions may have kept the earlier call from it.
            arm::disarm(&sides.new, control).await?;
            return Ok(Output::none());
        }
        Stand::GoOn(stored) => {
            tracing::info!("An earlier {} was ended behind the point of no return: going on", way.direction.word());
            return task.take_over(stored, None).await;
        }
        Stand::Undo(stored) => {
            tracing::info!(
                "An earlier {} was ended in phase {}: it is undone first",
                way.direction.word(),
                stored.phase
            );
            task.undo(&stored).await?;
        }
        Stand::Begin => {}
    }
    let (state, _) = fence::state(&sides.new).await?;
    let stored = Stored { is_back: way.is_back(), phase: Phase::Prepared, until: State::OPEN, new_was: state };
    if !checks::are_good(&task).await? {
        return Ok(Output::none().with_code(NOT_GOOD));
    }
    task.require_replay().await?;
    task.go(stored).await
}

impl Task<'_> {
    async fn stand(&self) -> Result<Stand> {
        let (stored, old) = self.sides.standing(self.way).await?;
        let word = self.way.direction.word();
        let refused = |what: String, hint: &str| Err(Error::refused(format!("cannot begin a {word}: {what}"), hint));
        match stored {
            Some(stored) if stored.is_back == self.way.is_back() => match stored.phase {
                Phase::Done | Phase::Finished => return Ok(Stand::Done),
                Phase::Prepared | Phase::Fenced if old != State::CLOSED => return Ok(Stand::Undo(stored)),
                Phase::Prepared | Phase::Fenced | Phase::Final | Phase::Open => return Ok(Stand::GoOn(stored)),
                Phase::Undone => {}
            },
            Some(stored) if stored.phase == Phase::Finished => {
                return refused(
                    "the way back was given up by \"switchover finish\"".to_owned(),
                    "Replicate the other way with an ini file and a database of its own: \"rlondiste up\".",
                );
            }
            Some(stored) if !stored.phase.is_at_rest() => {
                return refused(
                    format!("one in the other direction is in phase {}", stored.phase),
                    "Run that command again: it goes on, or undoes what it has begun.",
                );
            }
            None if self.way.is_back() => {
                return refused("there was no switchover".to_owned(), "Writers are on the provider of the ini file.");
            }
            Some(_) | None => {}
        }
        if old == State::OPEN {
            return Ok(Stand::Begin);
        }
        refused(
            format!("{} is closed: writers are not there", self.sides.old.target()),
            "See where they are: \"rlondiste INI switchover status\".",
        )
    }

    /// Steps 1 to 9, then the rest.
    async fn go(&self, mut stored: Stored) -> Result<Output> {
        let (way, sides) = (self.way, self.sides);
        let mut course = Course::begin();
        way_back::prepare(&way.next, self.control, self.set).await?;
        way.write_back_ini()?;
        failpoint!("switchover::prepared");
        sides.store(way, &stored).await?;
        match self.keep_out(&mut stored, &mut course).await {
            Ok(closed) => self.take_over(stored, Some(closed)).await,
            Err(error) => {
                tracing::error!("{}", Lines(Report(&error).to_string()));
                self.give_up(&stored).await?;
                Ok(Output::none().with_code(NOT_GOOD))
            }
        }
    }

    /// Undoes on new sessions where the old ones are broken.
    async fn give_up(&self, stored: &Stored) -> Result<()> {
        if !self.sides.old.is_closed() && !self.sides.new.is_closed() {
            return self.undo(stored).await;
        }
        let sides = Sides::open(self.way, self.control).await?;
        Task { sides: &sides, ..*self }.undo(stored).await
    }

    async fn keep_out(&self, stored: &mut Stored, course: &mut Course) -> Result<Closed> {
        let Task { way, sides: Sides { old, new }, control, .. } = self;
        let queue = self.fenced_queue();
        let number = arm::arm(new, queue, control).await? + arm::arm(old, queue, control).await?;
        course.step(1, format_args!("the way back is prepared, {number} tables were armed"));
        failpoint!("switchover::armed");
        // Where it fails behind the point of no return, both sides stay closed until somebody has mended it.
        way_back::rehearse_triggers(new, &self.set.tables).await?;
        self.settle().await?;
        if let Err(why) = hook::run("before-fence", self.command.hooks.before_fence.as_deref(), way).await {
            return Err(Error::refused(why, "Nobody was kept out."));
        }
        let deadline = Instant::now() + self.command.timeout;
        if stored.new_was == State::OPEN {
            let message = format!("this database takes over from {}, and is not open yet", old.target());
            let hint = "Connect to that database.";
            gate::close(new, deadline, control, async || {
                Ok(Closing { queue, from: State::OPEN, to: State::CLOSED, message: &message, hint })
            })
            .await?;
        }
        course.step(2, format_args!("{} is closed", new.target()));
        failpoint!("switchover::new_closed");
        let message = format!("writers are going over to {}: nothing can be written here", new.target());
        let timeout = self.command.timeout;
        let closed = gate::close(old, deadline, control, async || {
            let (_, now) = fence::state(old).await?;
            let until = State(now.saturating_add(i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX)));
            // Stored first: who finds the fence closed knows whose it is.
            *stored = Stored { phase: Phase::Fenced, until, ..*stored };
            self.sides.store(way, stored).await?;
            Ok(Closing { queue, from: State::OPEN, to: until, message: &message, hint: "Try again in a moment." })
        })
        .await?;
        course.step(
            3,
            format_args!(
                "{} is closed for {} s, writers came to an end within {} ms at try {}",
                old.target(),
                timeout.as_secs_f64(),
                closed.waited.as_millis(),
                closed.tries
            ),
        );
        failpoint!("switchover::fenced");
        let deadline = closed.since + timeout.saturating_sub(RESERVE);
        self.catch_up(deadline, course).await?;
        self.finalize(&closed, deadline).await?;
        course.step(9, format_args!("{} is closed for good", old.target()));
        failpoint!("switchover::final");
        Ok(closed)
    }

    /// Steps 4 to 8.
    async fn catch_up(&self, deadline: Instant, course: &mut Course) -> Result<()> {
        let Task { way, sides: Sides { old, new }, .. } = self;
        let last = make_tick(old, &way.running.pgq_queue_name).await?;
        course.step(4, format_args!("tick {last} is the last one"));
        failpoint!("switchover::ticked");
        self.wait_applied(last, deadline).await?;
        course.step(5, "the new side has everything");
        self.verify(deadline).await?;
        failpoint!("switchover::applied");
        let first = make_tick(new, &way.next.pgq_queue_name).await?;
        course.step(6, format_args!("tick {first} is the first one of the way back"));
        failpoint!("switchover::back_ticked");
        let next = consumer(&way.next);
        next.start_at(new, Abilities::of(new).await?, first).await?;
        course.step(7, format_args!("consumer {} stands there", next.name));
        failpoint!("switchover::registered");
        completed::set_last_tick(old, &next.name, Some(first)).await?;
        queue_consumer::set(old, &next.queue, &next.name).await?;
        course.step(8, "and so does the old side");
        failpoint!("switchover::positioned");
        Ok(())
    }

    /// Step 9, which checks that the fence is still this call's and not over.
    async fn finalize(&self, closed: &Closed, deadline: Instant) -> Result<()> {
        let old = &self.sides.old;
        let message = task::moved(&self.sides.new);
        let (queue, hint) = (self.fenced_queue(), "Connect to the new database.");
        gate::close(old, deadline, self.control, async || {
            let (now, _) = fence::state(old).await?;
            let from = if now == State::CLOSED { now } else { closed.state };
            Ok(Closing { queue, from, to: State::CLOSED, message: &message, hint })
        })
        .await
        .map(drop)
    }

    /// Opens the old side, then takes back the rest. The way back stays prepared.
    async fn undo(&self, stored: &Stored) -> Result<()> {
        let Task { way, sides: Sides { old, new }, .. } = self;
        fence::open(old, stored.until).await?;
        tracing::info!("Undone: {} is open", old.target());
        failpoint!("switchover::reopened");
        let next = consumer(&way.next);
        if next.position(new).await?.is_some() {
            next.unregister(new).await?;
        }
        completed::set_last_tick(old, &next.name, None).await?;
        if stored.new_was == State::OPEN {
            fence::open(new, State::CLOSED).await?;
        }
        self.sides.store(way, &Stored { phase: Phase::Undone, ..*stored }).await?;
        failpoint!("switchover::undone");
        if let Err(why) = hook::run("on-undo", self.command.hooks.on_undo.as_deref(), way).await {
            tracing::warn!("{why}");
        }
        // Also when a stop was requested: an armed table costs each of its writers.
        let disarmed = async {
            arm::disarm(old, self.control).await?;
            if stored.new_was == State::OPEN { arm::disarm(new, self.control).await.map(drop) } else { Ok(()) }
        };
        if let Err(error) = disarmed.await {
            tracing::warn!("tables stay armed, and open: {}", Lines(Report(&error).to_string()));
        }
        tracing::info!("Undone. The way back stays prepared; \"switchover finish\" removes it");
        Ok(())
    }

    async fn take_over(&self, stored: Stored, closed: Option<Closed>) -> Result<Output> {
        let taken = takeover::run(self, &stored, closed).await?;
        Ok(Output::none().with_code(if taken == Taken::WithWarnings { WARNED } else { 0 }))
    }
}
