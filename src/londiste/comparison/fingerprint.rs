//! The hash of a row: the same on both servers for the same text.

use crate::error::Result;
use crate::pg::{Db, Sql, sql};

/// What both servers can do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fingerprint {
    /// Whether both have the 64-bit hash of PostgreSQL 11, with the same result (the order of bytes in memory counts). It costs
    /// a fraction of MD5 and of the casts that make numbers of MD5's digits.
    has_hash: bool,
    /// Whether the bytes of one text differ on the two sides.
    other_encoding: bool,
}

impl Fingerprint {
    /// Asks both servers.
    pub(super) async fn of(provider: &Db, subscriber: &Db) -> Result<Fingerprint> {
        let (theirs, ours) = (facts(provider).await?, facts(subscriber).await?);
        Ok(Fingerprint { has_hash: theirs.1.is_some() && theirs.1 == ours.1, other_encoding: theirs.0 != ours.0 })
    }

    /// The hash of a row's text.
    pub(super) fn of_row(self, text: &Sql) -> Sql {
        sql!("pg_catalog.md5({bytes})", bytes = self.bytes(text))
    }

    /// Two numbers of 64 bits for a row's text, and what `text` is to be for them.
    pub(super) fn halves(self, text: &Sql) -> [Sql; 2] {
        if self.has_hash && !self.other_encoding {
            [0, 1]
                .map(|seed| sql!("pg_catalog.hashtextextended({text} collate \"C\", {seed})", text = text, seed = seed))
        } else {
            [1, 17].map(|from| {
                sql!("('x' || pg_catalog.substr({text}, {from}, 16))::bit(64)::bigint", text = text, from = from)
            })
        }
    }

    /// What the halves are made of: the text itself, or its MD5 hash.
    pub(super) fn material(self, text: &Sql) -> Sql {
        if self.has_hash && !self.other_encoding { text.clone() } else { self.of_row(text) }
    }

    fn bytes(self, text: &Sql) -> Sql {
        if self.other_encoding { sql!("pg_catalog.convert_to({text}, 'UTF8')", text = text) } else { text.clone() }
    }
}

/// The encoding of the database, and a hash if there is that function.
async fn facts(db: &Db) -> Result<(String, Option<i64>)> {
    const ACTION: &str = "ask how rows can be hashed";
    let sql = "select pg_catalog.current_setting('server_encoding'), \
                      pg_catalog.to_regprocedure('pg_catalog.hashtextextended(text, bigint)') is not null";
    let row = db.query_one(ACTION, sql, &[]).await?;
    let has_hash: bool = row.get(1);
    let hash = if has_hash {
        let sql = "select pg_catalog.hashtextextended('a row of a table' collate \"C\", 1)";
        Some(db.query_one(ACTION, sql, &[]).await?.get(0))
    } else {
        None
    };
    Ok((row.get(0), hash))
}
