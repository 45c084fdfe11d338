//! What the triggers on the provider write: everything that was done, exactly, in an order in which it can be repeated,
//! and without anybody noticing who writes.

mod ddl;
mod golden;
mod locks;
mod maintain;
mod order;
mod prepared;
mod rights;
mod statements;
mod truncate;
mod types;

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
