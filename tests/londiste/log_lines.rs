//! Expected log lines, written without the part that changes.

use crate::support::{Job, mask_log_lines};

/// Standard error of a command that logs these lines (`INFO Adding public.t`).
pub(super) fn log<T: AsRef<str>>(lines: &[T]) -> String {
    lines.iter().flat_map(|line| ["DATE PID ", line.as_ref(), "\n"]).collect()
}

/// The lines of `compare` about a table with so many rows on both sides.
pub(super) fn checked(table: &str, provider: u32, subscriber: u32) -> Vec<String> {
    vec![
        format!("INFO Locking {table}"),
        format!("INFO Syncing {table}"),
        format!("INFO Counting {table}"),
        format!("INFO srcdb: res = {provider}"),
        format!("INFO dstdb: res = {subscriber}"),
    ]
}

/// What a job has logged since its log had so many bytes: without time and process id, with `N` for the numbers of ticks,
/// bytes and seconds, and without the lines of batches that had no event.
pub(super) fn logged_after(job: &Job, start: usize) -> Vec<String> {
    let log = mask_log_lines(&job.log()[start..]);
    let lines = log.lines().map(|line| line.strip_prefix("DATE PID ").unwrap_or(line));
    lines.filter(|line| !line.starts_with("INFO {count: 0, ")).map(mask_numbers).collect()
}

fn mask_numbers(line: &str) -> String {
    let mut line = line.to_owned();
    for word in ["sync:", "copy finished: ", "duration: "] {
        if let Some(at) = line.find(word).map(|at| at + word.len()) {
            let digits = line[at..].bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
            line.replace_range(at..at + digits, "N");
        }
    }
    line
}
