//! The ini dialect of Python 2's `SafeConfigParser`, which SkyTools reads its files with. Pure: text in, sections and
//! values out.
//!
//! Reading and interpolation are two steps, because a wrong `%(name)s` is an error only when its value is read, while a
//! wrong line is an error of the whole file.

/// References may nest this deep, as in Python.
const MAX_DEPTH: usize = 10;

/// Most references of a value, including those of the values that it refers to.
const MOST_REFERENCES: usize = 10_000;

/// Bytes of the longest value with references in it.
const LONGEST: usize = 64 * 1024;

/// The section whose entries are defaults for all others.
pub(super) const DEFAULT_SECTION: &str = "DEFAULT";

/// One `key = value` with continuation lines joined by newlines, not interpolated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// In lower case.
    pub(super) key: String,
    pub(super) text: String,
    /// Line of the key, counted from 1.
    pub(super) line: usize,
}

/// One section with the entries of all places where it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) entries: Vec<Entry>,
}

impl Section {
    /// The entry of a key; `key` must be in lower case.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    fn set(&mut self, key: String, text: String, line: usize) -> usize {
        if let Some(at) = self.entries.iter().position(|entry| entry.key == key) {
            self.entries[at] = Entry { key, text, line };
            return at;
        }
        self.entries.push(Entry { key, text, line });
        self.entries.len() - 1
    }
}

/// A line that does not fit the dialect.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) line: usize,
    pub(super) message: String,
}

/// Reads a file into its sections, in the order in which they first appear.
pub(super) fn parse(text: &str) -> Result<Vec<Section>, SyntaxError> {
    let mut sections: Vec<Section> = Vec::new();
    // The section and the entry that a continuation line belongs to.
    let mut section: Option<usize> = None;
    let mut open: Option<usize> = None;
    for (index, line) in text.split('\n').enumerate() {
        let number = index + 1;
        if is_blank_or_comment(line) {
            continue;
        }
        if let (true, Some(section), Some(entry)) = (line.starts_with(is_space), section, open) {
            let value = &mut sections[section].entries[entry].text;
            value.push('\n');
            value.push_str(line.trim_matches(is_space));
            continue;
        }
        if let Some(name) = section_header(line) {
            let at = sections.iter().position(|known| known.name == name).unwrap_or_else(|| {
                sections.push(Section { name: name.to_owned(), entries: Vec::new() });
                sections.len() - 1
            });
            section = Some(at);
            open = None;
            continue;
        }
        let Some(section) = section else {
            return Err(SyntaxError { line: number, message: no_header_message(line) });
        };
        let Some((key, value)) = split_assignment(line) else {
            return Err(SyntaxError {
                line: number,
                message: "this line is not \"key = value\"; a comment starts with \"#\" in the first column, a \
                          continued value is indented"
                    .to_owned(),
            });
        };
        open = Some(sections[section].set(key.to_lowercase(), value, number));
    }
    Ok(sections)
}

/// Looks up the value of `name` for a reference `%(name)s`; `None` when no such name exists.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces `%(name)s` and `%%`. The error says what is wrong with the value, without file and key.
pub(super) fn interpolate(text: &str, lookup: Lookup<'_>) -> Result<String, String> {
    interpolate_with(text, lookup, Percent::Strict)
}

/// Replaces `%(name)s` and keeps every other `%`, for TOML.
pub(super) fn interpolate_names(text: &str, lookup: Lookup<'_>) -> Result<String, String> {
    interpolate_with(text, lookup, Percent::Lenient)
}

fn interpolate_with(text: &str, lookup: Lookup<'_>, percent: Percent) -> Result<String, String> {
    let mut expansion = Expansion { lookup, percent, references: 0, text: String::with_capacity(text.len()) };
    expansion.add(text, 1)?;
    Ok(expansion.text)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Percent {
    /// `%%` is `%`, any other use is an error.
    Strict,
    /// A `%` that does not start a reference is kept.
    Lenient,
}

/// A value whose references are being replaced.
struct Expansion<'a> {
    lookup: Lookup<'a>,
    percent: Percent,
    /// How many references were replaced.
    references: usize,
    text: String,
}

