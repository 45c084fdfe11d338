//! Events as a server sends them, and their data.

use bytes::{Bytes, BytesMut};
use serde::de::IgnoredAny;

use crate::londiste::apply::{is_unknown_type, write_copy_value};
use crate::pg::FqName;
use crate::pg::name::quote_ident;
use crate::pgq::event::{self, Event, Row};
use crate::pgq::fragment::{self, Parsed, Verb};
use crate::pgq::unreadable::Unreadable;
use crate::pgq::value_buffer::{NameList, ValueBuffer};
use crate::pgq::{json as json_data, urlenc as urlenc_data};

/// Values of columns; `None` is null.
type Values = Vec<Option<Vec<u8>>>;

fn values_of(buffer: &ValueBuffer) -> Values {
    (0..buffer.len()).map(|index| buffer.get(index).map(<[u8]>::to_vec)).collect()
}

/// A value takes a cell of 8 bytes and at most its own text, and each has at least one byte in the data.
fn assert_bounded(buffer: &ValueBuffer, data: &[u8]) {
    assert!(buffer.size() <= 9 * data.len(), "{} bytes of values in {} bytes of data", buffer.size(), data.len());
}

/// Nothing stays of data that are refused, and the place of the error is one of the data.
fn assert_refused(error: Unreadable, buffer: &ValueBuffer, data: &[u8]) {
    assert!(buffer.is_empty() && buffer.size() == 0, "values of data that are refused");
    assert!(error.at <= data.len(), "the place {} in {} bytes", error.at, data.len());
    let text = error.describe(data);
    assert!(text.len() < 1000 && !text.contains('\n'), "{text}");
}

/// The type of an event, as JSON too; and a list of tables, which the data of type `T` are.
pub(super) fn event_type(data: &[u8]) {
    let kind = json_data::parse_kind(data);
    if data.starts_with(b"{") {
        assert_eq!(is_unknown_type(data), kind.is_none());
    }
    let list = String::from_utf8_lossy(data);
    for name in FqName::parse_list(&list) {
        let _ = name.quoted();
        if name.is_plain() {
            assert_eq!(FqName::parse(&name.to_string()), name);
        }
    }
}

/// Whether the data come to their decoder at all: PostgreSQL has no zero byte in a text, and the reader of events refuses
/// data that have one, whatever their format.
fn is_text(data: &[u8]) -> bool {
    !data.contains(&0)
}

/// The letter of the change, and a fragment of SQL.
pub(super) fn fragment(data: &[u8]) {
    let (verb, data) = match data {
        [b'I', data @ ..] => (Verb::Insert, data),
        [b'U', data @ ..] => (Verb::Update, data),
        [b'D', data @ ..] => (Verb::Delete, data),
        _ => return,
    };
    if !is_text(data) {
        return;
    }
    let mut buffer = ValueBuffer::default();
    let parsed = match fragment::parse(verb, data, &mut buffer) {
        Ok(parsed) => parsed,
        Err(error) => return assert_refused(error, &buffer, data),
    };
    assert_bounded(&buffer, data);
    let values = values_of(&buffer);
    assert_eq!(values.len(), parsed.columns.len() + parsed.key.len());

    let mut again = ValueBuffer::default();
    assert!(parsed.template.read(data, &mut again), "its own template does not read it");
    assert_eq!(values_of(&again), values);
    if let Some((_, cut)) = data.split_last() {
        let _ = parsed.template.read(cut, &mut ValueBuffer::default());
    }

    let encoded = encode_fragment(verb, &parsed, &values);
    let mut again = ValueBuffer::default();
    let read = fragment::parse(verb, &encoded, &mut again).expect("the encoder writes what triggers write");
    assert_eq!((read.columns, read.key, values_of(&again)), (parsed.columns, parsed.key, values));
}

fn encode_fragment(verb: Verb, parsed: &Parsed, values: &[Option<Vec<u8>>]) -> Vec<u8> {
    let (new, key) = values.split_at(parsed.columns.len());
    let names = |names: &[String]| names.iter().map(|name| quote_ident(name).into_bytes()).collect::<Vec<_>>();
    let columns = names(&parsed.columns);
    let pairs: Vec<_> =
        columns.iter().zip(new).map(|(name, value)| [&name[..], b"=", &literal(value.as_ref())].concat()).collect();
    let conditions = names(&parsed.key).into_iter().zip(key).map(|(name, value)| match value {
        None => [&name[..], b" is null"].concat(),
        Some(_) => [&name[..], b"=", &literal(value.as_ref())].concat(),
    });
    let condition = conditions.collect::<Vec<_>>().join(&b" and "[..]);
    match verb {
        Verb::Insert => {
            let list: Vec<_> = new.iter().map(|value| literal(value.as_ref())).collect();
            [b"(", &columns.join(&b","[..])[..], b") values (", &list.join(&b","[..]), b")"].concat()
        }
        Verb::Update => [&pairs.join(&b","[..])[..], b" where ", &condition].concat(),
        Verb::Delete => condition,
    }
}

fn literal(value: Option<&Vec<u8>>) -> Vec<u8> {
    let Some(value) = value else { return b"null".to_vec() };
    let mut text = if value.contains(&b'\\') { b"E'".to_vec() } else { b"'".to_vec() };
    for byte in value {
        if matches!(byte, b'\'' | b'\\') {
            text.push(*byte);
        }
        text.push(*byte);
    }
    text.push(b'\'');
    text
}

