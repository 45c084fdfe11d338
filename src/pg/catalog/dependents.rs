//! The indexes, constraints and rules of a table that a copy drops and creates again, with their statements.

use std::fmt;

use super::names::fq_name;
use crate::error::Result;
use crate::pg::{Db, FqName, Sql, sql, text};

/// The kind of a [`Dependent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DependentKind {
    /// Primary key, unique, exclusion or check constraint.
    Constraint,
    /// An index that belongs to no constraint.
    Index,
    /// A rule.
    Rule,
}

/// An index, constraint or rule of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependent {
    /// The kind of object.
    pub kind: DependentKind,
    /// Its name for the log: `schema.name` for an index, the bare name for a constraint or rule, which has no schema.
    pub name: String,
    /// Statements that create the object as it is now, separated by semicolons.
    pub create_sql: Sql,
    /// The statement that drops the object.
    pub drop_sql: Sql,
}

impl fmt::Display for Dependent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The objects that a copy drops and creates again, in the order of creation: constraints (the primary key first), indexes,
/// rules. To be called with a lock on the table that keeps others from changing them: for an object that was dropped meanwhile
/// the server has no definition.
///
/// Objects that cannot be dropped and created by themselves are left out: all of a partitioned table; indexes that are
/// attached to an index of a partitioned table; constraints that another object, such as a view, depends on; check
/// constraints that come from a parent or are handed on to children; not-null constraints; indexes that are not valid.
pub async fn dependent_objects(db: &Db, table: &FqName) -> Result<Vec<Dependent>> {
    let mut dependents = constraints(db, table).await?;
    dependents.extend(indexes(db, table).await?);
    dependents.extend(rules(db, table).await?);
    Ok(dependents)
}

/// Properties of a constraint or index that its definition leaves out, for statements around its creation.
struct Surroundings {
    tablespace: Option<String>,
    comment: Option<String>,
    clustered: bool,
    replica_identity: bool,
    /// Further statements, formatted by the server.
    more: Vec<String>,
}

/// An SQL array of the statements that set the statistics targets of the expressions of index `ic`.
const INDEX_STATISTICS: &str = "array(select pg_catalog.format('alter index %s alter column %s set statistics %s', \
    pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(ic.relname), a.attnum, a.attstattarget) \
    from pg_catalog.pg_attribute a \
    where a.attrelid = ic.oid and a.attstattarget >= 0 order by a.attnum)";

impl Surroundings {
    /// Reads column `first` of the row and the four after it.
    fn read(row: &tokio_postgres::Row, first: usize) -> Surroundings {
        Surroundings {
            tablespace: row.get(first),
            comment: row.get(first + 1),
            clustered: row.get(first + 2),
            replica_identity: row.get(first + 3),
            more: row.get(first + 4),
        }
    }

    fn around(&self, create: Sql, table: &FqName, kind: &'static str, index: &Sql, commented: &Sql) -> Sql {
        let mut statements = vec![create];
        // Definitions leave the tablespace out, and its clause would stand in their middle: so it is set as the default.
        if let Some(space) = &self.tablespace {
            statements.insert(0, sql!("set local default_tablespace = {space}", space = Sql::ident(space)));
            statements.push(Sql::from("set local default_tablespace = ''"));
        }
        if let Some(comment) = &self.comment {
            statements.push(sql!(
                "comment on {kind} {commented} is {comment}",
                kind = kind,
                commented = commented,
                comment = Sql::literal(comment)
            ));
        }
        statements.extend(self.more.iter().cloned().map(Sql::from_server));
        if self.clustered {
            statements.push(sql!("alter table {table} cluster on {index}", table = table, index = index));
        }
        if self.replica_identity {
            statements.push(sql!(
                "alter table {table} replica identity using index {index}",
                table = table,
                index = index
            ));
        }
        Sql::join(statements, "; ")
    }
}

