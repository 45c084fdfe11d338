//! A table on the subscriber, as far as the applier needs to know it, and how it is read from the catalog.

use std::collections::HashMap;

use tokio_postgres::types::Type;

use super::key::KeyClass;
use crate::config::ApplyRole;
use crate::error::Result;
use crate::pg::catalog::equality::{self, Equality};
use crate::pg::{Db, FqName, Sql, sql, text_array};

/// The position of a column in [`TargetTable::columns`].
pub(super) type ColumnId = u16;

/// A table on the subscriber.
#[derive(Debug)]
pub(super) struct TargetTable {
    pub(super) name: FqName,
    pub(super) oid: u32,
    pub(super) version: Version,
    /// The table is the root of partitions, where `only` finds no row.
    pub(super) partitioned: bool,
    pub(super) columns: Vec<TargetColumn>,
    pub(super) by_name: HashMap<String, ColumnId>,
    /// The columns of the primary key, ascending.
    pub(super) primary_key: Option<Vec<ColumnId>>,
    /// The columns of each unique index that can serve as a key, ascending.
    pub(super) keys: Vec<Vec<ColumnId>>,
    /// How many indexes forbid values because of other rows: those of unique and exclusion constraints too.
    pub(super) unique_indexes: usize,
    /// The columns in any such index; all columns when one of the indexes has expressions.
    pub(super) unique_columns: Vec<ColumnId>,
    pub(super) foreign_keys: Vec<ForeignKey>,
    /// The object ids of the tables that foreign keys lead to, directly or through other tables.
    pub(super) ancestors: Vec<u32>,
    pub(super) cascades: Vec<Cascade>,
    /// Whether a constraint of the table, or a foreign key to it, is deferrable.
    pub(super) deferrable: bool,
    /// Whether policies decide which rows of the table this user sees.
    pub(super) row_security: bool,
    /// Why events have to be applied one by one.
    pub(super) by_row: Option<&'static str>,
}

/// Two numbers, of which one or both are others after each change in the catalog that concerns the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    /// The table's row in `pg_class`. TRUNCATE changes the row too.
    row: i64,
    /// Columns, indexes, triggers, rules, and whether policies concern the user.
    pub(super) structure: i64,
}

/// A column of a table.
#[derive(Debug)]
pub(super) struct TargetColumn {
    pub(super) name: String,
    pub(super) quoted: Sql,
    /// The type, for a cast, without length: a cast to a length cuts the value, an assignment checks it.
    pub(super) cast: Sql,
    /// How a column of a key finds its row.
    pub(super) equality: Equality,
    /// How values of the type are compared in keys.
    pub(super) class: KeyClass,
    /// The built-in integer type that the column has.
    pub(super) integer: Option<IntegerType>,
    /// The subscriber computes the column, or does not have it ([`TargetTable::leave_out`]): it cannot be set.
    pub(super) generated: bool,
    /// `generated always as identity`
    pub(super) identity_always: bool,
}

/// The built-in integer types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IntegerType {
    Int2,
    Int4,
    Int8,
}

/// A foreign key from or to the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ForeignKey {
    pub(super) from: u32,
    pub(super) to: u32,
    /// Which end this table is. A table that refers to itself has the foreign key twice.
    pub(super) end: ForeignKeyEnd,
    /// The columns of this table.
    pub(super) columns: Vec<ColumnId>,
    /// A delete of a row that is referred to changes rows of `from`: `on delete cascade`, `set null` or `set default`.
    pub(super) acts_on_delete: bool,
}

/// The ends of a foreign key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ForeignKeyEnd {
    /// The table with the constraint.
    Child,
    /// The table that is referred to.
    Parent,
}

/// A chain of foreign keys with `on delete cascade`, or with `on update cascade`, by which a change of another table's rows reaches
/// rows of this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cascade {
    pub(super) on: CascadeEvent,
    /// The object id of the table at the other end of the chain.
    pub(super) from: u32,
    /// The columns of this table in the first foreign key of the chain.
    pub(super) columns: Vec<ColumnId>,
}

/// The change that a foreign key hands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum CascadeEvent {
    Delete,
    /// An update of the columns that the foreign key leads to.
    Update,
}

