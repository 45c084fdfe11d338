//! Expected log lines, written without the part that changes.

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
