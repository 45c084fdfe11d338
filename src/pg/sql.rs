//! The text of statements as a type. [`Db`](super::Db) takes nothing else, so a value or a name that comes from a user or a
//! database reaches a server only as a parameter, a quoted name or a literal.

use std::borrow::Cow;
use std::fmt;

use super::name::{FqName, quote_ident, quote_literal};

/// SQL text, made from static text, names, literals, numbers, and other [`Sql`].
///
/// Only [`Sql::from_server`] and [`Sql::from_operator`] take other text, unchecked; their names say who is trusted.
#[derive(Clone, PartialEq, Eq)]
pub struct Sql(Cow<'static, str>);

impl Sql {
    /// Static text, for constants.
    pub const fn from_static(text: &'static str) -> Sql {
        Sql(Cow::Borrowed(text))
    }

    /// An identifier in double quotes.
    pub fn ident(name: &str) -> Sql {
        Sql(Cow::Owned(quote_ident(name)))
    }

    /// A text literal with the same meaning for both values of `standard_conforming_strings`.
    pub fn literal(value: &str) -> Sql {
        Sql(Cow::Owned(quote_literal(value)))
    }

    /// A list of identifiers in double quotes, with commas.
    pub fn idents<'a>(names: impl IntoIterator<Item = &'a str>) -> Sql {
        Sql::join(names.into_iter().map(Sql::ident), ", ")
    }

    /// Text that a server's catalog functions gave as SQL: definitions of indexes and constraints, types, the statement of
    /// a batch. A role that can change such text can run statements on that server anyway.
    pub fn from_server(text: String) -> Sql {
        Sql(Cow::Owned(text))
    }

    /// SQL that the operator has written: a condition or a query of the ini file or the command line.
    pub fn from_operator(text: &str) -> Sql {
        Sql(Cow::Owned(text.to_owned()))
    }

    /// The parts with the separator between them.
    pub fn join(parts: impl IntoIterator<Item = Sql>, separator: &'static str) -> Sql {
        let mut text = String::new();
        for (i, part) in parts.into_iter().enumerate() {
            if i > 0 {
                text.push_str(separator);
            }
            text.push_str(&part.0);
        }
        Sql(Cow::Owned(text))
    }

    /// Adds text at the end.
    pub fn push(&mut self, more: impl Into<Sql>) {
        self.0.to_mut().push_str(&more.into().0);
    }

    /// Puts values into the places `{name}` of a template; other braces stay. For [`sql!`](crate::pg::sql).
    pub fn render(template: &'static str, values: &[(&'static str, Sql)]) -> Sql {
        let mut text = String::with_capacity(template.len());
        let mut rest = template;
        while let Some(start) = rest.find('{') {
            text.push_str(&rest[..start]);
            rest = &rest[start..];
            let place = values
                .iter()
                .find(|(name, _)| rest[1..].strip_prefix(name).is_some_and(|behind| behind.starts_with('}')));
            if let Some((name, value)) = place {
                text.push_str(&value.0);
                rest = &rest[name.len() + 2..];
            } else {
                // A brace that belongs to the SQL.
                text.push('{');
                rest = &rest[1..];
            }
        }
        text.push_str(rest);
        Sql(Cow::Owned(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Sql {
        Sql::from_static(text)
    }
}

impl From<&Sql> for Sql {
    fn from(sql: &Sql) -> Sql {
        sql.clone()
    }
}

/// A quoted name.
impl From<&FqName> for Sql {
    fn from(name: &FqName) -> Sql {
        Sql(Cow::Owned(name.quoted()))
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl From<$number> for Sql {
            fn from(number: $number) -> Sql {
                Sql(Cow::Owned(number.to_string()))
            }
        })*
    };
}

numbers!(i32, i64, u32, u64, u128, usize, bool);

/// SQL text from a template: `sql!("select {columns} from {table}", columns = list, table = &name)`. A value is static
/// text, a name, a number or other [`Sql`].
macro_rules! sql {
    ($template:expr $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::pg::Sql::render($template, &[$((stringify!($name), $crate::pg::Sql::from($value))),*])
    };
}

pub(crate) use sql;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_into_their_places_and_other_braces_stay() {
        let table = FqName::parse("a.b\"c");
        let made =
            sql!("select {x}, '{}', {y} from {table} where {x", x = 1, y = Sql::literal("it's {x}"), table = &table);
        assert_eq!(made.as_str(), "select 1, '{}', 'it''s {x}' from \"a\".\"b\"\"c\" where {x");
    }

    #[test]
    fn parts_are_joined_and_added() {
        let mut made = Sql::idents(["a", "B\"b"]);
        made.push(Sql::from(" from t"));
        assert_eq!(made.as_str(), "\"a\", \"B\"\"b\" from t");
    }
}
