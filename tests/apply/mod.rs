//! Events reach the subscriber exactly, whichever way they are applied.
//!
//! These tests call the applier itself: so they decide what the events are, and how many are applied at once.

mod big;
mod cancel;
mod constraints;
mod events;
mod faults;
mod fragments;
mod torture;
mod traps;
mod unreadable;

use std::collections::HashMap;

use rlondiste::config::{Apply, ApplyRole, MissingRow};
use rlondiste::londiste::apply::{Applied, Applier, Filter, Settings};
use rlondiste::pg::{Db, FqName, Sql};
use rlondiste::pgq::event::{self, Event};
use rlondiste::task::Abort;
use rlondiste::{Error, Role};
use tokio::runtime::{Builder, Runtime};

use crate::support::{Cluster, Database};

/// The defaults of the ini file.
pub const SETTINGS: Settings = Settings {
    apply: Apply::Set,
    memory: 64 << 20,
    on_missing_row: MissingRow::Ignore,
    role: ApplyRole::Origin,
    small_chunk: 16,
};

/// Applies events to a subscriber, batch after batch.
pub struct Replay {
    runtime: Runtime,
    applier: Applier,
    provider: Db,
    subscriber: Db,
    tables: HashMap<FqName, Filter>,
    /// Whether to look at the tables before the events come, as the daemon does.
    prepares: bool,
    /// The provider's database, where it is to live as long as this.
    provider_database: Option<Database>,
}

/// A replay between new databases, of which the subscriber has a schema.
fn replay(settings: Settings, schema: &str, tables: &str) -> (Replay, Database) {
    let (provider, subscriber) = (Cluster::provider().database(), Cluster::subscriber().database());
    subscriber.sql(schema);
    let replay = Replay::new(&provider, &subscriber, settings, tables);
    (Replay { provider_database: Some(provider), ..replay }, subscriber)
}

impl Replay {
    /// Of all events of these tables; names are separated by blanks.
    pub fn new(provider: &Database, subscriber: &Database, settings: Settings, tables: &str) -> Self {
        Self::between([provider.conninfo(), subscriber.conninfo()], settings, tables)
    }

    /// The same between the databases of two connection strings, the provider's and the subscriber's.
    pub fn between(conninfos: [&str; 2], settings: Settings, tables: &str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let open = |role, conninfo| {
            let abort = Abort::new();
            let opened = Db::open(role, conninfo, "apply-test", &abort);
            runtime.block_on(opened).unwrap_or_else(|error| panic!("{error}"))
        };
        let (provider, subscriber) = (open(Role::Provider, conninfos[0]), open(Role::Subscriber, conninfos[1]));
        let tables = tables.split(' ').map(|name| (FqName::parse(name), Filter::Apply)).collect();
        Replay {
            runtime,
            applier: Applier::new(settings),
            provider,
            subscriber,
            tables,
            prepares: true,
            provider_database: None,
        }
    }

    /// Applies the events that a query gives, in a transaction.
    pub fn apply(&mut self, events: &str) -> Result<Applied, Error> {
        self.runtime.block_on(async {
            let tx = self.subscriber.begin("begin", "begin").await?;
            if self.prepares {
                self.applier.prepare(&tx).await?;
            }
            let events = event::stream(&self.provider, &Sql::from_operator(events)).await?;
            let applied = Box::pin(self.applier.apply(events, &self.tables, &tx)).await?;
            tx.commit("commit").await?;
            Ok(applied)
        })
    }

    /// Applies events that no queue can hold, in a transaction.
    pub fn apply_events(&mut self, events: Vec<Event>) -> Result<Applied, Error> {
        self.runtime.block_on(async {
            let tx = self.subscriber.begin("begin", "begin").await?;
            let events = futures_util::stream::iter(events.into_iter().map(Ok));
            let applied = Box::pin(self.applier.apply(events, &self.tables, &tx)).await?;
            tx.commit("commit").await?;
            Ok(applied)
        })
    }
}
