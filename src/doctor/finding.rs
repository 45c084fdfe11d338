//! What a check finds, and the sheet on which the findings of a run are collected.

use std::fmt::Display;

use serde::Serialize;

use super::check::Check;
use crate::error::{Error, Report, Result};
use crate::text::shown;

/// How bad a finding is. The order is that of the exit status: the worst finding decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// Nothing is wrong.
    Ok,
    /// Replication goes on, and something will go wrong, or costs more than it should.
    Warning,
    /// The check could not be made.
    Unknown,
    /// Replication stands still, loses changes, or is about to.
    Error,
}

impl Level {
    /// The levels that call for action, the worst first.
    pub(super) const BAD: [Level; 3] = [Level::Error, Level::Unknown, Level::Warning];

    /// The word in the text and in JSON.
    pub(super) fn word(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Unknown => "unknown",
            Level::Error => "error",
        }
    }

    /// The exit status, which is also that of a Nagios plugin.
    pub(super) fn code(self) -> u8 {
        match self {
            Level::Ok => 0,
            Level::Warning => 1,
            Level::Error => 2,
            Level::Unknown => 3,
        }
    }
}

/// One line of fact about one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// The name of the check.
    pub(super) check: &'static str,
    pub(super) level: Level,
    /// What it is about: a side, a table, a queue, a file.
    pub(super) object: String,
    /// One line, with names and figures.
    pub(super) fact: String,
    /// The command or the SQL statement that mends it, to the byte: names in it may have any characters. `None` for [`Level::Ok`].
    pub(super) fix: Option<String>,
}

impl Finding {
    /// All of it on one line, for a log.
    pub(super) fn line(&self) -> String {
        let fix = self.fix.as_deref().map(|fix| format!("; fix: {}", shown(fix))).unwrap_or_default();
        format!("{}: {}: {}{fix}", self.check, self.object, self.fact)
    }
}

/// The findings of some checks.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    /// Adds a fact that is as it should be.
    pub(super) fn ok(&mut self, check: &Check, object: impl Display, fact: impl Display) {
        self.add(check, Level::Ok, &object, &fact, None);
    }

    /// Adds a fact that needs attention, and what mends it.
    pub(super) fn warning(&mut self, check: &Check, object: impl Display, fact: impl Display, fix: impl Into<String>) {
        self.add(check, Level::Warning, &object, &fact, Some(fix.into()));
    }

    /// Adds a fact that stops or harms replication, and what mends it.
    pub(super) fn error(&mut self, check: &Check, object: impl Display, fact: impl Display, fix: impl Into<String>) {
        self.add(check, Level::Error, &object, &fact, Some(fix.into()));
    }

    /// Adds why a check could not be made, and what makes it possible.
    pub(super) fn unknown(&mut self, check: &Check, object: impl Display, why: impl Display, fix: impl Into<String>) {
        self.add(check, Level::Unknown, &object, &why, Some(fix.into()));
    }

    /// Adds a fact for a check that has found nothing on this object.
    pub(super) fn rest(&mut self, check: &Check, object: impl Display, fact: impl Display) {
        let object = shown(object);
        if !self.0.iter().any(|found| found.check == check.name && found.object == object) {
            self.ok(check, object, fact);
        }
    }

    /// Adds a fact for a check that has found nothing on any object.
    pub(super) fn rest_of_all(&mut self, check: &Check, object: impl Display, fact: impl Display) {
        if !self.0.iter().any(|found| found.check == check.name) {
            self.ok(check, object, fact);
        }
    }

    fn add(&mut self, check: &Check, level: Level, object: &dyn Display, fact: &dyn Display, fix: Option<String>) {
        let fix = fix.filter(|fix| !fix.is_empty());
        self.0.push(Finding { check: check.name, level, object: shown(object), fact: shown(fact), fix });
    }
}

/// All findings of a run.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    pub(super) findings: Vec<Finding>,
    /// Stands before each object; for an ini file with several databases.
    pub(super) place: String,
}

impl Sheet {
    /// Takes what a group of checks has found. Where the group failed, each of its checks is unknown. Returns an error only
    /// when a stop was requested.
    pub(super) fn take(&mut self, checks: &[&Check], object: impl Display, found: Result<Findings>) -> Result<()> {
        match found {
            Ok(found) => self.push(found),
            Err(Error::Aborted) => return Err(Error::Aborted),
            Err(error) => {
                let fix = error.hint().unwrap_or_default();
                self.cannot(checks, object, &Report(&error).message(), &fix);
            }
        }
        Ok(())
    }

    /// Notes why none of these checks could be made.
    pub(super) fn cannot(&mut self, checks: &[&Check], object: impl Display, why: &str, fix: &str) {
        let mut found = Findings::default();
        for check in checks {
            found.unknown(check, &object, why, fix);
        }
        self.push(found);
    }

    fn push(&mut self, found: Findings) {
        let place = &self.place;
        self.findings.extend(found.0.into_iter().map(|mut finding| {
            finding.object.insert_str(0, place);
            finding
        }));
    }
}

/// Names for a fact: at most five, and how many more there are.
pub(super) fn names<T: Display>(all: &[T]) -> String {
    const SHOWN: usize = 5;
    let first: Vec<String> = all.iter().take(SHOWN).map(ToString::to_string).collect();
    match all.len().saturating_sub(SHOWN) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// A number with its noun: `1 table`, `2 tables`.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_group_is_unknown_and_never_a_pass() {
        const CHECK: Check = Check::of_all("a-check", "");
        let mut sheet = Sheet { place: "db1: ".to_owned(), ..Sheet::default() };
        let failed = Err(Error::missing("no such queue\nat all", "Create it."));
        assert!(sheet.take(&[&CHECK], "provider", failed).is_ok());
        let expected = Finding {
            check: "a-check",
            level: Level::Unknown,
            object: "db1: provider".to_owned(),
            fact: "no such queue\\nat all".to_owned(),
            fix: Some("Create it.".to_owned()),
        };
        assert_eq!(sheet.findings, [expected]);
        assert!(matches!(sheet.take(&[&CHECK], "", Err(Error::Aborted)), Err(Error::Aborted)));
    }

    #[test]
    fn error_outranks_unknown_and_unknown_a_warning() {
        let mut levels = [Level::Error, Level::Ok, Level::Unknown, Level::Warning];
        levels.sort();
        assert_eq!(levels.map(Level::code), [0, 1, 3, 2]);
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(names(&["a", "b"]), "a, b");
        assert_eq!(names(&[1, 2, 3, 4, 5, 6, 7]), "1, 2, 3, 4, 5 and 2 more");
    }
}
