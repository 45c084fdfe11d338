//! `health`: one line that says whether the daemon of an ini file works, for health checks of containers and services.
//!
//! A health check may restart the daemon. So what passes by itself, or would be the same after a restart, is no reason to say that
//! the daemon does not work: warnings of the checks count as good.

use std::io::ErrorKind;

use super::finding::{Finding, Level};
use crate::config::Listen;
use crate::http;
use crate::job::Output;
use crate::text::one_line;

/// What is said of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Good(String),
    NotGood(String),
    /// It could not be found out; never a pass.
    Unknown(String),
}

impl Verdict {
    /// The verdict of the findings: the worst one decides.
    pub(super) fn of(findings: &[Finding]) -> Verdict {
        let first = |level: Level| findings.iter().find(|finding| finding.level == level);
        let fact = |finding: &Finding| format!("{}: {}", finding.object, finding.fact);
        if let Some(finding) = first(Level::Error) {
            return Verdict::NotGood(finding.line());
        }
        if let Some(finding) = first(Level::Unknown) {
            return Verdict::Unknown(finding.line());
        }
        Verdict::Good(first(Level::Ok).map_or_else(|| "nothing is wrong".to_owned(), fact))
    }

    /// One line, and the exit status.
    pub(super) fn output(&self) -> Output {
        let (word, text, code) = match self {
            Verdict::Good(text) => ("good", text, 0),
            Verdict::NotGood(text) => ("not good", text, 2),
            Verdict::Unknown(text) => ("unknown", text, 3),
        };
        Output::line(format!("{word}: {}", one_line(text))).with_code(code)
    }
}

/// Asks the daemon itself at its `http_listen`. `daemon` is its command, `job` its name.
pub(super) async fn by_http(listen: Listen, daemon: &str, job: &str) -> Verdict {
    let address = format!("http://{}/health", listen.0);
    match http::ask(listen, "/health").await {
        Ok((200, _)) => Verdict::Good(format!("{daemon} of {job} says so at {address}")),
        Ok((503, why)) => Verdict::NotGood(format!("{daemon} of {job}: {why}")),
        Ok((status, _)) => {
            Verdict::Unknown(format!("{address} answers with status {status}: another program listens there"))
        }
        Err(error) => match error.kind() {
            ErrorKind::ConnectionRefused => {
                Verdict::NotGood(format!("{daemon} of {job} does not run: nobody listens at {address}"))
            }
            ErrorKind::TimedOut => Verdict::NotGood(format!(
                "{daemon} of {job} does not answer within {} s at {address}: is its process stopped?",
                http::PATIENCE.as_secs()
            )),
            // The daemon has ended in the middle of its answer.
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                Verdict::NotGood(format!("{daemon} of {job} has closed the connection to {address}"))
            }
            _ => Verdict::Unknown(format!("could not ask {address}: {error}")),
        },
    }
}

/// What the command prints when it could not begin.
pub(crate) fn health_failure(text: &str) -> String {
    format!("unknown: {}\n", one_line(text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(level: Level, fact: &str) -> Finding {
        Finding { check: "a-check", level, object: "shop".to_owned(), fact: fact.to_owned(), fix: None }
    }

    #[test]
    fn worst_finding_decides_and_a_warning_is_good() {
        let (ok, warning) = (finding(Level::Ok, "runs"), finding(Level::Warning, "late"));
        let (unknown, error) = (finding(Level::Unknown, "hidden"), finding(Level::Error, "gone"));
        let verdict = |findings: &[&Finding]| Verdict::of(&findings.iter().map(|&f| f.clone()).collect::<Vec<_>>());
        assert_eq!(verdict(&[&ok, &warning]), Verdict::Good("shop: runs".to_owned()));
        assert_eq!(verdict(&[&ok, &unknown]), Verdict::Unknown("a-check: shop: hidden".to_owned()));
        assert_eq!(verdict(&[&unknown, &error]), Verdict::NotGood("a-check: shop: gone".to_owned()));
    }
}
