//! Expected log lines, written without the part that changes.

/// Standard error of a command that logs these lines (`INFO Adding public.t`).
pub(super) fn log(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| ["DATE PID ", line, "\n"]).collect()
}
