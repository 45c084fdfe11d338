//! What is there on both sides, and what is to be made. Changes nothing.

use std::collections::BTreeSet;

use crate::config;
use crate::error::{Result, Role};
use crate::job::Control;
use crate::londiste::{Difference, Job, Selection, Structures, find_schema, provider_queue, sequences, tables};
use crate::pg::catalog;
use crate::pg::install::Standing;
use crate::pg::{Db, FqName, text, text_array};
use crate::pgq::install::{Found, find as find_pgq};

/// Both sides as they are.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Survey {
    /// Whether the schemas of a side are there and up to date: of the provider also the queue.
    pub(super) provider_is_installed: bool,
    pub(super) subscriber_is_installed: bool,
    pub(super) has_queue: bool,
    pub(super) is_registered: bool,
    pub(super) tables: Objects,
    pub(super) sequences: Objects,
    /// Tables that cannot be replicated: they have no key.
    pub(super) keyless: Vec<FqName>,
    /// Why tables cannot be replicated as they are on the subscriber.
    pub(super) differences: Vec<String>,
    /// Whether the subscriber's database has no tables, views or sequences.
    pub(super) subscriber_is_empty: bool,
    /// The same of the provider's database, sequences aside.
    pub(super) provider_is_empty: bool,
    /// Statements that give the users what they lack.
    pub(super) missing_rights: Vec<String>,
}

/// The tables, or the sequences.
#[derive(Default)]
pub(super) struct Objects {
    /// All that are to be replicated.
    pub(super) wanted: Vec<FqName>,
    /// Those of them that are not in the set of the queue.
    pub(super) to_offer: Vec<FqName>,
    /// Those of them that are not subscribed.
    pub(super) to_subscribe: Vec<FqName>,
}

impl Objects {
    fn of(wanted: Vec<FqName>, offered: &BTreeSet<FqName>, subscribed: &BTreeSet<FqName>) -> Objects {
        let without = |there: &BTreeSet<FqName>| wanted.iter().filter(|name| !there.contains(*name)).cloned().collect();
        Objects { to_offer: without(offered), to_subscribe: without(subscribed), wanted }
    }

    pub(super) fn are_there(&self) -> bool {
        self.to_offer.is_empty() && self.to_subscribe.is_empty()
    }
}

/// Opens a session of a side.
pub(super) async fn open(role: Role, config: &config::Londiste, control: &Control) -> Result<Db> {
    let conninfo = match role {
        Role::Provider => &config.provider_db,
        Role::Subscriber => &config.subscriber_db,
    };
    Db::open(role, conninfo, config.common.client(), control.abort()).await
}

/// The names that no pattern matches.
fn without(names: Vec<FqName>, exclude: &[String]) -> Vec<FqName> {
    let matches = Selection { names: exclude.to_vec(), all: false }.matches(&names);
    let excluded: BTreeSet<FqName> = matches.into_iter().flat_map(|found| found.names).collect();
    names.into_iter().filter(|name| !excluded.contains(name)).collect()
}

/// Whether schema `londiste` is there, made by the files of this program.
async fn has_londiste(db: &Db) -> Result<bool> {
    Ok(find_schema(db).await?.standing() == Some(Standing::Current))
}

/// Whether there is a PgQ that need not be installed or upgraded.
async fn has_pgq(db: &Db) -> Result<bool> {
    Ok(match find_pgq(db).await? {
        Found::None | Found::Foreign(_) => false,
        found => found.standing().is_none_or(|standing| standing == Standing::Current),
    })
}

/// Whether a database has a queue.
pub(super) async fn has_queue(db: &Db, queue: &str) -> Result<bool> {
    const SQL: &str = "select exists (select from pgq.queue q where q.queue_name = $1)";
    if matches!(find_pgq(db).await?, Found::None | Found::Foreign(_)) {
        return Ok(false);
    }
    Ok(db.query_one("look for the queue", SQL, &[text(&queue)]).await?.get(0))
}

