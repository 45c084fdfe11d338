//! `down`: takes away what `up` has made, and nothing else. Rows stay where they are.
//!
//! | step | how it is known that `up` made it | why it may stay |
//! |---|---|---|
//! | replay is stopped | by its pidfile | |
//! | tables and sequences of the subscriber | `londiste.up_made` there | |
//! | the consumer | the same | somebody else has subscribed to tables by it |
//! | tables and sequences of the provider, the queue | `londiste.up_made` there | another consumer reads the queue; somebody else has added tables |
//! | schemas of either side | the same | a queue or table of somebody else needs them; objects outside depend on them |
//!
//! What is gone already is no error, so a command that was killed is repeated. A side's schemas go last, with the notes in them.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::request::Doing;
use super::survey::{has_queue, open};
use crate::config;
use crate::error::{Error, Result, Role};
use crate::failpoint::failpoint;
use crate::job::pidfile::{Pidfile, Status, signal, status};
use crate::job::{Control, Output};
use crate::londiste::made::{self, Kind};
use crate::londiste::{
    self, Command, Found, Job, Provider, Selection, Subscriber, completed, fence, find_schema, provider_queue,
    sequences, switchover, tables,
};
use crate::pg::{Db, FqName, Sql, sql, text};
use crate::pgq::install::{Found as FoundPgq, find as find_pgq};

/// How long sessions of a replay that has ended may be seen.
const GONE: Duration = Duration::from_secs(10);

const POLL: Duration = Duration::from_millis(100);

/// Takes away what `up` has made; with `--plan` only tells.
pub(crate) async fn down(doing: Doing, config: &config::Londiste, control: &Control) -> Result<Output> {
    if config.fake {
        return Err(Error::refused(
            "\"down\" makes no sense with fake = 1",
            "Use down --plan to see what it would do.",
        ));
    }
    let provider = open(Role::Provider, config, control).await?;
    let subscriber = open(Role::Subscriber, config, control).await?;
    for db in [&provider, &subscriber] {
        if switchover::is_known(db, &config.pgq_queue_name).await? {
            return Err(Error::refused(
                format!("queue {} has a way back, made by a switchover", config.pgq_queue_name),
                format!(
                    "Give it up first: \"rlondiste {} switchover finish\". Nothing was changed.",
                    config.path.display()
                ),
            ));
        }
    }
    let there = Made::read(&provider, &config.pgq_queue_name).await?;
    let here = Made::read(&subscriber, &config.pgq_queue_name).await?;
    if doing == Doing::Planned {
        return Ok(Output::line(plan(config, &there, &here)?.join("\n")));
    }
    let _pidfile = match &config.common.pidfile {
        Some(path) => Some(stop_replay(path, control).await?),
        None => None,
    };
    sessions_are_gone(&subscriber, config, control).await?;
    let mut down = Down { config, control, is_incomplete: false };
    down.subscriber(&subscriber, &here).await?;
    down.consumer(&provider, &subscriber, &here).await?;
    down.provider(&provider, &there).await?;
    failpoint!("down::provider_left");
    down.leave(&subscriber, &here, None).await?;
    Ok(Output::none().failed(down.is_incomplete))
}

/// What `up` has made in a database.
struct Made {
    tables: Vec<String>,
    sequences: Vec<String>,
    queue: bool,
    consumer: bool,
    schemas: Vec<String>,
}

impl Made {
    async fn read(db: &Db, queue: &str) -> Result<Made> {
        Ok(Made {
            tables: made::list(db, queue, Kind::Table).await?,
            sequences: made::list(db, queue, Kind::Sequence).await?,
            queue: !made::list(db, queue, Kind::Queue).await?.is_empty(),
            consumer: !made::list(db, queue, Kind::Consumer).await?.is_empty(),
            schemas: made::list(db, queue, Kind::Schema).await?,
        })
    }
}

