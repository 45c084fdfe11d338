//! The last errors in a job's log file, for `subscriber status` and the page of `http_listen`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde::Serialize;

/// Bytes at the end of the file that are searched.
const TAIL: u64 = 256 * 1024;

/// An error that was logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LastError {
    /// The time as the log has it.
    pub(crate) time: String,
    /// The message without DETAIL and HINT.
    pub(crate) message: String,
    /// No work was done since: no line of counts comes later.
    #[serde(skip)]
    pub(crate) stands: bool,
}

/// Reads the last error; `None` when the end of the file has none, or the file cannot be read.
pub(crate) fn last_error(path: &Path) -> Option<LastError> {
    last_errors(path, 1).pop()
}

/// Reads the last errors, the newest first, at most so many. Those before the end of the file are not looked for.
pub(crate) fn last_errors(path: &Path, most: usize) -> Vec<LastError> {
    last_errors_of(&String::from_utf8_lossy(&tail(path).unwrap_or_default()), most)
}

fn last_errors_of(text: &str, most: usize) -> Vec<LastError> {
    let mut stands = true;
    let mut errors = Vec::new();
    for line in text.lines().rev() {
        if let Some((time, message)) = error_of(line) {
            errors.push(LastError { time, message, stands });
            if errors.len() == most {
                break;
            }
        }
        stands &= !line.contains("{count: ");
    }
    errors
}

fn tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(TAIL);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    Ok(tail)
}

/// Time and message of the error in a line of either log format; `None` when the line is not the first line of an error.
fn error_of(line: &str) -> Option<(String, String)> {
    let is_error = |level: &str| matches!(level, "ERROR" | "CRITICAL");
    if line.starts_with('{') {
        let record: serde_json::Value = serde_json::from_str(line).ok()?;
        let field = |name: &str| record.get(name)?.as_str();
        let message = field("message")?.lines().next()?.to_owned();
        return is_error(field("level")?).then_some((field("time")?.to_owned(), message));
    }
    let mut words = line.splitn(5, ' ');
    let (date, time, pid, level) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let known = pid.bytes().all(|b| b.is_ascii_digit()) && is_error(level);
    known.then_some((format!("{date} {time}"), words.next()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERROR: &str = "2026-11-22 06:57:52,294 16105 CRITICAL Job j crashed: it broke";
    const WORK: &str = "2026-11-22 06:57:52,294 16105 INFO {count: 0, ignored: 0}";

    #[test]
    fn errors_are_found_in_both_formats() {
        let json = r#"{"time":"2026-11-22T06:57:52Z","pid":1,"level":"ERROR","message":"it broke\nHINT: mend it"}"#;
        let error = |time: &str, message: &str| Some((time.to_owned(), message.to_owned()));
        for (line, expected) in [
            (ERROR, error("2026-11-22 06:57:52,294", "Job j crashed: it broke")),
            (json, error("2026-11-22T06:57:52Z", "it broke")),
            (WORK, None),
            ("HINT: the ERROR is yours", None),
            ("", None),
        ] {
            assert_eq!(error_of(line), expected, "{line}");
        }
    }

    #[test]
    fn an_error_stands_until_work_is_done() {
        let json = r#"{"time":"2026-11-22T06:57:52Z","pid":1,"level":"INFO","message":"{count: 3, ignored: 0}"}"#;
        for (lines, stands) in [
            (&[WORK, ERROR][..], true),
            (&[ERROR, "HINT: x", "DETAIL"], true),
            (&[ERROR, WORK], false),
            (&[ERROR, json], false),
        ] {
            assert_eq!(last_errors_of(&lines.join("\n"), 1).pop().map(|error| error.stands), Some(stands), "{lines:?}");
        }
    }
}
