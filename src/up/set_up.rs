//! The steps of `up`, each of which says whether it was done or there already. A command that was killed is repeated.

use super::request::{Doing, SchemaCopy, Up};
use super::schema::Programs;
use super::survey::{self, Survey, candidates, missing_extensions, missing_roles, open};
use crate::config::{self, TickerMode};
use crate::doctor;
use crate::error::{Error, Result, Role};
use crate::failpoint::failpoint;
use crate::job::{Control, Output};
use crate::londiste::made::{self, Kind};
use crate::londiste::{
    self, Command, CopyMode, Problems, Provider, Selection, Subscriber, Truncate, conditions, fence, install_for_up,
    turned,
};
use crate::pg::{Db, FqName};
use crate::pgqadm::ticker_sessions;

/// What came of the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Replication is set up.
    Done {
        /// Whether something is not replicated, which was said.
        is_incomplete: bool,
        /// Whether there are tables to wait for.
        has_tables: bool,
    },
    /// It cannot be; nothing was changed.
    Refused,
    /// It was only planned.
    Planned,
}

/// The databases, and what is asked for.
pub(super) struct SetUp<'a> {
    pub(super) config: &'a config::Londiste,
    pub(super) request: &'a Up,
    pub(super) control: &'a Control,
}

impl SetUp<'_> {
    /// Does all steps; with `--plan` returns their text in `plan`, and changes nothing.
    pub(super) async fn run(&self, plan: &mut Vec<String>) -> Result<Outcome> {
        if self.config.fake {
            return Err(Error::refused(
                "\"up\" makes no sense with fake = 1",
                "Use up --plan to see what it would do.",
            ));
        }
        let Some((provider, subscriber)) = self.preflight().await? else { return Ok(Outcome::Refused) };
        turned::refuse(&provider, &subscriber, &self.config.pgq_queue_name).await?;
        let mut survey = self.read(&provider, &subscriber).await?;
        let copies_schema =
            self.request.schema != SchemaCopy::No && survey.subscriber_is_empty && !survey.provider_is_empty;
        if !self.may_go_on(&survey, &provider, &subscriber).await? {
            return Ok(Outcome::Refused);
        }
        if self.request.doing == Doing::Planned {
            *plan = self.plan(&survey, copies_schema);
            return Ok(Outcome::Planned);
        }
        tell("preflight", true);
        let mut is_incomplete = !survey.keyless.is_empty();
        if copies_schema {
            is_incomplete |= self.copy_schema(&provider, &subscriber).await?;
            survey = self.read(&provider, &subscriber).await?;
            if !survey.differences.is_empty() {
                tell_all(&survey.differences);
                return Err(Error::refused(
                    "the tables that were made on subscriber cannot be replicated",
                    "Mend what is told above, or leave tables out with --exclude, and run \"up\" again.",
                ));
            }
        }
        if self.request.schema != SchemaCopy::No {
            tell("schema of the database", copies_schema);
        }
        self.install(&survey).await?;
        self.look_for_ticker(&provider).await?;
        is_incomplete |= self.add_tables(&survey, &provider, &subscriber).await?;
        is_incomplete |= self.add_sequences(&survey, &provider, &subscriber).await?;
        Ok(Outcome::Done { is_incomplete, has_tables: !survey.tables.wanted.is_empty() })
    }

    async fn read(&self, provider: &Db, subscriber: &Db) -> Result<Survey> {
        survey::read(self.config, &self.request.exclude, provider, subscriber).await
    }

    /// The doctor's checks. `None` when replication cannot be set up, which was logged.
    async fn preflight(&self) -> Result<Option<(Db, Db)>> {
        let tables = match open(Role::Provider, self.config, self.control).await {
            Ok(provider) => candidates(&provider, &self.request.exclude).await?,
            Err(Error::Aborted) => return Err(Error::Aborted),
            // The doctor says why.
            Err(_) => Vec::new(),
        };
        let objections = doctor::before_setup(self.config, &tables, self.control).await?;
        for line in &objections.warnings {
            tracing::warn!("{line}");
        }
        tell_all(&objections.errors);
        if !objections.errors.is_empty() {
            tracing::error!("Replication cannot be set up; nothing was changed");
            return Ok(None);
        }
        let provider = open(Role::Provider, self.config, self.control).await?;
        let subscriber = open(Role::Subscriber, self.config, self.control).await?;
        Ok(Some((provider, subscriber)))
    }

    /// Whether nothing stands against the steps; logs what does.
    async fn may_go_on(&self, survey: &Survey, provider: &Db, subscriber: &Db) -> Result<bool> {
        let mut errors = survey.missing_rights.clone();
        if survey.provider_is_empty && survey.sequences.wanted.is_empty() && !survey.subscriber_is_empty {
            errors.push(
                "The provider's database is empty, and the subscriber's is not: are the two connection strings exchanged?"
                    .to_owned(),
            );
        }
        // A subscriber that follows such a database goes on.
        let follows = conditions::gone(provider, &self.config.pgq_queue_name).await?.is_none()
            && londiste::position(self.config, provider).await?.is_some();
        if !follows && fence::is_closed_for_good(provider).await? {
            errors.push(
                "The provider is closed: a switchover has led its writers to another database, and its rows are old. Give that database as \
                 provider"
                    .to_owned(),
            );
        }
        if self.request.schema != SchemaCopy::No && !survey.differences.is_empty() {
            if survey.subscriber_is_empty {
                errors.extend(self.objections_to_schema(provider, subscriber).await?);
            } else {
                errors.extend(survey.differences.iter().cloned());
                errors.push(
                    "The subscriber's database is not empty, and its tables are not those of the provider: --schema makes no changes there. \
                     Give it an empty database, or leave tables out with --exclude"
                        .to_owned(),
                );
            }
        } else if !survey.differences.is_empty() {
            errors.extend(survey.differences.iter().cloned());
            errors.push(if survey.subscriber_is_empty {
                "The subscriber's database is empty: add --schema to bring the provider's schema to it".to_owned()
            } else {
                "Make the tables equal, or leave them out with --exclude".to_owned()
            });
        }
        for table in &survey.keyless {
            tracing::warn!("Table {table} has no primary key and no usable unique index: it is not replicated");
        }
        tell_all(&errors);
        if !errors.is_empty() {
            tracing::error!("Replication cannot be set up; nothing was changed");
        }
        Ok(errors.is_empty())
    }

    /// Why the schema cannot be copied.
    async fn objections_to_schema(&self, provider: &Db, subscriber: &Db) -> Result<Vec<String>> {
        let mut errors = Vec::new();
        let extensions = missing_extensions(provider, subscriber).await?;
        if !extensions.is_empty() {
            let names = extensions.join(", ");
            errors.push(format!("The subscriber's server does not have these extensions of the provider: {names}. Install their packages there"));
        }
        if self.request.schema == SchemaCopy::WithOwners {
            let roles = missing_roles(provider, subscriber).await?;
            if !roles.is_empty() {
                errors.push(format!(
                    "The subscriber's server does not have these roles, which own or may use something: {}. Make them there (pg_dumpall -r), \
                     or add --no-owner: then everything belongs to the user of subscriber_db, and no grants are copied",
                    roles.join(", ")
                ));
            }
        }
        match Programs::find(survey::version(provider).await?).await {
            Ok(_) => {}
            Err(Error::Aborted) => return Err(Error::Aborted),
            Err(error) => errors.push(format!("{error}. {}", error.hint().unwrap_or_default())),
        }
        Ok(errors)
    }

    /// Returns whether something of the schema could not be made.
    async fn copy_schema(&self, provider: &Db, subscriber: &Db) -> Result<bool> {
        let programs = Programs::find(survey::version(provider).await?).await?;
        tracing::info!("Copying the schema with the programs of PostgreSQL {}", programs.major);
        let version = survey::version(subscriber).await?;
        let copied = tokio::select! {
            copied = programs.copy(self.config, self.request.schema, version) => copied?,
            () = self.control.stopped() => return Err(Error::Aborted),
        };
        failpoint!("up::schema_copied");
        for error in &copied {
            tracing::warn!("Not made on subscriber: {error}");
        }
        Ok(!copied.is_empty())
    }

    async fn install(&self, survey: &Survey) -> Result<()> {
        if !survey.provider_is_installed {
            install_for_up(Role::Provider, self.config, self.control).await?;
        }
        tell("schemas on provider", !survey.provider_is_installed);
        if !survey.subscriber_is_installed {
            install_for_up(Role::Subscriber, self.config, self.control).await?;
        }
        tell("schema on subscriber", !survey.subscriber_is_installed);
        tell(&format!("queue {}", self.config.pgq_queue_name), !survey.has_queue);
        if !survey.is_registered {
            let subscriber = open(Role::Subscriber, self.config, self.control).await?;
            let consumer = [self.config.pgq_consumer_id.clone()];
            made::note(&subscriber, &self.config.pgq_queue_name, Kind::Consumer, &consumer).await?;
            self.command(Command::Subscriber(Subscriber::Register)).await?;
        }
        tell(&format!("consumer {}", self.config.pgq_consumer_id), !survey.is_registered);
        Ok(())
    }

    /// Warns where nothing will make ticks, without which nothing arrives; tells what replay needs when it is started alone.
    async fn look_for_ticker(&self, provider: &Db) -> Result<()> {
        let ini = self.config.path.display();
        match self.config.ticker {
            None => tracing::info!(
                "This process makes the ticks where no ticker does. \"replay\" does so with ticker = auto in {ini}"
            ),
            Some(TickerMode::Off) if ticker_sessions::find(provider).await?.is_empty() => {
                tracing::warn!("No ticker is seen, and {ini} has ticker = off: no change arrives before a ticker runs");
            }
            Some(TickerMode::Off | TickerMode::Auto | TickerMode::On) => {}
        }
        Ok(())
    }

    /// Returns whether a table could not be added.
    async fn add_tables(&self, survey: &Survey, provider: &Db, subscriber: &Db) -> Result<bool> {
        let objects = &survey.tables;
        self.note(provider, Kind::Table, &objects.to_offer).await?;
        self.note(subscriber, Kind::Table, &objects.to_subscribe).await?;
        failpoint!("up::tables_noted");
        let mut failed = false;
        if let Some(tables) = selection(&objects.to_offer) {
            let (capture, truncate) = (None, Truncate::Event);
            failed |= self.command(Command::Provider(Provider::Add { tables, capture, key: None, truncate })).await?;
        }
        if let Some(tables) = selection(&objects.to_subscribe) {
            let (problems, mode) = (Problems::LeaveOut, CopyMode::Copy);
            failed |= self.command(Command::Subscriber(Subscriber::Add { tables, problems, mode })).await?;
        }
        tell(&format!("tables ({})", objects.wanted.len()), !objects.are_there());
        Ok(failed)
    }

    /// Returns whether a sequence could not be added.
    async fn add_sequences(&self, survey: &Survey, provider: &Db, subscriber: &Db) -> Result<bool> {
        let objects = &survey.sequences;
        self.note(provider, Kind::Sequence, &objects.to_offer).await?;
        self.note(subscriber, Kind::Sequence, &objects.to_subscribe).await?;
        let mut failed = false;
        if let Some(sequences) = selection(&objects.to_offer) {
            failed |= self.command(Command::Provider(Provider::AddSeq(sequences))).await?;
        }
        if let Some(sequences) = selection(&objects.to_subscribe) {
            failed |= self.command(Command::Subscriber(Subscriber::AddSeq(sequences))).await?;
            // One that the subscriber does not have is an error in the log, and no failure of the command.
            let there = londiste::sequences::list(subscriber, &self.config.pgq_queue_name).await?;
            failed |= objects.to_subscribe.iter().any(|sequence| !there.contains(sequence));
        }
        tell(&format!("sequences ({})", objects.wanted.len()), !objects.are_there());
        Ok(failed)
    }

    async fn note(&self, db: &Db, kind: Kind, names: &[FqName]) -> Result<()> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        made::note(db, &self.config.pgq_queue_name, kind, &names).await
    }

    /// Runs a command of the replication program. Returns whether it could not do everything.
    async fn command(&self, command: Command) -> Result<bool> {
        let output: Output = londiste::run(command, self.config, self.control).await?;
        Ok(output.code() != 0)
    }

    /// The steps as `--plan` shows them.
    fn plan(&self, survey: &Survey, copies_schema: bool) -> Vec<String> {
        let step =
            |name: String, is_there: bool| format!("{name:<40} {}", if is_there { "already there" } else { "to do" });
        let mut steps = vec![format!("{:<40} good", "preflight")];
        if self.request.schema != SchemaCopy::No {
            steps.push(step("schema of the database".to_owned(), !copies_schema));
        }
        steps.push(step("schemas on provider".to_owned(), survey.provider_is_installed));
        steps.push(step("schema on subscriber".to_owned(), survey.subscriber_is_installed));
        steps.push(step(format!("queue {}", self.config.pgq_queue_name), survey.has_queue));
        steps.push(step(format!("consumer {}", self.config.pgq_consumer_id), survey.is_registered));
        for (noun, objects) in [("tables", &survey.tables), ("sequences", &survey.sequences)] {
            steps.push(step(format!("{noun} ({})", objects.wanted.len()), objects.are_there()));
            let names = objects
                .wanted
                .iter()
                .filter(|name| objects.to_offer.contains(name) || objects.to_subscribe.contains(name));
            steps.extend(names.map(|name| format!("    {name}")));
        }
        for table in &survey.keyless {
            steps.push(format!("    {table} has no key: it is not replicated"));
        }
        steps
    }
}

/// The names as the words of a command; `None` where there are none.
fn selection(names: &[FqName]) -> Option<Selection> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    (!names.is_empty()).then_some(Selection { names, all: false })
}

/// Says how a step ended.
fn tell(step: &str, is_done: bool) {
    tracing::info!("{step}: {}", if is_done { "done" } else { "already there" });
}

fn tell_all(errors: &[String]) {
    for error in errors {
        tracing::error!("{error}");
    }
}
