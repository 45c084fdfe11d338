//! The sequences of a queue: `londiste.provider_seq` and `londiste.subscriber_seq`.

use std::collections::HashMap;
use std::fmt;

use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use crate::error::Result;
use crate::pg::name::quote_ident;
use crate::pg::{Db, FqName, Role, Sql, sql, text, text_array};

/// The sequences of the queue on the side of the session, in the order in which they were added.
pub(crate) async fn list(db: &Db, queue: &str) -> Result<Vec<FqName>> {
    let sql = match db.role() {
        Role::Provider => "select s from londiste.provider_get_seq_list($1) s",
        Role::Subscriber => "select s from londiste.subscriber_get_seq_list($1) s",
    };
    let rows = db.query_kept("list the sequences of the queue", sql, &[text(&queue)]).await?;
    Ok(rows.iter().map(|r| FqName::parse(r.get(0))).collect())
}

/// Adds a sequence to the queue on the side of the session; does nothing when the sequence is there.
pub(crate) async fn add(tx: &Db, queue: &str, seq: &FqName) -> Result<()> {
    let (action, sql) = match tx.role() {
        Role::Provider => ("add a sequence to the queue", "select londiste.provider_add_seq($1, $2)"),
        Role::Subscriber => ("subscribe to a sequence", "select londiste.subscriber_add_seq($1, $2)"),
    };
    let done = tx.query(action, sql, &[text(&queue), text(&seq.to_string())]).await;
    done.map(drop).map_err(|e| e.about(seq))
}

/// Removes a sequence from the queue on the side of the session. Fails when the sequence is not there.
pub(crate) async fn remove(tx: &Db, queue: &str, seq: &FqName) -> Result<()> {
    let (action, sql) = match tx.role() {
        Role::Provider => ("remove a sequence from the queue", "select londiste.provider_remove_seq($1, $2)"),
        Role::Subscriber => ("unsubscribe from a sequence", "select londiste.subscriber_remove_seq($1, $2)"),
    };
    let done = tx.query(action, sql, &[text(&queue), text(&seq.to_string())]).await;
    done.map(drop).map_err(|e| e.about(seq))
}

/// `last_value` and `is_called`.
pub(crate) type Value = (i64, bool);

/// The statement that sets the values, of which there must be some. A row for each: a select list has at most 1664 columns.
pub(crate) fn set_sql(values: &[(FqName, Value)]) -> Sql {
    let row = |(name, (value, called)): &(FqName, Value)| {
        let name = Sql::literal(&name.quoted());
        sql!("({name}, {value}::int8, {called})", name = name, value = *value, called = *called)
    };
    sql!(
        "select pg_catalog.setval(v.name::pg_catalog.regclass, v.value, v.called) from (values {rows}) v(name, value, called)",
        rows = Sql::join(values.iter().map(row), ", ")
    )
}

/// The least and the greatest value of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    least: i64,
    greatest: i64,
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.least, self.greatest)
    }
}

/// Why the provider's value of a sequence cannot be set on the subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Objection {
    /// Nothing has the name on this side.
    Missing(Role),
    /// What has the name on this side is no sequence.
    NoSequence(Role),
    /// The user of the connection string may not read (provider) or set (subscriber) the sequence.
    NoRight(Role),
    /// The user of the connection string may not look into the schema.
    NoUsage(Role),
    /// The subscriber's bounds refuse the value.
    OutOfBounds {
        /// The provider's value.
        value: i64,
        /// Those of the subscriber.
        bounds: Bounds,
        /// The provider's type.
        provider_type: String,
        /// Those of the provider.
        provider_bounds: Bounds,
    },
}

impl Objection {
    /// Why, and what mends it, for a message about the sequence.
    pub(crate) fn describe(&self, name: &FqName) -> String {
        let reason = self.reason(name);
        match self.mend(name, "...") {
            None => format!("{reason}; remove it with \"subscriber remove-seq {name}\" if it is not needed"),
            Some((role, statement)) if matches!(self, Objection::OutOfBounds { .. }) => {
                format!("{reason}; run on the {role}: {statement}")
            }
            Some((_, statement)) => {
                format!("{reason}; run there, for the user of the connection string: {statement}")
            }
        }
    }

