//! Rights in rlondiste's schema `pgq` that every role of the server has. A new schema gives none; PgQ 2 gives all but an
//! admin's, and an upgrade keeps them.

use std::fmt;

use crate::error::Result;
use crate::pg::Db;

/// A right that every role has in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Open {
    /// Put events into queues.
    Write,
    /// Consume from queues and unregister consumers.
    Consume,
    /// Read the events of at least one queue.
    ReadEvents,
}

impl Open {
    /// The right that is to be revoked from `public`.
    pub(crate) fn right(self) -> &'static str {
        match self {
            Open::Write => "writer",
            Open::Consume | Open::ReadEvents => "reader",
        }
    }
}

impl fmt::Display for Open {
    /// A sentence for the operator with the commands that close the schema.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let right = self.right();
        let may = match self {
            Open::Write => "put events into the queues of this database",
            Open::Consume => "consume from the queues of this database and unregister consumers",
            Open::ReadEvents => "read the events in the queues of this database",
        };
        write!(
            f,
            "Every role may {may}, as in PgQ 2. To change that, run \"rlondiste ticker INI grant ROLE {right}\" for each role \
             that needs it, then \"rlondiste ticker INI revoke public {right}\""
        )
    }
}

/// Reads the rights that every role has. The database must have rlondiste's own schema.
pub(crate) async fn open_to_every_role(db: &Db) -> Result<Vec<Open>> {
    const SQL: &str = "with recursive tables as (
    select pg_catalog.to_regclass('pgq.event_template')::oid as oid
    union all
    select i.inhrelid from pg_catalog.pg_inherits i join tables t on t.oid operator(pg_catalog.=) i.inhparent
)
select pg_catalog.has_function_privilege('public', pg_catalog.to_regprocedure('pgq.insert_event(text, text, text)'), 'execute'),
       pg_catalog.has_function_privilege('public', pg_catalog.to_regprocedure('pgq.next_batch(text, text)'), 'execute'),
       exists (select 1 from tables t where pg_catalog.has_table_privilege('public', t.oid, 'select'))";
    let row = db.query_one("look at the rights in schema pgq", SQL, &[]).await?;
    let has = |column: usize| row.get::<_, Option<bool>>(column).unwrap_or_default();
    let all = [(Open::Write, has(0)), (Open::Consume, has(1)), (Open::ReadEvents, has(2) && !has(1))];
    Ok(all.into_iter().filter_map(|(open, holds)| holds.then_some(open)).collect())
}