/// The tables of the provider's database that come into question, each with its key or without: partitions come with their root,
/// unless the root has no key, as in PostgreSQL 10.
pub(super) async fn candidates(provider: &Db, exclude: &[String]) -> Result<Vec<FqName>> {
    const LEAVES: &str = "with recursive below(oid) as (
    select i.inhrelid from pg_catalog.pg_inherits i where i.inhparent = $1::text::pg_catalog.regclass
    union all
    select i.inhrelid from below b join pg_catalog.pg_inherits i on i.inhparent = b.oid
)
select n.nspname::text, c.relname::text
  from below b join pg_catalog.pg_class c on c.oid = b.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'r' and c.relispartition order by 1, 2";
    let entries = catalog::tables(provider).await?;
    let roots: Vec<FqName> = entries.into_iter().filter(|entry| !entry.is_partition).map(|entry| entry.name).collect();
    let structures = catalog::structures(provider, &roots).await?;
    let mut found = Vec::new();
    for root in roots {
        let table = structures.get(&root);
        if table.is_some_and(|t| t.kind == catalog::RelationKind::Partitioned && t.key().is_empty()) {
            let rows = provider.query("look for partitions", LEAVES, &[text(&root.quoted())]).await?;
            found.extend(rows.iter().map(|row| FqName { schema: row.get(0), name: row.get(1) }));
        } else {
            found.push(root);
        }
    }
    Ok(without(found, exclude))
}

/// Reads both sides.
pub(super) async fn read(
    config: &config::Londiste,
    exclude: &[String],
    provider: &Db,
    subscriber: &Db,
) -> Result<Survey> {
    let queue = &config.pgq_queue_name;
    let (has_pgq, there, here) =
        (has_pgq(provider).await?, has_londiste(provider).await?, has_londiste(subscriber).await?);
    let has_queue = has_queue(provider, queue).await?;
    let mirror_is_there = match &config.mirror_queue {
        Some(mirror) => self::has_queue(subscriber, mirror).await?,
        None => true,
    };
    let lists = there && has_pgq && has_queue;
    let offered: BTreeSet<FqName> =
        if lists { provider_queue::tables(provider, queue).await?.into_iter().collect() } else { BTreeSet::new() };
    let subscribed: BTreeSet<FqName> = if here {
        tables::load(subscriber, queue).await?.into_iter().map(|table| table.name).collect()
    } else {
        BTreeSet::new()
    };
    let candidates = candidates(provider, exclude).await?;
    let structures = Structures::read(provider, subscriber, queue, &candidates).await?;
    let (wanted, keyless): (Vec<FqName>, Vec<FqName>) =
        candidates.into_iter().partition(|table| !structures.key(table).is_empty());
    let mut differences = Vec::new();
    for table in &wanted {
        let found = structures.compare(table).differences;
        differences.extend(
            found.iter().filter(|d| !matches!(d, Difference::Missing(_, Role::Provider))).map(ToString::to_string),
        );
    }
    let (sequences, sequences_there) = sequences(queue, exclude, provider, subscriber, lists, here).await?;
    Ok(Survey {
        provider_is_installed: has_pgq && there && has_queue,
        subscriber_is_installed: here && mirror_is_there,
        has_queue,
        is_registered: has_queue && Job::of(config).main_consumer().position(provider).await?.is_some(),
        tables: Objects::of(wanted, &offered, &subscribed),
        sequences,
        keyless,
        differences,
        subscriber_is_empty: sequences_there == 0 && is_empty(subscriber).await?,
        provider_is_empty: is_empty(provider).await?,
        missing_rights: missing_rights(provider, has_pgq && there, subscriber, here).await?,
    })
}

/// The sequences, and how many the subscriber's database has.
async fn sequences(
    queue: &str,
    exclude: &[String],
    provider: &Db,
    subscriber: &Db,
    lists: bool,
    here: bool,
) -> Result<(Objects, usize)> {
    let mut all = catalog::sequences(provider).await?;
    all.retain(FqName::is_plain);
    let wanted = without(all, exclude);
    let offered = if lists { sequences::list(provider, queue).await? } else { Vec::new() };
    let subscribed = if here { sequences::list(subscriber, queue).await? } else { Vec::new() };
    let there = catalog::sequences(subscriber).await?.len();
    Ok((Objects::of(wanted, &offered.into_iter().collect(), &subscribed.into_iter().collect()), there))
}

