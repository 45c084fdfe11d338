//! `on_event`: a command that is run once when something begins that an operator should know of, and once when it is over.
//!
//! What is known is read every [`ROUND`], as for the page. A condition counts from the second round on that finds it, so that the restart
//! of a server, or a moment of lag, wakes nobody. The command gets one JSON document on its standard input; commands run one after the
//! other. The process remembers what it has told: a process that begins anew tells what it finds again.
//!
//! A reload drops [`Hook::watch`] and calls it again. So the command that runs and the notices that wait are fields of the [`Hook`]: a
//! reload ends no command and loses no notice.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::fmt::{self, Debug};
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use super::answers::{Answer, Answers};
use super::site::{Condition, Site};
use crate::job::{self, Health};

/// Time between two looks at the conditions.
const ROUND: Duration = Duration::from_secs(5);

/// How long a command may run; then it is killed, with all that it has started.
const COMMAND_TIME: Duration = Duration::from_mins(1);

/// The kind of the condition that the loops of the program fail.
const FAILED: &str = "failed";

/// What was found and told so far.
#[derive(Debug, Default)]
pub(super) struct Hook {
    /// By kind and object.
    known: BTreeMap<(&'static str, String), Known>,
    /// Not told yet, the oldest first.
    waiting: VecDeque<Notice>,
    telling: Option<Telling>,
    /// When the next round begins.
    next: Option<tokio::time::Instant>,
}

#[derive(Debug)]
struct Known {
    condition: Condition,
    since: Instant,
    told: bool,
}

/// A command that runs.
struct Telling {
    /// Of what it is told.
    what: String,
    command: Pin<Box<dyn Future<Output = Result<(), String>> + Send>>,
}

impl Debug for Telling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Telling").field(&self.what).finish()
    }
}

/// Something that begins or is over.
#[derive(Clone, Debug, PartialEq)]
struct Notice {
    condition: Condition,
    is_over: bool,
    seconds: u64,
}

impl Hook {
    /// Watches, until it is dropped. Dropped while a command runs, lets it wait until the next call goes on with it.
    pub(super) async fn watch<S: Site>(&mut self, answers: &Answers<S>, health: &Health) -> Infallible {
        let Some(command) = answers.site().common().on_event.clone() else {
            self.waiting.clear();
            self.told().await;
            return std::future::pending().await;
        };
        loop {
            self.told().await;
            if let Some(notice) = self.waiting.pop_front() {
                let document = document(&notice, &answers.site().common().job_name, S::PROGRAM.name());
                let command = Box::pin(run(command.clone(), document, COMMAND_TIME));
                self.telling = Some(Telling { what: notice.condition.name(), command });
                continue;
            }
            if let Some(next) = self.next {
                tokio::time::sleep_until(next).await;
            }
            let failed =
                health.failure().map(|fact| Condition { kind: FAILED, object: String::new(), fact, fix: None });
            let found = answers.conditions().await;
            let notices = self.notices(&found, failed, Instant::now());
            self.waiting.extend(notices);
            self.next = Some(tokio::time::Instant::now() + ROUND);
        }
    }

    /// Waits until the command that runs, if there is one, has ended. Logs why it has failed. Cancel-safe.
    async fn told(&mut self) {
        let Some(Telling { what, command }) = &mut self.telling else { return };
        if let Err(why) = command.await {
            tracing::warn!("on_event: the command failed for {what}: {why}");
        }
        self.telling = None;
    }

    /// Takes in what a round has found. Where the site cannot tell, everything but a failure stays as it was.
    fn notices(&mut self, found: &Answer<Vec<Condition>>, failed: Option<Condition>, now: Instant) -> Vec<Notice> {
        let is_told_of = |kind| kind == FAILED || found.is_ok();
        let mut present: BTreeMap<(&'static str, String), Condition> = BTreeMap::new();
        for condition in found.iter().flatten().cloned().chain(failed) {
            present.insert((condition.kind, condition.object.clone()), condition);
        }
        let mut notices = Vec::new();
        self.known.retain(|key, known| {
            let is_over = is_told_of(key.0) && !present.contains_key(key);
            if is_over && known.told {
                let seconds = now.saturating_duration_since(known.since).as_secs();
                notices.push(Notice { condition: known.condition.clone(), is_over, seconds });
            }
            !is_over
        });
        for (key, condition) in present {
            match self.known.get_mut(&key) {
                None => {
                    self.known.insert(key, Known { condition, since: now, told: false });
                }
                Some(known) => {
                    known.condition = condition;
                    if !std::mem::replace(&mut known.told, true) {
                        let seconds = now.saturating_duration_since(known.since).as_secs();
                        notices.push(Notice { condition: known.condition.clone(), is_over: false, seconds });
                    }
                }
            }
        }
        notices
    }
}

/// What the command is told.
fn document(notice: &Notice, job: &str, program: &str) -> Value {
    let Notice { condition: Condition { kind, object, fact, fix }, is_over, seconds } = notice;
    let facts = json!({
        "event": kind, "state": if *is_over { "over" } else { "begun" }, "job": job, "program": program, "object": object, "fact": fact,
        "fix": fix, "seconds": seconds,
    });
    job::document(&facts).unwrap_or_default()
}

/// A command that runs, in a process group of its own: signals from the terminal of the program do not reach it. Dropped before it has
/// ended, it is killed with all that it has started.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // A child that nobody has waited for has a number; until then no other process or group gets this number.
        if let Some(group) = self.0.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}

