//! Event data of `logutriga`: `name=value&name&...`, percent-encoded, where a name without `=` is NULL.

use memchr::{memchr, memchr2};

use super::unreadable::Unreadable;
use super::value_buffer::{NameList, ValueBuffer};

/// Reads all fields: adds their values to `values`, and puts their names into `names`, in the same order. After an error,
/// `values` are unchanged. `data` are a text of PostgreSQL, so they have no zero byte.
pub fn parse(data: &[u8], values: &mut ValueBuffer, names: &mut NameList) -> Result<(), Unreadable> {
    let mark = values.mark();
    names.clear();
    let parsed = parse_fields(data, values, names);
    if parsed.is_err() {
        values.rewind(mark);
    }
    parsed
}

fn parse_fields(data: &[u8], values: &mut ValueBuffer, names: &mut NameList) -> Result<(), Unreadable> {
    let mut at = 0;
    for field in data.split(|byte| *byte == b'&') {
        if !field.is_empty() {
            parse_field(field, values, names)
                .map_err(|error| Unreadable { at: at + error.at, expected: error.expected })?;
        }
        at += field.len() + 1;
    }
    Ok(())
}

fn parse_field(field: &[u8], values: &mut ValueBuffer, names: &mut NameList) -> Result<(), Unreadable> {
    let equals = memchr(b'=', field);
    let name = &field[..equals.unwrap_or(field.len())];
    if name.is_empty() {
        return Err(Unreadable { at: 0, expected: "a column's name" });
    }
    unescape(name, |piece| names.piece(piece))?;
    names.close();
    match equals {
        None => values.push_null(),
        Some(equals) => {
            let (from, value) = (equals + 1, values.open());
            unescape(&field[from..], |piece| values.piece(piece))
                .map_err(|error| Unreadable { at: from + error.at, expected: error.expected })?;
            values.close(value);
        }
    }
    Ok(())
}

/// Decodes a text and passes it to `piece` in pieces. A zero byte is refused: PostgreSQL has none in texts and names.
fn unescape(text: &[u8], mut piece: impl FnMut(&[u8])) -> Result<(), Unreadable> {
    let mut from = 0;
    while let Some(len) = memchr2(b'%', b'+', &text[from..]) {
        let at = from + len;
        piece(&text[from..at]);
        if text[at] == b'+' {
            piece(b" ");
            from = at + 1;
        } else {
            let byte = hex_byte(text.get(at + 1..at + 3));
            let error = Unreadable { at, expected: "%, two hexadecimal digits, and no zero byte" };
            piece(&[byte.filter(|byte| *byte != 0).ok_or(error)?]);
            from = at + 3;
        }
    }
    piece(&text[from..]);
    Ok(())
}

fn hex_byte(digits: Option<&[u8]>) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    match digits {
        Some([high, low]) => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &str) -> Option<Vec<(String, Option<Vec<u8>>)>> {
        let (mut values, mut names) = (ValueBuffer::default(), NameList::default());
        parse(data.as_bytes(), &mut values, &mut names).ok()?;
        let names = names.to_list()?;
        Some(
            (0..values.len())
                .map(|i| values.get(i).map(<[u8]>::to_vec))
                .enumerate()
                .map(|(i, v)| (names[i].clone(), v))
                .collect(),
        )
    }

    #[test]
    fn null_and_the_empty_text_stay_apart() {
        let fields = read("id=1&a&b=&Weird+Col=a%26b%3d%25+c%01&x=null").expect("valid");
        let expected: [(&str, Option<&[u8]>); 5] = [
            ("id", Some(b"1")),
            ("a", None),
            ("b", Some(b"")),
            ("Weird Col", Some(b"a&b=% c\x01")),
            ("x", Some(b"null")),
        ];
        assert_eq!(fields.len(), expected.len());
        for ((name, value), (expected_name, expected_value)) in fields.iter().zip(expected) {
            assert_eq!((name.as_str(), value.as_deref()), (expected_name, expected_value));
        }
    }

    #[test]
    fn damaged_data_are_refused_with_their_place() {
        for (data, at) in [
            ("a=%", 2),
            ("a=1&b=x%4", 7),
            ("a=%zz", 2),
            ("a=1&b=%00", 6),
            ("a=1&b%00=1", 5),
            ("a=1&=1", 4),
            ("a=1&&b=%+1", 7),
        ] {
            let mut values = ValueBuffer::default();
            let found = parse(data.as_bytes(), &mut values, &mut NameList::default());
            assert_eq!(found.map_err(|error| error.at), Err(at), "{data}");
            assert!(values.is_empty(), "{data}");
        }
        assert_eq!(read("%ff=1"), None);
        assert_eq!(read(""), Some(Vec::new()));
    }

    proptest::proptest! {
        #[test]
        fn encoded_values_come_back(texts in proptest::collection::vec(proptest::option::of(proptest::collection::vec(1u8.., 0..20)), 1..5)) {
            let encode = |bytes: &Vec<u8>| bytes.iter().fold(String::new(), |mut out, byte| {
                match byte {
                    b'a'..=b'z' => out.push(char::from(*byte)),
                    b' ' => out.push('+'),
                    _ => out.push_str(&format!("%{byte:02x}")),
                }
                out
            });
            let data: Vec<String> = texts.iter().enumerate().map(|(i, v)| match v {
                None => format!("c{i}"),
                Some(bytes) => format!("c{i}={}", encode(bytes)),
            }).collect();
            let fields = read(&data.join("&")).expect("valid");
            proptest::prop_assert_eq!(fields.into_iter().map(|(_, v)| v).collect::<Vec<_>>(), texts);
        }
    }
}
