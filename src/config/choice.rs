//! Values that are one of a few words. The variants' names in lower case are the words of the file.

use serde::{Deserialize, Serialize};

/// The triggers that capture changes on the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Capture {
    /// Statement triggers, and for updates row triggers where what is done to the table makes them cheaper.
    Auto,
    /// Statement triggers with transition tables.
    Statement,
    /// One row trigger.
    Row,
}

/// How a captured change is written into the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EventFormat {
    /// Fragments of SQL: the classic format.
    Sql,
    /// URL-encoded columns.
    Urlenc,
    /// JSON objects.
    Json,
}

/// How replay applies events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Apply {
    /// The net change of many events at once.
    Set,
    /// Each event by itself, in order.
    Row,
}

/// How `session_replication_role` is set while events are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ApplyRole {
    /// Not changed: triggers and foreign keys fire.
    Origin,
    /// Set to `replica`: ordinary triggers and foreign keys do not fire.
    Replica,
}

/// What happens when an update or delete finds no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingRow {
    /// Counted and logged.
    Ignore,
    /// Replay stops and names the event.
    Stop,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// The classic line.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// When a new log file is begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogRotation {
    /// At `log_size`.
    #[default]
    Size,
    /// At midnight UTC.
    Daily,
    /// At each full hour.
    Hourly,
}

/// Whether replay makes the ticks of the provider's database too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TickerMode {
    /// While no other ticker is there.
    Auto,
    /// Never.
    Off,
    /// Always.
    On,
}

/// The key `method`, which has one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Method {
    /// From the queue into the subscriber's tables.
    Direct,
}
