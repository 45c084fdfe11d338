//! What is between the daemons and a server.

use crate::support::statements::Dice;
use crate::support::{Cluster, Database, LoginOptions, PoolMode, Pooler, Proxy};

/// Server connections of a pool.
const POOL_SIZE: usize = 12;

/// What is between the daemons and a server.
pub enum Wire {
    Proxy(Proxy),
    Pooler(Pooler),
}

impl Wire {
    /// A pooler for one of `poolers` draws.
    pub fn draw(cluster: &Cluster, database: &Database, poolers: u64, dice: &mut Dice) -> Wire {
        if dice.below(poolers) == 0 && Pooler::is_installed() {
            return Wire::Pooler(Pooler::start(&[database], PoolMode::Transaction, POOL_SIZE, LoginOptions::Ignored));
        }
        Wire::Proxy(Proxy::to_cluster(cluster))
    }

    pub fn name(&self) -> &'static str {
        match self {
            Wire::Proxy(_) => "by a proxy",
            Wire::Pooler(_) => "by a transaction pooler",
        }
    }

    pub fn conninfo(&self, database: &Database) -> String {
        match self {
            Wire::Proxy(proxy) => proxy.conninfo(database.name()),
            Wire::Pooler(pooler) => pooler.conninfo(database),
        }
    }
}