    /// Why the value is not replicated.
    pub(crate) fn reason(&self, name: &FqName) -> String {
        match self {
            Objection::Missing(role) => {
                format!("Seq {name} does not exist on {role} side, its value is not replicated")
            }
            Objection::NoSequence(role) => format!("{name} is no sequence on {role} side, its value is not replicated"),
            Objection::NoRight(role) => {
                format!("Seq {name}: a right is missing on {role} side, its value is not replicated")
            }
            Objection::NoUsage(role) => {
                format!("Seq {name}: a right on its schema is missing on {role} side, its value is not replicated")
            }
            Objection::OutOfBounds { value, bounds, .. } => format!(
                "Seq {name}: value {value} of provider is out of the bounds of subscriber ({bounds}), it is not replicated"
            ),
        }
    }

    /// The statement that mends it, and where; `user` is the quoted user of the connection string. `None` where the sequence is
    /// not there.
    pub(crate) fn mend(&self, name: &FqName, user: &str) -> Option<(Role, String)> {
        let quoted = name.quoted();
        match self {
            Objection::Missing(_) | Objection::NoSequence(_) => None,
            Objection::NoRight(role) => {
                let right = if *role == Role::Provider { "select" } else { "update" };
                Some((*role, format!("grant {right} on sequence {quoted} to {user}")))
            }
            Objection::NoUsage(role) => {
                Some((*role, format!("grant usage on schema {} to {user}", quote_ident(&name.schema))))
            }
            Objection::OutOfBounds { provider_type, provider_bounds, .. } => Some((
                Role::Subscriber,
                format!(
                    "alter sequence {quoted} as {provider_type} minvalue {} maxvalue {}",
                    provider_bounds.least, provider_bounds.greatest
                ),
            )),
        }
    }
}

/// A subscribed sequence.
pub(crate) struct Subscribed {
    pub(crate) name: FqName,
    /// The provider's value, or why the subscriber does not get it.
    pub(crate) value: Result<Value, Objection>,
}

/// The subscribed sequences with the provider's values, in the order in which they were added. Runs at most three queries, however
/// many sequences there are.
pub(crate) async fn subscribed(provider: &Db, subscriber: &Db, queue: &str) -> Result<Vec<Subscribed>> {
    let found = on_subscriber(subscriber, queue).await?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&FqName> = found.iter().filter(|(_, standing)| standing.is_ok()).map(|(name, _)| name).collect();
    let mut read = on_provider(provider, &names).await?.into_iter();
    let join = |(name, standing): (FqName, Result<Bounds, Objection>)| {
        let value = match standing {
            Err(objection) => Err(objection),
            Ok(bounds) => {
                read.next().unwrap_or(Err(Objection::Missing(Role::Provider))).and_then(|read| read.within(bounds))
            }
        };
        Subscribed { name, value }
    };
    Ok(found.into_iter().map(join).collect())
}

/// The values of those of the sequences that are there and may be read on the side of the session.
pub(crate) async fn values(db: &Db, names: &[&FqName]) -> Result<HashMap<FqName, Value>> {
    let read = on_provider(db, names).await?.into_iter().zip(names);
    Ok(read.filter_map(|(found, name)| Some(((*name).clone(), found.ok()?.value))).collect())
}

/// The subscribed sequences with the subscriber's bounds.
async fn on_subscriber(subscriber: &Db, queue: &str) -> Result<Vec<(FqName, Result<Bounds, Objection>)>> {
    // Not by to_regclass, which fails where the user may not look into the schema.
    let sql = "select s.name, c.relkind = 'S',
                      case when c.relkind = 'S' then pg_catalog.has_sequence_privilege(c.oid, 'UPDATE') end,
                      pg_catalog.has_schema_privilege(n.oid, 'USAGE'), q.seqmin, q.seqmax
                 from londiste.subscriber_get_seq_list($1) with ordinality as s(name, nr)
                      left join pg_catalog.pg_namespace n on n.nspname = pg_catalog.split_part(s.name, '.', 1)
                      left join pg_catalog.pg_class c
                             on c.relnamespace = n.oid and c.relname = pg_catalog.substr(s.name, pg_catalog.strpos(s.name, '.') + 1)
                      left join pg_catalog.pg_sequence q on q.seqrelid = c.oid
                order by s.nr";
    let rows = subscriber.query("read the subscribed sequences", sql, &[text(&queue)]).await?;
    let standing = |row: &Row| {
        objection(row, Role::Subscriber).map_or_else(|| Ok(Bounds { least: row.get(4), greatest: row.get(5) }), Err)
    };
    Ok(rows.iter().map(|row| (FqName::parse(row.get(0)), standing(row))).collect())
}

