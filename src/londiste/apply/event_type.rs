//! What the type of an event says: `ev_type`.

use crate::pgq::fragment::Verb;
use crate::pgq::json;

/// A type, as far as its text tells without parsing JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventType<'a> {
    /// `I`, `U`, `D`: a change of a row, as a fragment of SQL.
    Fragment(Verb),
    /// `I:id`, `U:id`, `D:id`: a change of a row, urlencoded, with the columns of the key separated by commas.
    Urlenc(Verb, &'a [u8]),
    /// `{...}`: perhaps a change of a row in JSON.
    Json,
    /// `R`
    Truncate,
    /// `T`: the tables that the provider has in the queue.
    TableList,
    /// `EXECUTE`: a script of Londiste 3.
    Script,
    /// Anything else.
    Unknown,
}

impl EventType<'_> {
    pub(super) fn of(text: &[u8]) -> EventType<'_> {
        match text {
            b"I" => EventType::Fragment(Verb::Insert),
            b"U" => EventType::Fragment(Verb::Update),
            b"D" => EventType::Fragment(Verb::Delete),
            [b'I', b':', key @ ..] => EventType::Urlenc(Verb::Insert, key),
            [b'U', b':', key @ ..] => EventType::Urlenc(Verb::Update, key),
            [b'D', b':', key @ ..] => EventType::Urlenc(Verb::Delete, key),
            [b'{', ..] => EventType::Json,
            b"R" => EventType::Truncate,
            b"T" => EventType::TableList,
            b"EXECUTE" => EventType::Script,
            _ => EventType::Unknown,
        }
    }
}

/// Whether nobody knows what events of this type are: those that are counted in
/// [`Applied::unknown`](super::Applied::unknown).
pub(crate) fn is_unknown_type(text: &[u8]) -> bool {
    match EventType::of(text) {
        EventType::Json => json::parse_kind(text).is_none(),
        EventType::Unknown => true,
        EventType::Fragment(_)
        | EventType::Urlenc(..)
        | EventType::Truncate
        | EventType::TableList
        | EventType::Script => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_apart_by_their_text() {
        for (text, expected) in [
            ("I", EventType::Fragment(Verb::Insert)),
            ("U:a,b", EventType::Urlenc(Verb::Update, b"a,b")),
            ("D:", EventType::Urlenc(Verb::Delete, b"")),
            ("{", EventType::Json),
            ("R", EventType::Truncate),
            ("T", EventType::TableList),
            ("EXECUTE", EventType::Script),
            ("i", EventType::Unknown),
            ("R:", EventType::Unknown),
            ("", EventType::Unknown),
        ] {
            assert_eq!(EventType::of(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn only_json_of_a_trigger_is_known() {
        assert!(!is_unknown_type(br#"{"op":"INSERT","table":["public","t"]}"#));
        assert!(is_unknown_type(br#"{"op":"VACUUM","table":["public","t"]}"#));
        assert!(is_unknown_type(b"{"));
        assert!(is_unknown_type(b""));
        assert!(!is_unknown_type(b"D:id"));
    }
}