/// Runs a command of the shell. Fails with a line when it cannot be run, fails, or takes too long. Kills it when it takes too long, and when
/// the future is dropped.
async fn run(command: String, document: Value, time: Duration) -> Result<(), String> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &command]).stdin(Stdio::piped()).process_group(0).kill_on_drop(true);
    let mut running = Running(shell.spawn().map_err(|error| error.to_string())?);
    let work = async {
        if let Some(mut input) = running.0.stdin.take() {
            // A command that does not read its input has ended, or needs no document.
            let _ = input.write_all(format!("{document}\n").as_bytes()).await;
        }
        running.0.wait().await
    };
    match tokio::time::timeout(time, work).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(fate(status)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("it did not end within {} s, and was ended", time.as_secs())),
    }
}

/// What has become of a command that failed. Its own words are not known: with `-d`, its standard error is `/dev/null`.
fn fate(status: ExitStatus) -> String {
    match status.code() {
        Some(126) => format!("{status}: the shell may not run a command"),
        Some(127) => format!("{status}: the shell did not find a command"),
        _ => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(object: &str, fact: &str) -> Condition {
        Condition { kind: "table-parked", object: object.to_owned(), fact: fact.to_owned(), fix: None }
    }

    #[test]
    fn each_condition_is_told_once_when_it_stays_and_once_when_it_is_over() {
        let mut hook = Hook::default();
        let start = Instant::now();
        let mut round = |found: Answer<Vec<Condition>>, failed: Option<Condition>, seconds: u64| {
            let notices = hook.notices(&found, failed, start + Duration::from_secs(seconds));
            notices
                .iter()
                .map(|n| format!("{} {} {} {}", n.condition.object, n.condition.fact, n.is_over, n.seconds))
                .collect::<Vec<_>>()
        };
        let (a, b) = (condition("a", "x"), condition("b", "x"));
        assert_eq!(round(Ok(vec![a.clone(), b]), None, 0), [""; 0]);
        // The second one was there for a moment only.
        assert_eq!(round(Ok(vec![a.clone()]), None, 5), ["a x false 5"]);
        assert_eq!(round(Ok(vec![condition("a", "y")]), None, 10), [""; 0]);
        // Nobody knows.
        assert_eq!(round(Err("no connection".to_owned()), None, 15), [""; 0]);
        assert_eq!(round(Ok(vec![a]), None, 20), [""; 0]);
        assert_eq!(round(Ok(vec![]), None, 25), ["a x true 25"]);
        assert_eq!(round(Ok(vec![]), None, 30), [""; 0]);
        // A failure is known of also when the databases do not answer.
        let failed = Condition { kind: FAILED, object: String::new(), fact: "it broke".to_owned(), fix: None };
        assert_eq!(round(Err("no connection".to_owned()), Some(failed.clone()), 35), [""; 0]);
        assert_eq!(round(Err("no connection".to_owned()), Some(failed), 40), [" it broke false 5"]);
        assert_eq!(round(Err("no connection".to_owned()), None, 45), [" it broke true 10"]);
    }

    #[tokio::test]
    async fn command_gets_the_document_and_its_fate_is_known() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("told");
        let notice = Notice { condition: condition("public.\"o'x\"", "why"), is_over: false, seconds: 5 };
        let document = document(&notice, "job", "replay");
        run(format!("cat > '{}'", file.display()), document.clone(), COMMAND_TIME).await.expect("it works");
        let told: Value = serde_json::from_slice(&std::fs::read(&file).expect("it was written")).expect("JSON");
        assert_eq!(told, document);
        assert_eq!(told["state"], "begun");
        assert_eq!(run("exit 3".to_owned(), document, COMMAND_TIME).await, Err("exit status: 3".to_owned()));
    }

    /// Whether a process runs. One that nobody has waited for does not.
    fn runs(process: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    }

    #[tokio::test]
    async fn command_that_takes_too_long_ends_with_all_that_it_has_started() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("started");
        let command = format!("sleep 1000 | sh -c 'echo $$ > {}; cat'", file.display());
        let slow = run(command, Value::Null, Duration::from_secs(3)).await;
        assert_eq!(slow, Err("it did not end within 3 s, and was ended".to_owned()));
        let started = std::fs::read_to_string(file).expect("it has begun");
        while runs(started.trim()) {
            tokio::task::yield_now().await;
        }
    }
}
