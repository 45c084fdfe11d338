//! One open connection and the task that drives it.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_postgres::{NoTls, Notification};
use tokio_util::sync::CancellationToken;

use super::Conninfo;
use crate::error::{Error, Result, Role};

pub(crate) struct Session {
    pub(crate) client: tokio_postgres::Client,
    pub(crate) cancel: Canceller,
    pub(crate) notifications: mpsc::UnboundedReceiver<Notification>,
    pub(crate) target: String,
    #[expect(dead_code)]
    pub(crate) driver: JoinHandle<()>,
}

pub(crate) struct Canceller(tokio_postgres::CancelToken);

impl Canceller {
    pub(crate) async fn cancel(&self) {
        let _ = self.0.cancel_query(NoTls).await;
    }
}

pub(crate) async fn open(role: Role, conninfo: &Conninfo, _abort: &CancellationToken) -> Result<Session> {
    let (client, connection) = conninfo.config.connect(NoTls).await.map_err(|e| Error::Connect {
        role,
        target: conninfo.to_string(),
        source: Box::new(e),
    })?;
    let (_sender, notifications) = mpsc::unbounded_channel();
    let driver = tokio::spawn(async move {
        let _ = connection.await;
    });
    let cancel = Canceller(client.cancel_token());
    Ok(Session { client, cancel, notifications, target: conninfo.to_string(), driver })
}
