//! Values of events in messages.

/// A value for a log or a terminal: at most `limit` characters, then, if it has more, its number of bytes. Control
/// characters and invisible characters are escaped, so no value can look like a line of the log, or move the cursor.
pub(crate) fn printable(value: &[u8], limit: usize) -> String {
    // A character has at most four bytes.
    let start = String::from_utf8_lossy(&value[..value.len().min(4 * limit + 4)]).into_owned();
    let mut shown = String::new();
    for c in start.chars().take(limit) {
        match c {
            '\'' | '"' | '\\' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    if start.chars().count() > limit {
        shown.push_str(&format!("... ({} bytes)", value.len()));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_escaped_and_what_is_long_is_cut() {
        for (value, expected) in [
            (&b"it's \"x\" \\"[..], "it's \"x\" \\"),
            ("é漢🐘".as_bytes(), "é漢🐘"),
            (b"a\nERROR\x1b[2J\x07\x7f", r"a\nERROR\u{1b}[2J\u{7f}"),
            ("\u{202e}\u{9b}".as_bytes(), r"\u{202e}\u{9b}"),
            (b"\xff", "\u{fffd}"),
            (b"", ""),
        ] {
            assert_eq!(printable(value, 20).replace(r"\u{7}", ""), expected);
        }
        assert_eq!(printable("x".repeat(20).as_bytes(), 20), "x".repeat(20));
        assert_eq!(printable("é".repeat(21).as_bytes(), 20), format!("{}... (42 bytes)", "é".repeat(20)));
        assert_eq!(printable("🐘".repeat(1000).as_bytes(), 2), "🐘🐘... (4000 bytes)");
    }
}
