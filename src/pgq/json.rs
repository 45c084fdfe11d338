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
use serde::de::IgnoredAny;

use super::fragment::Verb;
use super::unreadable::Unreadable;
use super::value_buffer::{NameList, ValueBuffer};

/// The content of an event type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// The change; `None` is TRUNCATE.
    pub(crate) verb: Option<Verb>,
    /// Schema and table.
    pub(crate) table: (String, String),
    /// The key's columns.
    pub(crate) key: Vec<String>,
}

#[derive(Deserialize)]
struct RawKind {
    op: String,
    #[serde(default)]
    table: Vec<String>,
    #[serde(default)]
    pkey: Vec<String>,
}

/// Reads an event type. `None` when it is no event type of `jsontriga`: no object of this form, another operation, or a
/// name with a zero byte.
pub(crate) fn parse_kind(kind: &[u8]) -> Option<Kind> {
    let raw: RawKind = serde_json::from_slice(kind).ok()?;
    let verb = match raw.op.as_str() {
        "INSERT" => Some(Verb::Insert),
        "UPDATE" => Some(Verb::Update),
        "DELETE" => Some(Verb::Delete),
        "TRUNCATE" => None,
        _ => return None,
    };
    if raw.table.iter().chain(&raw.pkey).any(|name| name.contains('\0')) {
        return None;
    }
    let mut table = raw.table.into_iter();
    let table = (table.next().unwrap_or_default(), table.next().unwrap_or_default());
    Some(Kind { verb, table, key: raw.pkey })
}

/// Reads all members: adds their values to `values`, and puts their names into `names`, in the same order. After an error,
/// `values` are unchanged.
pub fn parse(data: &[u8], values: &mut ValueBuffer, names: &mut NameList) -> Result<(), Unreadable> {
    let mark = values.mark();
    names.clear();
    let parsed = Parser { data, at: 0 }.object(values, names);
    if parsed.is_err() {
        values.rewind(mark);
    }
    parsed
}

