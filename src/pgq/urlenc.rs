//! Event data of `logutriga`: `name=value&name&...`, percent-encoded, where a name without `=` is NULL.

use memchr::{memchr, memchr2};

use super::values::{Names, Values};

/// Reads all fields: adds their values and their names, in the same order. `None`, with `values` as they were, when an
/// escape is damaged.
pub fn parse(data: &[u8], values: &mut Values, names: &mut Names) -> Option<()> {
    let mark = values.mark();
    names.clear();
    for field in data.split(|byte| *byte == b'&').filter(|field| !field.is_empty()) {
        if parse_field(field, values, names).is_none() {
            values.rewind(mark);
            return None;
        }
    }
    Some(())
}

fn parse_field(field: &[u8], values: &mut Values, names: &mut Names) -> Option<()> {
    let equals = memchr(b'=', field);
    unescape(&field[..equals.unwrap_or(field.len())], |piece| names.piece(piece))?;
    names.close();
    match equals {
        None => values.push_null(),
        Some(equals) => {
            let value = values.open();
            unescape(&field[equals + 1..], |piece| values.piece(piece))?;
            values.close(value);
        }
    }
    Some(())
}

fn unescape(mut text: &[u8], mut piece: impl FnMut(&[u8])) -> Option<()> {
    while let Some(at) = memchr2(b'%', b'+', text) {
        piece(&text[..at]);
        if text[at] == b'+' {
            piece(b" ");
            text = &text[at + 1..];
        } else {
            piece(&[hex(*text.get(at + 1)?)? << 4 | hex(*text.get(at + 2)?)?]);
            text = &text[at + 3..];
        }
    }
    piece(text);
    Some(())
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &str) -> Option<Vec<(String, Option<Vec<u8>>)>> {
        let (mut values, mut names) = (Values::default(), Names::default());
        parse(data.as_bytes(), &mut values, &mut names)?;
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
        let fields = read("id=1&a&b=&Weird+Col=a%26b%3d%25+c%00&x=null").expect("valid");
        let expected: [(&str, Option<&[u8]>); 5] = [
            ("id", Some(b"1")),
            ("a", None),
            ("b", Some(b"")),
            ("Weird Col", Some(b"a&b=% c\0")),
            ("x", Some(b"null")),
        ];
        assert_eq!(fields.len(), expected.len());
        for ((name, value), (expected_name, expected_value)) in fields.iter().zip(expected) {
            assert_eq!((name.as_str(), value.as_deref()), (expected_name, expected_value));
        }
    }

    #[test]
    fn damaged_escapes_are_refused() {
        for data in ["a=%", "a=%4", "a=%zz", "%ff=1"] {
            assert_eq!(read(data), None, "{data}");
        }
        assert_eq!(read(""), Some(Vec::new()));
    }

    proptest::proptest! {
        #[test]
        fn encoded_values_come_back(texts in proptest::collection::vec(proptest::option::of(proptest::collection::vec(0u8.., 0..20)), 1..5)) {
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
