//! What the users of the connection strings may do, with the statement that gives what is missing.

use std::collections::BTreeSet;

use super::case::{Case, Names, Side, fq_name, quoted_list};
use super::check::{self, Check};
use super::finding::{Findings, count, names};
use crate::config::ApplyRole;
use crate::error::Result;
use crate::pg::name::quote_ident;
use crate::pg::{FqName, text};

/// Tables up to which a statement names each of them.
const NAMED: usize = 20;

pub(super) const QUEUE: &[&Check] = &[&check::QUEUE_RIGHTS];

/// Whether the user may consume (replay) or tick (the ticker).
pub(super) async fn queue(case: &Case<'_>, side: &Side) -> Result<Findings> {
    const RIGHTS: &str = "select coalesce(pg_catalog.has_function_privilege(pg_catalog.to_regprocedure($1)::oid, 'execute'), false),
       not exists (select from pg_catalog.pg_inherits i
                     join pgq.queue q on i.inhparent = pg_catalog.to_regclass(q.queue_data_pfx)
                    where ($2 is null or q.queue_name = $2) and not pg_catalog.has_table_privilege(i.inhrelid, 'select'))";
    let function = if case.londiste.is_some() { "pgq.next_batch(text, text)" } else { "pgq.ticker(text)" };
    let right = case.queue_right();
    let mut found = Findings::default();
    let row =
        side.db.query_one("look at the rights in schema pgq", RIGHTS, &[text(&function), text(&case.queue())]).await?;
    let (may, reads): (bool, bool) = (row.get(0), row.get(1));
    if may && (reads || case.londiste.is_none()) {
        found.ok(&check::QUEUE_RIGHTS, side.role, format_args!("{} has the right \"{right}\"", side.user));
        return Ok(found);
    }
    let fact = format!("{} lacks the right \"{right}\" in schema pgq", side.user);
    found.error(&check::QUEUE_RIGHTS, side.role, fact, side.queue_grant(case).await?);
    Ok(found)
}

/// A right on a table that the user does not have.
struct Lack {
    table: FqName,
    /// The schema cannot be looked into.
    usage: bool,
    /// The words of the rights on the table, with commas; empty when none is missing.
    rights: String,
    /// The owner, when the user does not have its rights.
    owner: Option<String>,
}