/// What columns 1 to 3 say: whether the relation is a sequence, null where there is no relation, and whether the user has the rights
/// on it and on its schema.
fn objection(row: &Row, role: Role) -> Option<Objection> {
    match (row.get(1), row.get(2), row.get(3)) {
        (None, _, _) => Some(Objection::Missing(role)),
        (Some(false), _, _) => Some(Objection::NoSequence(role)),
        (Some(true), _, Some(false) | None) => Some(Objection::NoUsage(role)),
        (Some(true), Some(true), Some(true)) => None,
        (Some(true), Some(false) | None, Some(true)) => Some(Objection::NoRight(role)),
    }
}

/// A sequence of the provider.
struct OnProvider {
    value: Value,
    type_name: String,
    bounds: Bounds,
}

impl OnProvider {
    fn within(self, bounds: Bounds) -> Result<Value, Objection> {
        let (value, _) = self.value;
        if (bounds.least..=bounds.greatest).contains(&value) {
            return Ok(self.value);
        }
        Err(Objection::OutOfBounds { value, bounds, provider_type: self.type_name, provider_bounds: self.bounds })
    }
}

/// The provider's sequences of these names, in the order of the names.
async fn on_provider(provider: &Db, names: &[&FqName]) -> Result<Vec<Result<OnProvider, Objection>>> {
    match look_on_provider(provider, names).await {
        // A sequence was dropped, or a right taken away, after the look for it.
        Err(error) if matches!(error.code(), Some(&SqlState::UNDEFINED_TABLE | &SqlState::INSUFFICIENT_PRIVILEGE)) => {
            look_on_provider(provider, names).await
        }
        looked => looked,
    }
}

async fn look_on_provider(provider: &Db, names: &[&FqName]) -> Result<Vec<Result<OnProvider, Objection>>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let schemas: Vec<&str> = names.iter().map(|name| name.schema.as_str()).collect();
    let sequences: Vec<&str> = names.iter().map(|name| name.name.as_str()).collect();
    let sql = "select u.name, c.relkind = 'S',
                      case when c.relkind = 'S' then pg_catalog.has_sequence_privilege(c.oid, 'SELECT') end,
                      pg_catalog.has_schema_privilege(n.oid, 'USAGE'), q.seqmin, q.seqmax, pg_catalog.format_type(q.seqtypid, null)
                 from unnest($1, $2) with ordinality as u(schema, name, nr)
                      left join pg_catalog.pg_namespace n on n.nspname = u.schema
                      left join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = u.name
                      left join pg_catalog.pg_sequence q on q.seqrelid = c.oid
                order by u.nr";
    let rows = provider.query("look for sequences", sql, &[text_array(&schemas), text_array(&sequences)]).await?;
    let there = rows.iter().zip(names).enumerate().filter(|(_, (row, _))| objection(row, Role::Provider).is_none());
    let value = |(nr, (_, name)): (usize, (&Row, &&FqName))| {
        sql!("select {nr} as nr, last_value, is_called from {name}", nr = nr, name = *name)
    };
    let queries: Vec<Sql> = there.map(value).collect();
    let mut values = HashMap::new();
    if !queries.is_empty() {
        for row in provider.query("read sequence values", Sql::join(queries, " union all "), &[]).await? {
            values.insert(usize::try_from(row.get::<_, i32>(0)).ok(), (row.get(1), row.get(2)));
        }
    }
    let read = |(nr, row): (usize, &Row)| {
        if let Some(objection) = objection(row, Role::Provider) {
            return Err(objection);
        }
        let value = values.get(&Some(nr)).copied().ok_or(Objection::Missing(Role::Provider))?;
        let bounds = Bounds { least: row.get(4), greatest: row.get(5) };
        Ok(OnProvider { value, type_name: row.get(6), bounds })
    };
    Ok(rows.iter().enumerate().map(read).collect())
}
