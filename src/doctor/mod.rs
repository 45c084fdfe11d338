//! `doctor`: named checks over the databases, the queues, the ini file and this machine, each with a fact and what mends it.
//!
//! * It changes nothing. Its sessions are read-only, each statement has a limit, and no lock is stronger than ACCESS SHARE, so that it
//!   may be run at any time on a server that is in use.
//! * The rules are those of the commands and daemons: what `subscriber check`, `subscriber status`, the ticker's maintenance and
//!   replay look at is asked by the same functions.
//! * A check that cannot be made is unknown, with the reason, and never a pass. The others go on.
//! * A group of checks is one function with a few queries, however many tables there are. It names the checks that it makes, so
//!   that each of them is in the result also when the group fails.

mod activity;
mod capture;
mod case;
mod check;
mod columns;
mod finding;
mod health;
mod indexes;
mod place;
mod queue;
mod replication;
mod report;
mod rights;
mod schema;
mod server;
mod settings;
mod switchover;
mod tables;

pub use self::check::reference;
pub(crate) use self::health::health_failure;
pub(crate) use self::report::{View, nagios_failure};

use self::case::{Case, Extent, Reach, Side, Unreachable};
use self::check::Check;
use self::finding::{Findings, Level, Sheet};
use self::tables::Tables;
use crate::config;
use crate::error::{Error, Report, Result, Role};
use crate::job::{Control, Output};
use crate::londiste::{self, Structures, SubscribedTable};
use crate::pg::FqName;
use crate::pgq::install::{self, Found};
use crate::pgqadm;

