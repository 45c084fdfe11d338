//! The answers of a site, kept for a second, and the history of its metrics.

use std::convert::Infallible;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::Mutex;

use super::history::History;
use super::samples::Samples;
use super::site::{Condition, Readiness, Site};
use crate::error::{Report, Result};
use crate::job::{self, LastError};

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(1);

/// How long a site may take for an answer, with opening its sessions.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time between two readings for the history.
const SAMPLING: Duration = Duration::from_secs(5);

/// How many errors the page shows.
const ERRORS: usize = 5;

/// What a client gets: the answer, or why there is none, on one line.
pub(super) type Answer<T> = Result<T, String>;

/// The answers of a site. Asks the site for one at a time: requests that come meanwhile wait, and share the answer.
pub(super) struct Answers<S> {
    site: S,
    history: Arc<StdMutex<History>>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    metrics: Option<Dated<Arc<Samples>>>,
    figures: Option<Dated<Arc<Samples>>>,
    status: Option<Dated<Arc<Value>>>,
    readiness: Option<Dated<Readiness>>,
    errors: Option<Dated<Vec<LastError>>>,
}

/// What the page shows of this moment.
pub(super) struct View {
    /// The metrics; only the figures where the others cannot be read.
    pub(super) samples: Option<Arc<Samples>>,
    /// The document of the status command, for a program that shows more than metrics.
    pub(super) status: Option<Arc<Value>>,
    /// Why something could not be read, on one line.
    pub(super) failure: Option<String>,
    /// The last errors of the log file, the newest first.
    pub(super) errors: Vec<LastError>,
}

struct Dated<T> {
    at: Instant,
    answer: Answer<T>,
}

impl<S: Site> Answers<S> {
    pub(super) fn of(site: S) -> Answers<S> {
        Answers { site, history: Arc::default(), kept: Mutex::default() }
    }

    /// Answers of the site as it is by new settings, with the same history.
    pub(super) fn anew(&self, site: S) -> Answers<S> {
        Answers { site, history: self.history.clone(), kept: Mutex::default() }
    }

    pub(super) fn site(&self) -> &S {
        &self.site
    }

    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn metrics(&self) -> Answer<Arc<Samples>> {
        let mut kept = self.kept.lock().await;
        self.recorded_metrics(&mut kept).await
    }

    pub(super) async fn status(&self) -> Answer<Arc<Value>> {
        let mut kept = self.kept.lock().await;
        recent(&mut kept.status, async { self.site.status().await.map(Arc::new) }).await
    }

    /// For the page. `with_status` also reads the document of the status command.
    pub(super) async fn view(&self, with_status: bool) -> View {
        let mut kept = self.kept.lock().await;
        let log = self.site.common().logfile.as_deref();
        let errors = async { Ok(log.map(|path| job::last_errors(path, ERRORS)).unwrap_or_default()) };
        let errors = recent(&mut kept.errors, errors).await;
        let asked = Instant::now();
        let mut view = View { samples: None, status: None, failure: None, errors: errors.unwrap_or_default() };
        match self.recorded_metrics(&mut kept).await {
            Ok(samples) if with_status => {
                view.samples = Some(samples);
                match recent(&mut kept.status, async { self.site.status().await.map(Arc::new) }).await {
                    Ok(status) => view.status = Some(status),
                    Err(why) => view.failure = Some(why),
                }
            }
            Ok(samples) => view.samples = Some(samples),
            Err(why) => {
                view.failure = Some(why);
                // A server that has let the client wait once is not asked twice: the connection lasts only so long.
                view.samples = if asked.elapsed() < KEPT {
                    self.recorded_figures(&mut kept).await.ok()
                } else {
                    let recent = kept.figures.as_ref().filter(|dated| dated.at.elapsed() < 3 * SAMPLING);
                    recent.and_then(|dated| dated.answer.clone().ok())
                };
            }
        }
        view
    }