impl Expansion<'_> {
    fn add(&mut self, text: &str, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!(
                "its %(name)s references nest deeper than {MAX_DEPTH}; one of them probably names itself"
            ));
        }
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            self.text.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some((name, after)) = reference(rest) {
                self.add_reference(name, depth)?;
                rest = after;
            } else if self.percent == Percent::Lenient {
                self.text.push('%');
                rest = &rest[1..];
            } else if let Some(after) = rest.strip_prefix("%%") {
                self.text.push('%');
                rest = after;
            } else if rest.starts_with("%(") {
                return Err(
                    "its \"%(\" is not the start of a reference; write %(name)s, or %% for a single %".to_owned()
                );
            } else {
                return Err("it has a \"%\" without \"%\" or \"(name)s\" after it; write %% for a single %".to_owned());
            }
        }
        self.text.push_str(rest);
        Ok(())
    }

    /// Nested references could multiply to any size, so their number and the length of the value have bounds.
    fn add_reference(&mut self, name: &str, depth: usize) -> Result<(), String> {
        let value = (self.lookup)(&name.to_lowercase())
            .ok_or_else(|| format!("it refers to %({name})s, but no key \"{name}\" is set in this section"))?;
        self.references += 1;
        if self.references > MOST_REFERENCES {
            return Err(format!("it comes to more than {MOST_REFERENCES} %(name)s references"));
        }
        if value.contains('%') {
            self.add(&value, depth + 1)?;
        } else {
            self.text.push_str(&value);
        }
        if self.text.len() > LONGEST {
            return Err(format!("with its %(name)s references filled in it is longer than {LONGEST} bytes"));
        }
        Ok(())
    }
}

/// Splits `%(name)s...` into the name and the text behind; `None` when the text begins with no reference.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix("%(")?.split_once(')')?;
    let after = after.strip_prefix('s')?;
    (!name.is_empty()).then_some((name, after))
}

/// Whether a character is a space to Python 2's `isspace()` of byte strings.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

fn is_blank_or_comment(line: &str) -> bool {
    if line.trim_matches(is_space).is_empty() || line.starts_with(['#', ';']) {
        return true;
    }
    // Python's parser takes lines that begin with the word REM, as in DOS batch files, for comments.
    let word = line.split(is_space).next().unwrap_or("");
    word.eq_ignore_ascii_case("rem")
}

fn section_header(line: &str) -> Option<&str> {
    let (name, _) = line.strip_prefix('[')?.split_once(']')?;
    (!name.is_empty()).then_some(name)
}

fn split_assignment(line: &str) -> Option<(&str, String)> {
    let at = line.find(['=', ':'])?;
    if at == 0 || line.starts_with(is_space) {
        return None;
    }
    let key = line[..at].trim_end_matches(is_space);
    let value = line[at + 1..].trim_start_matches(is_space);
    let value = cut_inline_comment(value).trim_matches(is_space);
    Some((key, if value == "\"\"" { String::new() } else { value.to_owned() }))
}

/// Cuts ` ; comment`, as Python does it: only the first semicolon counts, and for a value that starts with a semicolon the
/// character before it is the last of the value, because Python's index -1 is the end.
fn cut_inline_comment(value: &str) -> &str {
    let Some(at) = value.find(';') else { return value };
    let before = if at == 0 { value.chars().next_back() } else { value[..at].chars().next_back() };
    if before.is_some_and(is_space) { &value[..at] } else { value }
}