/// The ini file that is examined.
#[derive(Clone, Copy)]
pub(crate) enum Patient<'a> {
    /// Section `[pgqadm]`: a ticker of one database.
    Pgqadm(&'a config::Pgqadm),
    /// Section `[pgqd]`: a ticker of all databases of a server.
    Pgqd(&'a config::Pgqd),
    /// Section `[londiste]`: replication.
    Londiste(&'a config::Londiste),
}

/// Makes all checks that the ini file has; for [`View::Health`] those that tell whether the daemon works, where it does not say so
/// itself at its `http_listen`. Returns an error only when a stop was requested.
pub(crate) async fn run(view: View, patient: Patient<'_>, control: &Control) -> Result<Output> {
    let mut sheet = Sheet::default();
    let (path, common, warnings) = match patient {
        Patient::Pgqadm(config) => (&config.path, &config.common, &config.warnings),
        Patient::Pgqd(config) => (&config.path, &config.common, &config.warnings),
        Patient::Londiste(config) => (&config.path, &config.common, &config.warnings),
    };
    let daemon = if matches!(patient, Patient::Londiste(_)) { "replay" } else { "ticker" };
    let extent = if view == View::Health { Extent::Health } else { Extent::Everything };
    if extent == Extent::Health
        && let Some(listen) = common.http_listen
    {
        return Ok(health::by_http(listen, daemon, &common.job_name).await.output());
    }
    let case = Case { path, common, warnings, daemon, londiste: None, queue_size_warn: None, control, extent };
    match patient {
        Patient::Pgqadm(config) => {
            let queue_size_warn = Some(config.queue_size_warn).filter(|bytes| *bytes > 0);
            Box::pin(ticker(&Case { queue_size_warn, ..case }, &config.db, &mut sheet)).await?;
        }
        Patient::Pgqd(config) => Box::pin(tickers(&case, config, &mut sheet)).await?,
        Patient::Londiste(config) => {
            let case = Case { londiste: Some(config), ..case };
            Box::pin(replication(&case, config, &mut sheet)).await?;
        }
    }
    Ok(report::output(&sheet.findings, view))
}

/// What is wrong before replication is set up, each on one line with what mends it.
#[derive(Debug, Default)]
pub(crate) struct Objections {
    /// Replication cannot be set up.
    pub(crate) errors: Vec<String>,
    /// It can, and something calls for attention.
    pub(crate) warnings: Vec<String>,
}

/// Makes the checks that matter before replication of these tables is set up. Returns an error only when a stop was requested.
pub(crate) async fn before_setup(
    config: &config::Londiste,
    tables: &[FqName],
    control: &Control,
) -> Result<Objections> {
    let case = Case {
        path: &config.path,
        common: &config.common,
        warnings: &config.warnings,
        daemon: "replay",
        londiste: Some(config),
        queue_size_warn: None,
        control,
        extent: Extent::Everything,
    };
    let mut sheet = Sheet::default();
    let provider = Side::open(&case, Role::Provider, &config.provider_db).await?;
    let subscriber = Side::open(&case, Role::Subscriber, &config.subscriber_db).await?;
    for side in [&provider, &subscriber] {
        sheet.take(server::CONNECTION, "", Ok(server::connection(side)))?;
        on(&mut sheet, server::SERVER, side, async |side| server::server(&case, side).await).await?;
        on(&mut sheet, settings::ROLE_SETTINGS, side, async |side| settings::role_settings(side).await).await?;
    }
    let both = [&provider, &subscriber];
    on_both(&mut sheet, server::TWO_DATABASES, both, async |p, s| server::two_databases(p, s).await).await?;
    on_both(&mut sheet, settings::BOTH, both, async |p, s| settings::both(p, s).await).await?;
    on(&mut sheet, rights::PROVIDER, &provider, async |p| rights::provider(p, tables).await).await?;
    on(&mut sheet, rights::ROW_SECURITY, &provider, async |p| rights::row_security(p, tables).await).await?;
    on(&mut sheet, rights::SUBSCRIBER, &subscriber, async |s| rights::subscriber(s, tables).await).await?;
    let mut objections = Objections::default();
    let are_reached = provider.is_ok() && subscriber.is_ok();
    for finding in &sheet.findings {
        match finding.level {
            Level::Ok => {}
            Level::Error => objections.errors.push(finding.line()),
            // That there is no connection is said already.
            Level::Unknown if !are_reached => {}
            Level::Warning | Level::Unknown => objections.warnings.push(finding.line()),
        }
    }
    Ok(objections)
}

/// Makes a group of checks on one database. Where it is not reached, they are unknown.
async fn on(
    sheet: &mut Sheet,
    checks: &[&Check],
    side: &Reach,
    group: impl AsyncFnOnce(&Side) -> Result<Findings>,
) -> Result<()> {
    match side {
        Ok(side) => {
            let found = match side.look().await {
                Ok(_look) => Box::pin(group(side)).await,
                Err(error) => Err(error),
            };
            sheet.take(checks, side.role, found)
        }
        Err(cut) => {
            sheet.cannot(checks, cut.role, &format!("no connection to {}", cut.role), &cut.fix);
            Ok(())
        }
    }
}

/// Makes a group of checks on both databases. Where one is not reached, they are unknown.
async fn on_both(
    sheet: &mut Sheet,
    checks: &[&Check],
    sides: [&Reach; 2],
    group: impl AsyncFnOnce(&Side, &Side) -> Result<Findings>,
) -> Result<()> {
    match sides {
        [Ok(provider), Ok(subscriber)] => {
            let found = match (provider.look().await, subscriber.look().await) {
                (Ok(_there), Ok(_here)) => Box::pin(group(provider, subscriber)).await,
                (Err(error), _) | (_, Err(error)) => Err(error),
            };
            sheet.take(checks, "both", found)
        }
        [Err(cut), _] | [_, Err(cut)] => {
            sheet.cannot(checks, cut.role, &format!("no connection to {}", cut.role), &cut.fix);
            Ok(())
        }
    }
}

/// The ini file and the files that it names. `databases` are the connection strings with their sides.
fn files(case: &Case<'_>, sheet: &mut Sheet, databases: &[(Role, String)]) -> Result<()> {
    match case.extent {
        Extent::Everything => sheet.take(place::FILES, "", Ok(place::files(case, databases))),
        Extent::Health => Ok(()),
    }
}

/// An ini file with section `[pgqadm]`.
async fn ticker(case: &Case<'_>, conninfo: &str, sheet: &mut Sheet) -> Result<()> {
    files(case, sheet, &[(Role::Provider, conninfo.to_owned())])?;
    let side = Side::open(case, Role::Provider, conninfo).await?;
    sheet.take(place::PROCESS, "", place::process(case, &side).await)?;
    server(case, sheet, &side).await?;
    queues(case, sheet, &side, &Tables::default()).await
}

/// An ini file with section `[pgqd]`: the databases that have queues.
async fn tickers(case: &Case<'_>, config: &config::Pgqd, sheet: &mut Sheet) -> Result<()> {
    let conninfo = |database: &str| pgqadm::conninfo(&config.base_connstr, database);
    let first = conninfo(&config.initial_database);
    files(case, sheet, &[(Role::Provider, first.clone())])?;
    let first = Side::open(case, Role::Provider, &first).await?;
    let Ok(initial) = &first else {
        sheet.take(place::PROCESS, "", place::process(case, &first).await)?;
        server(case, sheet, &first).await?;
        return queues(case, sheet, &first, &Tables::default()).await;
    };
    let mut is_seen = false;
    for database in pgqadm::candidates(config, &initial.db).await? {
        let side = Side::open(case, Role::Provider, &conninfo(&database)).await?;
        // A database that is not reached may have queues.
        if let Ok(side) = &side
            && matches!(install::find(&side.db).await, Ok(Found::None | Found::Foreign(_)))
        {
            continue;
        }
        sheet.place = format!("{database}: ");
        if !is_seen {
            sheet.take(place::PROCESS, "", place::process(case, &side).await)?;
        }
        is_seen = true;
        server(case, sheet, &side).await?;
        queues(case, sheet, &side, &Tables::default()).await?;
    }
    sheet.place.clear();
    if !is_seen {
        sheet.take(place::PROCESS, "", place::process(case, &first).await)?;
        server(case, sheet, &first).await?;
    }
    Ok(())
}

/// A server and the settings of a database on it.
async fn server(case: &Case<'_>, sheet: &mut Sheet, side: &Reach) -> Result<()> {
    sheet.take(server::CONNECTION, "", Ok(server::connection(side)))?;
    if case.extent == Extent::Health {
        return Ok(());
    }
    on(sheet, server::SERVER, side, async |side| server::server(case, side).await).await?;
    on(sheet, settings::ROLE_SETTINGS, side, async |side| settings::role_settings(side).await).await?;
    on(sheet, settings::COLLATION_VERSION, side, async |side| settings::collation_version(side).await).await?;
    on(sheet, activity::TRANSACTIONS, side, async |side| activity::transactions(case, side).await).await?;
    on(sheet, activity::WAITS, side, async |side| activity::waits(case, side).await).await
}

/// The queues of a database.
async fn queues(case: &Case<'_>, sheet: &mut Sheet, side: &Reach, tables: &Tables) -> Result<()> {
    if case.extent == Extent::Health {
        return on(sheet, queue::TICKS, side, async |side| queue::ticks(case, side).await).await;
    }
    on(sheet, schema::PGQ, side, async |side| schema::pgq(case, side).await).await?;
    on(sheet, schema::QUEUES, side, async |side| schema::queues(case, side).await).await?;
    on(sheet, queue::TICKS, side, async |side| queue::ticks(case, side).await).await?;
    on(sheet, queue::TICKERS, side, async |side| queue::tickers(side).await).await?;
    on(sheet, queue::ROTATION, side, async |side| queue::rotation(case, side).await).await?;
    let copying = tables.copying();
    on(sheet, queue::CONSUMERS, side, async |side| queue::consumers(case, side, &copying).await).await?;
    on(sheet, queue::SIZES, side, async |side| queue::sizes(case, side).await).await?;
    on(sheet, queue::FAILED, side, async |side| queue::failed(case, side).await).await?;
    on(sheet, rights::QUEUE, side, async |side| rights::queue(case, side).await).await
}

/// An ini file with section `[londiste]`.
async fn replication(case: &Case<'_>, config: &config::Londiste, sheet: &mut Sheet) -> Result<()> {
    let databases = [(Role::Provider, config.provider_db.clone()), (Role::Subscriber, config.subscriber_db.clone())];
    files(case, sheet, &databases)?;
    let provider = Side::open(case, Role::Provider, &config.provider_db).await?;
    let subscriber = Side::open(case, Role::Subscriber, &config.subscriber_db).await?;
    let both = [&provider, &subscriber];
    let turned = replication::turned(case, both).await?;
    if turned.is_none() {
        sheet.take(place::PROCESS, "", place::process(case, &subscriber).await)?;
    }
    server(case, sheet, &provider).await?;
    server(case, sheet, &subscriber).await?;
    if let Some(found) = turned {
        // What else could be said of this job, and of what mends it, is of no use any more.
        return sheet.take(replication::POSITION, "both", Ok(found));
    }
    if case.extent == Extent::Health {
        return on_both(sheet, place::PROCESS, both, async |_, _| replication::works(case).await).await;
    }
    on_both(sheet, server::TWO_DATABASES, both, async |p, s| server::two_databases(p, s).await).await?;
    on_both(sheet, settings::BOTH, both, async |p, s| settings::both(p, s).await).await?;
    on(sheet, schema::LONDISTE, &provider, async |side| schema::londiste(case, side).await).await?;
    on(sheet, schema::LONDISTE, &subscriber, async |side| schema::londiste(case, side).await).await?;
    let lists = Lists::read(config, both).await;
    let lists = &lists;
    queues(case, sheet, &provider, lists.here().as_ref().unwrap_or(&Tables::default())).await?;
    on(sheet, replication::CAPTURE_FUNCTIONS, &provider, async |p| replication::capture_functions(case, p).await)
        .await?;
    on(sheet, capture::WRITES, &provider, async |p| capture::writes(case, p, &lists.there()?.offered).await).await?;
    on(sheet, rights::PROVIDER, &provider, async |p| rights::provider(p, &lists.both()?.common()).await).await?;
    on(sheet, rights::SUBSCRIBER, &subscriber, async |s| rights::subscriber(s, &lists.here()?.names()).await).await?;
    on(sheet, rights::SCHEMA, &subscriber, async |s| rights::schema(case, s).await).await?;
    for side in both {
        on(sheet, rights::ROW_SECURITY, side, async |s| rights::row_security(s, &lists.of(s.role)?).await).await?;
        on(sheet, indexes::KINDS, side, async |s| indexes::kinds(s, &lists.of(s.role)?).await).await?;
    }
    on(sheet, replication::TABLES, &subscriber, async |_| Ok(replication::states(case, &lists.here()?))).await?;
    on(sheet, replication::PUT_ASIDE, &subscriber, async |s| replication::put_aside(case, s, &lists.here()?).await)
        .await?;
    on(sheet, indexes::OUTSIDE, &subscriber, async |s| {
        indexes::outside_foreign_keys(case, s, &lists.here()?.names()).await
    })
    .await?;
    on_both(sheet, replication::POSITION, both, async |p, s| {
        replication::position_fits(case, p, s, &lists.both()?).await
    })
    .await?;
    on_both(sheet, replication::SUBSCRIPTION, both, async |p, s| {
        replication::subscription(case, p, s, &lists.both()?).await
    })
    .await?;
    structure(case, config, sheet, both, lists).await?;
    on_both(sheet, switchover::SEQUENCES, both, async |p, s| {
        switchover::sequences_behind(case, p, s, &lists.both()?).await
    })
    .await?;
    on_both(sheet, switchover::LOST, both, async |p, s| switchover::lost(case, p, s, &lists.both()?).await).await
}

/// The structure of the tables on both sides.
async fn structure(
    case: &Case<'_>,
    config: &config::Londiste,
    sheet: &mut Sheet,
    both: [&Reach; 2],
    lists: &Lists,
) -> Result<()> {
    let read = async |p: &Side, s: &Side| {
        let names = lists.here()?.names();
        Ok::<_, Error>((Structures::read(&p.db, &s.db, &config.pgq_queue_name, &names).await?, names))
    };
    on_both(sheet, columns::COLUMNS, both, async |p, s| {
        let (structures, names) = read(p, s).await?;
        columns::columns(case, s, &structures, &names).await
    })
    .await?;
    on_both(sheet, indexes::INDEXES, both, async |p, s| {
        let (structures, names) = read(p, s).await?;
        indexes::compare(p, s, &structures, &names).await
    })
    .await?;
    on_both(sheet, indexes::EXTENSIONS, both, async |p, s| indexes::extensions(p, s, &lists.both()?.common()).await)
        .await
}

/// The tables of the queue as the sides have them, or why a side's cannot be read.
struct Lists {
    offered: Result<Vec<FqName>, Unread>,
    subscribed: Result<Vec<SubscribedTable>, Unread>,
}

/// Why the tables of a side cannot be read.
#[derive(Clone)]
struct Unread {
    why: String,
    /// What helps; may be empty.
    fix: String,
}

impl Unread {
    fn of(error: &Error) -> Unread {
        Unread { why: Report(error).message(), fix: error.hint().unwrap_or_default() }
    }

    fn without(cut: &Unreachable) -> Unread {
        Unread { why: format!("no connection to {}", cut.role), fix: cut.fix.clone() }
    }

    /// The error that makes a group of checks unknown.
    fn error(&self) -> Error {
        Error::missing(format!("the tables of the queue cannot be read: {}", self.why), &*self.fix)
    }
}

impl Lists {
    async fn read(config: &config::Londiste, [provider, subscriber]: [&Reach; 2]) -> Lists {
        let queue = &config.pgq_queue_name;
        let offered = async |side: &Side| {
            let _look = side.look().await?;
            londiste::provider_queue::tables(&side.db, queue).await
        };
        let subscribed = async |side: &Side| {
            let _look = side.look().await?;
            londiste::tables::load(&side.db, queue).await
        };
        Lists {
            offered: match provider {
                Ok(side) => offered(side).await.map_err(|error| Unread::of(&error)),
                Err(cut) => Err(Unread::without(cut)),
            },
            subscribed: match subscriber {
                Ok(side) => subscribed(side).await.map_err(|error| Unread::of(&error)),
                Err(cut) => Err(Unread::without(cut)),
            },
        }
    }

    /// The tables of the provider alone.
    fn there(&self) -> Result<Tables> {
        let offered = self.offered.clone().map_err(|unread| unread.error())?;
        Ok(Tables { offered, subscribed: Vec::new() })
    }

    /// The tables of the subscriber alone.
    fn here(&self) -> Result<Tables> {
        let subscribed = self.subscribed.clone().map_err(|unread| unread.error())?;
        Ok(Tables { offered: Vec::new(), subscribed })
    }

    fn both(&self) -> Result<Tables> {
        Ok(Tables { subscribed: self.here()?.subscribed, ..self.there()? })
    }

    /// The names of the tables of one side.
    fn of(&self, role: Role) -> Result<Vec<FqName>> {
        match role {
            Role::Provider => Ok(self.there()?.offered),
            Role::Subscriber => Ok(self.here()?.names()),
        }
    }
}