/// Whether a database has no tables and views, besides those of extensions and of schemas `pgq` and `londiste`.
async fn is_empty(db: &Db) -> Result<bool> {
    const ANY: &str = "select exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relpersistence <> 't'
       and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'pgq', 'londiste')
       and not exists (select from pg_catalog.pg_depend d
                        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e'))";
    Ok(!db.query_one("look for tables", ANY, &[]).await?.get::<_, bool>(0))
}

/// The statements that allow to create the schemas, where the user may not.
async fn missing_rights(provider: &Db, there: bool, subscriber: &Db, here: bool) -> Result<Vec<String>> {
    const MAY: &str = "select pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create'),
       pg_catalog.format('grant create on database %I to %I;', pg_catalog.current_database(), current_user)";
    let mut missing = Vec::new();
    for (db, is_installed) in [(provider, there), (subscriber, here)] {
        if is_installed {
            continue;
        }
        let row = db.query_one("look at the rights of the user", MAY, &[]).await?;
        if !row.get::<_, bool>(0) {
            let grant: String = row.get(1);
            missing.push(format!("the user may not create schemas on {}; fix: {grant}", db.role()));
        }
    }
    Ok(missing)
}

/// The roles that own or may use something in the provider's database, and that the subscriber's server does not have.
pub(super) async fn missing_roles(provider: &Db, subscriber: &Db) -> Result<Vec<String>> {
    const USED: &str = "with ours(oid) as (
    select n.oid from pg_catalog.pg_namespace n
     where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'pgq', 'londiste')
), used(owner, acl) as (
    select n.nspowner, n.nspacl from pg_catalog.pg_namespace n where n.oid in (select oid from ours) and n.nspname <> 'public'
    union all
    select null, n.nspacl from pg_catalog.pg_namespace n where n.nspname = 'public'
    union all
    select c.relowner, c.relacl from pg_catalog.pg_class c
     where c.relnamespace in (select oid from ours) and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    union all
    select p.proowner, p.proacl from pg_catalog.pg_proc p where p.pronamespace in (select oid from ours)
    union all
    select t.typowner, t.typacl from pg_catalog.pg_type t where t.typnamespace in (select oid from ours)
)
select distinct r.rolname::text
  from (select owner from used union select a.grantee from used u cross join lateral pg_catalog.aclexplode(u.acl) a) w(oid)
       join pg_catalog.pg_roles r on r.oid = w.oid
 order by 1";
    const LACKING: &str = "select r from pg_catalog.unnest($1) r where not exists (select from pg_catalog.pg_roles p where p.rolname = r) order by 1";
    let used: Vec<String> = provider.query("look for roles", USED, &[]).await?.iter().map(|row| row.get(0)).collect();
    let rows = subscriber.query("look for roles", LACKING, &[text_array(&used)]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The extensions of the provider's database that cannot be had on the subscriber's server.
pub(super) async fn missing_extensions(provider: &Db, subscriber: &Db) -> Result<Vec<String>> {
    const USED: &str =
        "select e.extname::text from pg_catalog.pg_extension e where e.extname not in ('plpgsql', 'pgq') order by 1";
    const LACKING: &str = "select e from pg_catalog.unnest($1) e
 where not exists (select from pg_catalog.pg_available_extensions a where a.name = e)
   and not exists (select from pg_catalog.pg_extension p where p.extname = e) order by 1";
    let used: Vec<String> =
        provider.query("look for extensions", USED, &[]).await?.iter().map(|row| row.get(0)).collect();
    let rows = subscriber.query("look for extensions", LACKING, &[text_array(&used)]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// `server_version_num`.
pub(super) async fn version(db: &Db) -> Result<i32> {
    const SQL: &str = "select pg_catalog.current_setting('server_version_num')::int4";
    Ok(db.query_one("read the server's version", SQL, &[]).await?.get(0))
}
