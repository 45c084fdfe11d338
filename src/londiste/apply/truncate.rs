//! Empties tables.

use tokio_postgres::error::SqlState;

use super::chunk::Chunk;
use super::target_table::{ForeignKeyEnd, TargetTable};
use crate::error::{ApplyFault, Error, FaultKind, Result};
use crate::pg::{Db, Sql, sql};

/// Empties the tables of the chunk's `truncates`. A table that others refer to is emptied by DELETE, unless all of them
/// are emptied here too: the server truncates it only together with them, even if they have no rows. TRUNCATE locks a
/// table in mode ACCESS EXCLUSIVE until the transaction ends.
///
/// The server truncates no table of which a constraint is still to be checked for an earlier change of the transaction. To check it now
/// would be too early: later changes may be those that fulfil it. DELETE can be used at any time.
pub(super) async fn truncate(tx: &Db, chunk: &Chunk) -> Result<()> {
    const ACTION: &str = "set a savepoint";
    let mut deleted: Vec<(i64, &TargetTable)> =
        chunk.truncates.iter().map(|(event, id)| (*event, chunk.table(*id))).collect();
    deleted.sort_by_key(|(event, table)| (table.oid, *event));
    deleted.dedup_by_key(|(_, table)| table.oid);
    let truncated = take_truncated(&mut deleted);
    // No table that is truncated is referred to by one that is not. The tables that are deleted from may refer to them.
    if let Some((event, table)) = truncated.first() {
        let names = Sql::join(truncated.iter().map(|(_, table)| table.only()), ", ");
        tx.batch(ACTION, "savepoint londiste_truncate").await?;
        match empty(tx, *event, table, sql!("truncate {tables}", tables = names)).await {
            Err(error) if error.code() == Some(&SqlState::OBJECT_IN_USE) => {
                tx.batch(ACTION, "rollback to savepoint londiste_truncate").await?;
                deleted.extend(truncated);
            }
            done => done?,
        }
        tx.batch(ACTION, "release savepoint londiste_truncate").await?;
    }
    // Children first: more tables refer to a table, directly or not, than to each of these tables.
    let below = |table: &TargetTable| deleted.iter().filter(|(_, other)| other.ancestors.contains(&table.oid)).count();
    let mut ordered = deleted.clone();
    ordered.sort_by_key(|(_, table)| below(table));
    for (event, table) in ordered {
        empty(tx, event, table, sql!("delete from {table}", table = table.only())).await?;
    }
    Ok(())
}

/// Takes out the tables that can be truncated together.
fn take_truncated<'a>(tables: &mut Vec<(i64, &'a TargetTable)>) -> Vec<(i64, &'a TargetTable)> {
    let mut together = std::mem::take(tables);
    loop {
        let oids: Vec<u32> = together.iter().map(|(_, table)| table.oid).collect();
        let whole = |table: &TargetTable| {
            table.foreign_keys.iter().all(|key| key.end != ForeignKeyEnd::Parent || oids.contains(&key.from))
        };
        let (fit, others): (Vec<_>, Vec<_>) = together.into_iter().partition(|(_, table)| whole(table));
        together = fit;
        if others.is_empty() {
            return together;
        }
        tables.extend(others);
    }
}

async fn empty(tx: &Db, event: i64, table: &TargetTable, sql: Sql) -> Result<()> {
    tx.client().batch_execute(sql.as_str()).await.map_err(|error| {
        let referred_to = error.code() == Some(&SqlState::FOREIGN_KEY_VIOLATION);
        let mend = "Empty the table that refers to it too, drop its foreign key, or set apply_role = replica, which does \
                    not check foreign keys.";
        Error::Apply(Box::new(ApplyFault {
            kind: FaultKind::Refused,
            event,
            verb: 'R',
            table: table.name.to_string(),
            key: String::new(),
            column: None,
            target: tx.target().to_owned(),
            mend: referred_to.then(|| mend.to_owned()),
            hint: None,
            source: Some(error),
        }))
    })
}
