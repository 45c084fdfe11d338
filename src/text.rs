//! Text for people, in log lines and on terminals, with values in it that anybody may have written: keys of rows, types of
//! events, names, messages of a server.
//!
//! The rule: no value begins a line or gives a terminal commands. Line breaks in a log line come from the program itself,
//! by [`Lines`]; those in values are shown as `\n`.

use std::cell::Cell;
use std::fmt::{self, Display, Write};

/// Bytes of the longest line. Of a longer one only the beginning and the end are shown, with its length between them.
const LONGEST: usize = 8000;
const BEGINNING: usize = 6000;
const END: usize = 1000;

thread_local! {
    /// Whether the line break that is being written now is the program's own.
    static IS_OWN_BREAK: Cell<bool> = const { Cell::new(false) };
}

/// Text of several lines that stay several lines in the log. All of its line breaks must be the program's own: values in it
/// have gone through [`shown`] or [`one_line`].
pub(crate) struct Lines<T>(pub(crate) T);

impl<T: AsRef<str>> Display for Lines<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, line) in self.0.as_ref().split('\n').enumerate() {
            if number > 0 {
                IS_OWN_BREAK.set(true);
                let written = f.write_str("\n");
                IS_OWN_BREAK.set(false);
                written?;
            }
            f.write_str(line)?;
        }
        Ok(())
    }
}

/// A text as a line of the log, or as a part of one: characters that end a line or talk to a terminal are escaped, line
/// breaks of [`Lines`] stay, long lines are cut.
pub(crate) fn shown(text: impl Display) -> String {
    let mut shown = Shown::default();
    // Writing into a string does not fail; what fails inside of `text` is left out.
    let _ = write!(shown, "{text}");
    shown.end_line();
    shown.text
}

/// A text of several lines as one: the lines are joined by semicolons, and then it is [`shown`].
pub(crate) fn one_line(text: &str) -> String {
    shown(text.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; "))
}

/// Data for a terminal: line breaks and tabs stay, characters that a terminal takes for commands are escaped.
pub(crate) fn for_terminal(data: &str) -> String {
    let mut text = String::with_capacity(data.len());
    for c in data.chars() {
        if c == '\n' { text.push('\n') } else { push(&mut text, c) }
    }
    text
}

#[derive(Default)]
struct Shown {
    text: String,
    /// Where the last line begins.
    line: usize,
}

impl Shown {
    /// Cuts the last line if it is too long.
    fn end_line(&mut self) {
        let line = &self.text[self.line..];
        if line.len() > LONGEST {
            let beginning = &line[..line.floor_char_boundary(BEGINNING)];
            let end = &line[line.ceil_char_boundary(line.len() - END)..];
            let cut = format!("{beginning} ... [{} bytes in all] ... {end}", line.len());
            self.text.replace_range(self.line.., &cut);
        }
    }
}

impl Write for Shown {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text == "\n" && IS_OWN_BREAK.get() {
            self.end_line();
            self.text.push('\n');
            self.line = self.text.len();
            return Ok(());
        }
        text.chars().for_each(|c| push(&mut self.text, c));
        Ok(())
    }
}

/// Appends a character, escaped if it ends a line, moves the cursor, rings the bell or turns the direction of writing.
fn push(text: &mut String, c: char) {
    match c {
        '\t' => text.push(c),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        c if c.is_ascii_control() => text.push_str(&format!("\\x{:02x}", u32::from(c))),
        c if c.is_control() || ends_line(c) || turns_direction(c) => {
            text.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
        }
        c => text.push(c),
    }
}

fn ends_line(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The word that is nearest to a mistyped one; `None` when more than a third of its characters, and more than one, would have to be
/// changed.
pub(crate) fn nearest<'a>(typed: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (typed.chars().count() / 3).max(1);
    let near = words.map(|word| (distance(typed, word), word)).filter(|(distance, _)| *distance <= limit);
    near.min().map(|(_, word)| word)
}

/// The edits (insert, delete, replace) between two words (Levenshtein), one row of the matrix at a time.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn only_breaks_of_the_program_are_breaks() {
        let value = "a\nHINT: b\r\x1b[2J\u{9b}\u{2029}\u{202e}\tgrün";
        let escaped = "a\\nHINT: b\\r\\x1b[2J\\u{9b}\\u{2029}\\u{202e}\tgrün";
        assert_eq!(shown(value), escaped);
        assert_eq!(shown(format_args!("{value} {}", Lines("x\ny"))), format!("{escaped} x\ny"));
        assert_eq!(shown(format_args!("{}{value}", Lines("x\n"))), format!("x\n{escaped}"));
        assert_eq!(shown(Lines(format!("x\n{}", shown(value)))), format!("x\n{escaped}"));
        assert_eq!(shown("\n"), "\\n");
        assert_eq!(for_terminal(value), escaped.replacen("\\n", "\n", 1));
        assert_eq!(one_line(" a\n\n b\x07 "), "a; b\\x07");
    }

    #[test]
    fn long_lines_show_their_beginning_their_end_and_their_length() {
        let long = format!("begin{}end", "ü".repeat(10_000));
        let text = shown(Lines(format!("{long}\nshort\n{long}")));
        let lines: Vec<&str> = text.split('\n').collect();
        assert_eq!((lines.len(), lines[1], lines[0]), (3, "short", lines[2]));
        assert!(lines[0].starts_with("beginüü") && lines[0].ends_with("üüend"), "{}", lines[0]);
        assert!(lines[0].contains(" ... [20008 bytes in all] ... "), "{}", lines[0]);
        assert!(lines[0].len() < LONGEST);
        let fits = "x".repeat(LONGEST);
        assert_eq!(shown(&fits), fits);
    }
}
