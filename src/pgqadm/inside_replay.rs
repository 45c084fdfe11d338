//! The ticker inside of a replay process: whether it makes ticks now.
//!
//! With `ticker = auto` it does while no other ticker is there. A loop looks each second:
//!
//! 1. A session of another ticker (rlondiste's own, pgqd, pgqadm.py) is there: this one ends its own.
//! 2. The last such session has been gone for [`GONE`]: this one begins. A ticker that opens its session anew is not gone.
//! 3. Of several replay processes the one that has the advisory lock [`LOCK`] ticks. The lock belongs to the session of the loop, so it
//!    goes with the process.
//!
//! Two tickers on one database do no harm: each tick is made once. So nothing has to be exact here, and behind a transaction
//! pooler, where a session cannot keep a lock, several replay processes tick.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tracing::{info, warn};

use super::database::tick_and_maintain;
use super::database_settings::DatabaseSettings;
use super::reminders::Reminders;
use super::ticker_sessions::{self, TickerSession};
use crate::config::{self, TickerMode};
use crate::error::Result;
use crate::job::{Control, Health, Work, Worked, run_loop};
use crate::pg::{Db, text};
use crate::pgq::install::{Found, find};

/// The time between two looks.
const PERIOD: Duration = Duration::from_secs(1);

/// How long no session of another ticker must have been seen.
const GONE: Duration = Duration::from_secs(3);

/// Takes the lock of the replay process that ticks; true when this session has it.
const LOCK: &str = "select pg_catalog.pg_try_advisory_lock(1919706212, 1953063787)";

const UNLOCK: &str = "select pg_catalog.pg_advisory_unlock(1919706212, 1953063787)";

/// How a ticker inside of replay is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inside {
    /// What counts where the ini file does not say.
    pub(crate) otherwise: TickerMode,
}

/// Makes the ticks of the provider's database, and the maintenance, when `ticker` of the ini file says so. Returns when a stop is
/// requested. Errors as of [`run_loop`].
pub(crate) async fn tick_inside_replay(
    config: &config::Londiste,
    inside: Inside,
    control: &Control,
    health: &Health,
) -> Result<()> {
    let mut watch = Watch {
        settings: DatabaseSettings::of_replay(config),
        config: config.clone(),
        inside,
        control: control.clone(),
        health: health.clone(),
        session: None,
        has_lock: false,
        tasks: JoinSet::new(),
        state: State::New,
        gone_since: None,
        reminders: Reminders::default(),
    };
    let end = Box::pin(run_loop(&mut watch, control, health)).await;
    // The request that ended the loop ends the ticker.
    while watch.tasks.join_next().await.is_some() {}
    end
}

/// Who makes the ticks, as it was logged last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing is logged yet.
    New,
    /// `ticker = off`, or there are no queues yet.
    Off,
    /// This process.
    Ticking,
    /// Another ticker.
    Other,
    /// Another replay process.
    OtherReplay,
}

/// The loop's state.
struct Watch {
    config: config::Londiste,
    settings: DatabaseSettings,
    inside: Inside,
    control: Control,
    health: Health,
    /// The session of the looks, which has the lock.
    session: Option<Db>,
    has_lock: bool,
    /// Ticker and maintenance, while this process ticks. Dropping the set ends them.
    tasks: JoinSet<Result<()>>,
    state: State,
    /// Since when no other ticker is seen.
    gone_since: Option<Instant>,
    reminders: Reminders,
}

impl Watch {
    fn mode(&self) -> TickerMode {
        self.config.ticker.unwrap_or(self.inside.otherwise)
    }