fn plan(config: &config::Londiste, there: &Made, here: &Made) -> Result<Vec<String>> {
    let mut steps = Vec::new();
    if let Some(path) = &config.common.pidfile
        && let Status::Running(pid) = status(path)?
    {
        steps.push(format!("stop replay (pid {pid})"));
    }
    let each = |what: &str, names: &[String]| names.iter().map(|name| format!("{what} {name}")).collect::<Vec<_>>();
    steps.extend(each("unsubscribe from table", &here.tables));
    steps.extend(each("unsubscribe from sequence", &here.sequences));
    if here.consumer {
        steps.push(format!("unregister consumer {}", config.pgq_consumer_id));
    }
    steps.extend(each("remove from the queue: table", &there.tables));
    steps.extend(each("remove from the queue: sequence", &there.sequences));
    if there.queue {
        steps.push(format!("drop queue {}", config.pgq_queue_name));
    }
    steps.extend(each("drop on provider, unless something else needs it: schema", &there.schemas));
    steps.extend(each("drop on subscriber, unless something else needs it: schema", &here.schemas));
    if steps.is_empty() {
        steps.push("nothing is here that \"up\" has made".to_owned());
    }
    Ok(steps)
}

/// Asks replay to end and waits until it has. The pidfile that is returned keeps another one from starting.
async fn stop_replay(path: &Path, control: &Control) -> Result<Pidfile> {
    if let Status::Running(pid) = signal(path, Signal::SIGINT)? {
        tracing::info!("Waiting until replay ends (pid {pid})");
    }
    loop {
        match Pidfile::claim(path) {
            Err(Error::PidfileBusy { path, pid }) => {
                if matches!(status(&path)?, Status::NotHeld(_)) {
                    return Err(Error::PidfileBusy { path, pid });
                }
                control.sleep(POLL).await;
                if control.stopping() {
                    return Err(Error::Aborted);
                }
            }
            claimed => return claimed,
        }
    }
}

/// Fails while sessions of the job are on the subscriber: replay runs on another machine, or without a pidfile.
async fn sessions_are_gone(subscriber: &Db, config: &config::Londiste, control: &Control) -> Result<()> {
    const SESSIONS: &str = "select a.pid from pg_catalog.pg_stat_activity a
 where a.datname = pg_catalog.current_database() and a.application_name = pg_catalog.left($1, 63)
   and a.pid <> pg_catalog.pg_backend_pid() limit 1";
    let started = Instant::now();
    while !subscriber.is_pooled() {
        let found = subscriber.query_opt("look for replay", SESSIONS, &[text(&config.common.job_name)]).await?;
        let Some(row) = found else { break };
        if started.elapsed() > GONE {
            return Err(Error::blocked(
                format!(
                    "a session of job {} is on subscriber ({}), pid {} there: replay runs somewhere else",
                    config.common.job_name,
                    subscriber.target(),
                    row.get::<_, i32>(0)
                ),
                "Stop it first. Nothing was changed.",
            ));
        }
        control.sleep(POLL).await;
        if control.stopping() {
            return Err(Error::Aborted);
        }
    }
    Ok(())
}

struct Down<'a> {
    config: &'a config::Londiste,
    control: &'a Control,
    /// Something could not be taken away, which was said.
    is_incomplete: bool,
}

