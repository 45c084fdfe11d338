//! Replay may be cut short at any point where it waits: nothing is lost, nothing applied twice.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use rlondiste::config;
use rlondiste::job::Control;
use rlondiste::londiste::{self, Command};
use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::support::{Proxy, QUEUE, Replication, Traffic, wait_until};

/// Lets a future run until it has been polled `limit` times, then drops it.
async fn within<F: Future>(future: F, limit: usize) {
    let mut future = Box::pin(future);
    let mut polls = 0;
    std::future::poll_fn(|cx| {
        polls += 1;
        match Pin::new(&mut future).poll(cx) {
            Poll::Pending if polls < limit => Poll::Pending,
            _ => Poll::Ready(()),
        }
    })
    .await;
}
