//! Keys of rows as bytes. Two keys have the same bytes exactly when the server would find them equal; integers and times
//! have bytes in their own order.
//!
//! Net changes need to know whether two events change the same row, and events have only the texts of values. For some
//! types equal values have several texts (`1.0` and `1.00`): they are encoded in one form here. Where that is not
//! possible, the events of the table are applied one by one.

/// How the texts of a type's values tell whether the values are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyClass {
    /// Integers: by value.
    Integer,
    /// Equal values have equal texts.
    Text,
    /// `char(n)`: blanks at the end do not count.
    Padded,
    /// `boolean`
    Boolean,
    /// `numeric`: zeros at the end do not count.
    Numeric,
    /// `date` and `timestamp` in ISO form.
    Time,
    /// `timestamptz` in ISO form: by the time in UTC, since the text depends on the writer's time zone.
    ZonedTime,
    /// `bytea` in hex form.
    Bytes,
    /// Any other type: the texts do not tell.
    Other,
}

impl KeyClass {
    /// The class of a built-in type by its object id.
    pub(super) fn of(oid: u32) -> KeyClass {
        match oid {
            20 | 21 | 23 | 26 => KeyClass::Integer,
            // "char", name, text, varchar, uuid
            18 | 19 | 25 | 1043 | 2950 => KeyClass::Text,
            1042 => KeyClass::Padded,
            16 => KeyClass::Boolean,
            1700 => KeyClass::Numeric,
            1082 | 1114 => KeyClass::Time,
            1184 => KeyClass::ZonedTime,
            17 => KeyClass::Bytes,
            _ => KeyClass::Other,
        }
    }
}

/// Adds a value to `key`; false when its text is not of the form that is known. Several values one after the other stay
/// unambiguous.
pub(super) fn encode(class: KeyClass, value: &[u8], key: &mut Vec<u8>) -> bool {
    match class {
        KeyClass::Integer => encode_integer(parse_integer(value), key),
        KeyClass::ZonedTime => encode_zoned_time(value, key),
        KeyClass::Text => encode_text(value, key),
        KeyClass::Padded => encode_text(value.trim_ascii_end_blanks(), key),
        KeyClass::Boolean => match value {
            b"t" | b"true" => encode_text(b"t", key),
            b"f" | b"false" => encode_text(b"f", key),
            _ => false,
        },
        KeyClass::Numeric => encode_numeric(value, key),
        KeyClass::Time => encode_time(value, key),
        KeyClass::Bytes => value.starts_with(b"\\x") && encode_text(value, key),
        KeyClass::Other => false,
    }
}

trait TrimBlanks {
    fn trim_ascii_end_blanks(&self) -> &[u8];
}

impl TrimBlanks for [u8] {
    fn trim_ascii_end_blanks(&self) -> &[u8] {
        let len = self.iter().rposition(|b| *b != b' ').map_or(0, |at| at + 1);
        &self[..len]
    }
}

/// A decimal integer as the server writes it: no blanks, no plus sign, no zeros before.
pub(super) fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 19 || (digits[0] == b'0' && text.len() > 1) {
        return None;
    }
    let mut value: u64 = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // At most 19 digits: less than 2^64.
        value = value * 10 + u64::from(digit);
    }
    if negative { 0_i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

fn encode_integer(value: Option<i64>, key: &mut Vec<u8>) -> bool {
    let Some(value) = value else { return false };
    // With the sign bit turned round, the bytes are in the order of the numbers.
    key.extend_from_slice(&(value.cast_unsigned() ^ (1 << 63)).to_be_bytes());
    true
}

fn encode_text(value: &[u8], key: &mut Vec<u8>) -> bool {
    // The server has no zero bytes in its texts: one ends the value.
    if memchr::memchr(0, value).is_some() {
        return false;
    }
    key.extend_from_slice(value);
    key.push(0);
    true
}

fn encode_numeric(value: &[u8], key: &mut Vec<u8>) -> bool {
    let plain = value.iter().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.'));
    if !plain && value != b"NaN" && !value.ends_with(b"Infinity") {
        return false;
    }
    let mut value = value;
    if value.contains(&b'.') {
        let len = value.iter().rposition(|b| *b != b'0').map_or(0, |at| at + 1);
        value = &value[..len];
        value = value.strip_suffix(b".").unwrap_or(value);
    }
    if value == b"-0" {
        value = b"0";
    }
    encode_text(value, key)
}

/// `2020-01-31`, `2020-01-31 12:00:00.5`, with a `T` for the blank in JSON.
fn encode_time(value: &[u8], key: &mut Vec<u8>) -> bool {
    if matches!(value, b"infinity" | b"-infinity") {
        return encode_text(value, key);
    }
    let iso = value.len() >= 10 && value[..4].iter().all(u8::is_ascii_digit) && value.get(4) == Some(&b'-')
        || value.iter().position(|b| *b == b'-').is_some_and(|at| at > 4);
    let from = key.len();
    let encoded = iso && encode_text(value, key);
    if let Some(t) = key[from..].iter_mut().find(|b| **b == b'T') {
        *t = b' ';
    }
    encoded
}

/// A time with its offset from UTC, brought to UTC.
fn encode_zoned_time(value: &[u8], key: &mut Vec<u8>) -> bool {
    match value {
        b"infinity" => encode_integer(Some(i64::MAX), key),
        b"-infinity" => encode_integer(Some(i64::MIN), key),
        _ => encode_integer(parse_zoned_time(value), key),
    }
}

/// Microseconds since 1970 of `2020-01-31 12:00:00.123456+01:30`. Years of more than four digits, and BC, are not read.
fn parse_zoned_time(text: &[u8]) -> Option<i64> {
    let number = |from: usize, len: usize| -> Option<i64> {
        text.get(from..from + len)?
            .iter()
            .try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(*b - b'0')))
    };
    let sign = |at: usize, allowed: &[u8]| text.get(at).is_some_and(|b| allowed.contains(b)).then_some(());
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    sign(4, b"-")?;
    sign(7, b"-")?;
    sign(10, b" T")?;
    sign(13, b":")?;
    sign(16, b":")?;
    let mut at = 19;
    let mut micros = 0;
    if text.get(at) == Some(&b'.') {
        let digits = text[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 || digits > 6 {
            return None;
        }
        micros = number(at + 1, digits)? * 10_i64.pow(u32::try_from(6 - digits).ok()?);
        at += 1 + digits;
    }
    let west = match text.get(at)? {
        b'+' => -1,
        b'-' => 1,
        _ => return None,
    };
    let mut offset = number(at + 1, 2)? * 3600;
    at += 3;
    for unit in [60, 1] {
        if at == text.len() {
            break;
        }
        sign(at, b":")?;
        offset += number(at + 1, 2)? * unit;
        at += 3;
    }
    if at != text.len() {
        return None;
    }
    let seconds = days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second + west * offset;
    Some(seconds * 1_000_000 + micros)
}