impl Down<'_> {
    fn queue(&self) -> &str {
        &self.config.pgq_queue_name
    }

    async fn command(&mut self, command: Command) -> Result<()> {
        self.is_incomplete |= londiste::run(command, self.config, self.control).await?.code() != 0;
        Ok(())
    }

    fn stays(&mut self, what: &str) {
        tracing::warn!("{what}");
        self.is_incomplete = true;
    }

    async fn subscriber(&mut self, db: &Db, made: &Made) -> Result<()> {
        if let Some(tables) = selection(&made.tables) {
            self.command(Command::Subscriber(Subscriber::Remove(tables))).await?;
        }
        if let Some(sequences) = selection(&known(&made.sequences, &sequences_of(db, self.queue()).await?)) {
            self.command(Command::Subscriber(Subscriber::RemoveSeq(sequences))).await?;
        }
        tell("tables and sequences on subscriber");
        Ok(())
    }

    async fn consumer(&mut self, provider: &Db, subscriber: &Db, made: &Made) -> Result<()> {
        if made.consumer && has_queue(provider, self.queue()).await? {
            let consumer = Job::of(self.config).main_consumer();
            let left = tables::load(subscriber, self.queue()).await?.len();
            if consumer.position(provider).await?.is_none() {
                tracing::debug!("{consumer} is not registered");
                if left == 0 {
                    // A switchover has unregistered it.
                    completed::set_last_tick(subscriber, &consumer.name, None).await?;
                }
            } else if left > 0 {
                self.stays(&format!(
                    "Consumer {} stays: {left} tables are subscribed that \"up\" has not added",
                    consumer.name
                ));
            } else {
                self.command(Command::Subscriber(Subscriber::Unregister)).await?;
            }
        }
        tell("consumer");
        Ok(())
    }

    async fn provider(&mut self, db: &Db, made: &Made) -> Result<()> {
        const OTHERS: &str = "select c.co_name from pgq.queue q join pgq.subscription s on s.sub_queue = q.queue_id
  join pgq.consumer c on c.co_id = s.sub_consumer where q.queue_name = $1 order by 1";
        if !has_queue(db, self.queue()).await? {
            return self.leave(db, made, None).await;
        }
        let rows = db.query("look for other consumers", OTHERS, &[text(&self.queue())]).await?;
        let mut others: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        others.retain(|name| *name != self.config.pgq_consumer_id);
        if !others.is_empty() {
            self.stays(&format!(
                "Queue {} stays on provider with its tables: it is read by {}",
                self.queue(),
                others.join(", ")
            ));
            return Ok(());
        }
        let offered = provider_queue::tables(db, self.queue()).await?;
        if let Some(tables) = selection(&known(&made.tables, &offered)) {
            self.command(Command::Provider(Provider::Remove(tables))).await?;
        }
        if let Some(sequences) = selection(&known(&made.sequences, &sequences_of(db, self.queue()).await?)) {
            self.command(Command::Provider(Provider::RemoveSeq(sequences))).await?;
        }
        tell("tables and sequences on provider");
        let left = provider_queue::tables(db, self.queue()).await?.len() + sequences_of(db, self.queue()).await?.len();
        if left > 0 {
            self.stays(&format!(
                "Queue {} stays on provider: {left} tables and sequences are in its set",
                self.queue()
            ));
            return Ok(());
        }
        let queue = made.queue.then(|| self.queue().to_owned());
        self.leave(db, made, queue.as_deref()).await
    }

    /// Drops the queue, the notes and the schemas of a database that nothing needs, in one transaction. Locks the event tables.
    async fn leave(&mut self, db: &Db, made: &Made, queue: Option<&str>) -> Result<()> {
        const ACTION: &str = "drop what up has made";
        let tx = db.begin(ACTION, "begin").await?;
        if let Some(queue) = queue {
            tx.query(ACTION, "select pgq.drop_queue($1)", &[text(&queue)]).await?;
        }
        let (mut dropped, mut stay) = (Vec::new(), Vec::new());
        let has_londiste = find_schema(&tx).await? != Found::None;
        if has_londiste {
            made::forget(&tx, self.queue()).await?;
        }
        let is_made = |schema: &str| made.schemas.iter().any(|name| name == schema);
        // Decided for both before the first is dropped: the notes are in schema londiste, and a later "down" needs them.
        if has_londiste && is_made("londiste") {
            let needed_by = if fence::is_closed_for_good(&tx).await? {
                Some("it keeps writers out, who have gone over to the other side".to_owned())
            } else {
                needed_by(&tx, "londiste", made::in_use(&tx).await?).await?
            };
            match needed_by {
                Some(by) => stay.push(format!("Schema londiste stays on {}: {by}", db.role())),
                None => dropped.push("londiste"),
            }
        }
        if is_made("pgq") && find_pgq(&tx).await? != FoundPgq::None {
            let has_queues = tx.query_one(ACTION, "select exists (select from pgq.queue)", &[]).await?.get(0);
            match needed_by(&tx, "pgq", has_queues).await? {
                Some(by) => stay.push(format!("Schema pgq stays on {}: {by}", db.role())),
                None => dropped.push("pgq"),
            }
        }
        if !stay.is_empty() {
            dropped.clear();
        }
        for schema in &dropped {
            tx.batch(ACTION, sql!("drop schema {schema} cascade", schema = Sql::ident(schema))).await?;
        }
        failpoint!("down::dropped");
        tx.commit(ACTION).await?;
        for what in stay {
            self.stays(&what);
        }
        let mut gone: Vec<String> = dropped.iter().map(|schema| format!("schema {schema}")).collect();
        gone.extend(queue.map(|queue| format!("queue {queue}")));
        let gone = if gone.is_empty() { "nothing was left".to_owned() } else { gone.join(", ") };
        tell(&format!("queue and schemas on {} ({gone})", db.role()));
        Ok(())
    }
}