/// The tables on which the user lacks one of `rights`, or the owner's rights.
async fn lacks(side: &Side, tables: &[FqName], rights: &str) -> Result<Vec<Lack>> {
    const LACKS: &str = "select n.nspname::text, c.relname::text, not pg_catalog.has_schema_privilege(n.oid, 'usage'),
       coalesce((select pg_catalog.string_agg(r.right, ', ' order by r.nr)
                   from pg_catalog.regexp_split_to_table($3, ', ') with ordinality r(\"right\", nr)
                  where not pg_catalog.has_table_privilege(c.oid, r.right)), ''),
       case when not pg_catalog.pg_has_role(c.relowner, 'usage') then pg_catalog.pg_get_userbyid(c.relowner)::text end
  from unnest($1, $2) w(schema, name)
       join pg_catalog.pg_namespace n on n.nspname = w.schema
       join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name
 order by 1, 2";
    let wanted = Names::of(tables);
    let [schemas, names] = wanted.params();
    let rows = side.db.query("look at the rights on tables", LACKS, &[schemas, names, text(&rights)]).await?;
    let lack = |row: &tokio_postgres::Row| Lack {
        table: fq_name(row, 0),
        usage: row.get(2),
        rights: row.get(3),
        owner: row.get(4),
    };
    Ok(rows.iter().map(lack).collect())
}

fn missing_rights(found: &mut Findings, check: &Check, side: &Side, lacks: &[Lack], consequence: &str) {
    let user = side.quoted_user();
    let schemas: BTreeSet<&str> =
        lacks.iter().filter(|lack| lack.usage).map(|lack| lack.table.schema.as_str()).collect();
    for schema in schemas {
        let fix = side.sql(format_args!("grant usage on schema {} to {user};", quote_ident(schema)));
        found.error(
            check,
            format_args!("{} schema {schema}", side.role),
            format_args!("{} may not look into it", side.user),
            fix,
        );
    }
    let kinds: BTreeSet<&str> =
        lacks.iter().map(|lack| lack.rights.as_str()).filter(|rights| !rights.is_empty()).collect();
    for rights in kinds {
        let of_kind = lacks.iter().filter(|lack| lack.rights == rights);
        let tables: Vec<FqName> = of_kind.map(|lack| lack.table.clone()).collect();
        let statement = if tables.len() <= NAMED {
            format!("grant {rights} on {} to {user};", quoted_list(&tables))
        } else {
            let schemas: BTreeSet<String> = tables.iter().map(|table| quote_ident(&table.schema)).collect();
            let schemas = schemas.into_iter().collect::<Vec<_>>().join(", ");
            format!("grant {rights} on all tables in schema {schemas} to {user};")
        };
        let fact = format!("{} lacks {rights} on {}: {consequence}", side.user, names(&tables));
        found.error(check, format_args!("{} {}", side.role, subject(&tables)), fact, side.sql(statement));
    }
}

/// The one table, or how many there are.
fn subject(tables: &[FqName]) -> String {
    match tables {
        [only] => only.to_string(),
        _ => count(tables.len(), "table"),
    }
}

pub(super) const PROVIDER: &[&Check] = &[&check::TABLE_RIGHTS];

/// Whether the provider's user may copy the tables.
pub(super) async fn provider(side: &Side, tables: &[FqName]) -> Result<Findings> {
    let mut found = Findings::default();
    let lacks = lacks(side, tables, "select").await?;
    missing_rights(&mut found, &check::TABLE_RIGHTS, side, &lacks, "they cannot be copied");
    let fact = format!("{} may read {}", side.user, count(tables.len(), "table"));
    found.rest_of_all(&check::TABLE_RIGHTS, side.role, fact);
    Ok(found)
}

pub(super) const SUBSCRIBER: &[&Check] = &[&check::SUBSCRIBER_RIGHTS, &check::TABLE_OWNER];

/// Whether the subscriber's user may apply changes, and copy.
pub(super) async fn subscriber(side: &Side, tables: &[FqName]) -> Result<Findings> {
    let mut found = Findings::default();
    let lacks = lacks(side, tables, "select, insert, update, delete, truncate").await?;
    missing_rights(&mut found, &check::SUBSCRIBER_RIGHTS, side, &lacks, "changes cannot be applied");
    let fact = format!("{} may change {}", side.user, count(tables.len(), "table"));
    found.rest_of_all(&check::SUBSCRIBER_RIGHTS, side.role, fact);
    let owners: BTreeSet<&str> = lacks.iter().filter_map(|lack| lack.owner.as_deref()).collect();
    for owner in owners {
        let of_owner = lacks.iter().filter(|lack| lack.owner.as_deref() == Some(owner));
        let tables: Vec<FqName> = of_owner.map(|lack| lack.table.clone()).collect();
        let fact =
            format!("{} has not the rights of their owner {owner}: a copy drops and makes their indexes", side.user);
        let fix = side.sql(format_args!("grant {} to {};", quote_ident(owner), side.quoted_user()));
        found.warning(&check::TABLE_OWNER, format_args!("{} {}", side.role, subject(&tables)), fact, fix);
    }
    found.rest_of_all(
        &check::TABLE_OWNER,
        side.role,
        format_args!("{} has the rights of the tables' owners", side.user),
    );
    Ok(found)
}

pub(super) const SCHEMA: &[&Check] = &[&check::SCHEMA_RIGHTS, &check::REPLICATION_ROLE];

/// Whether the subscriber's user may store positions, and set what `apply_role` says. Reads no table of schema londiste, which the user may
/// not be allowed to read.
pub(super) async fn schema(case: &Case<'_>, side: &Side) -> Result<Findings> {
    let mut found = Findings::default();
    schema_rights(case, side, &mut found).await?;
    replication_role(case, side, &mut found).await?;
    Ok(found)
}

async fn schema_rights(case: &Case<'_>, side: &Side, found: &mut Findings) -> Result<()> {
    const RIGHTS: &str = "select pg_catalog.pg_get_userbyid(n.nspowner)::text,
       pg_catalog.pg_has_role(n.nspowner, 'usage')
         or not exists (select from pg_catalog.pg_class c
                         where c.relnamespace = n.oid and c.relkind = 'r'
                           and not (pg_catalog.has_table_privilege(c.oid, 'insert')
                                    and pg_catalog.has_table_privilege(c.oid, 'update')
                                    and pg_catalog.has_table_privilege(c.oid, 'delete')))
  from pg_catalog.pg_namespace n where n.nspname = 'londiste'";
    let rows = side.db.query("look at the rights in schema londiste", RIGHTS, &[]).await?;
    let Some(row) = rows.first() else {
        let fix = case.install_command(side.role);
        found.unknown(&check::SCHEMA_RIGHTS, side.role, "schema londiste is missing", fix);
        return Ok(());
    };
    let owner: String = row.get(0);
    if row.get(1) {
        found.ok(&check::SCHEMA_RIGHTS, side.role, format_args!("{} may change schema londiste", side.user));
        return Ok(());
    }
    let fact =
        format!("{} has not the rights of {owner}, who owns schema londiste: it cannot store positions", side.user);
    let fix = side.sql(format_args!("grant {} to {};", quote_ident(&owner), side.quoted_user()));
    found.error(&check::SCHEMA_RIGHTS, side.role, fact, fix);
    Ok(())
}

async fn replication_role(case: &Case<'_>, side: &Side, found: &mut Findings) -> Result<()> {
    const SUPERUSER: &str = "select r.rolsuper from pg_catalog.pg_roles r where r.rolname = current_user";
    const GRANTED: &str = "select pg_catalog.has_parameter_privilege('session_replication_role', 'set')";
    let check = &check::REPLICATION_ROLE;
    let (config, _) = case.replication()?;
    if config.apply_role == ApplyRole::Origin {
        found.ok(check, side.role, "not needed: apply_role = origin");
        return Ok(());
    }
    // Until PostgreSQL 15 only a superuser may set it.
    let (sql, grant) = if side.version >= 150_000 {
        (GRANTED, format!("grant set on parameter session_replication_role to {};", side.quoted_user()))
    } else {
        (SUPERUSER, format!("alter role {} superuser;", side.quoted_user()))
    };
    if side.db.query_one("look at the rights of the user", sql, &[]).await?.get(0) {
        found.ok(check, side.role, format_args!("{} may set session_replication_role", side.user));
    } else {
        let fact = format!("apply_role = replica, and {} may not set session_replication_role", side.user);
        found.error(check, side.role, fact, side.sql(grant));
    }
    Ok(())
}

pub(super) const ROW_SECURITY: &[&Check] = &[&check::ROW_SECURITY];

/// Tables of which a policy hides rows from the user.
pub(super) async fn row_security(side: &Side, tables: &[FqName]) -> Result<Findings> {
    const HIDDEN: &str = "select n.nspname::text, c.relname::text
  from unnest($1, $2) w(schema, name)
       join pg_catalog.pg_namespace n on n.nspname = w.schema
       join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name
 where pg_catalog.row_security_active(c.oid)
 order by 1, 2";
    let mut found = Findings::default();
    let rows = side.db.query("look for policies", HIDDEN, &Names::of(tables).params()).await?;
    let hidden: Vec<FqName> = rows.iter().map(|row| fq_name(row, 0)).collect();
    if !hidden.is_empty() {
        let fact = format!("policies hide rows of {} from {}", names(&hidden), side.user);
        let fix = side.sql(format_args!("alter role {} bypassrls;", side.quoted_user()));
        found.error(&check::ROW_SECURITY, format_args!("{} {}", side.role, subject(&hidden)), fact, fix);
    }
    found.rest_of_all(&check::ROW_SECURITY, side.role, format_args!("no policy hides rows from {}", side.user));
    Ok(found)
}
