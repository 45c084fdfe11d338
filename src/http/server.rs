//! The task that accepts connections and answers them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::answers::Answers;
use super::hook::Hook;
use super::listener::Listener;
use super::pages;
use super::site::Site;
use crate::config::Listen;
use crate::error::{Report, Result};
use crate::job::{Control, Health};

/// Connections that are served at the same time. Further ones are told to come later.
const MOST_CONNECTIONS: usize = 32;

/// How long a client may take to send its request.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// How long a connection lasts, from its beginning to the end of its one answer.
const CONNECTION_TIME: Duration = Duration::from_secs(15);

/// Bytes of the longest head of a request, and the most lines of it.
const LONGEST_HEAD: usize = 8 * 1024;
const MOST_HEADERS: usize = 64;

/// The pause after a connection could not be accepted: the process may have no file descriptor free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The answer to a connection above [`MOST_CONNECTIONS`].
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 27\r\n\
connection: close\r\n\r\ntoo many connections; wait\n";

/// The running server. Dropped, it ends with all of its connections.
#[derive(Debug)]
pub(crate) struct Server {
    _task: AbortOnDropHandle<()>,
}

impl Server {
    /// Serves `site` on `listener`, if there is one. At each reload asks the site for its new settings, and where the
    /// address has changed listens there; an address that cannot be used is logged, and the old one stays.
    pub(crate) fn start(site: impl Site, listener: Option<Listener>, health: Health, control: &Control) -> Server {
        let seen = control.reload_generation();
        let requests = control.clone();
        let task = control.abort().spawn(async move {
            tokio::select! {
                never = run(site, listener, health, &requests, seen) => match never {},
                () = requests.abort().cancelled() => {}
            }
        });
        Server { _task: AbortOnDropHandle::new(task) }
    }
}

async fn run(
    site: impl Site,
    listener: Option<Listener>,
    health: Health,
    control: &Control,
    mut seen: u64,
) -> Infallible {
    let mut connections = JoinSet::new();
    let (mut address, mut socket) = (listener.as_ref().map(|listener| listener.address), into_socket(listener));
    let mut answers = Arc::new(Answers::of(site));
    let mut hook = Hook::default();
    loop {
        let router = pages::router(answers.clone(), health.clone());
        seen = tokio::select! {
            never = accept(socket.as_ref(), &router, &mut connections) => match never {},
            never = answers.sample(), if socket.is_some() => match never {},
            never = hook.watch(&answers, &health) => match never {},
            generation = control.reloaded(seen) => generation,
        };
        // The job itself logs what is wrong with the ini file.
        let Ok((site, wanted)) = answers.site().reload() else { continue };
        answers = Arc::new(answers.anew(site));
        if wanted == address {
            continue;
        }
        match wanted.map(Listener::bind).transpose() {
            Ok(listener) => {
                if let (Some(Listen(old)), None) = (address, wanted) {
                    tracing::info!("Not listening on http://{old} any more");
                }
                (address, socket) = (wanted, into_socket(listener));
            }
            Err(error) => tracing::error!("http_listen stays as it was: {}", Report(&error)),
        }
    }
}

fn into_socket(listener: Option<Listener>) -> Option<TcpListener> {
    let made: Result<TcpListener, _> = TcpListener::from_std(listener?.socket);
    made.inspect_err(|error| tracing::error!("could not serve http_listen: {error}")).ok()
}

/// Accepts connections until it is dropped.
async fn accept(socket: Option<&TcpListener>, router: &Router, connections: &mut JoinSet<()>) -> Infallible {
    let Some(socket) = socket else { return std::future::pending().await };
    loop {
        let client = match socket.accept().await {
            Ok((client, _)) => client,
            Err(error) => {
                tracing::debug!("could not accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        if connections.len() < MOST_CONNECTIONS {
            connections.spawn(serve(client, router.clone()));
        } else {
            // The buffer of a new connection has room for it; else the client gets nothing.
            let _ = client.try_write(TOO_MANY);
        }
    }
}

/// Answers one request, and closes the connection. A client that is too slow to ask or to take the answer is cut off.
async fn serve(client: TcpStream, router: Router) {
    let mut settings = http1::Builder::new();
    settings.timer(TokioTimer::new()).header_read_timeout(REQUEST_TIME);
    settings.max_header_size(LONGEST_HEAD).max_buf_size(2 * LONGEST_HEAD).max_headers(MOST_HEADERS).keep_alive(false);
    let connection = settings.serve_connection(TokioIo::new(client), TowerToHyperService::new(router));
    match tokio::time::timeout(CONNECTION_TIME, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("HTTP connection: {error}"),
        Err(_) => tracing::debug!("HTTP connection: the client was too slow"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_has_the_length_that_it_says() {
        let text = String::from_utf8_lossy(TOO_MANY);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{text}");
    }
}
