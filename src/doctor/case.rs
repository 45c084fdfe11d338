//! What the checks work on: the ini file, the sessions, the names of the commands that mend.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use tokio_postgres::Row;

use super::check::Check;
use super::finding::Findings;
use crate::config::{self, Common};
use crate::error::{Error, Report, Result, Role};
use crate::job::Control;
use crate::londiste::Job;
use crate::pg::name::{quote_ident, quote_literal};
use crate::pg::{ClientSettings, Db, FqName, Param, Tx, sql, text_array};

/// How long a statement of a check may run. It waits for a lock for a quarter of that.
const STATEMENT_TIME: Duration = Duration::from_secs(30);

/// The ini file that is examined, and the process.
pub(super) struct Case<'a> {
    pub(super) path: &'a Path,
    pub(super) common: &'a Common,
    /// Remarks about the ini file.
    pub(super) warnings: &'a [String],
    /// The daemon's command: `ticker` or `replay`.
    pub(super) daemon: &'static str,
    /// The settings of replication; `None` for a ticker.
    pub(super) londiste: Option<&'a config::Londiste>,
    /// Bytes of a queue above which its size is a warning; `None` where the ini file does not say.
    pub(super) queue_size_warn: Option<u64>,
    pub(super) control: &'a Control,
    pub(super) extent: Extent,
}

/// Which checks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of them.
    Everything,
    /// Those that tell whether the daemon works.
    Health,
}

impl Case<'_> {
    /// A command with this ini file, for a shell.
    pub(super) fn command(&self, words: impl Display) -> String {
        format!("rlondiste {} {words}", shell_word(&self.path.display().to_string()))
    }

    /// A command of the ticker of the queue's database.
    pub(super) fn ticker_command(&self, words: impl Display) -> String {
        if self.londiste.is_none() { self.command(words) } else { format!("rlondiste TICKER-INI {words}") }
    }

    /// The command that installs the schemas on a side.
    pub(super) fn install_command(&self, role: Role) -> String {
        if self.londiste.is_some() { self.command(format_args!("{role} install")) } else { self.command("install") }
    }

    /// The one queue that matters; `None` for all queues of the database.
    pub(super) fn queue(&self) -> Option<&str> {
        self.londiste.map(|config| config.pgq_queue_name.as_str())
    }

    /// The right in schema pgq that the daemon needs.
    pub(super) fn queue_right(&self) -> &'static str {
        if self.londiste.is_some() { "reader" } else { "admin" }
    }

    /// Queue and consumer of replication. For groups of checks that only an ini file with section `[londiste]` has.
    pub(super) fn replication(&self) -> Result<(&config::Londiste, Job)> {
        let config = self.londiste.ok_or_else(|| Error::Usage("this check is for section [londiste]".to_owned()))?;
        Ok((config, Job::of(config)))
    }

    /// The name that sessions of the doctor have: the job's, and a word that tells them from those of the daemon.
    pub(super) fn application_name(&self) -> String {
        format!("{} doctor", self.common.job_name)
    }
}

/// A session on one of the databases, which only looks.
pub(super) struct Side {
    pub(super) db: Db,
    pub(super) role: Role,
    /// As `server_version_num` has it: 150010.
    pub(super) version: i32,
    /// As `server_version` has it: `15.10 (Debian 15.10-1)`.
    pub(super) version_text: String,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) is_standby: bool,
}

/// A session, or why there is none.
pub(super) type Reach = Result<Side, Unreachable>;

/// Why a database cannot be examined.
pub(super) struct Unreachable {
    pub(super) role: Role,
    pub(super) why: String,
    /// What helps; may be empty.
    pub(super) fix: String,
}

impl Side {
    /// Opens a session that cannot change anything. Returns an error only when a stop was requested.
    pub(super) async fn open(case: &Case<'_>, role: Role, conninfo: &str) -> Result<Reach> {
        match Side::try_open(case, role, conninfo).await {
            Ok(side) => Ok(Ok(side)),
            Err(Error::Aborted) => Err(Error::Aborted),
            Err(error) => {
                let fix = error.hint().unwrap_or_else(|| {
                    format!(
                        "start the server of the {role}, or correct the connection string in {}",
                        case.path.display()
                    )
                });
                Ok(Err(Unreachable { role, why: Report(&error).message(), fix }))
            }
        }
    }

