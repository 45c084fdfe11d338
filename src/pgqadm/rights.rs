//! `grant` and `revoke`: what a role may do with the queues of the database.

use std::fmt;

use tracing::info;

use crate::error::{Error, Result};
use crate::job::Output;
use crate::pg::{Db, text};
use crate::pgq::install::{Found, find};

/// What a role may do with the queues of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// Consume, and read the events of all queues.
    Reader,
    /// Put events into queues, and attach queue triggers to tables.
    Writer,
    /// Everything: also create, drop and configure queues, tick and rotate.
    Admin,
}

impl Right {
    /// All rights, in the order of messages.
    pub(crate) const ALL: [Right; 3] = [Right::Reader, Right::Writer, Right::Admin];

    /// The right of this name; `None` when there is no such right.
    pub(crate) fn of_name(name: &str) -> Option<Right> {
        Right::ALL.into_iter().find(|right| right.to_string() == name)
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Right::Reader => "reader",
            Right::Writer => "writer",
            Right::Admin => "admin",
        })
    }
}

/// Gives a right to a role, or to every role when it is `public`.
pub(super) async fn grant(db: &Db, role: &str, right: Right) -> Result<Output> {
    const ACTION: &str = "grant the right";
    info!("Granting {right} to role {role}");
    if !call(db, ACTION, "select pgq.grant_right($1, $2)", role, right).await? {
        info!("Role {role} had it already");
    }
    Ok(Output::none())
}

/// Takes a right that was given by [`grant`] back from a role, or from every role when it is `public`.
pub(super) async fn revoke(db: &Db, role: &str, right: Right) -> Result<Output> {
    const ACTION: &str = "revoke the right";
    info!("Revoking {right} from role {role}");
    if !call(db, ACTION, "select pgq.revoke_right($1, $2)", role, right).await? {
        info!("Role {role} was not granted it");
    }
    Ok(Output::none())
}

/// Calls the function that changes a right. Returns whether it changed anything. PgQ 2.1, an extension and PgQ 3 are an
/// [`Error::Unsupported`].
async fn call(db: &Db, action: &'static str, sql: &'static str, role: &str, right: Right) -> Result<bool> {
    match find(db).await? {
        Found::Own(_) | Found::None | Found::Foreign(_) => {}
        found @ Found::Genuine21(_) => {
            return Err(unsupported(
                db,
                action,
                &found,
                "PgQ 2 lets every role do all of it. \"rlondiste ticker INI install\" \
                 replaces PgQ 2.1 by a schema that knows rights.",
            ));
        }
        found @ (Found::Extension(_) | Found::Plain3(_)) => {
            let hint = format!("PgQ 3 gives its rights to roles: grant pgq_{right} to \"ROLE\", or revoke it.");
            return Err(unsupported(db, action, &found, &hint));
        }
    }
    let name = right.to_string();
    let row = db
        .query_one(action, sql, &[text(&role), text(&name)])
        .await
        .map_err(|e| e.about(format!("right \"{right}\" of role \"{role}\"")))?;
    Ok(row.get::<_, i32>(0) == 1)
}

fn unsupported(db: &Db, action: &str, found: &Found, hint: &str) -> Error {
    Error::unsupported(format!("cannot {action} on {} ({}): there is {found}", db.role(), db.target()), hint)
}
