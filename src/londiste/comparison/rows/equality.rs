//! When two values of a column are equal. Servers of other versions write a float with other digits, and a number may be written
//! with more zeros or as `-0`, without being another value.

use crate::pg::catalog::Column;
use crate::pg::{RawText, Sql, sql};

const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;
const NUMERIC: u32 = 1700;

/// How values of a column are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Equality {
    /// Byte by byte.
    Text,
    /// `1.50` is `1.5`.
    Numeric,
    /// By the number that the digits stand for; `-0` is `0`. The text of a `float4` has other digits than that of a `float8`.
    Float4,
    Float8,
}

impl Equality {
    /// How values of these two columns are compared: where the types differ, by text.
    pub(super) fn of(theirs: &Column, ours: &Column) -> Equality {
        match theirs.type_oid {
            same if same != ours.type_oid => Equality::Text,
            FLOAT4 => Equality::Float4,
            FLOAT8 => Equality::Float8,
            NUMERIC => Equality::Numeric,
            _ => Equality::Text,
        }
    }

    /// An expression that has the same text for equal values on every server. `value` is the column, `text` its text.
    pub(super) fn canonical(self, value: &Sql, text: &Sql) -> Sql {
        let float = |send: &'static str| {
            sql!(
                "case when {value} = 0 then '0' else pg_catalog.encode(pg_catalog.{send}({value}), 'hex') end",
                value = value,
                send = send
            )
        };
        match self {
            Equality::Text => text.clone(),
            Equality::Float4 => float("float4send"),
            Equality::Float8 => float("float8send"),
            // The scale of NaN and of the infinities is null.
            Equality::Numeric => sql!(
                "case when pg_catalog.scale({value}) > 0 \
                 then pg_catalog.rtrim(pg_catalog.rtrim({text}, '0'), '.') else {text} end",
                value = value,
                text = text
            ),
        }
    }

    /// Whether two values are equal, by their text.
    pub(super) fn holds(self, a: Option<&RawText>, b: Option<&RawText>) -> bool {
        if a == b {
            return true;
        }
        let (Some(Some(a)), Some(Some(b))) = (a.map(RawText::as_str), b.map(RawText::as_str)) else { return false };
        match self {
            Equality::Text => false,
            Equality::Numeric => without_zeros(a) == without_zeros(b),
            Equality::Float4 => is_same_number::<f32>(a, b),
            Equality::Float8 => is_same_number::<f64>(a, b),
        }
    }
}

fn without_zeros(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

/// Two texts of NaN are the same text.
fn is_same_number<F: std::str::FromStr + PartialEq>(a: &str, b: &str) -> bool {
    matches!((a.parse::<F>(), b.parse::<F>()), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_one_value_is_equal() {
        for (equality, a, b, expected) in [
            (Equality::Text, "1.50", "1.5", false),
            (Equality::Numeric, "1.50", "1.5", true),
            (Equality::Numeric, "1.0", "1", true),
            (Equality::Numeric, "100", "1", false),
            (Equality::Numeric, "0.00", "0", true),
            (Equality::Numeric, "NaN", "NaN", true),
            (Equality::Numeric, "1.05", "1.5", false),
            (Equality::Float8, "0.10000000000000001", "0.1", true),
            (Equality::Float8, "0.30000000000000004", "0.3", false),
            (Equality::Float8, "-0", "0", true),
            (Equality::Float8, "NaN", "NaN", true),
            (Equality::Float8, "NaN", "Infinity", false),
            (Equality::Float8, "Infinity", "-Infinity", false),
            (Equality::Float4, "0.100000001", "0.1", true),
            (Equality::Float8, "0.100000001", "0.1", false),
        ] {
            let (a, b) = (RawText::from(a), RawText::from(b));
            assert_eq!(equality.holds(Some(&a), Some(&b)), expected, "{equality:?} {a} {b}");
            assert!(!equality.holds(Some(&a), None), "{equality:?} {a}");
        }
        assert!(Equality::Numeric.holds(None, None));
    }
}