    async fn try_open(case: &Case<'_>, role: Role, conninfo: &str) -> Result<Side> {
        const FACTS: &str = "select pg_catalog.current_setting('server_version_num')::int4,
       pg_catalog.current_setting('server_version'), current_user::text, pg_catalog.current_database()::text,
       pg_catalog.pg_is_in_recovery()";
        let name = case.application_name();
        let client = ClientSettings { application_name: &name, connection_check: case.common.connection_check };
        let db = Db::open(role, conninfo, client, case.control.abort()).await?;
        db.only_look(STATEMENT_TIME).await?;
        let row = db.query_one("look at the server", FACTS, &[]).await?;
        Ok(Side {
            role,
            version: row.get(0),
            version_text: row.get(1),
            user: row.get(2),
            database: row.get(3),
            is_standby: row.get(4),
            db,
        })
    }

    /// Behind a pooler, where a session keeps no settings: a transaction that cannot change anything. To be dropped after the
    /// checks.
    pub(super) async fn look(&self) -> Result<Option<Tx<'_>>> {
        const ACTION: &str = "begin to look";
        if !self.db.is_pooled() {
            return Ok(None);
        }
        let tx = self.db.begin(ACTION, "begin isolation level read committed read only").await?;
        let limit = sql!(
            "set local statement_timeout = {limit}; set local lock_timeout = {wait}",
            limit = STATEMENT_TIME.as_millis(),
            wait = STATEMENT_TIME.as_millis() / 4
        );
        tx.batch(ACTION, limit).await?;
        Ok(Some(tx))
    }

    /// Makes checks unknown that look at what sessions do, where there are sessions of other users and the user of this one may not
    /// see into them.
    pub(super) async fn tell_hidden_sessions(&self, checks: &[&Check], found: &mut Findings) -> Result<()> {
        const HIDDEN: &str = "select pg_catalog.count(*) from pg_catalog.pg_stat_activity a
 where a.datid is not null and a.query = '<insufficient privilege>'";
        let hidden: i64 = self.db.query_one("look for hidden sessions", HIDDEN, &[]).await?.get(0);
        for check in checks.iter().filter(|_| hidden > 0) {
            let why = format!("{} may not see what sessions of other users do", self.user);
            found.unknown(
                check,
                self.role,
                why,
                self.sql(format_args!("grant pg_read_all_stats to {};", self.quoted_user())),
            );
        }
        Ok(())
    }

    /// The statement that gives the user the daemon's right in schema pgq.
    pub(super) async fn queue_grant(&self, case: &Case<'_>) -> Result<String> {
        const IS_OWN: &str = "select pg_catalog.to_regprocedure('pgq.grant_right(text, text)') is not null";
        let right = case.queue_right();
        let is_own: bool = self.db.query_one("look for pgq.grant_right", IS_OWN, &[]).await?.get(0);
        Ok(self.sql(if is_own {
            format!("select pgq.grant_right({}, '{right}');", quote_literal(&self.user))
        } else {
            format!("grant pgq_{right} to {};", self.quoted_user())
        }))
    }

    /// A statement that mends something here, with the side that it is for.
    pub(super) fn sql(&self, statement: impl Display) -> String {
        on(self.role, statement)
    }

    /// The user of the session as it is written in SQL.
    pub(super) fn quoted_user(&self) -> String {
        quote_ident(&self.user)
    }
}

/// A statement with the side that it is for.
pub(super) fn on(role: Role, statement: impl Display) -> String {
    format!("on {role}: {statement}")
}

/// Names of tables as they are written in SQL, with commas.
pub(super) fn quoted_list(tables: &[FqName]) -> String {
    tables.iter().map(FqName::quoted).collect::<Vec<_>>().join(", ")
}

/// Names as the two arrays, of schemas and of names, that queries take as `unnest($1, $2)`.
pub(super) struct Names {
    schemas: Vec<String>,
    names: Vec<String>,
}

impl Names {
    pub(super) fn of<'a>(tables: impl IntoIterator<Item = &'a FqName>) -> Names {
        let (schemas, names) = tables.into_iter().map(|table| (table.schema.clone(), table.name.clone())).unzip();
        Names { schemas, names }
    }

    pub(super) fn params(&self) -> [Param<'_>; 2] {
        [text_array(&self.schemas), text_array(&self.names)]
    }
}

/// The name in the columns `at` and `at + 1`.
pub(super) fn fq_name(row: &Row, at: usize) -> FqName {
    FqName { schema: row.get(at), name: row.get(at + 1) }
}

/// A name as one word of a shell's command line.
pub(super) fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_shell_are_quoted_where_needed() {
        for (text, word) in [
            ("/etc/x.ini", "/etc/x.ini"),
            ("public.Orders", "public.Orders"),
            ("a b", "'a b'"),
            ("it's $(x)", "'it'\\''s $(x)'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(text), word);
        }
    }
}
