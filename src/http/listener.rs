//! The socket that the server listens on.

use std::io::{self, ErrorKind};
use std::net::TcpListener;

use crate::config::Listen;
use crate::error::{Error, Result};

/// A bound socket, which accepts connections from now on; nobody answers them before the server runs.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(super) address: Listen,
    pub(super) socket: TcpListener,
}

impl Listener {
    /// Binds the address. Fails with [`Error::Blocked`] when another program has it, else with [`Error::Refused`].
    pub(crate) fn bind(address: Listen) -> Result<Listener> {
        let bound = TcpListener::bind(address.0).and_then(|socket| {
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        match bound {
            Ok(socket) => {
                tracing::info!("Listening on http://{}", address.0);
                Ok(Listener { address, socket })
            }
            Err(error) => Err(failed(address, &error)),
        }
    }
}

fn failed(address: Listen, error: &io::Error) -> Error {
    let message = format!("could not listen on {} (http_listen): {error}", address.0);
    match error.kind() {
        ErrorKind::AddrInUse => Error::blocked(
            message,
            "Another program listens there: end it, or set http_listen to another port. Each job needs a port of its own.",
        ),
        ErrorKind::AddrNotAvailable => {
            Error::refused(message, "This machine has no such address: set http_listen to one that it has.")
        }
        ErrorKind::PermissionDenied => {
            Error::refused(message, "Ports below 1024 are for the superuser: set http_listen to a higher port.")
        }
        _ => Error::refused(message, "Set http_listen to another address and port, or remove it."),
    }
}
