//! Moves rows from a `COPY ... TO STDOUT` of the provider into a `COPY ... FROM STDIN` of the subscriber.
//!
//! A reader and a writer run side by side with [`BUFFERS`] buffers between them, so that both servers work at the same
//! time. The rows are not parsed; the bytes of a row are copied once, into a buffer.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, TryStreamExt};
use tokio::sync::mpsc;

use crate::error::{Error, Result};
use crate::pg::{Db, FqName, Sql};

use super::throttle::Throttle;
use super::utf8::Utf8Check;

/// Names the action in messages.
const ACTION: &str = "copy rows";

/// Rows are collected into buffers of this size in bytes, or larger by one row.
const BUFFER_BYTES: usize = 128 * 1024;

/// So many full buffers may wait for the writer.
const BUFFERS: usize = 4;

/// What to move.
pub(super) struct Transfer<'a> {
    /// The table, for messages.
    pub(super) table: &'a FqName,
    /// The statement on the provider.
    pub(super) from: Sql,
    /// The statement on the subscriber.
    pub(super) into: Sql,
    /// The provider's estimate of the number of rows; 0 when it has none.
    pub(super) estimated_rows: u64,
    /// How often to log the progress; zero for never.
    pub(super) progress_delay: Duration,
    /// The limit that all copies of the process share.
    pub(super) throttle: &'a Throttle,
    /// Looks at each row, where rows need not be UTF-8.
    pub(super) check: Option<Utf8Check<'a>>,
}

/// How much was moved.
pub(super) struct Transferred {
    /// Bytes of the COPY stream.
    pub(super) bytes: u64,
    /// Rows, as the subscriber counted them.
    pub(super) rows: u64,
}

impl Transfer<'_> {
    /// Moves all rows, with about [`BUFFERS`] + 2 buffers in memory.
    pub(super) async fn run(&self, provider: &Db, subscriber: &Db) -> Result<Transferred> {
        let (sender, receiver) = mpsc::channel(BUFFERS);
        let (read, written) = tokio::join!(self.read(provider, sender), self.write(subscriber, receiver));
        match (read, written) {
            // The reader stops without an error of its own when the writer has gone.
            (_, Err(error)) | (Err(error), _) => Err(error),
            (Ok(bytes), Ok(rows)) => Ok(Transferred { bytes, rows }),
        }
    }

    async fn read(&self, provider: &Db, buffers: mpsc::Sender<Result<Bytes, Stopped>>) -> Result<u64> {
        match self.read_all(provider, &buffers).await {
            Ok(bytes) => Ok(bytes),
            Err(error) => {
                // Without this the writer would take the end of the channel for the end of the table.
                let _ = buffers.send(Err(Stopped)).await;
                Err(error)
            }
        }
    }

    async fn read_all(&self, provider: &Db, buffers: &mpsc::Sender<Result<Bytes, Stopped>>) -> Result<u64> {
        let mut stream = std::pin::pin!(provider.copy_out(ACTION, &self.from).await.map_err(|e| self.about(e))?);
        let mut progress = Progress::new(self);
        let mut buffer = BytesMut::with_capacity(BUFFER_BYTES);
        while let Some(row) = stream.try_next().await.map_err(|e| self.about(provider.failed(ACTION, e)))? {
            progress.rows += 1;
            if let Some(check) = &self.check {
                check.row(provider, &row)?;
            }
            buffer.extend_from_slice(&row);
            if buffer.len() >= BUFFER_BYTES {
                let full = std::mem::replace(&mut buffer, BytesMut::with_capacity(BUFFER_BYTES)).freeze();
                progress.bytes += full.len() as u64;
                self.throttle.spend(full.len()).await;
                if buffers.send(Ok(full)).await.is_err() {
                    return Ok(progress.bytes);
                }
                progress.tell();
            }
        }
        progress.bytes += buffer.len() as u64;
        let _ = buffers.send(Ok(buffer.freeze())).await;
        Ok(progress.bytes)
    }

    async fn write(&self, subscriber: &Db, mut buffers: mpsc::Receiver<Result<Bytes, Stopped>>) -> Result<u64> {
        let failed = |e| self.about(subscriber.failed(ACTION, e));
        let mut sink = std::pin::pin!(subscriber.copy_in(ACTION, &self.into).await.map_err(|e| self.about(e))?);
        while let Some(buffer) = buffers.recv().await {
            // Dropping the sink makes the server end the COPY with an error.
            let Ok(buffer) = buffer else { return Ok(0) };
            sink.send(buffer).await.map_err(failed)?;
        }
        sink.finish().await.map_err(failed)
    }

    fn about(&self, error: Error) -> Error {
        error.about(format!("table {}", self.table))
    }
}

/// Sent in place of a buffer when the reader has failed, with an error of its own.
struct Stopped;

/// Logs the progress of the copy.
struct Progress<'a> {
    transfer: &'a Transfer<'a>,
    started: Instant,
    told: Instant,
    bytes: u64,
    rows: u64,
}

impl<'a> Progress<'a> {
    fn new(transfer: &'a Transfer<'a>) -> Progress<'a> {
        let now = Instant::now();
        Progress { transfer, started: now, told: now, bytes: 0, rows: 0 }
    }

    fn tell(&mut self) {
        let delay = self.transfer.progress_delay;
        if delay.is_zero() || self.told.elapsed() < delay {
            return;
        }
        self.told = Instant::now();
        tracing::info!("{}: {}", self.transfer.table, self.line(self.started.elapsed()));
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn line(&self, elapsed: Duration) -> String {
        let (rows, seconds) = (self.rows as f64, elapsed.as_secs_f64());
        let mut line = format!(
            "copied {} rows, {:.1} MB, {:.1} MB/s",
            self.rows,
            self.bytes as f64 / 1e6,
            self.bytes as f64 / 1e6 / seconds
        );
        let estimate = self.transfer.estimated_rows as f64;
        if estimate > rows {
            let left = seconds * (estimate - rows) / rows;
            line.push_str(&format!(", {:.0} % of about {estimate} rows, {left:.0} s left", 100.0 * rows / estimate));
        }
        line
    }
}
