//! When two values of a column are equal. Servers of other versions write a float with other digits, and a number may be written
//! with more zeros or as `-0`, without being another value.

use std::fmt;

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
    /// By an expression that both servers compute: see [`Shape`](super::shape::Shape).
    Shape,
}

impl Equality {
    /// How values of these two columns are compared: where the types differ, by text. `has_shapes`: whether the two servers write
    /// values of the types differently.
    pub(super) fn of(theirs: &Column, ours: &Column, has_shapes: bool) -> Equality {
        match (Equality::of_float(theirs.type_oid), theirs.type_oid) {
            (Some(float), same) if same == ours.type_oid => float,
            (None, NUMERIC) if ours.type_oid == NUMERIC => Equality::Numeric,
            _ if has_shapes => Equality::Shape,
            _ => Equality::Text,
        }
    }

    /// How values of this type are compared, if it is a float.
    pub(super) fn of_float(type_oid: u32) -> Option<Equality> {
        match type_oid {
            FLOAT4 => Some(Equality::Float4),
            FLOAT8 => Some(Equality::Float8),
            _ => None,
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
            Equality::Text | Equality::Shape => text.clone(),
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

    /// One text for all texts of a value.
    pub(super) fn normal(self, value: RawText) -> RawText {
        fn number<F: std::str::FromStr + fmt::Debug>(text: &str) -> Option<String> {
            let number = text.parse::<F>().ok()?;
            let text = format!("{number:?}");
            let text = text.strip_suffix(".0").unwrap_or(&text);
            Some(if text == "-0" { "0".to_owned() } else { text.to_owned() })
        }
        let Some(text) = value.as_str() else { return value };
        let normal = match self {
            Equality::Text | Equality::Shape => None,
            Equality::Numeric => Some(without_zeros(text).to_owned()),
            Equality::Float4 => number::<f32>(text),
            Equality::Float8 => number::<f64>(text),
        };
        normal.map_or(value, |text| RawText::from(text.as_str()))
    }

    /// Whether two values are equal, by their text.
    pub(super) fn holds(self, a: Option<&RawText>, b: Option<&RawText>) -> bool {
        if a == b {
            return true;
        }
        let (Some(Some(a)), Some(Some(b))) = (a.map(RawText::as_str), b.map(RawText::as_str)) else { return false };
        match self {
            Equality::Text | Equality::Shape => false,
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
            assert_eq!(equality.normal(a.clone()) == equality.normal(b.clone()), expected, "{equality:?} {a} {b}");
            assert!(!equality.holds(Some(&a), None), "{equality:?} {a}");
        }
        assert!(Equality::Numeric.holds(None, None));
    }
}
