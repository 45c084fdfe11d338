//! The findings as text for a person, as JSON, and as the line of a Nagios plugin.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use serde::Serialize;

use super::finding::{Finding, Level, count};
use super::health::Verdict;
use crate::job::Output;
use crate::text::shown;

/// Findings that the line for Nagios names.
const NAGIOS_FINDINGS: usize = 5;

/// How the findings are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// As text; `verbose` lists also what is ok.
    Text {
        /// `-v`
        verbose: bool,
    },
    /// As the one line of a Nagios plugin: `--nagios`.
    Nagios,
    /// Not the checks but whether the daemon works, on one line: `health`.
    Health,
}

/// What the command shows as text or as JSON.
#[derive(Serialize)]
struct Document<'a> {
    ok: bool,
    findings: &'a [Finding],
    /// The commands and statements of the findings, each once, those of errors first.
    next_steps: Vec<&'a str>,
    #[serde(skip)]
    verbose: bool,
}

/// The output of the command, with the exit status of the worst finding.
pub(super) fn output(findings: &[Finding], view: View) -> Output {
    let worst = worst(findings);
    let output = match view {
        View::Text { verbose } => {
            Output::of(&Document { ok: worst == Level::Ok, findings, next_steps: next_steps(findings), verbose })
        }
        View::Nagios => Output::line(nagios(findings)),
        View::Health => return Verdict::of(findings).output(),
    };
    output.with_code(worst.code())
}

fn worst(findings: &[Finding]) -> Level {
    findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
}

fn of_level(findings: &[Finding], level: Level) -> impl Iterator<Item = &Finding> {
    findings.iter().filter(move |finding| finding.level == level)
}

fn next_steps(findings: &[Finding]) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    let bad = Level::BAD.into_iter().flat_map(|level| of_level(findings, level));
    bad.filter_map(|finding| finding.fix.as_deref()).filter(|fix| seen.insert(*fix)).collect()
}

/// How many checks ended how: `60 checks: 58 ok, 1 warning, 1 error`.
fn summary(findings: &[Finding]) -> String {
    let checks: BTreeSet<&str> = findings.iter().map(|finding| finding.check).collect();
    let worst_of = |check: &str| findings.iter().filter(|f| f.check == check).map(|f| f.level).max();
    let number = |level| checks.iter().filter(|check| worst_of(check) == Some(level)).count();
    let mut text = format!("{}: {} ok", count(checks.len(), "check"), number(Level::Ok));
    for (level, noun) in [(Level::Warning, "warning"), (Level::Error, "error")] {
        if number(level) > 0 {
            text.push_str(&format!(", {}", count(number(level), noun)));
        }
    }
    if number(Level::Unknown) > 0 {
        text.push_str(&format!(", {} unknown", number(Level::Unknown)));
    }
    text
}

/// Unknown findings with one reason, such as a database that cannot be reached, are one line.
struct Line<'a> {
    finding: &'a Finding,
    checks: Vec<&'static str>,
}

fn lines(findings: &[Finding], verbose: bool) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    let levels = Level::BAD.into_iter().chain(verbose.then_some(Level::Ok));
    for finding in levels.flat_map(|level| of_level(findings, level)) {
        let same = |line: &&mut Line<'_>| {
            finding.level == Level::Unknown
                && line.finding.level == Level::Unknown
                && (&line.finding.object, &line.finding.fact) == (&finding.object, &finding.fact)
        };
        match lines.iter_mut().find(same) {
            Some(line) => line.checks.push(finding.check),
            None => lines.push(Line { finding, checks: vec![finding.check] }),
        }
    }
    lines
}

impl fmt::Display for Document<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = lines(self.findings, self.verbose);
        let check = |line: &Line<'_>| match line.checks[..] {
            [only] => only.to_owned(),
            _ => count(line.checks.len(), "check"),
        };
        let widest = |of: &dyn Fn(&Line<'_>) -> usize| lines.iter().map(of).max().unwrap_or(0);
        let check_width = widest(&|line| check(line).chars().count());
        let object_width = widest(&|line| line.finding.object.chars().count()).min(40);
        for line in &lines {
            let Finding { level, object, fact, fix, .. } = line.finding;
            writeln!(f, "{:<7}  {:<check_width$}  {object:<object_width$}  {fact}", level.word(), check(line))?;
            if line.checks.len() > 1 {
                writeln!(f, "    these: {}", line.checks.join(", "))?;
            }
            if let Some(fix) = fix {
                writeln!(f, "    fix: {}", shown(fix))?;
            }
        }
        if !lines.is_empty() {
            writeln!(f)?;
        }
        writeln!(f, "{}", summary(self.findings))?;
        if !self.next_steps.is_empty() {
            writeln!(f, "\nNext steps:")?;
        }
        for (number, step) in self.next_steps.iter().enumerate() {
            writeln!(f, "{:>3}. {}", number + 1, shown(step))?;
        }
        Ok(())
    }
}

