//! Parameters of statements, as bytes that need not be UTF-8.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use super::key::parse_integer;
use super::table::Integer;

/// A value as a literal without a type: the server takes it for what the place needs.
#[derive(Debug)]
pub(super) struct Untyped<'a>(pub(super) Option<&'a [u8]>);

impl ToSql for Untyped<'_> {
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

/// A column of values, as an array in the binary format.
#[derive(Debug)]
pub(super) struct Array<'a> {
    /// The array's type.
    pub(super) ty: Type,
    elements: Elements<'a>,
}

#[derive(Debug)]
enum Elements<'a> {
    /// The array as it is sent.
    Encoded(Vec<u8>),
    /// Texts go from where they are into the message: they may be big.
    Texts(Vec<Option<&'a [u8]>>),
}

impl<'a> Array<'a> {
    /// An array of integers where the column is one and all values are; otherwise of texts.
    pub(super) fn of(
        integer: Option<Integer>,
        count: usize,
        values: impl Iterator<Item = Option<&'a [u8]>> + Clone,
    ) -> Array<'a> {
        integer
            .and_then(|integer| Array::integers(integer, count, values.clone()))
            .unwrap_or_else(|| Array { ty: Type::TEXT_ARRAY, elements: Elements::Texts(values.collect()) })
    }

    /// An array of booleans.
    pub(super) fn booleans(count: usize, values: impl Iterator<Item = bool>) -> Array<'a> {
        let mut bytes = Vec::with_capacity(HEADER + count * 5);
        header(&Type::BOOL, count, &mut bytes);
        for value in values {
            push(&[u8::from(value)], &mut bytes);
        }
        Array { ty: Type::BOOL_ARRAY, elements: Elements::Encoded(bytes) }
    }

    fn integers(integer: Integer, count: usize, values: impl Iterator<Item = Option<&'a [u8]>>) -> Option<Array<'a>> {
        let mut bytes = Vec::with_capacity(HEADER + count * 12);
        header(&integer.element(), count, &mut bytes);
        for value in values {
            match value {
                None => push_null(&mut bytes),
                Some(value) => {
                    let value = parse_integer(value)?;
                    match integer {
                        Integer::Int2 => push(&i16::try_from(value).ok()?.to_be_bytes(), &mut bytes),
                        Integer::Int4 => push(&i32::try_from(value).ok()?.to_be_bytes(), &mut bytes),
                        Integer::Int8 => push(&value.to_be_bytes(), &mut bytes),
                    }
                }
            }
        }
        Some(Array { ty: integer.array(), elements: Elements::Encoded(bytes) })
    }
}

/// The length of what [`header`] writes.
const HEADER: usize = 20;

/// One dimension from 1, in which NULLs may be.
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

impl ToSql for Array<'_> {
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