    /// Reads for the history from time to time, until it is dropped.
    pub(super) async fn sample(&self) -> Infallible {
        loop {
            let age = self.history().age().unwrap_or(SAMPLING.as_secs_f64());
            // Whoever asked for the metrics meanwhile has added to the history.
            let left = SAMPLING.saturating_sub(Duration::from_secs_f64(age));
            if left.is_zero() {
                let mut kept = self.kept.lock().await;
                let _ = self.recorded_figures(&mut kept).await;
            } else {
                tokio::time::sleep(left).await;
            }
        }
    }

    async fn recorded_metrics(&self, kept: &mut Kept) -> Answer<Arc<Samples>> {
        let before = kept.metrics.as_ref().map(|dated| dated.at);
        let answer = recent(&mut kept.metrics, async { self.site.metrics().await.map(Arc::new) }).await;
        // Figures can be read where the metrics cannot: only they make a gap.
        if let Some(dated) = kept.metrics.as_ref().filter(|dated| Some(dated.at) != before)
            && let Ok(samples) = &dated.answer
        {
            self.history().record(Some(samples));
        }
        answer
    }

    async fn recorded_figures(&self, kept: &mut Kept) -> Answer<Arc<Samples>> {
        let before = kept.figures.as_ref().map(|dated| dated.at);
        let answer = recent(&mut kept.figures, async { self.site.figures().await.map(Arc::new) }).await;
        if let Some(dated) = kept.figures.as_ref().filter(|dated| Some(dated.at) != before) {
            self.history().record(dated.answer.as_deref().ok());
        }
        answer
    }

    pub(super) async fn conditions(&self) -> Answer<Vec<Condition>> {
        let _kept = self.kept.lock().await;
        recent(&mut None, self.site.conditions()).await
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

    use super::*;
    use crate::config::{Common, Listen};
    use crate::error::Error;
    use crate::http::metrics::{self, Program};

    #[derive(Default)]
    struct Counting {
        common: Common,
        asked: AtomicU32,
    }

    impl Site for Counting {
        const PROGRAM: Program = Program::Replay;

        fn common(&self) -> &Common {
            &self.common
        }

        async fn metrics(&self) -> Result<Samples> {
            Err(Error::Aborted)
        }

        async fn conditions(&self) -> Result<Vec<Condition>> {
            Ok(Vec::new())
        }

        async fn figures(&self) -> Result<Samples> {
            let mut samples = Samples::of(Program::Replay);
            samples.add(&metrics::REPLAY_LAG, ["q", "c"], f64::from(self.asked.fetch_add(1, Ordering::Relaxed)));
            Ok(samples)
        }

        async fn status(&self) -> Result<Value> {
            Ok(Value::from(self.asked.fetch_add(1, Ordering::Relaxed)))
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
        let number = |number: u32| Ok(Arc::new(Value::from(number)));
        assert_eq!((first, second), (number(0), number(0)));
        answers.kept.lock().await.status = None;
        assert_eq!(answers.status().await, number(1));
    }

    #[tokio::test]
    async fn page_has_the_figures_where_the_other_metrics_cannot_be_read() {
        let answers = Answers::of(Counting::default());
        let view = answers.view(true).await;
        assert_eq!(view.failure, Some(Report(&Error::Aborted).message()));
        assert_eq!(view.samples.and_then(|samples| samples.greatest(&metrics::REPLAY_LAG)), Some(0.0));
        assert_eq!(answers.history().courses(&metrics::REPLAY_LAG).count(), 1);
    }

    /// A reading that somebody asked for counts.
    #[tokio::test]
    async fn history_is_read_when_nobody_has_asked_for_five_seconds() {
        let answers = Answers::of(Counting::default());
        let asked = || answers.site.asked.load(Ordering::Relaxed);
        let sample = async |seconds: f64| {
            let _ = tokio::time::timeout(Duration::from_secs_f64(seconds), answers.sample()).await;
        };
        sample(0.01).await;
        assert_eq!(asked(), 1);
        sample(0.01).await;
        assert_eq!(asked(), 1);
    }
}
