//! The answers of a site, kept for a second.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::Mutex;

use super::site::{Readiness, Site};
use crate::error::{Report, Result};

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(1);

/// How long a site may take for an answer, with opening its sessions.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a client gets: the answer, or why there is none, on one line.
pub(super) type Answer<T> = Result<T, String>;

/// The answers of a site. Asks the site for one at a time: requests that come meanwhile wait, and share the answer.
pub(super) struct Answers<S> {
    site: S,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    metrics: Option<Dated<String>>,
    status: Option<Dated<Value>>,
    readiness: Option<Dated<Readiness>>,
}

struct Dated<T> {
    at: Instant,
    answer: Answer<T>,
}

impl<S: Site> Answers<S> {
    pub(super) fn of(site: S) -> Answers<S> {
        Answers { site, kept: Mutex::new(Kept::default()) }
    }

    pub(super) fn site(&self) -> &S {
        &self.site
    }

    /// The metrics as text.
    pub(super) async fn metrics(&self) -> Answer<String> {
        let mut kept = self.kept.lock().await;
        let text = async { Ok(self.site.metrics().await?.into_text()) };
        recent(&mut kept.metrics, text).await
    }

    pub(super) async fn status(&self) -> Answer<Value> {
        let mut kept = self.kept.lock().await;
        recent(&mut kept.status, self.site.status()).await
    }

    pub(super) async fn readiness(&self) -> Answer<Readiness> {
        let mut kept = self.kept.lock().await;
        recent(&mut kept.readiness, self.site.readiness()).await
    }
}

/// The kept answer if it is young enough, else a new one, which is kept.
async fn recent<T: Clone>(kept: &mut Option<Dated<T>>, read: impl Future<Output = Result<T>>) -> Answer<T> {
    if let Some(dated) = kept.as_ref().filter(|dated| dated.at.elapsed() < KEPT) {
        return dated.answer.clone();
    }
    let answer = match tokio::time::timeout(PATIENCE, read).await {
        Ok(Ok(answer)) => Ok(answer),
        // The first line alone: further lines of a server may have values of rows.
        Ok(Err(error)) => Err(Report(&error).message()),
        Err(_) => Err(format!("the database did not answer within {} s", PATIENCE.as_secs())),
    };
    *kept = Some(Dated { at: Instant::now(), answer: answer.clone() });
    answer
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::samples::Samples;
    use super::*;
    use crate::config::Listen;
    use crate::error::Error;
    use crate::http::metrics::Program;

    #[derive(Default)]
    struct Counting(AtomicU32);

    impl Site for Counting {
        async fn metrics(&self) -> Result<Samples> {
            Ok(Samples::of(Program::Replay))
        }

        async fn status(&self) -> Result<Value> {
            Ok(Value::from(self.0.fetch_add(1, Ordering::Relaxed)))
        }

        async fn readiness(&self) -> Result<Readiness> {
            std::future::pending().await
        }

        fn reload(&self) -> Result<(Self, Option<Listen>)> {
            Err(Error::Aborted)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn site_that_takes_too_long_is_given_up() {
        let answers = Answers::of(Counting::default());
        let answer = answers.readiness().await.map(|readiness| readiness.objection(None));
        assert_eq!(answer, Err("the database did not answer within 5 s".to_owned()));
    }

    #[tokio::test]
    async fn requests_share_an_answer() {
        let answers = Answers::of(Counting::default());
        let (first, second) = tokio::join!(answers.status(), answers.status());
        assert_eq!((first, second), (Ok(Value::from(0)), Ok(Value::from(0))));
        answers.kept.lock().await.status = None;
        assert_eq!(answers.status().await, Ok(Value::from(1)));
    }
}