async fn constraints(db: &Db, table: &FqName) -> Result<Vec<Dependent>> {
    // For a key whose index has storage parameters, the index is created first and then becomes the constraint, since the
    // constraint's definition leaves them out. (Keys "without overlaps" lose them: no index can become such a constraint.)
    let sql = sql!(
        "select k.conname::text, pg_catalog.pg_get_constraintdef(k.oid), \
                   case when ic.reloptions is not null and k.contype in ('p', 'u') \
                             and not coalesce((pg_catalog.to_jsonb(k) ->> 'conperiod')::bool, false) \
                        then pg_catalog.pg_get_indexdef(ic.oid) end, \
                   k.contype = 'p', k.condeferrable, k.condeferred, \
                   ts.spcname::text, pg_catalog.obj_description(k.oid, 'pg_constraint'), \
                   coalesce(i.indisclustered, false), coalesce(i.indisreplident, false), \
                   case when pg_catalog.obj_description(ic.oid, 'pg_class') is null then {INDEX_STATISTICS} \
                        else pg_catalog.array_append({INDEX_STATISTICS}, pg_catalog.format('comment on index %I.%I is %L', \
                                n.nspname, ic.relname, pg_catalog.obj_description(ic.oid, 'pg_class'))) end \
               from pg_catalog.pg_constraint k \
               join pg_catalog.pg_class c on c.oid = k.conrelid and c.relkind = 'r' \
               join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
               left join pg_catalog.pg_class ic on ic.oid = k.conindid and k.contype in ('p', 'u', 'x') \
               left join pg_catalog.pg_index i on i.indexrelid = ic.oid \
               left join pg_catalog.pg_tablespace ts on ts.oid = ic.reltablespace \
               where k.conrelid = pg_catalog.to_regclass($1) and k.contype in ('p', 'u', 'x', 'c') \
                 and k.coninhcount = 0 and not (k.contype = 'c' and c.relhassubclass and not k.connoinherit) \
                 and (ic.oid is null or not exists (select from pg_catalog.pg_inherits h where h.inhrelid = ic.oid)) \
                 and not exists (select from pg_catalog.pg_depend d \
                                 where d.refclassid = 'pg_catalog.pg_constraint'::regclass and d.refobjid = k.oid and d.deptype = 'n') \
               order by k.contype = 'p' desc, k.contype in ('u', 'x') desc, k.oid",
        INDEX_STATISTICS = INDEX_STATISTICS
    );
    let rows = db.query("read the constraints of a table", &sql, &[text(&table.quoted())]).await?;
    let constraint = |row: &tokio_postgres::Row| {
        let (name, definition, index): (String, String, Option<String>) = (row.get(0), row.get(1), row.get(2));
        let quoted = Sql::ident(&name);
        let create = match index {
            Some(index) => {
                let kind = if row.get(3) { "primary key" } else { "unique" };
                let deferrable = if row.get(4) { " deferrable" } else { "" };
                let deferred = if row.get(5) { " initially deferred" } else { "" };
                sql!(
                    "{index}; alter table {on} add constraint {quoted} {kind} using index {quoted}{deferrable}{deferred}",
                    index = Sql::from_server(index),
                    on = table,
                    quoted = &quoted,
                    kind = kind,
                    deferrable = deferrable,
                    deferred = deferred
                )
            }
            None => sql!(
                "alter table {on} add constraint {quoted} {definition}",
                on = table,
                quoted = &quoted,
                definition = Sql::from_server(definition)
            ),
        };
        let commented = sql!("{quoted} on {on}", quoted = &quoted, on = table);
        Dependent {
            kind: DependentKind::Constraint,
            create_sql: Surroundings::read(row, 6).around(create, table, "constraint", &quoted, &commented),
            drop_sql: sql!("alter table {on} drop constraint {quoted}", on = table, quoted = &quoted),
            name,
        }
    };
    Ok(rows.iter().map(constraint).collect())
}

async fn indexes(db: &Db, table: &FqName) -> Result<Vec<Dependent>> {
    let sql = sql!(
        "select n.nspname::text, ic.relname::text, pg_catalog.pg_get_indexdef(ic.oid), \
                   ts.spcname::text, pg_catalog.obj_description(ic.oid, 'pg_class'), i.indisclustered, i.indisreplident, \
                   {INDEX_STATISTICS} \
               from pg_catalog.pg_index i \
               join pg_catalog.pg_class c on c.oid = i.indrelid and c.relkind = 'r' \
               join pg_catalog.pg_class ic on ic.oid = i.indexrelid \
               join pg_catalog.pg_namespace n on n.oid = ic.relnamespace \
               left join pg_catalog.pg_tablespace ts on ts.oid = ic.reltablespace \
               where i.indrelid = pg_catalog.to_regclass($1) and i.indisvalid \
                 and not exists (select from pg_catalog.pg_inherits h where h.inhrelid = ic.oid) \
                 and not exists (select from pg_catalog.pg_constraint k where k.conindid = ic.oid and k.contype in ('p', 'u', 'x')) \
               order by ic.oid",
        INDEX_STATISTICS = INDEX_STATISTICS
    );
    let rows = db.query("read the indexes of a table", &sql, &[text(&table.quoted())]).await?;
    let index = |row: &tokio_postgres::Row| {
        let name = fq_name(row, 0);
        let definition: String = row.get(2);
        let (bare, full) = (Sql::ident(&name.name), Sql::from(&name));
        Dependent {
            kind: DependentKind::Index,
            create_sql: Surroundings::read(row, 3).around(Sql::from_server(definition), table, "index", &bare, &full),
            drop_sql: sql!("drop index {full}", full = &full),
            name: name.to_string(),
        }
    };
    Ok(rows.iter().map(index).collect())
}

async fn rules(db: &Db, table: &FqName) -> Result<Vec<Dependent>> {
    let sql = "select r.rulename::text, pg_catalog.pg_get_ruledef(r.oid), r.ev_enabled, \
                   pg_catalog.obj_description(r.oid, 'pg_rewrite') \
               from pg_catalog.pg_rewrite r \
               join pg_catalog.pg_class c on c.oid = r.ev_class and c.relkind = 'r' \
               where r.ev_class = pg_catalog.to_regclass($1) and r.rulename <> '_RETURN' order by r.oid";
    let rows = db.query("read the rules of a table", sql, &[text(&table.quoted())]).await?;
    let rule = |row: &tokio_postgres::Row| {
        let name: String = row.get(0);
        let definition: String = row.get(1);
        let quoted = Sql::ident(&name);
        let mut create = Sql::from_server(definition.trim_end().trim_end_matches(';').to_owned());
        let enable = match u8::try_from(row.get::<_, i8>(2)) {
            Ok(b'D') => "disable",
            Ok(b'A') => "enable always",
            Ok(b'R') => "enable replica",
            _ => "",
        };
        if !enable.is_empty() {
            create.push(sql!(
                "; alter table {on} {enable} rule {quoted}",
                on = table,
                enable = enable,
                quoted = &quoted
            ));
        }
        let comment: Option<String> = row.get(3);
        if let Some(comment) = comment {
            let comment = Sql::literal(&comment);
            create.push(sql!(
                "; comment on rule {quoted} on {on} is {comment}",
                quoted = &quoted,
                on = table,
                comment = comment
            ));
        }
        Dependent {
            kind: DependentKind::Rule,
            create_sql: create,
            drop_sql: sql!("drop rule {quoted} on {on}", quoted = &quoted, on = table),
            name,
        }
    };
    Ok(rows.iter().map(rule).collect())
}
