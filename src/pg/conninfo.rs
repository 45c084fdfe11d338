//! Connection strings.

use std::fmt;

use crate::error::{Error, Result, Role};

/// A connection string, understood.
#[derive(Clone)]
pub struct Conninfo {
    pub(super) config: tokio_postgres::Config,
}

impl Conninfo {
    /// Reads a connection string.
    pub fn parse(role: Role, text: &str, application_name: &str) -> Result<Conninfo> {
        let mut config: tokio_postgres::Config =
            text.parse().map_err(|e| Error::Conninfo { role, message: format!("{e:?}") })?;
        config.application_name(application_name);
        Ok(Conninfo { config })
    }
}

impl fmt::Display for Conninfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dbname={}", self.config.get_dbname().unwrap_or(""))
    }
}