/// The message for a line before the first section. Never shows the line, which may hold a password.
fn no_header_message(line: &str) -> String {
    if line.starts_with('\u{feff}') {
        return "the file starts with a UTF-8 byte order mark; save it without one".to_owned();
    }
    "this line stands before the first section; start with a line such as [londiste] or [pgqadm]".to_owned()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::*;

    fn value(line: &str) -> String {
        let text = format!("[s]\n{line}\n");
        let sections = parse(&text).expect(line);
        sections[0].entries[0].text.clone()
    }

    #[test]
    fn values_are_cut_as_python_cuts_them() {
        for (line, expected) in [
            ("k = v", "v"),
            ("k: v", "v"),
            ("k=v", "v"),
            ("i = a=b:c", "a=b:c"),
            ("k =", ""),
            ("k = \"\"", ""),
            ("k = \"quoted\"", "\"quoted\""),
            ("k = v ; comment", "v"),
            ("k = v\t; comment", "v"),
            ("k = 1;2", "1;2"),
            ("k = 1;2 ; 3", "1;2 ; 3"),
            ("k = q # x", "q # x"),
            ("use = ; c", "; c"),
            ("use = ; c ", ""),
            ("k = v\r", "v"),
            ("k = v ; c\r", "v"),
            ("k =   dbname=a host=b   ", "dbname=a host=b"),
        ] {
            assert_eq!(value(line), expected, "{line:?}");
        }
    }

    #[test]
    fn keys_are_lower_case_and_may_hold_blanks() {
        let sections = parse("[s]\nJob_Name: A\ntwo words = B\n").expect("valid");
        let keys: Vec<_> = sections[0].entries.iter().map(|e| e.key.as_str()).collect();
        assert_eq!(keys, ["job_name", "two words"]);
    }

    #[test]
    fn indented_lines_continue_the_value_across_blanks_and_comments() {
        let text = "[s]\ndb = host=a\n  dbname=b ; kept\n\n# comment\n\tport=1\nrem nothing\n  user=u\nk = v\n";
        let sections = parse(text).expect("valid");
        assert_eq!(sections[0].entries[0].text, "host=a\ndbname=b ; kept\nport=1\nuser=u");
        assert_eq!(sections[0].entries[0].line, 2);
        assert_eq!(sections[0].entries[1].line, 9);
    }

    #[test]
    fn the_last_duplicate_wins_and_sections_merge() {
        let sections = parse("[a] junk\nx = 1\ny = 2\n[b]\n[a]\nx = 3\n").expect("valid");
        assert_eq!(sections.len(), 2);
        assert_eq!(sections[0].entry("x").map(|e| (e.text.as_str(), e.line)), Some(("3", 6)));
        assert_eq!(sections[0].entry("y").map(|e| e.text.as_str()), Some("2"));
    }

    #[test]
    fn comments_start_in_the_first_column() {
        let sections = parse("# a\n; b\nREM c\nrem\n[s]\nremark = 1\n").expect("valid");
        assert_eq!(sections[0].entries.len(), 1);
    }

    #[test]
    fn wrong_lines_name_their_number() {
        for (text, line, part) in [
            ("junk\n", 1, "before the first section"),
            ("\u{feff}[s]\n", 1, "byte order mark"),
            ("[s]\na = 1\nl\n", 3, "is not \"key = value\""),
            ("[s]\n  indented = 1\n", 2, "is not \"key = value\""),
            ("[s]\n= v\n", 2, "is not \"key = value\""),
            ("[]\n", 1, "before the first section"),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.line, line, "{text:?}");
            assert!(error.message.contains(part), "{text:?}: {}", error.message);
        }
    }

    #[test]
    fn a_wrong_line_does_not_show_what_may_be_a_password() {
        let error = parse("db = host=a password=secret\n").expect_err("no section");
        assert!(!error.message.contains("secret"), "{}", error.message);
    }

    fn names(name: &str) -> Option<String> {
        match name {
            "job_name" => Some("j1".to_owned()),
            "nested" => Some("<%(job_name)s>".to_owned()),
            "loop" => Some("%(loop)s".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn references_are_replaced_where_the_value_is_read() {
        for (text, expected) in [
            ("plain", Ok("plain")),
            ("~/log/%(job_name)s.log", Ok("~/log/j1.log")),
            ("%(JOB_NAME)s", Ok("j1")),
            ("%(nested)s-%(job_name)s", Ok("<j1>-j1")),
            ("100%%", Ok("100%")),
            ("100%", Err("has a \"%\" without")),
            ("%d", Err("has a \"%\" without")),
            ("%(job_name)", Err("not the start of a reference")),
            ("%()s", Err("not the start of a reference")),
            ("%(nope)s", Err("no key \"nope\"")),
            ("%(loop)s", Err("nest deeper")),
        ] {
            let got = interpolate(text, &names);
            match expected {
                Ok(value) => assert_eq!(got.as_deref(), Ok(value), "{text:?}"),
                Err(part) => assert!(got.as_ref().is_err_and(|e| e.contains(part)), "{text:?}: {got:?}"),
            }
        }
    }

    #[test]
    fn lenient_interpolation_leaves_other_percent_signs() {
        assert_eq!(interpolate_names("50% of %(job_name)s %% %(x)", &names), Ok("50% of j1 %% %(x)".to_owned()));
    }

    /// A file in the part of the dialect that Python 3 reads as Python 2 did: no inline comments, no blank lines inside of
    /// a value, no indented comments.
    fn common_file() -> impl Strategy<Value = String> {
        let remark = || proptest::option::of("[#;][ -~]{0,12}\n").prop_map(Option::unwrap_or_default);
        let more = (remark(), "[ \t]{1,3}[a-zA-Z0-9%(=:\\[.'][a-zA-Z0-9%()=: .'#,-]{0,12}\n");
        let more = proptest::collection::vec(more.prop_map(|(remark, line)| remark + &line), 0..3);
        let entry =
            ("[a-dA-D][a-d_ ]{0,3}[ ]{0,2}", "[=:]", "[ \t]{0,2}[a-zA-Z0-9%()=: .'#,-]{0,16}\r?\n", more, "\n{0,2}");
        let entry = entry.prop_map(|(key, sign, value, more, blank)| key + &sign + &value + &more.concat() + &blank);
        let section = ("\\[[a-c ]{1,2}\\][a-z# ]{0,5}\n", remark(), proptest::collection::vec(entry, 0..6));
        let section = section.prop_map(|(header, remark, entries)| header + &remark + &entries.concat());
        proptest::collection::vec(section, 1..5).prop_map(|sections| sections.concat())
    }

    /// What Python's parser makes of a file; `None` where there is no Python.
    fn python(text: &str) -> Option<serde_json::Value> {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        const PROGRAM: &str = "import configparser, json, sys\n\
            p = configparser.RawConfigParser(strict=False)\n\
            p.read_string(sys.stdin.buffer.read().decode())\n\
            print(json.dumps({s: dict(p._sections[s]) for s in p.sections()}))";
        let mut child =
            Command::new("python3").args(["-c", PROGRAM]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        child.stdin.take()?.write_all(text.as_bytes()).ok()?;
        let output = child.wait_with_output().ok()?;
        assert!(output.status.success(), "Python refuses\n{text}");
        serde_json::from_slice(&output.stdout).ok()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn files_are_read_as_python_reads_them(text in common_file()) {
            let sections = parse(&text).expect(&text);
            let entries = |section: &Section| {
                section.entries.iter().map(|e| (e.key.clone(), e.text.clone().into())).collect::<serde_json::Map<_, _>>()
            };
            let ours: serde_json::Map<_, _> =
                sections.iter().map(|section| (section.name.clone(), entries(section).into())).collect();
            if let Some(theirs) = python(&text) {
                prop_assert_eq!(serde_json::Value::from(ours), theirs, "{}", text);
            }
        }
    }

    proptest! {
        #[test]
        fn parsing_and_interpolating_never_panic(text in "\\PC*", body in "[\\[\\]=:; \t\n\r#%()sa-c\"é]*") {
            let _ = parse(&text);
            let _ = parse(&format!("[s]\n{body}"));
            let _ = interpolate(&body, &names);
            let _ = interpolate_names(&body, &names);
        }

        #[test]
        fn doubled_percent_signs_come_back_single(text in "[a-z%() ]*") {
            prop_assert_eq!(interpolate(&text.replace('%', "%%"), &names), Ok(text));
        }
    }
}
