//! Event data of `jsontriga`: one JSON object with a member per column; and its event type, an object too.
//!
//! ```text
//! type  {"op":"UPDATE","table":["public","t"],"pkey":["id"]}
//! data  {"id":1,"flag":true,"note":null,"doc":"{\"a\": 1}"}
//! ```
//!
//! Numbers, booleans, and the text of objects and arrays are taken as they are written; strings are unescaped.

use memchr::memchr2;
use serde::Deserialize;

use super::fragment::Verb;
use super::values::{Names, Values};

/// What the event type says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// What happened; `None` is TRUNCATE.
    pub verb: Option<Verb>,
    /// Schema and table.
    pub table: (String, String),
    /// The key's columns.
    pub key: Vec<String>,
}

#[derive(Deserialize)]
struct RawKind {
    op: String,
    #[serde(default)]
    table: Vec<String>,
    #[serde(default)]
    pkey: Vec<String>,
}

/// Reads an event type. `None` when it is not one of `jsontriga`'s.
pub fn parse_kind(kind: &[u8]) -> Option<Kind> {
    let raw: RawKind = serde_json::from_slice(kind).ok()?;
    let verb = match raw.op.as_str() {
        "INSERT" => Some(Verb::Insert),
        "UPDATE" => Some(Verb::Update),
        "DELETE" => Some(Verb::Delete),
        "TRUNCATE" => None,
        _ => return None,
    };
    let mut table = raw.table.into_iter();
    let table = (table.next().unwrap_or_default(), table.next().unwrap_or_default());
    Some(Kind { verb, table, key: raw.pkey })
}

/// Reads all members: adds their values and their names, in the same order. `None`, with `values` as they were, when
/// this is not an object.
pub fn parse(data: &[u8], values: &mut Values, names: &mut Names) -> Option<()> {
    let mark = values.mark();
    names.clear();
    let parsed = Parser { data, at: 0 }.object(values, names);
    if parsed.is_none() {
        values.rewind(mark);
    }
    parsed
}

struct Parser<'a> {
    data: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn object(&mut self, values: &mut Values, names: &mut Names) -> Option<()> {
        self.symbol(b'{')?;
        if self.symbol(b'}').is_none() {
            loop {
                self.symbol(b'"')?;
                self.string(|piece| names.piece(piece))?;
                names.close();
                self.symbol(b':')?;
                self.value(values)?;
                if self.symbol(b',').is_none() {
                    break;
                }
            }
            self.symbol(b'}')?;
        }
        self.blanks();
        (self.at == self.data.len()).then_some(())
    }

    fn value(&mut self, values: &mut Values) -> Option<()> {
        self.blanks();
        let start = self.at;
        match self.data.get(self.at)? {
            b'"' => {
                self.at += 1;
                let value = values.open();
                self.string(|piece| values.piece(piece))?;
                values.close(value);
            }
            b'{' | b'[' => {
                self.nested()?;
                values.push(&self.data[start..self.at]);
            }
            _ => {
                let rest = &self.data[self.at..];
                let len = rest.iter().position(|b| matches!(b, b',' | b'}') || b.is_ascii_whitespace())?;
                self.at += len;
                match &rest[..len] {
                    b"null" => values.push_null(),
                    word @ (b"true" | b"false") => values.push(word),
                    number if is_number(number) => values.push(number),
                    _ => return None,
                }
            }
        }
        Some(())
    }

    /// Goes behind an object or array.
    fn nested(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.data.get(self.at)? {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                b'"' => {
                    self.at += 1;
                    self.string(|_| ())?;
                    continue;
                }
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// The rest of a string whose opening quote was read.
    fn string(&mut self, mut piece: impl FnMut(&[u8])) -> Option<()> {
        loop {
            let rest = self.data.get(self.at..)?;
            let len = memchr2(b'"', b'\\', rest)?;
            piece(&rest[..len]);
            self.at += len + 1;
            if rest[len] == b'"' {
                return Some(());
            }
            let escape = *self.data.get(self.at)?;
            self.at += 1;
            match escape {
                b'"' | b'\\' | b'/' => piece(&[escape]),
                b'b' => piece(b"\x08"),
                b'f' => piece(b"\x0c"),
                b'n' => piece(b"\n"),
                b'r' => piece(b"\r"),
                b't' => piece(b"\t"),
                b'u' => piece(self.character()?.encode_utf8(&mut [0; 4]).as_bytes()),
                _ => return None,
            }
        }
    }

    /// The character of `\uXXXX`, or of two of them that form a pair.
    fn character(&mut self) -> Option<char> {
        let first = self.hex4()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        if self.data.get(self.at..self.at + 2)? != b"\\u" {
            return None;
        }
        self.at += 2;
        let second = self.hex4()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + second)
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.data.get(self.at..self.at + 4)?;
        self.at += 4;
        digits.iter().try_fold(0, |sum, digit| Some(sum << 4 | char::from(*digit).to_digit(16)?))
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
}

fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &str) -> Option<Vec<(String, Option<String>)>> {
        let (mut values, mut names) = (Values::default(), Names::default());
        let parsed = parse(data.as_bytes(), &mut values, &mut names);
        assert!(parsed.is_some() || values.is_empty(), "{data} left values behind");
        parsed?;
        let names = names.to_list()?;
        assert_eq!(names.len(), values.len() as usize);
        let texts = (0..values.len()).map(|i| values.get(i).map(|v| String::from_utf8_lossy(v).into_owned()));
        Some(names.into_iter().zip(texts).collect())
    }

    #[test]
    fn members_of_all_kinds() {
        let fields = read(
            r#" {"id": 12,"n":"1.50","t":true, "nil":null,"s":"a\"\\\/\n\u00e9\ud83d\ude00" ,"doc":{"a":"}]","b":[1,2]},"e":""} "#,
        )
        .expect("valid");
        let expected = [
            ("id", Some("12")),
            ("n", Some("1.50")),
            ("t", Some("true")),
            ("nil", None),
            ("s", Some("a\"\\/\né😀")),
            ("doc", Some(r#"{"a":"}]","b":[1,2]}"#)),
            ("e", Some("")),
        ];
        let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_deref())).collect();
        assert_eq!(fields, expected);
        assert_eq!(read("{}"), Some(Vec::new()));
    }

    #[test]
    fn other_texts_are_refused() {
        for data in [
            "",
            "[]",
            "{",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":x}"#,
            r#"{"a":1"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":"\q"}"#,
            r#"{"a":1}x"#,
            r#"{"a":{"b":1}"#,
        ] {
            assert_eq!(read(data), None, "{data}");
        }
    }

    #[test]
    fn event_types() {
        let kind = parse_kind(br#"{"op":"UPDATE","table":["public","t"],"pkey":["id","b"]}"#).expect("valid");
        assert_eq!(kind.verb, Some(Verb::Update));
        assert_eq!(kind.table, ("public".to_owned(), "t".to_owned()));
        assert_eq!(kind.key, ["id", "b"]);
        assert_eq!(parse_kind(br#"{"op":"TRUNCATE","table":["a","b"]}"#).expect("valid").verb, None);
        assert_eq!(parse_kind(br#"{"op":"VACUUM"}"#), None);
        assert_eq!(parse_kind(b"{"), None);
    }

    proptest::proptest! {
        #[test]
        fn strings_come_back(text in ".*") {
            let data = serde_json::json!({"a": text}).to_string();
            proptest::prop_assert_eq!(read(&data), Some(vec![("a".to_owned(), Some(text))]));
        }
    }
}
