//! Each server: version, clock, connections, transaction ids.

use std::time::SystemTime;

use super::case::{Case, Reach, Side};
use super::check::{self, Check};
use super::finding::Findings;
use crate::error::{Error, Result};
use crate::londiste::overlaps;
use crate::pgqadm::clock::TOLERANCE;

/// The oldest server that rlondiste works with, as `server_version_num` has it.
const OLDEST: i32 = 100_000;

/// Ages of transaction ids at which a server asks for a vacuum, and near which it stops at two thousand million.
const OLD_AGE: i32 = 1_200_000_000;
const LAST_AGE: i32 = 1_900_000_000;

/// The share of a server's connections above which it is short of them.
const CROWDED: f64 = 0.9;

pub(super) const CONNECTION: &[&Check] = &[&check::CONNECTION];

/// Whether a database was reached.
pub(super) fn connection(side: &Reach) -> Findings {
    let mut found = Findings::default();
    match side {
        Ok(side) => found.ok(&check::CONNECTION, side.role, format_args!("connected to {}", side.db.target())),
        Err(cut) => found.error(&check::CONNECTION, cut.role, &cut.why, cut.fix.as_str()),
    }
    found
}

pub(super) const TWO_DATABASES: &[&Check] = &[&check::SAME_DATABASE];

pub(super) async fn two_databases(provider: &Side, subscriber: &Side) -> Result<Findings> {
    let mut found = Findings::default();
    match overlaps::refuse_same_database(&provider.db, &subscriber.db).await {
        Ok(()) => found.ok(&check::SAME_DATABASE, "both", "provider and subscriber are two databases"),
        Err(error @ Error::Refused { .. }) => {
            found.error(&check::SAME_DATABASE, "both", &error, error.hint().unwrap_or_default());
        }
        Err(error) => return Err(error),
    }
    Ok(found)
}

pub(super) const SERVER: &[&Check] = &[
    &check::SERVER_VERSION,
    &check::READ_ONLY,
    &check::POOLER,
    &check::CLOCK,
    &check::CONNECTION_SLOTS,
    &check::AUTOVACUUM,
    &check::WRAPAROUND,
];

pub(super) async fn server(case: &Case<'_>, side: &Side) -> Result<Findings> {
    let mut found = Findings::default();
    let role = side.role;
    let version = format!("PostgreSQL {}", side.version_text);
    if side.version < OLDEST {
        found.error(
            &check::SERVER_VERSION,
            role,
            format_args!("{version} is too old"),
            "upgrade it to PostgreSQL 10 or newer",
        );
    } else {
        found.ok(&check::SERVER_VERSION, role, version);
    }
    if side.is_standby {
        let fix =
            format!("name the primary in {}, or all servers with target_session_attrs=read-write", case.path.display());
        found.error(&check::READ_ONLY, role, "the server is a standby: nothing can be written there", fix);
    } else {
        found.ok(&check::READ_ONLY, role, "the server is a primary");
    }
    let between =
        if side.db.is_pooled() { "a transaction pooler is between" } else { "no transaction pooler is between" };
    found.ok(&check::POOLER, role, between);
    clock(side, &mut found).await?;
    figures(side, &mut found).await?;
    Ok(found)
}

async fn clock(side: &Side, found: &mut Findings) -> Result<()> {
    const NOW: &str = "select extract(epoch from pg_catalog.clock_timestamp())::float8";
    let seconds = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let before = seconds();
    let server: f64 = side.db.query_one("read the clock", NOW, &[]).await?.get(0);
    match offset(before, server, seconds()) {
        ahead if ahead.abs() < TOLERANCE.as_secs_f64() => {
            found.ok(&check::CLOCK, side.role, format_args!("{ahead:.1} s ahead of this machine"));
        }
        ahead => {
            let direction = if ahead > 0.0 { "ahead of" } else { "behind" };
            let fact =
                format!("the clock is {:.0} s {direction} that of this machine; lags are shown wrong", ahead.abs());
            found.warning(&check::CLOCK, side.role, fact, "timedatectl set-ntp true, on both machines");
        }
    }
    Ok(())
}

/// By how many seconds a clock is ahead that was read between two readings of this machine's clock; 0 where it may be equal.
fn offset(before: f64, there: f64, after: f64) -> f64 {
    if there > after {
        there - after
    } else if there < before {
        there - before
    } else {
        0.0
    }
}

async fn figures(side: &Side, found: &mut Findings) -> Result<()> {
    const FIGURES: &str = "select (select pg_catalog.count(*) from pg_catalog.pg_stat_activity a
         where a.datid is not null)::float8,
       pg_catalog.current_setting('max_connections')::float8
         - pg_catalog.current_setting('superuser_reserved_connections')::float8,
       pg_catalog.current_setting('autovacuum')::bool, pg_catalog.current_setting('track_counts')::bool,
       d.datname::text, greatest(pg_catalog.age(d.datfrozenxid), pg_catalog.mxid_age(d.datminmxid))
  from pg_catalog.pg_database d
 order by 6 desc limit 1";
    let row = side.db.query_one("read the figures of the server", FIGURES, &[]).await?;
    let (used, most): (f64, f64) = (row.get(0), row.get(1));
    let fact = format!("{used} of {most} connections are in use");
    if used > CROWDED * most {
        let fix = side
            .sql("select pid, usename, application_name, state_change from pg_stat_activity order by state_change;");
        found.warning(&check::CONNECTION_SLOTS, side.role, fact, fix);
    } else {
        found.ok(&check::CONNECTION_SLOTS, side.role, fact);
    }
    for (name, column) in [("autovacuum", 2), ("track_counts", 3)] {
        if !row.get::<_, bool>(column) {
            let fix = side.sql(format_args!("alter system set {name} = on; select pg_reload_conf();"));
            found.warning(
                &check::AUTOVACUUM,
                side.role,
                format_args!("{name} is off: no table is vacuumed by itself"),
                fix,
            );
        }
    }
    found.rest(&check::AUTOVACUUM, side.role, "autovacuum is on");
    let (database, age): (String, i32) = (row.get(4), row.get(5));
    let fact = format!("the oldest transaction id, of database {database}, is {age} transactions old");
    let fix = side.sql(format_args!("vacuum freeze; -- in database {database}"));
    match age {
        LAST_AGE.. => {
            found.error(&check::WRAPAROUND, side.role, format_args!("{fact}; the server is about to stop"), fix);
        }
        OLD_AGE.. => found.warning(&check::WRAPAROUND, side.role, fact, fix),
        _ => found.ok(&check::WRAPAROUND, side.role, fact),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_that_may_be_equal_is_not_ahead() {
        for (before, there, after, ahead) in [(1.0, 1.5, 2.0, 0.0), (1.0, 3.0, 2.0, 1.0), (1.0, 0.5, 2.0, -0.5)] {
            assert!((offset(before, there, after) - ahead).abs() < 1e-9, "{there}");
        }
    }
}