/// Data of `logutriga`.
pub(super) fn urlenc(data: &[u8]) {
    if !is_text(data) {
        return;
    }
    let (mut buffer, mut names) = (ValueBuffer::default(), NameList::default());
    if let Err(error) = urlenc_data::parse(data, &mut buffer, &mut names) {
        return assert_refused(error, &buffer, data);
    }
    assert_bounded(&buffer, data);
    let Some(list) = names.to_list() else { return };
    let values = values_of(&buffer);
    assert_eq!(list.len(), values.len());
    let escape = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"));
    let fields = list.iter().zip(&values).map(|(name, value)| {
        let name = escape(name.as_bytes());
        value.as_ref().map_or(name.clone(), |value| format!("{name}={}", escape(value)))
    });
    let encoded = fields.collect::<Vec<_>>().join("&");
    let (mut again, mut again_names) = (ValueBuffer::default(), NameList::default());
    urlenc_data::parse(encoded.as_bytes(), &mut again, &mut again_names)
        .expect("the encoder writes what triggers write");
    assert_eq!((values_of(&again), again_names), (values, names));
}

/// Data of `jsontriga`.
pub(super) fn json(data: &[u8]) {
    if !is_text(data) {
        return;
    }
    let (mut buffer, mut names) = (ValueBuffer::default(), NameList::default());
    let parsed = json_data::parse(data, &mut buffer, &mut names);
    let expected = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(data);
    if let Err(error) = parsed {
        let has_zero = data.windows(6).any(|escape| escape == b"\\u0000");
        assert!(expected.is_err() || has_zero, "another reader understands what is refused");
        return assert_refused(error, &buffer, data);
    }
    assert_bounded(&buffer, data);
    let Some(list) = names.to_list() else { return };
    let values = values_of(&buffer);
    assert_eq!(list.len(), values.len());
    if std::str::from_utf8(data).is_ok() {
        assert!(serde_json::from_slice::<IgnoredAny>(data).is_ok(), "another reader refuses what is understood");
    }
    // Of names that stand twice, the other reader keeps one.
    if let Some(expected) = expected.ok().filter(|expected| expected.len() == list.len()) {
        for (name, value) in list.iter().zip(&values) {
            let value = value.as_deref().map(String::from_utf8_lossy);
            match &expected[name.as_str()] {
                serde_json::Value::Null => assert_eq!(value, None),
                serde_json::Value::Bool(flag) => assert_eq!(value, Some(flag.to_string().into())),
                serde_json::Value::String(text) => assert_eq!(value, Some(text.into())),
                other => {
                    let read = serde_json::from_str(&value.expect("not null"));
                    assert_eq!(read.ok().as_ref(), Some(other));
                }
            }
        }
    }
}

/// Rows of events in binary COPY: the first message of a stream, and a later one.
pub(super) fn copy_binary(data: &[u8]) {
    let first = event::header_len(data);
    for start in [Some(0), first].into_iter().flatten() {
        let Some(Row::Event(event)) = event::decode(Bytes::copy_from_slice(data), start) else { continue };
        let fields = (event.kind().to_vec(), event.data().map(<[u8]>::to_vec), event.extra1().map(<[u8]>::to_vec));
        let Some(Row::Event(again)) = event::decode(encode_row(&event).into(), 0) else {
            unreachable!("the encoder writes what a server sends")
        };
        assert_eq!((again.id, again.txid), (event.id, event.txid));
        assert_eq!(
            fields,
            (again.kind().to_vec(), again.data().map(<[u8]>::to_vec), again.extra1().map(<[u8]>::to_vec))
        );
    }
}

fn encode_row(event: &Event) -> Vec<u8> {
    let mut row = vec![0, 5];
    let (id, txid) = (event.id.0.to_be_bytes(), event.txid.to_be_bytes());
    for field in [Some(&id[..]), Some(&txid[..]), Some(event.kind()), event.data(), event.extra1()] {
        let len = field.map_or(u32::MAX, |field| u32::try_from(field.len()).expect("fits into a message"));
        row.extend_from_slice(&len.to_be_bytes());
        row.extend_from_slice(field.unwrap_or_default());
    }
    row
}

/// A value on its way into COPY's text format, whole and in pieces: as the server reads the field, it is the same value.
pub(super) fn copy_text(data: &[u8]) {
    let mut whole = BytesMut::new();
    write_copy_value(Some(data), &mut whole);
    let mut pieces = BytesMut::new();
    for piece in data.chunks(3) {
        write_copy_value(Some(piece), &mut pieces);
    }
    assert_eq!(whole, pieces);
    assert!(whole.len() <= 2 * data.len());
    assert_eq!(read_copy_field(&whole).as_deref(), Some(data));
    let mut null = BytesMut::new();
    write_copy_value(None, &mut null);
    assert_ne!(whole, null, "a value that is read as null");
}

/// The value of a field as the documentation of COPY has it; `None` where the field would end early.
fn read_copy_field(field: &[u8]) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    let mut bytes = field.iter();
    while let Some(byte) = bytes.next() {
        value.push(match byte {
            b'\t' | b'\n' | b'\r' => return None,
            b'\\' => match bytes.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'\\' => b'\\',
                _ => return None,
            },
            byte => *byte,
        });
    }
    Some(value)
}
