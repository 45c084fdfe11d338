//! The ini file of a job, read into typed values.
#![expect(missing_docs, reason = "interim shape")]

use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Common {
    pub job_name: String,
    pub pidfile: Option<PathBuf>,
    pub logfile: Option<PathBuf>,
    pub log_size: u64,
    pub log_count: u32,
    pub loop_delay: Duration,
    pub connection_lifetime: Option<Duration>,
}

#[derive(Clone, Debug)]
pub struct Pgqadm {
    pub common: Common,
    pub path: PathBuf,
    pub db: String,
    pub maint_delay: Duration,
    pub ticker_log_delay: Duration,
    pub queue_refresh_period: Duration,
}

#[derive(Clone, Debug)]
pub struct Londiste {
    pub common: Common,
    pub path: PathBuf,
    pub provider_db: String,
    pub subscriber_db: String,
    pub pgq_queue_name: String,
    pub pgq_consumer_id: String,
    pub lock_timeout: Option<Duration>,
    pub fake: bool,
    pub capture: Capture,
    pub event_format: EventFormat,
    pub apply: Apply,
    pub apply_memory: u64,
    pub on_missing_row: MissingRow,
    pub parallel_copies: u32,
    pub copy_progress_delay: Duration,
    pub copy_maintenance_work_mem: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    Statement,
    Row,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventFormat {
    Sql,
    Urlenc,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apply {
    Set,
    Row,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingRow {
    Ignore,
    Stop,
}
