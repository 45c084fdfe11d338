//! `config`: shows and changes the settings of queues.

use std::fmt;

use serde::Serialize;
use tracing::info;

use crate::error::{Error, Report, Result};
use crate::job::Output;
use crate::pg::name::quote_literal;
use crate::pg::{Db, Sql, sql, text};

/// A setting that can be changed: its column in `pgq.queue` without `queue_`, whether PgQ 2.1 has it, and its allowed
/// values.
struct Setting {
    name: &'static str,
    since_2: bool,
    values: Values,
}

/// The allowed values of a setting. With others a queue would get no ticks, or the maintenance of all queues would fail.
#[derive(Clone, Copy)]
enum Values {
    /// 0 to 100 years.
    Time,
    /// 1 or more.
    Count,
    /// True or false.
    Flag,
}

/// Every setting that can be changed. The first four are shown too.
const SETTINGS: &[Setting] = &[
    Setting { name: "ticker_max_count", since_2: true, values: Values::Count },
    Setting { name: "ticker_max_lag", since_2: true, values: Values::Time },
    Setting { name: "ticker_idle_period", since_2: true, values: Values::Time },
    Setting { name: "rotation_period", since_2: true, values: Values::Time },
    Setting { name: "external_ticker", since_2: true, values: Values::Flag },
    Setting { name: "ticker_paused", since_2: false, values: Values::Flag },
    Setting { name: "disable_insert", since_2: false, values: Values::Flag },
    Setting { name: "per_tx_limit", since_2: false, values: Values::Count },
];

impl Setting {
    /// The setting's column in `pgq.queue`, quoted.
    fn column(&self) -> Sql {
        Sql::ident(&format!("queue_{}", self.name))
    }

    /// The SQL condition on the column that allowed values meet.
    fn is_sane(&self) -> Sql {
        let column = self.column();
        match self.values {
            Values::Time => sql!("{column} between interval '0' and interval '100 years'", column = column),
            Values::Count => sql!("{column} >= 1", column = column),
            Values::Flag => sql!("{column} is not null", column = column),
        }
    }

    fn hint(&self) -> &'static str {
        match self.values {
            Values::Time => {
                "Nothing was changed. It is a time of 0 to 100 years, such as \"2 hours\"; a bare number means seconds."
            }
            Values::Count => "Nothing was changed. It is a number of at least 1.",
            Values::Flag => "Nothing was changed. It is true or false.",
        }
    }
}

/// The settings of queues. Durations are in seconds.
#[derive(Debug, Serialize)]
pub(super) struct QueueSettings {
    queues: Vec<Queue>,
    /// The queue that was asked for and does not exist.
    #[serde(skip)]
    missing: Option<String>,
}

#[derive(Debug, Serialize)]
struct Queue {
    name: String,
    ticker_max_lag: f64,
    ticker_idle_period: f64,
    rotation_period: f64,
    ticker_max_count: i32,
}

/// Shows or changes settings, for `config [QUEUE [VAR=VAL ...]]`. Changes nothing unless all values are allowed. Locks the
/// queue's row until it returns.
pub(super) async fn run(db: &Db, queue: Option<&str>, changes: &[String]) -> Result<Output> {
    match queue {
        Some(queue) if !changes.is_empty() => {
            let changes = changes.iter().map(|change| parse(change)).collect::<Result<Vec<_>>>()?;
            change(db, queue, &changes).await?;
            Ok(Output::none())
        }
        queue => {
            let settings = show(db, queue).await?;
            if let Some(missing) = &settings.missing {
                tracing::error!("{}", Report(&no_such_queue(db, missing)));
            }
            Ok(Output::of(&settings).failed(settings.missing.is_some()))
        }
    }
}

async fn show(db: &Db, queue: Option<&str>) -> Result<QueueSettings> {
    const SQL: &str = "select q.queue_name, extract(epoch from q.queue_ticker_max_lag)::float8,
       extract(epoch from q.queue_ticker_idle_period)::float8, extract(epoch from q.queue_rotation_period)::float8,
       q.queue_ticker_max_count
from pgq.queue q
where $1 is null or q.queue_name = $1
order by q.queue_name";
    let queues: Vec<Queue> = db
        .query("read the settings of the queues", SQL, &[text(&queue)])
        .await?
        .iter()
        .map(|row| Queue {
            name: row.get(0),
            ticker_max_lag: row.get(1),
            ticker_idle_period: row.get(2),
            rotation_period: row.get(3),
            ticker_max_count: row.get(4),
        })
        .collect();
    let missing = queue.filter(|_| queues.is_empty()).map(str::to_owned);
    Ok(QueueSettings { queues, missing })
}

/// The error for a queue that does not exist.
pub(super) fn no_such_queue(db: &Db, queue: &str) -> Error {
    Error::missing(
        format!("no such queue: {queue} (on {}, {})", db.role(), db.target()),
        "\"rlondiste ticker INI status\" lists the queues; \"create\" makes one.",
    )
}