struct Parser<'a> {
    data: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn object(&mut self, values: &mut ValueBuffer, names: &mut NameList) -> Result<(), Unreadable> {
        self.expect(b'{', "\"{\" and a JSON object")?;
        if !self.accept(b'}') {
            loop {
                self.expect(b'"', "a column's name in quotes")?;
                self.string(|piece| names.piece(piece))?;
                names.close();
                self.expect(b':', "\":\"")?;
                self.value(values)?;
                if !self.accept(b',') {
                    break;
                }
            }
            self.expect(b'}', "\",\" or \"}\"")?;
        }
        self.blanks();
        if self.at < self.data.len() { Err(self.unreadable("the end")) } else { Ok(()) }
    }

    fn value(&mut self, values: &mut ValueBuffer) -> Result<(), Unreadable> {
        self.blanks();
        let start = self.at;
        match self.data.get(self.at) {
            Some(b'"') => {
                self.at += 1;
                let value = values.open();
                self.string(|piece| values.piece(piece))?;
                values.close(value);
            }
            Some(b'{' | b'[') => {
                self.nested()?;
                values.push(&self.data[start..self.at]);
            }
            _ => {
                let rest = &self.data[self.at..];
                let end = rest.iter().position(|b| matches!(b, b',' | b'}') || b.is_ascii_whitespace());
                let word = &rest[..end.unwrap_or(rest.len())];
                match word {
                    b"null" => values.push_null(),
                    b"true" | b"false" => values.push(word),
                    number if is_number(number) => values.push(number),
                    _ => return Err(self.unreadable("a JSON value")),
                }
                self.at += word.len();
            }
        }
        Ok(())
    }

    /// Goes past an object or array, whose text is passed to the server unchanged.
    fn nested(&mut self) -> Result<(), Unreadable> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.data.get(self.at) {
                Some(b'{' | b'[') => depth += 1,
                Some(b'}' | b']') => depth -= 1,
                Some(b'"') => {
                    self.at += 1;
                    self.string(|_| ())?;
                    continue;
                }
                Some(_) => {}
                None => return Err(self.unreadable("the end of an object or array")),
            }
            self.at += 1;
            if depth == 0 {
                let nested: Result<IgnoredAny, _> = serde_json::from_slice(&self.data[start..self.at]);
                return nested.map(|_| ()).map_err(|_| Unreadable { at: start, expected: "a JSON value" });
            }
        }
    }

    /// Reads the rest of a string whose opening quote was read. A zero byte is refused: PostgreSQL has none in texts
    /// and names.
    fn string(&mut self, mut piece: impl FnMut(&[u8])) -> Result<(), Unreadable> {
        loop {
            let rest = &self.data[self.at..];
            let Some(len) = memchr2(b'"', b'\\', rest) else {
                return Err(Unreadable { at: self.data.len(), expected: "the quote that ends a string" });
            };
            if let Some(at) = rest[..len].iter().position(u8::is_ascii_control).filter(|at| rest[*at] < b' ') {
                return Err(Unreadable { at: self.at + at, expected: "an escape for a control character" });
            }
            piece(&rest[..len]);
            let at = self.at + len;
            self.at = at + 1;
            if rest[len] == b'"' {
                return Ok(());
            }
            let escape = self.data.get(self.at).copied();
            self.at += 1;
            match escape {
                Some(escape @ (b'"' | b'\\' | b'/')) => piece(&[escape]),
                Some(b'b') => piece(b"\x08"),
                Some(b'f') => piece(b"\x0c"),
                Some(b'n') => piece(b"\n"),
                Some(b'r') => piece(b"\r"),
                Some(b't') => piece(b"\t"),
                Some(b'u') => {
                    let error = Unreadable { at, expected: "an escape of a character other than zero" };
                    let character = self.character().filter(|character| *character != '\0').ok_or(error)?;
                    piece(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => return Err(Unreadable { at, expected: "an escape of JSON" }),
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
        while matches!(self.data.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Goes past the symbol, and blanks before it, if it is there.
    fn accept(&mut self, symbol: u8) -> bool {
        self.blanks();
        let found = self.data.get(self.at) == Some(&symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: u8, expected: &'static str) -> Result<(), Unreadable> {
        if self.accept(symbol) { Ok(()) } else { Err(self.unreadable(expected)) }
    }

    fn unreadable(&self, expected: &'static str) -> Unreadable {
        Unreadable { at: self.at, expected }
    }
}

/// Whether this is a number of JSON: `-12`, `0.50`, `1e+300`.
fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(text);
    if whole == 0 || (whole > 1 && text[0] == b'0') {
        return false;
    }
    let mut rest = &text[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let len = digits(fraction);
        if len == 0 {
            return false;
        }
        rest = &fraction[len..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
        let len = digits(exponent);
        if len == 0 {
            return false;
        }
        rest = &exponent[len..];
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &str) -> Option<Vec<(String, Option<String>)>> {
        let (mut values, mut names) = (ValueBuffer::default(), NameList::default());
        let parsed = parse(data.as_bytes(), &mut values, &mut names).ok();
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
    fn other_texts_are_refused_with_their_place() {
        for (data, at) in [
            ("", 0),
            ("[]", 0),
            ("{", 1),
            (r#"{"a"}"#, 4),
            (r#"{"a":}"#, 5),
            (r#"{"a":x}"#, 5),
            (r#"{"a":1"#, 6),
            (r#"{"a":1-2}"#, 5),
            (r#"{"a":01}"#, 5),
            (r#"{"a":.5}"#, 5),
            (r#"{"a":1.}"#, 5),
            (r#"{"a":1e}"#, 5),
            (r#"{"a":"\ud800"}"#, 6),
            (r#"{"a":"x\u0000"}"#, 7),
            (r#"{"a\u0000":"x"}"#, 3),
            (r#"{"a":"\q"}"#, 6),
            ("{\"a\":\"x\ny\"}", 7),
            (r#"{"a":1}x"#, 7),
            (r#"{"a":1,}"#, 7),
            (r#"{"a":"x"#, 7),
            (r#"{"a":{"b":1}"#, 12),
            (r#"{"a":{"b":1]}"#, 5),
            (r#"{"a":[1 2]}"#, 5),
        ] {
            let mut values = ValueBuffer::default();
            let found = parse(data.as_bytes(), &mut values, &mut NameList::default());
            assert_eq!(found.map_err(|error| error.at), Err(at), "{data}");
            assert!(values.is_empty(), "{data}");
        }
    }

    #[test]
    fn numbers_of_all_forms() {
        for number in ["0", "-0", "12", "1.50", "-0.001", "1e5", "1E+300", "1.5e-7"] {
            assert_eq!(read(&format!("{{\"a\":{number}}}")), Some(vec![("a".to_owned(), Some(number.to_owned()))]));
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
        assert_eq!(parse_kind(br#"{"op":"DELETE","table":["a","b"],"pkey":["a\u0000b"]}"#), None);
    }

    proptest::proptest! {
        #[test]
        fn strings_come_back(text in "[^\0]*") {
            let data = serde_json::json!({"a": text}).to_string();
            proptest::prop_assert_eq!(read(&data), Some(vec![("a".to_owned(), Some(text))]));
        }
    }
}
