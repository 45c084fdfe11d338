//! What a failed test prints of the logs.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Once;
use std::{fs, panic};

const TAIL_LINES: usize = 40;

/// Statements may be long.
const LINE_CHARS: usize = 400;

/// What is repeated of the begin and of the end of a failure's message.
const FAILURE_CHARS: usize = 600;

thread_local! {
    static FAILURE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps what a failed test says for [`print_failure`].
pub fn remember_failures() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |failure| {
            FAILURE.set(failure.to_string());
            print(failure);
        }));
    });
}

/// Prints once more why the test of this thread has failed, without the middle of a long message: whoever sees only the end of a
/// long output sees it too.
pub fn print_failure() {
    FAILURE.with_borrow(|failure| {
        let chars: Vec<char> = failure.chars().collect();
        let cut = chars.len().saturating_sub(2 * FAILURE_CHARS);
        let (begin, rest) = chars.split_at(chars.len().min(FAILURE_CHARS));
        let gap = if cut > 0 { " [...] " } else { "" };
        let text: String = begin.iter().chain(gap.chars().collect::<Vec<_>>().iter()).chain(&rest[cut..]).collect();
        eprintln!("--- the test failed: {text}");
    });
}

/// Prints the last lines of a log, under a heading.
pub fn print_tail(what: &str, path: &Path) {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    eprintln!("--- end of {what} ({})", path.display());
    for line in &lines[from..] {
        let shown: String = line.chars().take(LINE_CHARS).collect();
        eprintln!("    {shown}");
    }
}