/// Reads `VAR=VAL`; VAR with or without `queue_`.
fn parse(change: &str) -> Result<(&'static Setting, &str)> {
    let Some((name, value)) = change.split_once('=') else {
        return Err(Error::refused(
            format!("cannot understand \"{change}\""),
            "Nothing was changed. Write VAR=VAL, such as ticker_max_lag=3.",
        ));
    };
    let bare = name.strip_prefix("queue_").unwrap_or(name);
    let setting = SETTINGS.iter().find(|setting| setting.name == bare).ok_or_else(|| {
        let names: Vec<_> = SETTINGS.iter().map(|setting| setting.name).collect();
        Error::refused(
            format!("unknown config var: {name}"),
            format!("Nothing was changed. These can be set: {}.", names.join(", ")),
        )
    })?;
    Ok((setting, value))
}

async fn change(db: &Db, queue: &str, changes: &[(&Setting, &str)]) -> Result<()> {
    const ACTION: &str = "change the settings of the queue";
    const PAUSED: &str = "select exists (select 1 from pg_catalog.pg_attribute a
    where a.attrelid = pg_catalog.to_regclass('pgq.queue') and a.attname = 'queue_ticker_paused')";

    let list: Vec<_> =
        changes.iter().map(|(setting, value)| format!("queue_{}={}", setting.name, quote_literal(value))).collect();
    info!("Change queue {queue} config to: {}", list.join(", "));
    if let Some((setting, _)) = changes.iter().find(|(setting, _)| !setting.since_2) {
        let has: bool = db.query_one(ACTION, PAUSED, &[]).await?.get(0);
        if !has {
            return Err(Error::unsupported(
                format!("cannot set {} on {} ({}): PgQ 2.1 does not have it", setting.name, db.role(), db.target()),
                "Nothing was changed. \"rlondiste ticker INI install\" upgrades the schema.",
            ));
        }
    }
    // Literals, so that the server reads a value as the column's type: a bare number for an interval means seconds.
    let assignments = changes
        .iter()
        .map(|(setting, value)| sql!("{column} = {value}", column = setting.column(), value = Sql::literal(value)));
    let sql = sql!(
        "update pgq.queue set {assignments} where queue_name = $1 returning {checks}",
        assignments = Sql::join(assignments, ", "),
        checks = Sql::join(changes.iter().map(|(setting, _)| setting.is_sane()), ", ")
    );
    let tx = db.begin(ACTION, "begin").await?;
    let row = tx.query_opt(ACTION, sql, &[text(&queue)]).await.map_err(|e| e.about(format!("queue \"{queue}\"")))?;
    let Some(row) = row else { return Err(no_such_queue(db, queue)) };
    for (nr, (setting, value)) in changes.iter().enumerate() {
        if !row.get::<_, Option<bool>>(nr).unwrap_or_default() {
            return Err(Error::refused(format!("{} cannot be {}", setting.name, quote_literal(value)), setting.hint()));
        }
    }
    tx.commit(ACTION).await
}

impl fmt::Display for QueueSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Scripts of SkyTools read this line on standard output.
        if let Some(missing) = &self.missing {
            writeln!(f, "no such queue: {missing}")?;
        }
        for queue in &self.queues {
            writeln!(f, "{}", queue.name)?;
            writeln!(f, "    ticker_max_lag\t={:>7}", queue.ticker_max_lag)?;
            writeln!(f, "    ticker_idle_period\t={:>7}", queue.ticker_idle_period)?;
            writeln!(f, "    rotation_period\t={:>7}", queue.rotation_period)?;
            writeln!(f, "    ticker_max_count\t={:>7}", queue.ticker_max_count)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn settings_are_shown_as_scripts_know_them() {
        let settings = QueueSettings {
            queues: vec![Queue {
                name: "q1".to_owned(),
                ticker_max_lag: 0.5,
                ticker_idle_period: 60.0,
                rotation_period: 7200.0,
                ticker_max_count: 500,
            }],
            missing: None,
        };
        assert_eq!(
            settings.to_string(),
            "q1\n    ticker_max_lag\t=    0.5\n    ticker_idle_period\t=     60\n    rotation_period\t=   7200\n    \
             ticker_max_count\t=    500\n"
        );
    }

    #[test]
    fn variables_are_known_with_and_without_their_prefix() {
        for text in ["ticker_max_lag=1 hour", "queue_ticker_max_lag=1 hour"] {
            let (setting, value) = parse(text).expect("a known variable");
            assert_eq!((setting.name, value), ("ticker_max_lag", "1 hour"), "{text}");
        }
        let bad = parse("bad=1").err().expect("an unknown variable");
        assert!(Report(&bad).to_string().starts_with("unknown config var: bad\nHINT: Nothing was changed."));
        assert!(parse("x").is_err());
    }
}
