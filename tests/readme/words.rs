//! Commands, options, keys and metrics: the documents have each of them, and no others.

use std::collections::BTreeSet;

use rlondiste::config::keys;
use rlondiste::http::metrics;

use super::document::{Document, documents};
use crate::support::Program;

/// Options that do not need an ini file, and take the next word.
const WITH_WORD: [&str; 3] = ["--ini", "--man", "--completions"];

/// Options of other programs.
const FOREIGN_OPTIONS: [&str; 2] = ["--instructions", "--keep"];

/// Names that begin as metrics and keys do: roles of PgQ 3, transition tables.
const FOREIGN_NAMES: [&str; 5] = ["pgq_reader", "pgq_writer", "pgq_admin", "londiste_old", "londiste_new"];

/// Settings of PostgreSQL.
const SETTINGS: [&str; 3] = ["wal_level", "synchronous_commit", "session_replication_role"];

/// What `rlondiste --help` lists.
struct Help {
    commands: Vec<String>,
    options: BTreeSet<String>,
}

impl Help {
    fn read() -> Help {
        let text = Program::new(["--help"]).run().stdout;
        let (mut commands, mut options) = (Vec::new(), BTreeSet::new());
        for line in text.lines() {
            let column = line.trim_start().split("  ").next().unwrap();
            if column.starts_with('-') {
                let words = column.split([' ', ',', '=', '[', '<']);
                options.extend(words.filter(|word| word.starts_with("--")).map(str::to_owned));
            } else if line.len() - line.trim_start().len() == 2 {
                let words: Vec<&str> = column.split(' ').take_while(|word| is_word(word)).collect();
                commands.push(words.join(" "));
            }
        }
        assert!(commands.len() > 40 && options.len() > 40, "{text}");
        Help { commands, options }
    }

    /// Whether the words begin with a command.
    fn has(&self, words: &[&str]) -> bool {
        let words = words.join(" ");
        self.commands.iter().any(|command| begins_with(&words, command))
    }
}

/// A word of a command, not the name of an argument.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

/// Whether a command line begins with the words of a command.
fn begins_with(line: &str, command: &str) -> bool {
    line.strip_prefix(command).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// Command lines of rlondiste, in blocks and in the text.
fn command_lines(document: &Document) -> Vec<String> {
    let blocks = document.code(&["", "sh"]).into_iter().map(str::to_owned);
    let lines = blocks.chain(document.spans()).filter(|line| line.starts_with("rlondiste "));
    lines.map(|line| line.split(" #").next().unwrap().to_owned()).collect()
}

/// The words behind the ini file, without options.
fn words_of(line: &str) -> Vec<&str> {
    let mut left = Vec::new();
    let mut words = line.split(' ').filter(|word| !word.is_empty()).skip(1);
    while let Some(word) = words.next() {
        if ["|", ">", "2>>"].contains(&word) {
            break;
        }
        if WITH_WORD.contains(&word) {
            words.next();
        } else if !word.starts_with('-') {
            left.push(word);
        }
    }
    let is_ini =
        |word: &&str| ["INI", "TICKER-INI"].contains(word) || word.to_lowercase().rsplit('.').next() == Some("ini");
    if let Some(at) = left.iter().position(is_ini) {
        left.drain(..=at);
    } else if left.first() == Some(&"help") {
        left.remove(0);
    }
    left
}

/// Options among these words.
fn options_of(words: &str) -> Vec<&str> {
    let words = words.split([' ', '=', '[', ']']);
    words.filter(|word| word.starts_with("--") && word.len() > 2).collect()
}

#[test]
fn every_command_is_described_and_every_command_line_has_one() {
    let (help, documents) = (Help::read(), documents());
    let spans: Vec<String> = documents.iter().flat_map(Document::spans).collect();
    let is_missing = |command: &&String| !spans.iter().any(|span| begins_with(span, command));
    let missing: Vec<&String> = help.commands.iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "not in the documents: {missing:?}");

    let lines: Vec<String> = documents.iter().flat_map(command_lines).collect();
    assert!(lines.len() > 60, "{lines:#?}");
    // A word in capitals, or an ellipsis, stands for a command.
    let is_open = |word: &str| word.starts_with('[') || !word.contains(char::is_lowercase);
    let is_wrong = |line: &&String| {
        let words = words_of(line);
        words.first().is_some_and(|first| !is_open(first)) && !help.has(&words)
    };
    let wrong: Vec<&String> = lines.iter().filter(is_wrong).collect();
    assert!(wrong.is_empty(), "no such command: {wrong:#?}");
}

#[test]
fn every_option_is_described_and_every_option_is_one() {
    let (help, documents) = (Help::read(), documents());
    let spans: Vec<String> = documents.iter().flat_map(Document::spans).collect();
    let lines: Vec<String> = documents.iter().flat_map(command_lines).collect();
    let described: BTreeSet<&str> = spans.iter().chain(&lines).flat_map(|text| options_of(text)).collect();
    let missing: Vec<&String> = help.options.iter().filter(|option| !described.contains(option.as_str())).collect();
    assert!(missing.is_empty(), "not in the documents: {missing:?}");

    let own = spans.iter().filter(|span| span.starts_with("--")).chain(&lines);
    let used: BTreeSet<&str> = own.flat_map(|text| options_of(text)).collect();
    let is_wrong = |option: &&str| !help.options.contains(*option) && !FOREIGN_OPTIONS.contains(option);
    let wrong: Vec<&str> = used.into_iter().filter(is_wrong).collect();
    assert!(wrong.is_empty(), "no such option: {wrong:?}");
}

/// The references of keys and metrics are rendered, so each of them is described.
#[test]
fn every_key_and_metric_in_the_text_is_one() {
    let names = |reference: String| -> BTreeSet<String> {
        reference.lines().skip(2).filter_map(|row| row.split('`').nth(1)).map(str::to_owned).collect()
    };
    let (keys, metrics) = (names(keys::reference()), names(metrics::reference()));
    assert!(keys.len() > 40 && metrics.len() > 30, "{keys:?} {metrics:?}");
    let is_name = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let is_ours = |text: &str| ["londiste_", "pgq_", "rlondiste_"].iter().any(|prefix| text.starts_with(prefix));
    let mut wrong = Vec::new();
    for document in documents() {
        let spans = document.spans();
        let settings = document.code(&["ini"]).into_iter().chain(spans.iter().map(String::as_str));
        for (name, _) in settings.filter_map(|text| text.split_once(" = ")).filter(|(name, _)| is_name(name)) {
            if !keys.contains(name) && !SETTINGS.contains(&name) {
                wrong.push(format!("{}: {name}", document.path.display()));
            }
        }
        for name in spans.iter().filter(|span| is_name(span) && is_ours(span)) {
            if !keys.contains(name) && !metrics.contains(name) && !FOREIGN_NAMES.contains(&name.as_str()) {
                wrong.push(format!("{}: {name}", document.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "no such key or metric: {wrong:#?}");
}
