//! Settings of roles and databases, encodings, time zones, collations.

use tokio_postgres::Row;

use super::case::Side;
use super::check::{self, Check};
use super::finding::{Findings, names};
use crate::error::{Result, Role};
use crate::pg::name::quote_ident;
use crate::pg::text;

/// Settings of a role or a database that end statements, forbid changes or change their meaning. rlondiste's own sessions set
/// them aside, those of psql and pg_dump with the same role do not.
const IN_THE_WAY: &[&str] = &[
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "transaction_timeout",
    "default_transaction_read_only",
    "default_transaction_isolation",
    "row_security",
    "role",
];

pub(super) const ROLE_SETTINGS: &[&Check] = &[&check::ROLE_SETTINGS];

/// `alter role ... set` and `alter database ... set`, for the user of the session; of other roles the settings with which
/// nothing is captured.
pub(super) async fn role_settings(side: &Side) -> Result<Findings> {
    const SETTINGS: &str = "select r.rolname::text, d.datname::text, c.setting, s.setrole operator(pg_catalog.=) 0
             or r.rolname operator(pg_catalog.=) current_user
  from pg_catalog.pg_db_role_setting s
       left join pg_catalog.pg_roles r on r.oid = s.setrole
       left join pg_catalog.pg_database d on d.oid = s.setdatabase
       cross join lateral pg_catalog.unnest(s.setconfig) c(setting)
 where s.setdatabase = 0 or d.datname = pg_catalog.current_database()
 order by 1, 2, 3";
    let mut found = Findings::default();
    let check = &check::ROLE_SETTINGS;
    for row in side.db.query("read the settings of roles", SETTINGS, &[]).await? {
        let setting: String = row.get(2);
        let (name, value) = setting.split_once('=').unwrap_or((setting.as_str(), ""));
        let (object, fix) = (holder(&row), side.sql(format_args!("{} reset {name};", alter(&row))));
        if name == "session_replication_role" && value != "origin" && side.role == Role::Provider {
            let fact = format!("{name} = {value}: what its sessions write is not captured");
            found.error(check, format_args!("{} {object}", side.role), fact, fix);
        } else if IN_THE_WAY.contains(&name) && row.get(3) && !is_harmless(name, value) {
            let fact = format!("{name} = {value}: rlondiste sets it aside, other programs with this role do not");
            found.warning(check, format_args!("{} {object}", side.role), fact, fix);
        }
    }
    found.rest_of_all(
        check,
        side.role,
        format_args!("none is in the way of {} in database {}", side.user, side.database),
    );
    Ok(found)
}

fn is_harmless(name: &str, value: &str) -> bool {
    match name {
        "row_security" => value == "on",
        "default_transaction_read_only" => value == "off",
        "default_transaction_isolation" => value == "read committed",
        _ => value == "0",
    }
}

fn holder(row: &Row) -> String {
    let (role, database): (Option<String>, Option<String>) = (row.get(0), row.get(1));
    match (role, database) {
        (Some(role), Some(database)) => format!("role {role} in database {database}"),
        (Some(role), None) => format!("role {role}"),
        (None, Some(database)) => format!("database {database}"),
        (None, None) => "all roles".to_owned(),
    }
}

fn alter(row: &Row) -> String {
    let (role, database): (Option<String>, Option<String>) = (row.get(0), row.get(1));
    match (role.as_deref().map(quote_ident), database.as_deref().map(quote_ident)) {
        (Some(role), Some(database)) => format!("alter role {role} in database {database}"),
        (Some(role), None) => format!("alter role {role}"),
        (None, Some(database)) => format!("alter database {database}"),
        (None, None) => "alter role all".to_owned(),
    }
}

pub(super) const COLLATION_VERSION: &[&Check] = &[&check::COLLATION_VERSION];