impl TargetTable {
    /// The name for UPDATE and DELETE: with `only`, unless the table is the root of partitions.
    pub(super) fn only(&self) -> Sql {
        let name = Sql::from(&self.name);
        if self.partitioned { name } else { sql!("only {name}", name = name) }
    }

    pub(super) fn column(&self, id: ColumnId) -> &TargetColumn {
        &self.columns[usize::from(id)]
    }

    /// The names of columns, for a list in SQL.
    pub(super) fn column_list(&self, columns: &[ColumnId]) -> Sql {
        Sql::join(columns.iter().map(|column| self.column(*column).quoted.clone()), ", ")
    }

    /// Lets events have a column that the table does not have: as with a generated column, its values are not written.
    pub(super) fn leave_out(&mut self, name: &str) {
        if self.by_name.contains_key(name) {
            return;
        }
        self.by_name.insert(name.to_owned(), ColumnId::try_from(self.columns.len()).unwrap_or(ColumnId::MAX));
        self.columns.push(TargetColumn {
            name: name.to_owned(),
            quoted: Sql::ident(name),
            cast: Sql::from("pg_catalog.text"),
            equality: Equality::built_in(),
            class: KeyClass::Other,
            integer: None,
            generated: true,
            identity_always: false,
        });
    }

    /// What an insert has to say so that it may set an identity column.
    pub(super) fn overriding(&self) -> &'static str {
        if self.columns.iter().any(|c| c.identity_always) { " overriding system value" } else { "" }
    }
}

/// The two numbers of [`Version`]. Columns, triggers (a foreign key has some on both of its tables) and rules have rows in the
/// catalog, each with the transaction that wrote it; the sum of these is the number of the structure. Of indexes it is what they are, and
/// not the transaction: TRUNCATE, also that of a batch, writes the row of an index that was created while rows changed. The foreign keys of all tables are
/// in the sum of a table that has one at either end: changes cascade to a table through keys of other tables, and its ancestors are found
/// through them. Such a table has a trigger of the server for each key, but a partitioned one has not, before PostgreSQL 15. Whether
/// policies concern the user depends on the user too.
const VERSION: Sql = Sql::from_static(
    "c.xmin::text::bigint,
     (pg_catalog.row_security_active(c.oid)::int
      + (select sum(a.xmin::text::bigint) from pg_catalog.pg_attribute a where a.attrelid = c.oid)
      + (select coalesce(sum(pg_catalog.hashtext(pg_catalog.concat_ws(' ', i.indexrelid, i.indisunique, i.indisprimary,
                                                                      i.indimmediate, i.indisvalid, i.indisready, i.indkey))), 0)
           from pg_catalog.pg_index i where i.indrelid = c.oid)
      + (select coalesce(sum(t.xmin::text::bigint), 0) from pg_catalog.pg_trigger t where t.tgrelid = c.oid)
      + (select coalesce(sum(r.xmin::text::bigint), 0) from pg_catalog.pg_rewrite r where r.ev_class = c.oid)
      + case when c.relkind = 'p'
                  or exists (select from pg_catalog.pg_trigger t where t.tgrelid = c.oid and t.tgisinternal and t.tgconstrrelid <> 0)
             then (select coalesce(sum(k.xmin::text::bigint + k.oid::bigint), 0)
                     from pg_catalog.pg_constraint k where k.contype = 'f')
             else 0 end)::bigint",
);

const TABLES: &str = "
    select c.oid, n.nspname::text, c.relname::text, c.relkind = 'p', {version},
           case when c.relkind not in ('r', 'p') then 'is not a plain table'
                when exists (select from pg_catalog.pg_rewrite r
                              where r.ev_class = c.oid and r.ev_type <> '1' and r.ev_enabled in ('A', {enabled}))
                     then 'has rules'
                when exists (select from pg_catalog.pg_trigger t
                               join pg_catalog.pg_proc p on p.oid = t.tgfoid
                               join pg_catalog.pg_namespace pn on pn.oid = p.pronamespace
                              where not t.tgisinternal and t.tgenabled in ('A', {enabled})
                                and pn.nspname not in ('pgq', 'londiste')
                                and t.tgrelid in (with recursive tree as (
                                        select c.oid as relid
                                        union all
                                        select i.inhrelid from tree join pg_catalog.pg_inherits i on i.inhparent = relid
                                         where c.relkind = 'p')
                                    select relid from tree))
                     then 'has triggers'
           end,
           exists (select from pg_catalog.pg_constraint k
                    where c.oid in (k.conrelid, k.confrelid) and k.condeferrable and k.contype in ('p', 'u', 'x', 'f')),
           pg_catalog.row_security_active(c.oid)
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
           join unnest($1, $2) w(nspname, relname) on w.nspname::name = n.nspname and w.relname::name = c.relname
     where c.relkind in ('r', 'p', 'v', 'f')";

