//! Event data of the classic triggers: a part of an SQL statement.
//!
//! ```text
//! I   (id,"Name") values ('1',null)
//! U   "Name"='it''s',note=E'\\x' where id='1'
//! D   id='1' and b='2'
//! ```
//!
//! The same statement shape comes again and again with other values. [`parse`] takes a fragment apart once and gives a
//! [`Template`], the text around the values; [`Template::read`] then takes the values out of the next fragments by
//! comparing text, without looking at names.

use memchr::{memchr, memchr2};

use super::values::Values;

/// What a fragment does to its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// `I`
    Insert,
    /// `U`
    Update,
    /// `D`
    Delete,
}

impl Verb {
    /// The event type.
    pub fn letter(self) -> char {
        match self {
            Verb::Insert => 'I',
            Verb::Update => 'U',
            Verb::Delete => 'D',
        }
    }
}

/// The text of a fragment around its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// What stands before the first value, between values, and after the last one.
    texts: Vec<Box<[u8]>>,
}

/// The names in a fragment; its values were added to [`Values`] in the same order, first `columns`, then `key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Columns that get a value. Empty in a delete.
    pub columns: Vec<String>,
    /// Columns of the condition. Empty in an insert.
    pub key: Vec<String>,
    /// How to read the next fragment of the same shape.
    pub template: Template,
}

impl Template {
    /// Adds the values of `data` and returns true when it has this shape; otherwise leaves `values` as they were.
    pub fn read(&self, data: &[u8], values: &mut Values) -> bool {
        let mark = values.mark();
        let read = self.read_all(data, values) == Some(data.len());
        if !read {
            values.rewind(mark);
        }
        read
    }

    fn read_all(&self, data: &[u8], values: &mut Values) -> Option<usize> {
        let (last, others) = self.texts.split_last()?;
        let mut at = 0;
        for text in others {
            at = read_value(data, skip(data, at, text)?, values)?;
        }
        skip(data, at, last)
    }
}

fn skip(data: &[u8], at: usize, text: &[u8]) -> Option<usize> {
    data.get(at..)?.starts_with(text).then_some(at + text.len())
}

/// Takes a fragment apart. `None`, with `values` as they were, when it is not of the form that the triggers write: such
/// a fragment can only be sent to the server as it is.
pub fn parse(verb: Verb, data: &[u8], values: &mut Values) -> Option<Parsed> {
    let mark = values.mark();
    let mut parser = Parser { data, at: 0, text_from: 0, texts: Vec::new(), values };
    let names = match verb {
        Verb::Insert => parser.insert().map(|columns| (columns, Vec::new())),
        Verb::Update => parser.update(),
        Verb::Delete => parser.condition().map(|key| (Vec::new(), key)),
    };
    let texts = names.is_some().then(|| parser.end()).flatten();
    if let (Some((columns, key)), Some(texts)) = (names, texts) {
        return Some(Parsed { columns, key, template: Template { texts } });
    }
    values.rewind(mark);
    None
}

struct Parser<'a> {
    data: &'a [u8],
    at: usize,
    /// Where the text since the last value begins.
    text_from: usize,
    texts: Vec<Box<[u8]>>,
    values: &'a mut Values,
}