    async fn look(&mut self, db: &Db) -> Result<()> {
        if matches!(find(db).await?, Found::None | Found::Foreign(_)) {
            return self.leave(State::Off, db).await;
        }
        if !may_tick(db).await? {
            if self.reminders.due("right", Instant::now()) {
                warn!(
                    "ticker = {mode}, but the user of provider_db has not the right \"admin\" in schema pgq: this process makes no \
                     ticks. Give it with \"rlondiste TICKER-INI grant ROLE admin\", or run a ticker",
                    mode = if self.mode() == TickerMode::On { "on" } else { "auto" }
                );
            }
            return self.leave(State::Off, db).await;
        }
        if self.mode() == TickerMode::On {
            if self.state != State::Ticking {
                info!("This process makes the ticks of the provider's database (ticker = on)");
            }
            self.begin();
            return Ok(());
        }
        let mut others = ticker_sessions::find(db).await?;
        others.retain(|session| !session.is_inside_replay);
        if !others.is_empty() {
            self.gone_since = None;
            if self.state != State::Other {
                let who: Vec<String> = others.iter().map(shown).collect();
                info!("A ticker serves the provider's database ({}): this process makes no ticks", who.join(", "));
            }
            return self.leave(State::Other, db).await;
        }
        let now = Instant::now();
        let gone_for = now.saturating_duration_since(*self.gone_since.get_or_insert(now));
        if self.state == State::Other && gone_for < GONE {
            return Ok(());
        }
        self.has_lock = self.has_lock || db.is_pooled() || db.query_one("lock the ticks", LOCK, &[]).await?.get(0);
        if !self.has_lock {
            if self.state != State::OtherReplay {
                info!("Another replay makes the ticks of the provider's database: this process makes none");
            }
            return self.leave(State::OtherReplay, db).await;
        }
        if self.state != State::Ticking {
            info!("No ticker serves the provider's database: this process makes the ticks");
        }
        self.begin();
        Ok(())
    }

    fn begin(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        self.state = State::Ticking;
        if self.tasks.is_empty() && !self.control.stopping() {
            let (settings, control, health) = (self.settings.clone(), self.control.clone(), self.health.clone());
            self.tasks.spawn(async move { tick_and_maintain(settings, &control, &health).await });
        }
    }

    /// Ends the ticker of this process, and gives the lock back.
    async fn leave(&mut self, state: State, db: &Db) -> Result<()> {
        self.end(state).await;
        if std::mem::take(&mut self.has_lock) && !db.is_pooled() {
            db.query_one("unlock the ticks", UNLOCK, &[]).await?;
        }
        Ok(())
    }

    /// Ends the ticker of this process. Its sessions are dropped, so a tick that is being made is cancelled or committed by the server.
    async fn end(&mut self, state: State) {
        self.state = state;
        self.tasks.shutdown().await;
    }

    fn connect(&mut self) -> Option<Db> {
        let (settings, has_lock) = (&self.settings, self.has_lock);
        // A session with the lock stays: closing it would let another replay process take over.
        let kept = self.session.take().filter(|db| if has_lock { !db.is_closed() } else { settings.may_keep(db) });
        self.has_lock = has_lock && kept.is_some();
        kept
    }
}

/// Whether the user may tick.
async fn may_tick(db: &Db) -> Result<bool> {
    // The function's name is a parameter: a session with it in its statement looks like one of a ticker.
    const MAY: &str =
        "select coalesce(pg_catalog.has_function_privilege(pg_catalog.to_regprocedure($1)::oid, 'execute'), false)";
    let function = text(&"pgq.ticker(text)");
    Ok(db.query_one("look at the rights in schema pgq", MAY, &[function]).await?.get(0))
}

fn shown(session: &TickerSession) -> String {
    format!("pid {}, \"{}\"", session.pid, session.application)
}

impl Work for Watch {
    async fn work(&mut self) -> Result<Worked> {
        if self.mode() == TickerMode::Off {
            self.disconnect();
            self.end(State::Off).await;
            return Ok(Worked::Idle);
        }
        let db = match self.connect() {
            Some(db) => db,
            None => self.settings.open(&self.control).await?,
        };
        self.look(&db).await?;
        self.session = Some(db);
        Ok(Worked::Idle)
    }

    fn disconnect(&mut self) {
        self.session = None;
        self.has_lock = false;
    }

    fn reload(&mut self) -> Result<()> {
        self.config = self.config.reload()?;
        self.settings = DatabaseSettings::of_replay(&self.config);
        Ok(())
    }

    fn loop_delay(&self) -> Duration {
        // A reload ends the pause.
        if self.mode() == TickerMode::Off { Duration::from_hours(1) } else { PERIOD }
    }

    fn name(&self) -> &str {
        &self.settings.job_name
    }
}