// attgenerated and collisdeterministic are there from PostgreSQL 12 on, so they are read from the JSON of the rows.
const COLUMNS: &str = "
    select a.attrelid, a.attnum, a.attname::text, a.attidentity = 'a',
           coalesce(to_jsonb(a) ->> 'attgenerated', '') <> '',
           tn.nspname::text, t.typname::text, t.oid, base.oid, base.typtype = 'e',
           coalesce((select to_jsonb(co) ->> 'collisdeterministic' = 'false'
                       from pg_catalog.pg_collation co where co.oid = a.attcollation), false)
      from pg_catalog.pg_attribute a
           join pg_catalog.pg_type t on t.oid = a.atttypid
           join pg_catalog.pg_namespace tn on tn.oid = t.typnamespace
           cross join lateral (
               with recursive chain as (
                   select t.oid, t.typtype, t.typbasetype
                   union all
                   select b.oid, b.typtype, b.typbasetype
                     from chain join pg_catalog.pg_type b on b.oid = chain.typbasetype and chain.typtype = 'd')
               select chain.oid, chain.typtype from chain where chain.typtype <> 'd') base
     where a.attrelid = any($1) and a.attnum > 0 and not a.attisdropped
     order by a.attrelid, a.attnum";

const INDEXES: &str = "
    select i.indrelid, i.indisprimary,
           i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null,
           (string_to_array(i.indkey::text, ' ')::int2[])
               [1 : coalesce((to_jsonb(i) ->> 'indnkeyatts')::int, i.indnatts)]
      from pg_catalog.pg_index i
     where i.indrelid = any($1) and (i.indisunique or i.indisexclusion)";

const FOREIGN_KEYS: &str = "
    select k.conrelid, k.confrelid, k.conkey, k.confkey, k.confdeltype in ('c', 'n', 'd')
      from pg_catalog.pg_constraint k
     where k.contype = 'f' and (k.conrelid = any($1) or k.confrelid = any($1))";

// "union" leaves out what was found before, so that circles of foreign keys end.
const ANCESTORS: &str = "
    with recursive ancestor as (
        select k.conrelid as relid, k.confrelid as ancestor_id
          from pg_catalog.pg_constraint k
         where k.contype = 'f' and k.conrelid = any($1)
        union
        select a.relid, k.confrelid
          from ancestor a join pg_catalog.pg_constraint k on k.conrelid = a.ancestor_id and k.contype = 'f')
    select relid, ancestor_id from ancestor";

// The columns are those of the first foreign key of each chain.
const CASCADES: &str = "
    with recursive cascade as (
        select k.conrelid as relid, k.confrelid as source_id, k.conkey, v.event
          from pg_catalog.pg_constraint k cross join (values ('d'), ('u')) v (event)
         where k.contype = 'f' and k.conrelid = any($1)
           and 'c' = case v.event when 'd' then k.confdeltype else k.confupdtype end
        union
        select c.relid, k.confrelid, c.conkey, c.event
          from cascade c join pg_catalog.pg_constraint k on k.conrelid = c.source_id
         where k.contype = 'f' and 'c' = case c.event when 'd' then k.confdeltype else k.confupdtype end)
    select relid, source_id, conkey, event = 'd' from cascade";

