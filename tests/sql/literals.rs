//! Literals of the SQL files mean the same in every session. A function's body is read with the settings of whoever calls it
//! first, so in some sessions a backslash in a plain literal is an escape.

use std::fs;
use std::path::Path;

use crate::architecture::collect;

#[test]
fn backslashes_stand_in_escape_literals_only() {
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("sql"), "sql", &mut files);
    assert!(files.len() > 100, "{files:?}");
    let wrong: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let text = fs::read_to_string(file).unwrap();
            plain_literals(&text)
                .into_iter()
                .filter(|l| l.contains('\\'))
                .map(|l| format!("{}: '{l}'", file.display()))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn plain_literals_are_told_from_escape_literals() {
    let sql = r#"select 'a''b', E'c\'d' -- 'comment'
                 'still escaped \ here', "name's", name'e', $$ it $$, '\'"#;
    assert_eq!(plain_literals(sql), ["a", "b", "e", r"\"]);
}

/// The literals without an E before them, cut at doubled quotes.
fn plain_literals(sql: &str) -> Vec<&str> {
    let bytes = sql.as_bytes();
    let (mut literals, mut at) = (Vec::new(), 0);
    // Whether the last token was an escape literal, which goes on after a line break.
    let mut continued = false;
    while at < bytes.len() {
        let end = |from: usize, text: &str| sql[from..].find(text).map_or(bytes.len(), |found| from + found);
        match bytes[at] {
            b'-' if bytes[at..].starts_with(b"--") => at = end(at, "\n"),
            b'"' => (at, continued) = (end(at + 1, "\"") + 1, false),
            b'\'' => {
                let is_word = |nr: usize| bytes[nr].is_ascii_alphanumeric() || bytes[nr] == b'_';
                let marked = at > 0 && matches!(bytes[at - 1], b'e' | b'E') && (at < 2 || !is_word(at - 2));
                let escaped = marked || continued;
                let start = at + 1;
                at = start;
                while at < bytes.len() && bytes[at] != b'\'' {
                    at += if escaped && bytes[at] == b'\\' { 2 } else { 1 };
                }
                if !escaped {
                    literals.push(&sql[start..at]);
                }
                at += 1;
                continued = escaped;
            }
            byte => {
                continued &= byte.is_ascii_whitespace();
                at += 1;
            }
        }
    }
    literals
}
