//! `up`: sets replication up, and replays, with a ticker where no other one is there.

use super::request::{Doing, Up};
use super::set_up::{Outcome, SetUp};
use crate::config::{self, TickerMode};
use crate::error::{Error, Report, Result};
use crate::http::Listener;
use crate::job::daemon::Launch;
use crate::job::pidfile::{Pidfile, with_suffix};
use crate::job::{Control, Health, Output};
use crate::londiste::{self, Command, Subscriber};
use crate::pgqadm::{Inside, tick_inside_replay};

/// The exit status when replication cannot be set up as things are.
const REFUSED: u8 = 2;

/// Does the steps, replays until a stop is requested, and answers over HTTP where the ini file says so. Tells `launch` when all tables are in sync. Where
/// replay runs already, returns then.
pub(crate) async fn up(request: &Up, config: &config::Londiste, control: &Control, launch: &Launch) -> Result<Output> {
    let claim =
        |suffix| config.common.pidfile.as_ref().map(|path| Pidfile::claim(&with_suffix(path, suffix))).transpose();
    let setting_up = if request.doing == Doing::Done { claim(".setup")? } else { None };
    let mut plan = Vec::new();
    let outcome = Box::pin(SetUp { config, request, control }.run(&mut plan)).await?;
    drop(setting_up);
    let (is_incomplete, has_tables) = match outcome {
        Outcome::Refused => return Ok(Output::none().with_code(REFUSED)),
        Outcome::Planned => {
            let is_incomplete = plan.iter().any(|line| line.ends_with("it is not replicated"));
            return Ok(Output::line(plan.join("\n")).failed(is_incomplete));
        }
        Outcome::Done { is_incomplete, has_tables } => (is_incomplete, has_tables),
    };
    let in_sync = async {
        if has_tables {
            let wait = Command::Subscriber(Subscriber::WaitSync { tables: Vec::new(), timeout: None });
            let waited = londiste::run(wait, config, control).await?;
            debug_assert_eq!(waited.code(), 0, "it waits without a limit");
        }
        tracing::info!("All tables are in sync");
        if is_incomplete {
            tracing::warn!("Not everything is replicated: the warnings above name what is not, and why");
        }
        Ok(())
    };
    let _pidfile = match claim("") {
        Ok(pidfile) => pidfile,
        Err(Error::PidfileBusy { pid, .. }) => {
            tracing::info!("replay: already there (pid {pid})");
            in_sync.await?;
            return Ok(Output::none().failed(is_incomplete));
        }
        Err(error) => return Err(error),
    };
    let listener = config.common.http_listen.map(Listener::bind).transpose()?;
    tracing::info!("replay: done");
    let health = Health::default();
    let ticker = tick_inside_replay(config, Inside { otherwise: TickerMode::Auto }, control, &health);
    let replay = londiste::replay(config, control, listener, &health);
    let told = async {
        match in_sync.await {
            Ok(()) => launch.succeeded(u8::from(is_incomplete)),
            Err(Error::Aborted) => {}
            Err(error) => tracing::error!("{}", Report(&error)),
        }
    };
    let (applied, ticked, ()) = tokio::join!(Box::pin(replay), Box::pin(ticker), Box::pin(told));
    ticked.and(applied).map(|output| output.failed(is_incomplete))
}