/// Reads the tables that exist among `names`. Takes no lock on them.
pub(super) async fn load(tx: &Db, names: &[&FqName], role: ApplyRole) -> Result<Vec<TargetTable>> {
    const ACTION: &str = "read the structure of the tables";
    let schemas: Vec<&str> = names.iter().map(|n| n.schema.as_str()).collect();
    let relations: Vec<&str> = names.iter().map(|n| n.name.as_str()).collect();
    // pg_trigger.tgenabled and pg_rewrite.ev_enabled: 'O' fires as origin, 'R' as replica.
    let enabled = if role == ApplyRole::Replica { "'R'" } else { "'O'" };
    let tables = sql!(TABLES, enabled = enabled, version = &VERSION);
    let rows = tx.query(ACTION, tables, &[text_array(&schemas), text_array(&relations)]).await?;
    let mut tables: Vec<TargetTable> = rows.iter().map(table).collect();
    let oids: Vec<u32> = tables.iter().map(|t| t.oid).collect();
    let oids = [(&oids as &(dyn tokio_postgres::types::ToSql + Sync), Type::OID_ARRAY)];
    let (columns, indexes, foreign_keys, ancestors, cascades) = futures_util::try_join!(
        tx.query(ACTION, COLUMNS, &oids),
        tx.query(ACTION, INDEXES, &oids),
        tx.query(ACTION, FOREIGN_KEYS, &oids),
        tx.query(ACTION, ANCESTORS, &oids),
        Box::pin(tx.query(ACTION, CASCADES, &oids))
    )?;
    let base = |row: &tokio_postgres::Row| row.get::<_, u32>(8);
    let mut looked_up: Vec<u32> = columns.iter().map(base).filter(|base| !equality::is_built_in(*base)).collect();
    looked_up.sort_unstable();
    looked_up.dedup();
    let equalities = equality::look_up(tx, &looked_up).await?;
    for table in &mut tables {
        let oid = table.oid;
        let mut numbers = HashMap::new();
        for row in columns.iter().filter(|r| r.get::<_, u32>(0) == oid) {
            let id = ColumnId::try_from(table.columns.len()).unwrap_or(ColumnId::MAX);
            numbers.insert(row.get::<_, i16>(1), id);
            let equality = equalities.get(&base(row)).cloned().unwrap_or_else(Equality::built_in);
            let column = column(row, equality);
            table.by_name.insert(column.name.clone(), id);
            table.columns.push(column);
        }
        for row in indexes.iter().filter(|r| r.get::<_, u32>(0) == oid) {
            add_index(table, row, &numbers);
        }
        for row in &foreign_keys {
            add_foreign_key(table, row, &numbers);
        }
        // As replica, the server carries out no foreign key.
        if role == ApplyRole::Origin {
            let own = cascades.iter().filter(|row| row.get::<_, u32>(0) == oid);
            table.cascades = own.map(|row| cascade(row, &numbers)).collect();
        }
        table.ancestors = ancestors.iter().filter(|r| r.get::<_, u32>(0) == oid).map(|r| r.get(1)).collect();
    }
    Ok(tables)
}

/// The object id and version of each table that exists among `names`. While they are the same, so is what [`load`] gives.
pub(super) async fn versions(tx: &Db, names: &[&FqName]) -> Result<HashMap<FqName, (u32, Version)>> {
    let schemas: Vec<&str> = names.iter().map(|n| n.schema.as_str()).collect();
    let relations: Vec<&str> = names.iter().map(|n| n.name.as_str()).collect();
    let sql = sql!(
        "select n.nspname::text, c.relname::text, c.oid, {version}
           from unnest($1, $2) w(nspname, relname)
                join pg_catalog.pg_namespace n on n.nspname = w.nspname::name
                join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.relname::name",
        version = &VERSION
    );
    let params = [text_array(&schemas), text_array(&relations)];
    let rows = tx.query_kept("look for changed tables", sql, &params).await?;
    let version = |row: &tokio_postgres::Row| Version { row: row.get(3), structure: row.get(4) };
    Ok(rows.iter().map(|r| (FqName { schema: r.get(0), name: r.get(1) }, (r.get(2), version(r)))).collect())
}

