//! Parameters of statements, as bytes that need not be UTF-8.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use super::key::parse_integer;
use super::target_table::IntegerType;

/// A value in text form, to be sent with an unknown type: the server gives it the type that its place in the statement
/// asks for.
#[derive(Debug)]
pub(super) struct UntypedParam<'a>(pub(super) Option<&'a [u8]>);

impl ToSql for UntypedParam<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        Ok(self.0.map_or(IsNull::Yes, |value| {
            out.put_slice(value);
            IsNull::No
        }))
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// The values of a column, as an array in binary form.
#[derive(Debug)]
pub(super) struct ArrayParam<'a> {
    /// The array's type.
    pub(super) ty: Type,
    elements: Elements<'a>,
}

#[derive(Debug)]
enum Elements<'a> {
    /// The array as it is sent.
    Encoded(Vec<u8>),
    /// Texts are copied only when the message is made: they may be big.
    Texts(Vec<Option<&'a [u8]>>),
}

impl<'a> ArrayParam<'a> {
    /// An array of integers, when the column is of an integer type and all values are integers as the server writes them;
    /// an array of texts otherwise.
    pub(super) fn of(
        integer: Option<IntegerType>,
        count: usize,
        values: impl Iterator<Item = Option<&'a [u8]>> + Clone,
    ) -> ArrayParam<'a> {
        integer
            .and_then(|integer| ArrayParam::integers(integer, count, values.clone()))
            .unwrap_or_else(|| ArrayParam { ty: Type::TEXT_ARRAY, elements: Elements::Texts(values.collect()) })
    }

    /// An array of booleans.
    pub(super) fn booleans(count: usize, values: impl Iterator<Item = bool>) -> ArrayParam<'a> {
        let mut bytes = Vec::with_capacity(HEADER + count * 5);
        header(&Type::BOOL, count, &mut bytes);
        for value in values {
            push(&[u8::from(value)], &mut bytes);
        }
        ArrayParam { ty: Type::BOOL_ARRAY, elements: Elements::Encoded(bytes) }
    }

    fn integers(
        integer: IntegerType,
        count: usize,
        values: impl Iterator<Item = Option<&'a [u8]>>,
    ) -> Option<ArrayParam<'a>> {
        let mut bytes = Vec::with_capacity(HEADER + count * 12);
        header(&integer.element(), count, &mut bytes);
        for value in values {
            match value {
                None => push_null(&mut bytes),
                Some(value) => {
                    let value = parse_integer(value)?;
                    match integer {
                        IntegerType::Int2 => push(&i16::try_from(value).ok()?.to_be_bytes(), &mut bytes),
                        IntegerType::Int4 => push(&i32::try_from(value).ok()?.to_be_bytes(), &mut bytes),
                        IntegerType::Int8 => push(&value.to_be_bytes(), &mut bytes),
                    }
                }
            }
        }
        Some(ArrayParam { ty: integer.array(), elements: Elements::Encoded(bytes) })
    }
}

/// The length of what [`header`] writes, in bytes.
const HEADER: usize = 20;

/// Writes the head of an array with one dimension, which begins at 1, and with nulls.
fn header(element: &Type, count: usize, out: &mut impl BufMut) {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    for field in [1, 1, element.oid(), count, 1] {
        out.put_u32(field);
    }
}

fn push(value: &[u8], out: &mut impl BufMut) {
    out.put_u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
    out.put_slice(value);
}

fn push_null(out: &mut impl BufMut) {
    out.put_u32(u32::MAX);
}

impl ToSql for ArrayParam<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match &self.elements {
            Elements::Encoded(bytes) => out.put_slice(bytes),
            Elements::Texts(values) => {
                let size: usize = values.iter().map(|value| 4 + value.map_or(0, <[u8]>::len)).sum();
                out.reserve(HEADER + size);
                header(&Type::TEXT, values.len(), out);
                for value in values {
                    match value {
                        None => push_null(out),
                        Some(value) => push(value, out),
                    }
                }
            }
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
