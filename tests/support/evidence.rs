//! What a failed test prints of the logs.

use std::fs;
use std::path::Path;

const TAIL_LINES: usize = 40;

/// Prints the last lines of a log, under a heading.
pub fn print_tail(what: &str, path: &Path) {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    eprintln!("--- end of {what} ({})", path.display());
    for line in &lines[from..] {
        eprintln!("    {line}");
    }
}
