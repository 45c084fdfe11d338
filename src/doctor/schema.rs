//! The schemas that rlondiste works with, and the queues as such.

use super::case::{Case, Side};
use super::check::{self, Check};
use super::finding::{Findings, count};
use crate::error::{Result, Role};
use crate::londiste;
use crate::pg::install::Standing;
use crate::pg::{Sql, text};
use crate::pgq::install::{self, Found};
use crate::pgq::rights;
use crate::pgqadm::captured_tables;

pub(super) const PGQ: &[&Check] = &[&check::PGQ_SCHEMA, &check::PUBLIC_RIGHTS];

/// Schema `pgq` of the database of the queues.
pub(super) async fn pgq(case: &Case<'_>, side: &Side) -> Result<Findings> {
    let mut found = Findings::default();
    let check = &check::PGQ_SCHEMA;
    let schema = install::find(&side.db).await?;
    let fix = case.install_command(side.role);
    match &schema {
        Found::None => found.error(check, side.role, "schema pgq is not installed", fix),
        Found::Foreign(what) => {
            let fix = side.sql("alter schema pgq rename to ...; -- if nothing needs it, then install");
            found.error(check, side.role, format_args!("schema pgq is {what}, which rlondiste does not know"), fix);
        }
        Found::Own(_) => standing(&mut found, check, side.role, &schema, schema.standing(), &fix),
        Found::Genuine21(_) | Found::Extension(_) | Found::Plain3(_) => {
            found.ok(check, side.role, format_args!("{schema} is used as it is"));
        }
    }
    if schema.is_own() {
        for open in rights::open_to_every_role(&side.db).await? {
            let fix = case.ticker_command(format_args!("revoke public {}", open.right()));
            found.warning(&check::PUBLIC_RIGHTS, side.role, open, fix);
        }
    }
    found.rest(&check::PUBLIC_RIGHTS, side.role, "no right in schema pgq is every role's");
    Ok(found)
}

fn standing(
    found: &mut Findings,
    check: &Check,
    role: Role,
    schema: &impl std::fmt::Display,
    standing: Option<Standing>,
    fix: &str,
) {
    const OWN: &str = env!("CARGO_PKG_VERSION");
    match standing {
        Some(Standing::Older) => {
            found.warning(check, role, format_args!("{schema} is older than this program ({OWN})"), fix);
        }
        Some(Standing::Changed) => {
            found.warning(
                check,
                role,
                format_args!("{schema} was made by other files than those of this program"),
                fix,
            );
        }
        Some(Standing::Newer) => found.error(
            check,
            role,
            format_args!("{schema} is newer than this program ({OWN})"),
            "use the rlondiste that has installed it, or a newer one",
        ),
        Some(Standing::Current) | None => found.ok(check, role, format_args!("{schema} is up to date")),
    }
}

pub(super) const LONDISTE: &[&Check] = &[&check::LONDISTE_SCHEMA];

/// Schema `londiste` of one side.
pub(super) async fn londiste(case: &Case<'_>, side: &Side) -> Result<Findings> {
    let mut found = Findings::default();
    let check = &check::LONDISTE_SCHEMA;
    let fix = case.install_command(side.role);
    let schema = londiste::find_schema(&side.db).await?;
    match &schema {
        londiste::Found::None => found.error(check, side.role, "schema londiste is not installed", fix),
        londiste::Found::Foreign(what) => {
            let fix = side.sql("alter schema londiste rename to ...; -- if nothing needs it, then install");
            found.error(check, side.role, format_args!("schema londiste is {what}"), fix);
        }
        londiste::Found::Genuine(version) => {
            found.ok(
                check,
                side.role,
                format_args!("londiste {version} of SkyTools; replay upgrades the subscriber's"),
            );
        }
        londiste::Found::Own(installed) => {
            let shown = format!("londiste of rlondiste {}", installed.version);
            standing(&mut found, check, side.role, &shown, schema.standing(), &fix);
        }
    }
    Ok(found)
}

pub(super) const QUEUES: &[&Check] = &[&check::QUEUE, &check::LOST_QUEUE];

/// Whether the queues exist and are open.
pub(super) async fn queues(case: &Case<'_>, side: &Side) -> Result<Findings> {
    const QUEUES: &str = "select q.queue_name,
       coalesce((pg_catalog.to_jsonb(q) ->> 'queue_disable_insert')::bool, false),
       coalesce((pg_catalog.to_jsonb(q) ->> 'queue_ticker_paused')::bool, false)
  from pgq.queue q where $1 is null or q.queue_name = $1 order by 1";
    let mut found = Findings::default();
    let rows = side.db.query("list the queues", QUEUES, &[text(&case.queue())]).await?;
    for row in &rows {
        let name: String = row.get(0);
        for (column, setting, what) in [
            (1, "disable_insert", "takes no events: each write to its tables fails"),
            (2, "ticker_paused", "gets no ticks: its ticker is paused"),
        ] {
            if row.get(column) {
                let queue = Sql::literal(&name);
                let fix = side.sql(format_args!("select pgq.set_queue_config({queue}, '{setting}', 'false');"));
                found.error(&check::QUEUE, format_args!("queue {name}"), what, fix);
            }
        }
        found.rest(&check::QUEUE, format_args!("queue {name}"), "takes events and ticks");
    }
    match (case.queue(), rows.is_empty()) {
        (Some(queue), true) => {
            let fix = case.install_command(Role::Provider);
            found.error(&check::QUEUE, format_args!("queue {queue}"), "there is no such queue on the provider", fix);
        }
        (None, true) => found.ok(&check::QUEUE, side.role, "there are no queues"),
        (_, false) => {}
    }
    for queue in captured_tables::lost_queues(&side.db).await? {
        let tables = captured_tables::with_triggers(&side.db, &queue).await?;
        let Some(first) = tables.first() else { continue };
        let fact = format!("does not exist, and each write to {} fails, such as {first}", count(tables.len(), "table"));
        let takes_out: Vec<String> = tables.iter().map(|table| captured_tables::take_out(&queue, table)).collect();
        let fix = side.sql(format_args!("{};", takes_out.join("; ")));
        found.error(&check::LOST_QUEUE, format_args!("queue {queue}"), fact, fix);
    }
    found.rest_of_all(&check::LOST_QUEUE, side.role, "all triggers write into queues that exist");
    Ok(found)
}
