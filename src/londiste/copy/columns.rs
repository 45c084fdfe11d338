//! Which columns are copied, and whether COPY may use its binary format.

use crate::error::{Error, Result};
use crate::pg::catalog::{self, Column};
use crate::pg::{Db, FqName, Sql, text, text_array};

use super::mend::make_column;

/// The columns of a copy.
pub(super) struct Columns {
    /// Their names, in the order of the provider's table.
    pub(super) names: Vec<String>,
    /// Whether every type is built in, the same on both sides, and has the same binary form on both servers.
    pub(super) binary: bool,
    /// Whether the provider generates one of them: COPY reads such a column only from a query.
    pub(super) computed: bool,
    /// Which of them are the key of the provider's table.
    pub(super) key: Vec<usize>,
    /// The provider's texts are any bytes, and those of the subscriber are not.
    pub(super) unchecked_text: bool,
}

impl Columns {
    /// The provider's columns by name, less the columns that the subscriber generates, and the provider's generated columns that
    /// the subscriber does not have. Fails when the subscriber does not have another one, and when either side does not
    /// have the table. Further columns of the subscriber get their defaults.
    pub(super) async fn shared(provider: &Db, subscriber: &Db, table: &FqName) -> Result<Columns> {
        let theirs = catalog::columns(provider, table).await?;
        let ours = catalog::columns(subscriber, table).await?;
        for (db, columns) in [(provider, &theirs), (subscriber, &ours)] {
            if columns.is_empty() {
                return Err(table_not_found(db, table));
            }
        }
        let mut names = Vec::with_capacity(theirs.len());
        let mut computed = false;
        for column in &theirs {
            match ours.iter().find(|c| c.name == column.name) {
                Some(our) if our.is_generated() => {}
                Some(_) => {
                    computed |= column.is_generated();
                    names.push(column.name.clone());
                }
                None if column.is_generated() => {}
                None => return Err(missing(subscriber, table, column, &make_column(&theirs, &ours, column))),
            }
        }
        let unchecked_text = provider.is_sql_ascii() && !subscriber.is_sql_ascii();
        // In text form each row can be looked at.
        let types = if unchecked_text { None } else { binary_types(provider, table, &names).await? };
        let binary = types.is_some() && types == binary_types(subscriber, table, &names).await?;
        let in_key = |name: &String| theirs.iter().any(|column| column.name == *name && column.in_key());
        let key = (0..names.len()).filter(|at| in_key(&names[*at])).collect();
        Ok(Columns { names, binary, computed, key, unchecked_text })
    }

    /// `"a", "b"`.
    pub(super) fn list(&self) -> Sql {
        Sql::idents(self.names.iter().map(String::as_str))
    }
}

/// One side does not have the table.
pub(super) fn table_not_found(db: &Db, table: &FqName) -> Error {
    Error::missing(
        format!("Table not found: {table} on {} ({})", db.role(), db.target()),
        format!("Create it there, or run \"subscriber remove {table}\"."),
    )
}

fn missing(subscriber: &Db, table: &FqName, column: &Column, action: &str) -> Error {
    Error::mismatch(
        format!("{table}: Column {} does not exist on dest side", column.name),
        format!("Run on subscriber ({}): alter table {} {action}", subscriber.target(), table.quoted()),
    )
}

/// The types of these columns in this order; `None` when one of them must not be copied in binary form. Allowed are
/// built-in types, whose ids are the same on all servers, with binary input and output; not `regclass` and its like,
/// whose values are ids of objects. `interval` is another type from PostgreSQL 17 on: an older server reads the binary
/// form of an infinite interval as a very long one, and refuses its text. `tsquery`, `int2vector` and `oidvector` are not
/// allowed: a server refuses the binary form of an empty one that another server has sent.
async fn binary_types(db: &Db, table: &FqName, names: &[String]) -> Result<Option<Vec<String>>> {
    let rows = db
        .query(
            "read the types of columns",
            "select pg_catalog.format_type(a.atttypid, a.atttypmod)
                        || case when t.typname in ('interval', '_interval')
                                 and pg_catalog.current_setting('server_version_num')::int >= 170000
                           then ' with infinity' else '' end,
                    t.oid < 10000 and t.typtype in ('b', 'r', 'm') and t.typsend <> 0 and t.typreceive <> 0
                        and t.typname !~ '^_?(reg|(tsquery|int2vector|oidvector)$)'
               from unnest($2) with ordinality as u(name, nr)
                    join pg_catalog.pg_attribute a on a.attrelid = to_regclass($1) and a.attname = u.name
                    join pg_catalog.pg_type t on t.oid = a.atttypid
              order by u.nr",
            &[text(&table.quoted()), text_array(&names)],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get::<_, bool>(1).then(|| row.get(0))).collect())
}