async fn sequences_of(db: &Db, queue: &str) -> Result<Vec<FqName>> {
    if find_schema(db).await? == Found::None { Ok(Vec::new()) } else { sequences::list(db, queue).await }
}

/// Why a schema cannot be dropped: it is `in_use` by replication, or by an object outside of rlondiste's schemas.
async fn needed_by(db: &Db, schema: &str, in_use: bool) -> Result<Option<String>> {
    const OUTSIDE: &str = "with inside(classid, objid) as (
    select 'pg_catalog.pg_class'::pg_catalog.regclass::oid, c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = $1
    union all
    select 'pg_catalog.pg_proc'::pg_catalog.regclass::oid, p.oid from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace where n.nspname = $1
    union all
    select 'pg_catalog.pg_type'::pg_catalog.regclass::oid, t.oid from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace where n.nspname = $1
), dependent(classid, objid, objsubid, home) as (
    select d.classid, d.objid, d.objsubid, coalesce(
        (select c.relnamespace from pg_catalog.pg_class c where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and c.oid = d.objid),
        (select p.pronamespace from pg_catalog.pg_proc p where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and p.oid = d.objid),
        (select t.typnamespace from pg_catalog.pg_type t where d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and t.oid = d.objid),
        (select c.relnamespace from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid
          where d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass and t.oid = d.objid),
        (select c.relnamespace from pg_catalog.pg_rewrite r join pg_catalog.pg_class c on c.oid = r.ev_class
          where d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and r.oid = d.objid),
        (select c.relnamespace from pg_catalog.pg_attrdef a join pg_catalog.pg_class c on c.oid = a.adrelid
          where d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass and a.oid = d.objid),
        (select k.connamespace from pg_catalog.pg_constraint k where d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass and k.oid = d.objid), 0)
      from inside i join pg_catalog.pg_depend d on d.refclassid = i.classid and d.refobjid = i.objid and d.deptype = 'n'
)
select pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) from dependent d
 where d.home not in (select n.oid from pg_catalog.pg_namespace n where n.nspname in ('pgq', 'londiste') or n.nspname like 'pg\\_toast%')
 order by 1 limit 1";
    if in_use {
        return Ok(Some("something else uses it".to_owned()));
    }
    let outside = db.query_opt("look what depends on a schema", OUTSIDE, &[text(&schema)]).await?;
    Ok(outside.map(|row| format!("{} depends on it", row.get::<_, String>(0))))
}

/// Those of the names that are known still.
fn known(names: &[String], there: &[FqName]) -> Vec<String> {
    let there: Vec<String> = there.iter().map(ToString::to_string).collect();
    names.iter().filter(|name| there.contains(name)).cloned().collect()
}

fn selection(names: &[String]) -> Option<Selection> {
    (!names.is_empty()).then(|| Selection { names: names.to_vec(), all: false })
}

fn tell(step: &str) {
    tracing::info!("{step}: gone");
}