/// The line of a Nagios plugin. A bar would begin performance data.
fn nagios(findings: &[Finding]) -> String {
    let word = match worst(findings) {
        Level::Ok => "OK",
        Level::Warning => "WARNING",
        Level::Error => "CRITICAL",
        Level::Unknown => "UNKNOWN",
    };
    let mut text = format!("{word} - {}", summary(findings));
    let lines = lines(findings, false);
    for Line { finding: Finding { object, fact, .. }, checks } in lines.iter().take(NAGIOS_FINDINGS) {
        // Writing to a String cannot fail.
        let _ = write!(text, "; {} {object}: {fact}", checks[0]);
    }
    if lines.len() > NAGIOS_FINDINGS {
        let _ = write!(text, "; and {} more", lines.len() - NAGIOS_FINDINGS);
    }
    text.replace('|', "/")
}

/// The line of a plugin whose run could not begin.
pub(crate) fn nagios_failure(why: &str) -> String {
    format!("UNKNOWN - {}\n", why.trim_end().replace('\n', "; ").replace('|', "/"))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn finding(check: &'static str, level: Level, object: &str, fact: &str, fix: &str) -> Finding {
        let fix = (!fix.is_empty()).then(|| fix.to_owned());
        Finding { check, level, object: object.to_owned(), fact: fact.to_owned(), fix }
    }

    fn some() -> Vec<Finding> {
        vec![
            finding("clock", Level::Ok, "provider", "0.1 s ahead", ""),
            finding("columns", Level::Warning, "public.t", "a | b", "on subscriber: alter table x"),
            finding("rotation", Level::Unknown, "subscriber", "no connection", "start it"),
            finding("queue", Level::Unknown, "subscriber", "no connection", "start it"),
            finding("connection", Level::Error, "subscriber", "refused", "start it"),
        ]
    }

    #[test]
    fn text_has_the_worst_first_and_folds_what_has_one_reason() {
        let text = "\
error    connection  subscriber  refused
    fix: start it
unknown  2 checks    subscriber  no connection
    these: rotation, queue
    fix: start it
warning  columns     public.t    a | b
    fix: on subscriber: alter table x

5 checks: 1 ok, 1 warning, 1 error, 2 unknown

Next steps:
  1. start it
  2. on subscriber: alter table x
";
        let output = output(&some(), View::Text { verbose: false });
        assert_eq!((output.to_string().as_str(), output.code()), (text, 2));
    }

    #[test]
    fn what_is_ok_is_shown_when_asked_for() {
        let all = &some()[..1];
        let shown = |verbose| output(all, View::Text { verbose }).to_string();
        assert_eq!(shown(false), "1 check: 1 ok\n");
        assert_eq!(shown(true), "ok       clock  provider  0.1 s ahead\n\n1 check: 1 ok\n");
    }

    #[test]
    fn nagios_gets_one_line_and_its_own_status() {
        let line = |findings: &[Finding]| {
            let output = output(findings, View::Nagios);
            (output.to_string(), output.code())
        };
        assert_eq!(line(&some()[..1]), ("OK - 1 check: 1 ok\n".to_owned(), 0));
        assert_eq!(
            line(&some()[..2]),
            ("WARNING - 2 checks: 1 ok, 1 warning; columns public.t: a / b\n".to_owned(), 1)
        );
        let (text, code) = line(&some()[1..3]);
        assert_eq!((text.starts_with("UNKNOWN - 2 checks: 0 ok, 1 warning, 1 unknown; rotation"), code), (true, 3));
        let (text, code) = line(&some());
        assert_eq!((text.starts_with("CRITICAL - 5 checks"), text.lines().count(), code), (true, 1, 2));
        assert_eq!(nagios_failure("no | file\nat all\n"), "UNKNOWN - no / file; at all\n");
    }
}
