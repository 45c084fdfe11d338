//! `http_listen`: metrics, health and state of a running ticker or replay, for monitoring programs.
//!
//! The server reads and never changes anything: it answers GET and HEAD only, without a request body. It runs in a task of
//! its own. A [`Site`] has what the program knows; its queries run in sessions of their own, one request's at a time, and an
//! answer is kept for a second. So neither many nor slow clients hold up the work of the program, or load its databases.
//! While it listens, the server reads a few of the metrics every five seconds, and remembers them for a day.
//!
//! | path | answer |
//! |---|---|
//! | `/` | a page for people, with plots of the last day |
//! | `/metrics` | the [`metrics`]: as OpenMetrics text for a client that asks for it, else in the older format |
//! | `/health` | 200 while the loops of the program turn, 503 when the last round of one failed |
//! | `/ready?lag=30s` | 200 when the program is healthy, its databases answer and nothing is further behind, else 503 |
//! | `/status.json` | the document of the status command with `--json` |

mod answers;
mod ask;
mod classic;
mod course;
mod history;
mod hook;
mod lag;
mod listener;
pub mod metrics;
mod page;
mod pages;
mod samples;
mod server;
mod site;

pub(crate) use ask::{PATIENCE, ask};
pub(crate) use listener::Listener;
pub(crate) use samples::Samples;
pub(crate) use server::Server;
pub(crate) use site::{Condition, Readiness, Site};
