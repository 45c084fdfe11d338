//! The literals that triggers write: `null`, `'text'`, `E'text'`.
//!
//! In all of them `''` stands for one quote. `E'...'` is written for texts that have a backslash, with `\\` for each one
//! and with no other escape. A backslash in a literal without `E` is refused: whether it begins an escape depends on the
//! setting `standard_conforming_strings`, and no trigger writes it.

use memchr::memchr2;

use super::unreadable::Unreadable;
use super::value_buffer::ValueBuffer;

/// Adds the value of the literal that begins at `at` and returns where the literal ends. After an error, `values` may
/// have bytes that belong to no value.
pub(super) fn read(data: &[u8], at: usize, values: &mut ValueBuffer) -> Result<usize, Unreadable> {
    match data.get(at) {
        Some(b'\'') => read_plain(data, at + 1, values),
        Some(b'E' | b'e') if data.get(at + 1) == Some(&b'\'') => read_escaped(data, at + 2, values),
        Some(b'N' | b'n') if is_word(data, at, b"null") => {
            values.push_null();
            Ok(at + 4)
        }
        _ => Err(Unreadable { at, expected: "null, '...' or E'...'" }),
    }
}

/// Whether the word at `at` is `word`, in upper or lower case.
pub(super) fn is_word(data: &[u8], at: usize, word: &[u8]) -> bool {
    let end = at + word.len();
    data.get(at..end).is_some_and(|found| found.eq_ignore_ascii_case(word))
        && !data.get(end).is_some_and(|byte| is_name_byte(*byte))
}

/// Whether a byte may be part of an unquoted name. For the server, all bytes of characters that are not ASCII may.
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// Reads the literal whose text begins at `at`, behind `'`.
fn read_plain(data: &[u8], mut at: usize, values: &mut ValueBuffer) -> Result<usize, Unreadable> {
    let len = find_end(data, at)?;
    if data[at + len] == b'\'' && data.get(at + len + 1) != Some(&b'\'') {
        values.push(&data[at..at + len]);
        return Ok(at + len + 1);
    }
    let value = values.open();
    loop {
        let len = find_end(data, at)?;
        let rest = &data[at..];
        if rest[len] == b'\\' {
            return Err(Unreadable { at: at + len, expected: "E before a literal with a backslash" });
        }
        if rest.get(len + 1) != Some(&b'\'') {
            values.piece(&rest[..len]);
            values.close(value);
            return Ok(at + len + 1);
        }
        values.piece(&rest[..=len]);
        at += len + 2;
    }
}

/// Reads the literal whose text begins at `at`, behind `E'`.
fn read_escaped(data: &[u8], mut at: usize, values: &mut ValueBuffer) -> Result<usize, Unreadable> {
    // With a doubled backslash at the start only, as bytea has it, the value is one piece of the data.
    if data.get(at..at + 2) == Some(br"\\") {
        let len = 2 + find_end(data, at + 2)?;
        if data[at + len] == b'\'' && data.get(at + len + 1) != Some(&b'\'') {
            values.push(&data[at + 1..at + len]);
            return Ok(at + len + 1);
        }
    }
    let value = values.open();
    loop {
        let len = find_end(data, at)?;
        let rest = &data[at..];
        let doubled = rest.get(len + 1) == Some(&rest[len]);
        if doubled {
            values.piece(&rest[..=len]);
            at += len + 2;
        } else if rest[len] == b'\'' {
            values.piece(&rest[..len]);
            values.close(value);
            return Ok(at + len + 1);
        } else {
            return Err(Unreadable { at: at + len, expected: r"\\, the only escape that triggers write" });
        }
    }
}

/// The distance from `at` to the next quote or backslash.
fn find_end(data: &[u8], at: usize) -> Result<usize, Unreadable> {
    let rest = data.get(at..).unwrap_or_default();
    memchr2(b'\'', b'\\', rest).ok_or(Unreadable { at: data.len(), expected: "the quote that ends a literal" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(data: &str) -> Result<(Option<String>, usize), Unreadable> {
        let mut values = ValueBuffer::default();
        let end = read(data.as_bytes(), 0, &mut values)?;
        assert_eq!(values.len(), 1, "{data}");
        Ok((values.get(0).map(|bytes| String::from_utf8_lossy(bytes).into_owned()), end))
    }

    #[test]
    fn what_triggers_write_is_read() {
        for (data, expected) in [
            ("null", None),
            ("NULL,", None),
            ("''", Some("")),
            ("'a'", Some("a")),
            ("''''", Some("'")),
            ("'it''s',", Some("it's")),
            (r"E'\\x5c'", Some(r"\x5c")),
            (r"E'\\'", Some(r"\")),
            (r"e'''\\''a\\\\'", Some(r"'\'a\\")),
            (r"E'plain'", Some("plain")),
            ("'-- $$ /*'", Some("-- $$ /*")),
        ] {
            let (value, end) = value(data).expect(data);
            assert_eq!(value.as_deref(), expected, "{data}");
            assert_eq!(&data[end..], if data.ends_with(',') { "," } else { "" }, "{data}");
        }
    }

    #[test]
    fn other_literals_are_refused_with_their_place() {
        for (data, at) in [
            ("", 0),
            ("1", 0),
            ("nullx", 0),
            ("nulé", 0),
            ("n", 0),
            ("'", 1),
            ("'a", 2),
            ("'a''", 4),
            ("E'", 2),
            (r"'a\b'", 2),
            (r"'a''\'", 4),
            (r"E'a\n'", 3),
            (r"E'\'", 2),
            (r"E'\\\", 4),
            ("U&'a'", 0),
            ("N'a'", 0),
            ("X'00'", 0),
            ("$$a$$", 0),
        ] {
            assert_eq!(value(data).map_err(|error| error.at), Err(at), "{data}");
        }
    }
}