impl Parser<'_> {
    /// `(a, b) values (1, 2)`
    fn insert(&mut self) -> Option<Vec<String>> {
        let mut columns = Vec::new();
        self.symbol(b'(')?;
        loop {
            columns.push(self.name()?);
            if self.symbol(b',').is_none() {
                break;
            }
        }
        self.symbol(b')')?;
        self.word("values")?;
        self.symbol(b'(')?;
        for i in 0..columns.len() {
            if i > 0 {
                self.symbol(b',')?;
            }
            self.value()?;
        }
        self.symbol(b')')?;
        Some(columns)
    }

    /// `a = 1, b = 2 where ...`
    fn update(&mut self) -> Option<(Vec<String>, Vec<String>)> {
        let mut columns = Vec::new();
        loop {
            columns.push(self.assignment()?);
            if self.symbol(b',').is_none() {
                break;
            }
        }
        self.word("where")?;
        Some((columns, self.condition()?))
    }

    /// `a = 1 and b = 2`. NULL cannot be found by `=`, so it is not accepted.
    fn condition(&mut self) -> Option<Vec<String>> {
        let mut key = Vec::new();
        loop {
            key.push(self.assignment()?);
            self.values.get(self.values.len() - 1)?;
            if self.word("and").is_none() {
                return Some(key);
            }
        }
    }

    fn assignment(&mut self) -> Option<String> {
        let name = self.name()?;
        self.symbol(b'=')?;
        self.value()?;
        Some(name)
    }

    fn value(&mut self) -> Option<()> {
        self.blanks();
        let end = read_value(self.data, self.at, self.values)?;
        self.texts.push(self.data[self.text_from..self.at].into());
        self.at = end;
        self.text_from = end;
        Some(())
    }

    fn end(mut self) -> Option<Vec<Box<[u8]>>> {
        self.blanks();
        let _ = self.symbol(b';');
        self.blanks();
        self.texts.push(self.data[self.text_from..self.at].into());
        (self.at == self.data.len()).then_some(self.texts)
    }

    fn blanks(&mut self) {
        while self.data.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn symbol(&mut self, symbol: u8) -> Option<()> {
        self.blanks();
        (self.data.get(self.at) == Some(&symbol)).then(|| self.at += 1)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.blanks();
        let end = self.at + word.len();
        let found = self.data.get(self.at..end)?.eq_ignore_ascii_case(word.as_bytes())
            && !self.data.get(end).is_some_and(|byte| is_name_byte(*byte));
        found.then(|| self.at = end)
    }

    /// An identifier, folded to lower case unless it is quoted.
    fn name(&mut self) -> Option<String> {
        self.blanks();
        if self.data.get(self.at) == Some(&b'"') {
            return self.quoted_name();
        }
        let rest = &self.data[self.at..];
        let len = rest.iter().position(|byte| !is_name_byte(*byte)).unwrap_or(rest.len());
        if len == 0 || rest[0].is_ascii_digit() {
            return None;
        }
        self.at += len;
        Some(std::str::from_utf8(&rest[..len]).ok()?.to_ascii_lowercase())
    }

    fn quoted_name(&mut self) -> Option<String> {
        let mut name = Vec::new();
        self.at += 1;
        loop {
            let rest = self.data.get(self.at..)?;
            let len = memchr(b'"', rest)?;
            name.extend_from_slice(&rest[..len]);
            self.at += len + 1;
            if self.data.get(self.at) != Some(&b'"') {
                return String::from_utf8(name).ok();
            }
            name.push(b'"');
            self.at += 1;
        }
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// Adds the literal that begins at `at` and returns where it ends.
fn read_value(data: &[u8], at: usize, values: &mut Values) -> Option<usize> {
    match data.get(at)? {
        b'\'' => read_plain(data, at + 1, values),
        b'E' | b'e' if data.get(at + 1) == Some(&b'\'') => read_escaped(data, at + 2, values),
        b'N' | b'n' => {
            let end = at + 4;
            let null = data.get(at..end)?.eq_ignore_ascii_case(b"null")
                && !data.get(end).is_some_and(|byte| is_name_byte(*byte));
            null.then(|| {
                values.push_null();
                end
            })
        }
        _ => None,
    }
}

/// `...'` where `''` stands for one quote.
fn read_plain(data: &[u8], mut at: usize, values: &mut Values) -> Option<usize> {
    let len = memchr(b'\'', data.get(at..)?)?;
    if data.get(at + len + 1) != Some(&b'\'') {
        values.push(&data[at..at + len]);
        return Some(at + len + 1);
    }
    let value = values.open();
    loop {
        let rest = data.get(at..)?;
        let len = memchr(b'\'', rest)?;
        if rest.get(len + 1) != Some(&b'\'') {
            values.piece(&rest[..len]);
            values.close(value);
            return Some(at + len + 1);
        }
        values.piece(&rest[..=len]);
        at += len + 2;
    }
}

/// `...'` where `''` stands for one quote and `\\` for one backslash. The triggers write no other escape.
fn read_escaped(data: &[u8], mut at: usize, values: &mut Values) -> Option<usize> {
    // A doubled backslash only at the start, as of bytea: the value is in one piece.
    if data.get(at..at + 2) == Some(br"\\") {
        let len = 2 + memchr2(b'\'', b'\\', data.get(at + 2..)?)?;
        if data[at + len] == b'\'' && data.get(at + len + 1) != Some(&b'\'') {
            values.push(&data[at + 1..at + len]);
            return Some(at + len + 1);
        }
    }
    let value = values.open();
    loop {
        let rest = data.get(at..)?;
        let len = memchr2(b'\'', b'\\', rest)?;
        let doubled = rest.get(len + 1) == Some(&rest[len]);
        if doubled {
            values.piece(&rest[..=len]);
            at += len + 2;
        } else if rest[len] == b'\'' {
            values.piece(&rest[..len]);
            values.close(value);
            return Some(at + len + 1);
        } else {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(verb: Verb, data: &str) -> Option<(Parsed, Vec<Option<String>>)> {
        let mut values = Values::default();
        let parsed = parse(verb, data.as_bytes(), &mut values);
        let texts = texts(&values);
        assert!(parsed.is_some() || texts.is_empty(), "{data} left values behind");
        parsed.map(|parsed| (parsed, texts))
    }

    fn texts(values: &Values) -> Vec<Option<String>> {
        (0..values.len()).map(|i| values.get(i).map(|bytes| String::from_utf8_lossy(bytes).into_owned())).collect()
    }

    fn check(verb: Verb, data: &str, columns: &[&str], key: &[&str], expected: &[Option<&str>]) {
        let (parsed, values) = read(verb, data).expect(data);
        assert_eq!(parsed.columns, columns, "{data}");
        assert_eq!(parsed.key, key, "{data}");
        assert_eq!(values.iter().map(Option::as_deref).collect::<Vec<_>>(), expected, "{data}");
        let mut again = Values::default();
        assert!(parsed.template.read(data.as_bytes(), &mut again), "{data}");
        assert_eq!(texts(&again), values, "{data}");
    }

    #[test]
    fn fragments_of_the_original_triggers() {
        check(
            Verb::Insert,
            r#"(tag,"Weird Col","data",flag) values ('b',null,E'\\x5c','')"#,
            &["tag", "Weird Col", "data", "flag"],
            &[],
            &[Some("b"), None, Some(r"\x5c"), Some("")],
        );
        check(
            Verb::Update,
            r#""user"=NULL,"value"='it''s' where id='1' and "a""b"='null'"#,
            &["user", "value"],
            &["id", "a\"b"],
            &[None, Some("it's"), Some("1"), Some("null")],
        );
        check(Verb::Delete, "a='3' and b='4'", &[], &["a", "b"], &[Some("3"), Some("4")]);
        check(Verb::Update, "tag='bb' where tag='b'", &["tag"], &["tag"], &[Some("bb"), Some("b")]);
    }

    #[test]
    fn blanks_and_a_semicolon_do_not_matter() {
        check(
            Verb::Insert,
            " ( A , b )\n VALUES ( 'x' , E'y''z\\\\' ) ; ",
            &["a", "b"],
            &[],
            &[Some("x"), Some("y'z\\")],
        );
        check(Verb::Update, "a = 'x' , b = null WHERE c = 'z'", &["a", "b"], &["c"], &[Some("x"), None, Some("z")]);
    }

    #[test]
    fn other_texts_are_left_to_the_server() {
        for (verb, data) in [
            (Verb::Insert, "(a) values (1)"),
            (Verb::Insert, "(a) values (default)"),
            (Verb::Insert, "(a,b) values ('1')"),
            (Verb::Insert, "(a) values ('1'),('2')"),
            (Verb::Insert, "(a) values ('1"),
            (Verb::Insert, r"(a) values (E'\n')"),
            (Verb::Insert, "(a) values (nullx)"),
            (Verb::Update, "a='1'"),
            (Verb::Update, "a='1' where b=null"),
            (Verb::Update, "a='1' where b is null"),
            (Verb::Update, "a=a||'1' where b='2'"),
            (Verb::Delete, "a='1' or b='2'"),
            (Verb::Delete, "a='1'; drop table t"),
            (Verb::Delete, ""),
        ] {
            assert!(read(verb, data).is_none(), "{data}");
        }
    }

    #[test]
    fn a_template_reads_only_its_own_shape() {
        let (parsed, _) = read(Verb::Update, "a='1' where id='2'").expect("valid");
        let mut values = Values::default();
        for other in ["a='1',b='2' where id='2'", "b='1' where id='2'", "a='1' where id='2' and x='1'", "a='1", ""] {
            assert!(!parsed.template.read(other.as_bytes(), &mut values), "{other}");
            assert!(values.is_empty());
        }
        assert!(parsed.template.read(b"a=null where id=E'\\\\'", &mut values));
        assert_eq!(texts(&values), [None, Some("\\".to_owned())]);
    }

    #[test]
    fn values_need_not_be_utf8() {
        let mut values = Values::default();
        assert!(parse(Verb::Delete, b"a='\xff\xfe'", &mut values).is_some());
        assert_eq!(values.get(0), Some(&b"\xff\xfe"[..]));
    }

    #[test]
    fn values_in_one_piece_are_lent_when_they_are_big() {
        let big = "x".repeat(crate::pgq::values::BIG);
        let data = format!(r"a='{big}',b=E'\\{big}',c='{big}''',d=E'\\{big}\\' where id='{big}'");
        let data = bytes::Bytes::from(data);
        let mut values = Values::default();
        values.lend_from(Some(data.clone()));
        assert!(parse(Verb::Update, &data, &mut values).is_some());
        let expected = [big.clone(), format!(r"\{big}"), format!("{big}'"), format!(r"\{big}\"), big];
        let is_lent = |(i, expected): (u32, String)| {
            let value = values.get(i).expect("not null");
            assert!(value == expected.as_bytes(), "value {i}");
            data.as_ptr_range().contains(&value.as_ptr())
        };
        let lent: Vec<bool> = (0..).zip(expected).map(is_lent).collect();
        assert_eq!(lent, [true, true, false, false, true]);
    }

    proptest::proptest! {
        #[test]
        fn quoted_values_come_back(texts in proptest::collection::vec(proptest::option::of(".*"), 1..6)) {
            let list: Vec<String> = texts.iter().map(|v| v.as_ref().map_or("null".to_owned(), |v| crate::pg::name::quote_literal(v))).collect();
            let names: Vec<String> = (0..texts.len()).map(|i| format!("c{i}")).collect();
            let data = format!("({}) values ({})", names.join(","), list.join(","));
            let (parsed, values) = read(Verb::Insert, &data).expect("valid");
            proptest::prop_assert_eq!(&parsed.columns, &names);
            proptest::prop_assert_eq!(values, texts);
        }
    }
}
