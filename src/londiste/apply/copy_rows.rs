//! Inserts the rows of a row set by COPY, in its text format.

use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use futures_util::SinkExt;
use memchr::{memchr, memchr3};
use tokio_postgres::CopyInSink;

use super::chunk::Chunk;
use super::net_changes::NetChange;
use super::target_table::{ColumnId, TargetTable};
use crate::error::Result;
use crate::pg::{Db, sql};

/// About how many bytes are sent at once.
pub(super) const COPY_PIECE: usize = 128 * 1024;

const ACTION: &str = "apply inserts";

/// Inserts the values of `columns`. Returns how many rows the server took.
pub(super) async fn copy(
    tx: &Db,
    chunk: &Chunk,
    table: &TargetTable,
    columns: &[ColumnId],
    rows: &[&NetChange],
) -> Result<u64> {
    let columns_list = table.column_list(columns);
    let sql = sql!("copy {table} ({columns}) from stdin", table = &table.name, columns = columns_list);
    let mut stream = CopyStream { tx, sink: Box::pin(tx.copy_in(ACTION, sql).await?), piece: BytesMut::new() };
    stream.make_room();
    for row in rows {
        let shape = chunk.shape(row.shape);
        for (i, column) in columns.iter().enumerate() {
            if i > 0 {
                stream.piece.extend_from_slice(b"\t");
            }
            let value = shape.place(*column).and_then(|place| chunk.values.get(row.values + place));
            match value {
                Some(value) if value.len() > COPY_PIECE => stream.send_big(value).await?,
                value => write_value(value, &mut stream.piece),
            }
        }
        stream.piece.extend_from_slice(b"\n");
        if stream.piece.len() >= COPY_PIECE {
            stream.send().await?;
        }
    }
    stream.finish().await
}

/// Data on their way to the server.
struct CopyStream<'a> {
    tx: &'a Db,
    sink: Pin<Box<CopyInSink<Bytes>>>,
    piece: BytesMut,
}

impl CopyStream<'_> {
    fn make_room(&mut self) {
        self.piece.reserve(COPY_PIECE + COPY_PIECE / 8);
    }

    async fn send(&mut self) -> Result<()> {
        let piece = self.piece.split().freeze();
        self.sink.send(piece).await.map_err(|e| self.tx.failed(ACTION, e))?;
        self.make_room();
        Ok(())
    }

    /// Sends a value in pieces.
    async fn send_big(&mut self, value: &[u8]) -> Result<()> {
        for part in value.chunks(COPY_PIECE) {
            write_value(Some(part), &mut self.piece);
            if self.piece.len() >= COPY_PIECE {
                self.send().await?;
            }
        }
        Ok(())
    }

    /// Returns how many rows the server took.
    async fn finish(mut self) -> Result<u64> {
        if !self.piece.is_empty() {
            self.send().await?;
        }
        self.sink.as_mut().finish().await.map_err(|e| self.tx.failed(ACTION, e))
    }
}

/// Writes a value, or a part of one, with its escapes.
pub(crate) fn write_value(value: Option<&[u8]>, out: &mut BytesMut) {
    let Some(value) = value else {
        out.extend_from_slice(b"\\N");
        return;
    };
    if memchr3(b'\\', b'\n', b'\t', value).is_none() && memchr(b'\r', value).is_none() {
        out.extend_from_slice(value);
        return;
    }
    for byte in value {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => out.extend_from_slice(&[*byte]),
        }
    }
}
