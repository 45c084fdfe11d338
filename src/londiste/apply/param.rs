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
pub(super) struct Array {
    /// The array's type.
    pub(super) ty: Type,
    bytes: Vec<u8>,
}

impl Array {
    /// An array of integers where the column is one and all values are; otherwise of texts.
    pub(super) fn of<'a>(
        integer: Option<Integer>,
        count: usize,
        values: impl Iterator<Item = Option<&'a [u8]>> + Clone,
    ) -> Array {
        integer
            .and_then(|integer| Array::integers(integer, count, values.clone()))
            .unwrap_or_else(|| Array::texts(count, values))
    }

    /// An array of booleans.
    pub(super) fn booleans(count: usize, values: impl Iterator<Item = bool>) -> Array {
        let mut bytes = header(&Type::BOOL, count);
        for value in values {
            push(&mut bytes, &[u8::from(value)]);
        }
        Array { ty: Type::BOOL_ARRAY, bytes }
    }

    fn integers<'a>(integer: Integer, count: usize, values: impl Iterator<Item = Option<&'a [u8]>>) -> Option<Array> {
        let mut bytes = header(&integer.element(), count);
        bytes.reserve(count * 12);
        for value in values {
            match value {
                None => push_null(&mut bytes),
                Some(value) => {
                    let value = parse_integer(value)?;
                    match integer {
                        Integer::Int2 => push(&mut bytes, &i16::try_from(value).ok()?.to_be_bytes()),
                        Integer::Int4 => push(&mut bytes, &i32::try_from(value).ok()?.to_be_bytes()),
                        Integer::Int8 => push(&mut bytes, &value.to_be_bytes()),
                    }
                }
            }
        }
        Some(Array { ty: integer.array(), bytes })
    }

    fn texts<'a>(count: usize, values: impl Iterator<Item = Option<&'a [u8]>>) -> Array {
        let mut bytes = header(&Type::TEXT, count);
        for value in values {
            match value {
                None => push_null(&mut bytes),
                Some(value) => push(&mut bytes, value),
            }
        }
        Array { ty: Type::TEXT_ARRAY, bytes }
    }
}

/// One dimension from 1, in which NULLs may be.
fn header(element: &Type, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    for field in [1, 1, element.oid(), count, 1] {
        bytes.extend_from_slice(&field.to_be_bytes());
    }
    bytes
}

fn push(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(value);
}

fn push_null(bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&u32::MAX.to_be_bytes());
}

impl ToSql for Array {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(&self.bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