/// Collations whose library is another version now than when the indexes were made that use it: rows may not be found by them.
pub(super) async fn collation_version(side: &Side) -> Result<Findings> {
    // Of the database since PostgreSQL 15; of single collations only those that columns have.
    const OF_DATABASE: &str = "select d.datcollversion, pg_catalog.pg_database_collation_actual_version(d.oid)
  from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()";
    const OF_COLUMNS: &str = "select n.nspname::text, c.collname::text, c.collversion, v.version
  from pg_catalog.pg_collation c
       join pg_catalog.pg_namespace n on n.oid = c.collnamespace
       cross join lateral pg_catalog.pg_collation_actual_version(c.oid) v(version)
 where c.collversion is not null and v.version is not null and c.collversion <> v.version
   and exists (select from pg_catalog.pg_attribute a where a.attcollation = c.oid and a.attrelid >= 16384)
 order by 1, 2";
    const ACTION: &str = "compare the versions of collations";
    let mut found = Findings::default();
    let check = &check::COLLATION_VERSION;
    if side.version >= 150_000 {
        let row = side.db.query_one(ACTION, OF_DATABASE, &[]).await?;
        let (then, now): (Option<String>, Option<String>) = (row.get(0), row.get(1));
        if let (Some(then), Some(now)) = (&then, &now)
            && then != now
        {
            let database = quote_ident(&side.database);
            let fact = format!(
                "database {} was made with version {then} of its collation, and the server has {now}",
                side.database
            );
            let fix = format!("reindex database {database}; alter database {database} refresh collation version;");
            found.warning(check, side.role, fact, side.sql(fix));
        }
    }
    for row in side.db.query(ACTION, OF_COLUMNS, &[]).await? {
        let (schema, name, then, now): (String, String, String, String) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        let (database, collation) =
            (quote_ident(&side.database), format!("{}.{}", quote_ident(&schema), quote_ident(&name)));
        let fact = format!("collation {schema}.{name} was made with version {then}, and the server has {now}");
        let fix = format!("reindex database {database}; alter collation {collation} refresh version;");
        found.warning(check, side.role, fact, side.sql(fix));
    }
    found.rest(check, side.role, "indexes were made with the versions that the server has");
    Ok(found)
}

pub(super) const BOTH: &[&Check] =
    &[&check::ENCODING, &check::TIME_ZONE, &check::COLLATION, &check::SWITCHOVER_SETTINGS];

/// What the two databases do not have in common.
pub(super) async fn both(provider: &Side, subscriber: &Side) -> Result<Findings> {
    const FACTS: &str = "select pg_catalog.pg_encoding_to_char(d.encoding)::text,
       d.datcollate::text || ' ' || d.datctype::text || coalesce(' provider ' || nullif(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c'), ''),
       (select s.reset_val from pg_catalog.pg_settings s where s.name = 'TimeZone')
  from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()";
    const ACTION: &str = "read the settings of the database";
    let theirs = provider.db.query_one(ACTION, FACTS, &[]).await?;
    let ours = subscriber.db.query_one(ACTION, FACTS, &[]).await?;
    let pair = |column: usize| -> (String, String) { (theirs.get(column), ours.get(column)) };
    let mut found = Findings::default();
    let (there, here) = pair(0);
    let fact = format!("the provider has encoding {there}, the subscriber {here}");
    if there == here || here == "UTF8" && there != "SQL_ASCII" {
        found.ok(&check::ENCODING, "both", fact);
    } else {
        let fact = format!("{fact}: a change with a character that {here} does not have cannot be applied");
        let fix = format!("create database ... encoding '{there}' template template0; -- and replicate into it");
        found.warning(&check::ENCODING, "both", fact, subscriber.sql(fix));
    }
    for (check, column, what) in [(&check::COLLATION, 1, "collation"), (&check::TIME_ZONE, 2, "time zone")] {
        let (there, here) = pair(column);
        let fact = if there == here {
            format!("both have {what} {there}")
        } else {
            format!("the provider has {what} {there}, the subscriber {here}; replication does not depend on it")
        };
        found.ok(check, "both", fact);
    }
    database_settings(provider, subscriber, &mut found).await?;
    Ok(found)
}

/// `alter database ... set` of the provider that the subscriber does not have: `pg_dump` without `-C` leaves it out.
async fn database_settings(provider: &Side, subscriber: &Side, found: &mut Findings) -> Result<()> {
    const SETTINGS: &str = "select c.setting
  from pg_catalog.pg_db_role_setting s
       join pg_catalog.pg_database d on d.oid = s.setdatabase and d.datname = $1
       cross join lateral pg_catalog.unnest(s.setconfig) c(setting)
 where s.setrole = 0 order by 1";
    const ACTION: &str = "read the settings of the database";
    let mut sides = Vec::new();
    for side in [provider, subscriber] {
        let rows = side.db.query(ACTION, SETTINGS, &[text(&side.database)]).await?;
        sides.push(rows.iter().map(|row| row.get(0)).collect::<Vec<String>>());
    }
    let missing: Vec<&String> = sides[0].iter().filter(|setting| !sides[1].contains(setting)).collect();
    let fact = if missing.is_empty() {
        "the subscriber's database has all settings of the provider's".to_owned()
    } else {
        format!("before a switchover, set on the subscriber's database: {}", names(&missing))
    };
    found.ok(&check::SWITCHOVER_SETTINGS, "both", fact);
    Ok(())
}
