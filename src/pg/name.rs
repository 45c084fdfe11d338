//! Names of tables and sequences, and quoting.
//!
//! Names are held and shown as SkyTools does: `schema.table` without quotes, where the first dot splits and a name
//! without a dot is in `public`.

use std::fmt;

/// A table or sequence: schema and name, unquoted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FqName {
    /// The schema.
    pub schema: String,
    /// The table, sequence, ... in it.
    pub name: String,
}

impl FqName {
    /// Reads `schema.name` or `name` (which is in `public`).
    pub fn parse(text: &str) -> FqName {
        match text.split_once('.') {
            Some((schema, name)) => FqName { schema: schema.to_owned(), name: name.to_owned() },
            None => FqName { schema: "public".to_owned(), name: text.to_owned() },
        }
    }

    /// Reads names that are separated by commas, as event `T` has them.
    pub(crate) fn parse_list(text: &str) -> Vec<FqName> {
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(FqName::parse).collect()
    }

    /// Whether [`FqName::parse`] gives this name for the shown text: not when the schema's name has a dot.
    pub(crate) fn is_plain(&self) -> bool {
        !self.schema.contains('.')
    }

    /// Why a table of this name cannot be in a set; `None` where it can. Subscribers know a table by the text
    /// `schema.table`, also as an item of the list that event `T` has.
    pub(crate) fn objection(&self) -> Option<&'static str> {
        let shown = self.to_string();
        if !self.is_plain() {
            Some("its schema's name has a dot")
        } else if shown.contains(',') {
            Some("its name has a comma, which separates names in the list of tables that subscribers get")
        } else if shown.trim() != shown {
            Some("its name begins or ends with a blank, which the list of tables that subscribers get does not keep")
        } else {
            None
        }
    }

    /// The name as it is written in SQL: `"schema"."name"`.
    pub(crate) fn quoted(&self) -> String {
        format!("{}.{}", quote_ident(&self.schema), quote_ident(&self.name))
    }
}

impl fmt::Display for FqName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// The identifier in double quotes. Always quoted, so that no list of keywords is needed.
pub fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The value as an SQL literal with the same meaning for both values of `standard_conforming_strings`.
pub fn quote_literal(value: &str) -> String {
    let quoted = value.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_dot_splits_and_public_is_the_default() {
        for (text, schema, name) in
            [("a.b", "a", "b"), ("b", "public", "b"), ("a.b.c", "a", "b.c"), ("M x", "public", "M x")]
        {
            let fq = FqName::parse(text);
            assert_eq!((fq.schema.as_str(), fq.name.as_str()), (schema, name), "{text}");
        }
    }

    #[test]
    fn names_without_objection_survive_a_list() {
        let name = |schema: &str, name: &str| FqName { schema: schema.to_owned(), name: name.to_owned() };
        for bad in [name("a.b", "c"), name("a", "b,c"), name("a,b", "c"), name(" a", "b"), name("a", "b\u{a0}")] {
            assert!(bad.objection().is_some(), "{bad}");
            assert_ne!(FqName::parse_list(&bad.to_string()), [bad]);
        }
        let good = [name("a", "b.c"), name("a ", " b"), name("\"", "new\nline"), name("public", "t")];
        assert!(good.iter().all(|name| name.objection().is_none()));
        assert_eq!(FqName::parse_list(&good.each_ref().map(FqName::to_string).join(",")), good);
    }

    #[test]
    fn quotes_and_backslashes_are_doubled() {
        assert_eq!(FqName::parse("a.b\"c").quoted(), "\"a\".\"b\"\"c\"");
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal("a\\b'"), "E'a\\\\b'''");
    }
}
