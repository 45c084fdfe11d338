//! The password file: lines of `host:port:database:user:password`.

use std::path::Path;

use super::environment::Content;

/// The values that the fields of a line are compared with.
pub(super) struct Wanted<'a> {
    pub(super) host: &'a str,
    pub(super) port: &'a str,
    pub(super) dbname: &'a str,
    pub(super) user: &'a str,
}

/// The reason to ignore the password file: not a plain file, or group or others have access to it. `None` if it may be used.
pub(super) fn objection(path: &Path, content: &Content) -> Option<String> {
    if !content.is_plain {
        return Some(format!("password file \"{}\" is not a plain file and is ignored", path.display()));
    }
    (content.mode & 0o077 != 0).then(|| {
        format!(
            "password file \"{}\" is ignored because group or others have access to it (mode {:04o}); run chmod 0600 on it",
            path.display(),
            content.mode
        )
    })
}

/// The password of the first line that fits and has one.
pub(super) fn password(text: &str, wanted: &Wanted<'_>) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut rest = line;
        for expected in [wanted.host, wanted.port, wanted.dbname, wanted.user] {
            rest = after_field(rest, expected)?;
        }
        let password = unescape(rest.trim_end_matches('\r'));
        (!password.is_empty()).then_some(password)
    })
}

/// What follows the first field of a line, if that field is `*` or equals `expected`.
fn after_field<'a>(line: &'a str, expected: &str) -> Option<&'a str> {
    if let Some(rest) = line.strip_prefix("*:") {
        return Some(rest);
    }
    let mut field = String::new();
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => field.extend(chars.next().map(|(_, c)| c)),
            ':' => return (field == expected).then_some(&line[at + 1..]),
            c => field.push(c),
        }
    }
    None
}

/// Removes backslashes; the character after a backslash stands for itself.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn the_first_fitting_line_gives_the_password() {
        let wanted = Wanted { host: "db1", port: "5432", dbname: "a:b", user: "u" };
        for (text, expected) in [
            ("", None),
            ("db1:5432:a\\:b:u:one\n", Some("one")),
            ("*:*:*:*:any", Some("any")),
            ("# db1:*:*:*:no\ndb2:*:*:*:no\ndb1:*:*:*:two\n*:*:*:*:three", Some("two")),
            ("db1:5432:*:u:with:colon\\\\x\r\n", Some("with:colon\\x")),
            ("db1:5433:*:u:no", None),
            ("db1:5432:*", None),
            ("db*:*:*:*:no", None),
            ("*:*:*:u:\n*:*:*:*:last", Some("last")),
        ] {
            assert_eq!(password(text, &wanted).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_ignored() {
        let path = Path::new("/p");
        let content = |mode, is_plain| Content { text: String::new(), mode, is_plain };
        assert_eq!(objection(path, &content(0o600, true)), None);
        assert_eq!(objection(path, &content(0o400, true)), None);
        let message = objection(path, &content(0o640, true)).expect("group can read");
        assert!(message.contains("(mode 0640); run chmod 0600 on it"), "{message}");
        assert!(objection(path, &content(0o600, false)).expect("a directory").contains("not a plain file"));
    }
}