/// Days from 1970-01-01 in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March end with the leap day.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(class: KeyClass, value: &str) -> Option<Vec<u8>> {
        let mut key = Vec::new();
        encode(class, value.as_bytes(), &mut key).then_some(key)
    }

    #[test]
    fn equal_values_have_equal_keys() {
        for (class, one, other) in [
            (KeyClass::Numeric, "1.0", "1.00"),
            (KeyClass::Numeric, "100", "100.000"),
            (KeyClass::Numeric, "0.00", "0"),
            (KeyClass::Padded, "ab", "ab  "),
            (KeyClass::Padded, "", "   "),
            (KeyClass::Boolean, "t", "true"),
            (KeyClass::Time, "2020-01-31T12:00:00", "2020-01-31 12:00:00"),
            (KeyClass::ZonedTime, "2020-01-31 12:00:00+00", "2020-01-31 13:30:00+01:30"),
            (KeyClass::ZonedTime, "2020-01-31 12:00:00.5+00", "2020-01-31T12:00:00.500000+00:00"),
            (KeyClass::ZonedTime, "2020-02-29 23:30:00-01", "2020-03-01 00:30:00+00"),
        ] {
            assert_eq!(key(class, one).expect(one), key(class, other).expect(other), "{one} {other}");
        }
    }

    #[test]
    fn different_values_have_different_keys() {
        for (class, one, other) in [
            (KeyClass::Numeric, "10", "1"),
            (KeyClass::Numeric, "1.5", "15"),
            (KeyClass::Text, "a", "a "),
            (KeyClass::ZonedTime, "2020-01-31 12:00:00+00", "2020-01-31 12:00:00.000001+00"),
            (KeyClass::ZonedTime, "2020-01-31 12:00:00+00", "2020-01-31 12:00:00+01"),
            (KeyClass::Time, "infinity", "-infinity"),
        ] {
            assert_ne!(key(class, one).expect(one), key(class, other).expect(other), "{one} {other}");
        }
    }

    #[test]
    fn texts_of_unknown_form_have_no_key() {
        for (class, text) in [
            (KeyClass::Integer, ""),
            (KeyClass::Integer, "-"),
            (KeyClass::Integer, "01"),
            (KeyClass::Integer, "-0"),
            (KeyClass::Integer, "+1"),
            (KeyClass::Integer, "1.0"),
            (KeyClass::Integer, "9223372036854775808"),
            (KeyClass::Numeric, "1e5"),
            (KeyClass::Time, "31.01.2020"),
            (KeyClass::Time, "01/31/2020"),
            (KeyClass::ZonedTime, "2020-01-31 12:00:00"),
            (KeyClass::ZonedTime, "2020-01-31 12:00:00 CET"),
            (KeyClass::ZonedTime, "12020-01-31 12:00:00+00"),
            (KeyClass::ZonedTime, "0044-03-15 12:00:00+00 BC"),
            (KeyClass::Bytes, "abc"),
            (KeyClass::Boolean, "yes"),
            (KeyClass::Text, "a\0b"),
            (KeyClass::Other, "1"),
        ] {
            assert_eq!(key(class, text), None, "{class:?} {text}");
        }
    }

    #[test]
    fn integers_keep_their_order() {
        let numbers = ["-9223372036854775808", "-10", "-9", "-1", "0", "1", "9", "10", "9223372036854775807"];
        let keys: Vec<_> = numbers.iter().map(|n| key(KeyClass::Integer, n).expect(n)).collect();
        assert!(keys.is_sorted());
    }

    #[test]
    fn times_count_from_1970() {
        assert_eq!(parse_zoned_time(b"1970-01-01 00:00:00+00"), Some(0));
        assert_eq!(parse_zoned_time(b"2000-03-01 00:00:01+00"), Some(951_868_801_000_000));
        assert_eq!(parse_zoned_time(b"1900-01-01 00:00:00+00"), Some(-2_208_988_800_000_000));
    }
}
