//! What a program tells about itself.

use serde_json::Value;

use super::metrics::Program;
use super::samples::Samples;
use crate::config::{Common, Listen};
use crate::error::Result;

/// What a program tells about itself. The server calls one method at a time, and drops the future of a method that takes
/// too long or whose client has gone: a session in which a statement may still run must go with it.
pub(crate) trait Site: Send + Sync + Sized + 'static {
    /// The program.
    const PROGRAM: Program;

    /// The settings of the process.
    fn common(&self) -> &Common;

    /// The values of the program's metrics.
    fn metrics(&self) -> impl Future<Output = Result<Samples>> + Send;

    /// Those of the metrics that have a history, by one query of each database that they need.
    fn figures(&self) -> impl Future<Output = Result<Samples>> + Send;

    /// The document of the program's status command.
    fn status(&self) -> impl Future<Output = Result<Value>> + Send;

    /// What an operator should know of now: see `on_event`.
    fn conditions(&self) -> impl Future<Output = Result<Vec<Condition>>> + Send;

    /// How far behind the program is.
    fn readiness(&self) -> impl Future<Output = Result<Readiness>> + Send;

    /// Reads the ini file again: the site by the new settings, and where to listen.
    fn reload(&self) -> Result<(Self, Option<Listen>)>;
}

/// Something that goes on and that an operator should know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    /// Its name, in kebab case.
    pub(crate) kind: &'static str,
    /// The table, queue or consumer.
    pub(crate) object: String,
    /// What it is, on one line.
    pub(crate) fact: String,
    /// What mends it, if it is known.
    pub(crate) fix: Option<String>,
}

impl Condition {
    /// Kind and object, for a line of the log.
    pub(super) fn name(&self) -> String {
        [self.kind, &self.object].join(" ").trim_end().to_owned()
    }
}

/// How far behind a program is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness {
    /// Why the program is not ready however far behind, on one line.
    pub(crate) obstacle: Option<String>,
    /// What may be behind, with the seconds; `None` when not even that is known.
    pub(crate) lags: Vec<(String, Option<f64>)>,
}

impl Readiness {
    /// Why the program is not ready, on one line; `None` when it is.
    pub(super) fn objection(&self, limit: Option<f64>) -> Option<String> {
        if let Some(obstacle) = &self.obstacle {
            return Some(obstacle.clone());
        }
        let limit = limit?;
        self.lags.iter().find_map(|(what, lag)| match lag {
            None => Some(format!("{what} is behind by an unknown time")),
            Some(lag) if *lag > limit => Some(format!("{what} is {lag:.1} s behind, more than {limit} s")),
            Some(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_too_far_behind_is_named() {
        let lags = vec![("queue a".to_owned(), Some(1.0)), ("queue b".to_owned(), Some(31.04))];
        let readiness = Readiness { obstacle: None, lags };
        assert_eq!(readiness.objection(None), None);
        assert_eq!(readiness.objection(Some(60.0)), None);
        assert_eq!(readiness.objection(Some(30.0)).as_deref(), Some("queue b is 31.0 s behind, more than 30 s"));
        let unknown = Readiness { obstacle: None, lags: vec![("queue a".to_owned(), None)] };
        assert_eq!(unknown.objection(Some(60.0)).as_deref(), Some("queue a is behind by an unknown time"));
        let blocked = Readiness { obstacle: Some("a table is parked".to_owned()), ..unknown };
        assert_eq!(blocked.objection(None).as_deref(), Some("a table is parked"));
    }
}
