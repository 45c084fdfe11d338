//! Texts as bytes: a database with encoding SQL_ASCII holds any, and the client library's `String` takes UTF-8 alone.

use std::error::Error;
use std::fmt;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::sql::Sql;

/// A text as the server sends it. Written to a message, bytes that are not UTF-8 become U+FFFD.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RawText(Vec<u8>);

impl RawText {
    /// The text as it came.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, if it is UTF-8.
    pub(crate) fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The text as a literal. Where it is not UTF-8, the literal has the codes of its bytes, for a database with encoding SQL_ASCII.
    pub(crate) fn literal(&self) -> Sql {
        if let Some(text) = self.as_str() {
            return Sql::literal(text);
        }
        let mut literal = String::from("E'");
        for byte in &self.0 {
            match byte {
                b' '..=b'~' if !matches!(byte, b'\'' | b'\\') => literal.push(char::from(*byte)),
                byte => literal.push_str(&format!("\\x{byte:02x}")),
            }
        }
        literal.push('\'');
        Sql::from_server(literal)
    }
}

impl From<&str> for RawText {
    fn from(text: &str) -> RawText {
        RawText(text.as_bytes().to_vec())
    }
}

impl fmt::Display for RawText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl<'a> FromSql<'a> for RawText {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<RawText, Box<dyn Error + Sync + Send>> {
        Ok(RawText(raw.to_vec()))
    }

    fn accepts(ty: &Type) -> bool {
        <&str as FromSql>::accepts(ty)
    }
}

impl ToSql for RawText {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        <&str as ToSql>::accepts(ty)
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_have_the_codes_of_bytes_only_where_the_text_is_not_utf8() {
        for (bytes, literal) in [
            ("it's \\ é".as_bytes(), "E'it''s \\\\ é'"),
            (b"plain", "'plain'"),
            (b"it's \\ \xe9\n\x7f", "E'it\\x27s \\x5c \\xe9\\x0a\\x7f'"),
        ] {
            assert_eq!(RawText(bytes.to_vec()).literal().as_str(), literal);
        }
    }
}
