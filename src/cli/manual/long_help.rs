//! The text of `help CMD`.

use std::fmt::Write as _;

use super::super::options;
use super::super::spec::{EVERYWHERE, Spec};
use super::details::details;
use super::page::sentence;

/// Characters of a line.
const WIDTH: usize = 100;

/// What the command does, its options and examples. `name` is the program's.
pub(in crate::cli) fn long_help(name: &str, spec: &Spec) -> String {
    let mut text = format!("Usage: {name} [options] INI {}\n\n{}\n", spec.usage(), sentence(spec.about));
    let details = details(spec.words);
    for paragraph in details.map_or(&[][..], |details| details.text) {
        text += "\n";
        text += &wrapped(paragraph);
    }
    let is_own = |option: &str| spec.takes(option) && !EVERYWHERE.contains(&option);
    let mut options = options::command(is_own).help_template("{all-args}");
    let options = options.render_help().to_string();
    if !options.trim().is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{}\n", options.trim());
    }
    if let Some(details) = details {
        text += "\nExamples:\n";
        for line in details.examples {
            text += &format!("  {name} {line}\n");
        }
    }
    text
}

fn wrapped(paragraph: &str) -> String {
    let (mut text, mut column) = (String::new(), 0);
    for word in paragraph.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            text.push('\n');
            column = 0;
        }
        if column > 0 {
            text.push(' ');
            column += 1;
        }
        text += word;
        column += length;
    }
    text + "\n"
}
