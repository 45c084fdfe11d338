//! Statements that a session keeps prepared.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Statement};

use super::sql::Sql;

/// The statements of one session, by their text. Their number is that of the places in the program that keep one.
#[derive(Default)]
pub(super) struct KeptStatements(Mutex<HashMap<String, Kept>>);

/// How far a statement is.
#[derive(Clone)]
enum Kept {
    /// It has run once. Preparing takes a round trip, which a statement that runs once would have for nothing.
    RanOnce,
    /// It is prepared.
    Prepared(Statement),
}

impl KeptStatements {
    /// The prepared statement; `None` at its first run. Prepares it at the second. `types` are those of the parameters.
    pub(super) async fn find(
        &self,
        client: &Client,
        sql: &Sql,
        types: impl FnOnce() -> Vec<Type>,
    ) -> Result<Option<Statement>, tokio_postgres::Error> {
        let known = self.lock().get(sql.as_str()).cloned();
        match known {
            Some(Kept::Prepared(statement)) => return Ok(Some(statement)),
            Some(Kept::RanOnce) => {}
            None => {
                self.lock().insert(sql.as_str().to_owned(), Kept::RanOnce);
                return Ok(None);
            }
        }
        let statement = client.prepare_typed(sql.as_str(), &types()).await?;
        self.lock().insert(sql.as_str().to_owned(), Kept::Prepared(statement.clone()));
        Ok(Some(statement))
    }

    /// Forgets the statement: its next run is as its first.
    pub(super) fn forget(&self, sql: &Sql) {
        self.lock().remove(sql.as_str());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