fn table(row: &tokio_postgres::Row) -> TargetTable {
    let by_row = match row.get::<_, Option<&str>>(6) {
        None => None,
        Some("has triggers") => Some("has triggers"),
        Some("has rules") => Some("has rules"),
        Some(_) => Some("is not a plain table"),
    };
    TargetTable {
        name: FqName { schema: row.get(1), name: row.get(2) },
        oid: row.get(0),
        version: Version { row: row.get(4), structure: row.get(5) },
        partitioned: row.get(3),
        columns: Vec::new(),
        by_name: HashMap::new(),
        primary_key: None,
        keys: Vec::new(),
        unique_indexes: 0,
        unique_columns: Vec::new(),
        foreign_keys: Vec::new(),
        ancestors: Vec::new(),
        cascades: Vec::new(),
        deferrable: row.get(7),
        row_security: row.get(8),
        by_row,
    }
}

fn column(row: &tokio_postgres::Row, equality: Equality) -> TargetColumn {
    let name: String = row.get(2);
    let (type_schema, type_name): (&str, &str) = (row.get(5), row.get(6));
    let integer = match row.get::<_, u32>(7) {
        21 => Some(IntegerType::Int2),
        23 => Some(IntegerType::Int4),
        20 => Some(IntegerType::Int8),
        _ => None,
    };
    let (base, is_enum, is_nondeterministic): (u32, bool, bool) = (row.get(8), row.get(9), row.get(10));
    let class = match (is_nondeterministic, is_enum) {
        (true, _) => KeyClass::Other,
        (false, true) => KeyClass::Text,
        (false, false) => KeyClass::of(base),
    };
    TargetColumn {
        quoted: Sql::ident(&name),
        name,
        cast: sql!("{schema}.{name}", schema = Sql::ident(type_schema), name = Sql::ident(type_name)),
        equality,
        class,
        integer,
        identity_always: row.get(3),
        generated: row.get(4),
    }
}

fn add_index(table: &mut TargetTable, row: &tokio_postgres::Row, numbers: &HashMap<i16, ColumnId>) {
    let attnums: Vec<i16> = row.get(3);
    table.unique_indexes += 1;
    let ids: Option<Vec<ColumnId>> = attnums.iter().map(|n| numbers.get(n).copied()).collect();
    let Some(mut ids) = ids else {
        // An expression may look at any column.
        table.unique_columns = (0..).take(table.columns.len()).collect();
        return;
    };
    table.unique_columns.extend_from_slice(&ids);
    ids.sort_unstable();
    if row.get(1) {
        table.primary_key = Some(ids.clone());
    }
    if row.get(2) {
        table.keys.push(ids);
    }
}

fn add_foreign_key(table: &mut TargetTable, row: &tokio_postgres::Row, numbers: &HashMap<i16, ColumnId>) {
    let (from, to): (u32, u32) = (row.get(0), row.get(1));
    let ends: [(u32, ForeignKeyEnd, Vec<i16>); 2] =
        [(from, ForeignKeyEnd::Child, row.get(2)), (to, ForeignKeyEnd::Parent, row.get(3))];
    for (oid, end, attnums) in ends {
        if oid == table.oid {
            let columns = attnums.iter().filter_map(|n| numbers.get(n).copied()).collect();
            table.foreign_keys.push(ForeignKey { from, to, end, columns, acts_on_delete: row.get(4) });
        }
    }
}

fn cascade(row: &tokio_postgres::Row, numbers: &HashMap<i16, ColumnId>) -> Cascade {
    let attnums: Vec<i16> = row.get(2);
    Cascade {
        on: if row.get(3) { CascadeEvent::Delete } else { CascadeEvent::Update },
        from: row.get(1),
        columns: attnums.iter().filter_map(|attnum| numbers.get(attnum).copied()).collect(),
    }
}

impl IntegerType {
    /// The type of an array of such integers.
    pub(super) fn array(self) -> Type {
        match self {
            IntegerType::Int2 => Type::INT2_ARRAY,
            IntegerType::Int4 => Type::INT4_ARRAY,
            IntegerType::Int8 => Type::INT8_ARRAY,
        }
    }

    /// The type of one such integer.
    pub(super) fn element(self) -> Type {
        match self {
            IntegerType::Int2 => Type::INT2,
            IntegerType::Int4 => Type::INT4,
            IntegerType::Int8 => Type::INT8,
        }
    }
}
