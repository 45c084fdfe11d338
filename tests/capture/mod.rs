//! What the triggers on the provider write: everything that was done, exactly, in an order in which it can be repeated,
//! and without anybody noticing who writes.

mod adapt;
mod ddl;
mod golden;
mod keys;
mod locks;
mod lost;
mod lost_races;
mod maintain;
mod matrix;
mod order;
mod own;
mod prepared;
mod rights;
mod roles;
mod settings;
mod statements;
mod truncate;

use crate::support::{Database, QUEUE, Replication};

/// A provider with a schema, of which tables (names separated by blanks) are captured one way.
fn provider(capture: &str, schema: &str, tables: &str) -> Replication {
    let r = Replication::new();
    r.provider.sql(schema);
    r.install();
    for table in tables.split(' ') {
        r.provider.sql(&format!(
            "select londiste.provider_add_table_as('{QUEUE}', 'public.{table}', '{capture}', 'sql', null)"
        ));
    }
    r
}

/// The events of tables as `table type data`, in the order in which subscribers apply them.
fn events(provider: &Database) -> Vec<String> {
    provider.column(
        "select concat_ws(' ', split_part(ev_extra1, '.', 2), ev_type, nullif(ev_data, '')) from pgq.event_1
         where ev_extra1 is not null order by ev_id",
    )
}

/// Has a queue maintained: how many tables were brought up to date, and the warnings.
fn maintain(provider: &Database, queue: &str) -> (String, Vec<String>) {
    let session = provider.session();
    let done = session.value(&format!("select londiste.provider_maintain('{queue}')"));
    let warnings = session.take_notices().into_iter().filter(|n| n.starts_with("WARNING")).collect();
    (done, warnings)
}

/// The lists of tables that subscribers were sent: a table that is missing in one is copied again.
fn table_lists(provider: &Database) -> Vec<String> {
    provider.column("select ev_data from pgq.event_1 where ev_type = 'T' order by ev_id")
}
