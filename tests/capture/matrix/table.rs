//! The tables of a trial, and what their columns are after DDL.

use super::plan::{Capture, Change, Kind, Plan};
use crate::support::types::{Base, Column, OWN_TYPES};

/// What statements have to know of the tables.
#[derive(Clone, Debug)]
pub struct Table {
    pub kind: Kind,
    pub capture: Capture,
    pub major: u32,
    pub columns: Vec<Column>,
    /// Numbers what DDL makes.
    pub count: usize,
}

impl Table {
    /// The columns of the key.
    pub fn key(&self) -> &'static str {
        match self.kind {
            Kind::Partitioned if self.is_partitioned() => "id, g",
            Kind::TypedKey => "id, tk",
            _ => "id",
        }
    }

    /// Before PostgreSQL 11 no partitioned table has a primary key.
    pub fn is_partitioned(&self) -> bool {
        self.kind == Kind::Partitioned && self.major >= 11
    }

    pub fn new(plan: &Plan, bases: &[Base], major: u32) -> Table {
        let columns = plan
            .columns
            .pairs(bases.len(), plan.seed)
            .into_iter()
            .enumerate()
            .filter_map(|(nr, (base, wrap))| Column::new(nr, &bases[base], wrap, major))
            .collect();
        Table { kind: plan.kind, capture: plan.capture, major, columns, count: 0 }
    }

    /// What is said of each typed column, each after a comma.
    pub fn list(&self, say: impl FnMut(&Column) -> String) -> String {
        comma_before_each(self.columns.iter().map(say))
    }

    /// What both sides have, in the schema where the session creates objects.
    pub fn schema(&self) -> String {
        let types: Vec<&str> = self.columns.iter().map(|column| column.ddl.as_str()).collect();
        let columns = self.list(Column::definition);
        let generated = match (self.kind, self.capture) {
            (Kind::Generated, _) if self.major >= 12 => {
                ", twice int generated always as (id * 2) stored, ident int generated always as identity"
            }
            (Kind::Generated, _) => ", ident int generated always as identity",
            _ => "",
        };
        let typed_key = if self.kind == Kind::TypedKey { ", tk typed_key not null default '1.50'" } else { "" };
        let key = match self.kind {
            Kind::UniqueKey => "unique (id)".to_owned(),
            _ => format!("primary key ({})", self.key()),
        };
        let partitioned = if self.is_partitioned() { " partition by list (g)" } else { "" };
        let unlogged = if self.kind == Kind::Unlogged { "unlogged" } else { "" };
        let parts = if self.is_partitioned() {
            "create table t_a partition of t for values in ('a');
             create table t_b partition of t for values in ('b', 'c') partition by range (id);
             create table t_b1 partition of t_b for values from (minvalue) to (20);
             create table t_b2 partition of t_b for values from (20) to (maxvalue);
             create table t_rest partition of t default;"
        } else {
            ""
        };
        let child = if self.kind == Kind::Inherited {
            "create table t_child (extra int default 5, primary key (id)) inherits (t);"
        } else {
            ""
        };
        let reference = if self.kind == Kind::Referenced {
            " references t on delete cascade on update cascade deferrable initially deferred"
        } else {
            ""
        };
        format!(
            "{OWN_TYPES} create domain typed_key as numeric check (value <> 13); {};
             create sequence t_seq start 1000;
             create {unlogged} table t (id int not null default nextval('t_seq'), n int not null default 0, g text not null default 'a',
                 m mood default 'sad' {typed_key}{columns}{generated}, {key}){partitioned};
             {parts}{child}
             create table o (id int primary key, t_id int{reference}, what text);
             create table src (id int primary key, n int, g text, m mood default ''{columns});
             create view v as select * from t",
            types.join(";")
        )
    }

    /// What stands on the provider only: the subscriber gets what these write as events.
    pub fn provider_only(&self) -> &'static str {
        match self.kind {
            Kind::Triggers => {
                "create function t_before() returns trigger language plpgsql as $$
                 begin
                     new.n := new.n + 1;
                     return new;
                 end $$;
                 create trigger b_before before insert or update on t for each row execute procedure t_before();
                 create function t_after() returns trigger language plpgsql as $$
                 begin
                     insert into o values (new.id, new.id, 'trigger') on conflict (id) do update set what = 'again';
                     if new.id % 5 = 0 and pg_catalog.pg_trigger_depth() < 2 then
                         update t set n = n + 10 where id = new.id;
                     end if;
                     return null;
                 end $$;
                 create trigger a_after after insert or update on t for each row execute procedure t_after();
                 create function t_gone() returns trigger language plpgsql as $$
                 begin
                     update o set what = 'gone' where id = old.id;
                     return null;
                 end $$;
                 create trigger z_gone after delete on t for each row execute procedure t_gone();
                 create function t_done() returns trigger language plpgsql as $$
                 begin
                     delete from o where id % 7 = 0;
                     return null;
                 end $$;
                 create trigger z_done after insert or delete on t for each statement execute procedure t_done();"
            }
            Kind::Rules => {
                "create rule t_update as on update to t where new.n > 100 do also
                     update o set what = 'rule' where id = new.id;
                 create rule t_delete as on delete to t do also delete from o where t_id = old.id;
                 create rule v_insert as on insert to v do instead insert into t (id, n) values (new.id, new.n);"
            }
            Kind::Guarded => {
                "create policy p on t using (id <> 13) with check (id <> 14); alter table t enable row level security;"
            }
            Kind::Plain
            | Kind::Partitioned
            | Kind::Inherited
            | Kind::Referenced
            | Kind::Generated
            | Kind::TypedKey
            | Kind::UniqueKey
            | Kind::Unlogged => "",
        }
    }

    /// The captured tables.
    pub fn captured(&self) -> Vec<&'static str> {
        if self.kind == Kind::Inherited { vec!["t", "t_child", "o"] } else { vec!["t", "o"] }
    }

    /// The DDL of a change; None where the table has nothing to change so.
    pub fn change(&self, change: Change, seed: usize) -> Option<Ddl> {
        Draft::new(self, seed).ddl(change)
    }
}

/// DDL that is being made.
struct Draft<'a> {
    table: &'a Table,
    /// What the table is afterwards.
    after: Table,
    /// Makes names unique.
    nr: usize,
    seed: usize,
}

impl<'a> Draft<'a> {
    fn new(table: &'a Table, seed: usize) -> Draft<'a> {
        let mut after = table.clone();
        after.count += 1;
        let nr = after.count;
        Draft { table, after, nr, seed }
    }

    fn ddl(self, change: Change) -> Option<Ddl> {
        let nr = self.nr;
        match change {
            Change::AddColumn => self.add_column(),
            Change::AddDomainColumn => self.add_domain_column(),
            Change::DropColumn => self.drop_column(),
            Change::RenameColumn => self.rename_column(),
            Change::NumberType => {
                let name = ["bigint", "numeric(20,2)", "int"][self.seed % 3];
                Some(self.both(without_view(&format!("alter table t alter column n type {name}"))))
            }
            Change::ColumnToText => self.column_to_text(),
            Change::DomainCheck => self.domain_check(),
            Change::DomainNotNull => self.domain_not_null(),
            Change::DomainNullable => self.domain_nullable(),
            Change::DomainDefault => {
                let (_, name) = self.domain()?;
                Some(self.both(format!("alter domain {name} drop default")))
            }
            Change::EnumValue => Some(self.enum_value()),
            Change::Attribute => self.attribute(),
            Change::ReplicaIdentity => {
                let identity = ["full", "nothing", "default"][self.seed % 3];
                Some(self.here(format!("alter table t replica identity {identity}")))
            }
            Change::RenameTable => self.rename_table(),
            Change::Check => Some(self.both(format!(
                "alter table t add constraint check{nr} check (n is not null) not valid;
                 alter table t validate constraint check{nr}"
            ))),
            Change::Index => {
                let key = self.table.key();
                Some(self.here(format!("create index on t (n); create unique index on t ({key}, n)")))
            }
            Change::Options => Some(
                self.here(
                    "alter table src set (fillfactor = 70);
                 alter table t alter column n set statistics 7, alter column g set default 'b'"
                        .to_owned(),
                ),
            ),
            Change::Rewrite => Some(Ddl { alone: Alone::Yes, ..self.here("vacuum full t".to_owned()) }),
            Change::Partition => self.partition(),
            Change::UserTrigger => Some(self.here(format!(
                "create function noop{nr}() returns trigger language plpgsql as $$ begin return null; end $$;
                 create trigger a{nr} after insert or update or delete on t for each row execute procedure noop{nr}()"
            ))),
            Change::KeyAgain => self.key_again(),
            Change::Maintain => None,
        }
    }

    /// DDL for both sides.
    fn both(self, sql: String) -> Ddl {
        Ddl { sql: sql.clone(), subscriber: Some(sql), alone: Alone::No, after: self.after }
    }

    /// DDL that the subscriber does not need.
    fn here(self, sql: String) -> Ddl {
        Ddl { sql, subscriber: None, alone: Alone::No, after: self.after }
    }

    /// The place of one of the typed columns.
    fn column(&self) -> Option<usize> {
        self.seed.checked_rem(self.table.columns.len())
    }

    /// The place of a column that brought a domain, and the domain.
    fn domain(&self) -> Option<(usize, String)> {
        let columns = &self.table.columns;
        let mut all = columns.iter().enumerate().cycle().skip(self.column().unwrap_or(0)).take(columns.len());
        all.find_map(|(place, column)| {
            let name = column.own()?.to_owned();
            column.ddl.contains(&format!(" {name} as ")).then_some((place, name))
        })
    }

    /// This trigger knows the columns of the time when it was created.
    fn takes_columns(&self) -> bool {
        self.table.capture != Capture::Generic("logtriga")
    }

    fn add_column(mut self) -> Option<Ddl> {
        let name = format!("x{}", self.nr);
        self.after.columns.push(Column::added(&name, "numeric(10,2)", &["1.5", "-0.01"]));
        self.takes_columns().then(|| {
            self.both(format!(
                "alter table t add column {name} numeric(10,2) default 1.50;
                 alter table src add column {name} numeric(10,2) default 2.5"
            ))
        })
    }

    fn add_domain_column(mut self) -> Option<Ddl> {
        let (name, domain) = (format!("x{}", self.nr), format!("e{}", self.nr));
        let mut added = Column::added(&name, &domain, &["'2020-01-02 03:04+00'", "'infinity'"]);
        added.is_nullable = false;
        self.after.columns.push(added);
        self.takes_columns().then(|| {
            self.both(format!(
                "create domain {domain} as timestamptz not null default '2020-01-02 03:04+00';
                 alter table t add column {name} {domain} default '2020-01-02 03:04+00';
                 alter table src add column {name} {domain} default '2020-01-02 03:04+00'"
            ))
        })
    }

    fn drop_column(mut self) -> Option<Ddl> {
        let place = self.column().filter(|_| self.takes_columns() && self.table.columns.len() > 1)?;
        let name = self.after.columns.remove(place).name;
        Some(self.both(without_view(&format!("alter table t drop column {name}; alter table src drop column {name}"))))
    }

    fn rename_column(mut self) -> Option<Ddl> {
        let place = self.column()?;
        let new = format!("\"R'{} %s\"", self.nr);
        let old = std::mem::replace(&mut self.after.columns[place].name, new.clone());
        Some(
            self.both(format!(
                "alter table t rename column {old} to {new}; alter table src rename column {old} to {new}"
            )),
        )
    }

    fn column_to_text(mut self) -> Option<Ddl> {
        let place = self.column()?;
        let column = &mut self.after.columns[place];
        // The text of an object's name says the schema or does not, as the search_path of each side has it.
        if column.base.name.starts_with("reg") {
            return None;
        }
        let name = column.name.clone();
        let values: Vec<String> = column.values.iter().map(|value| format!("({value})::text")).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        *column = Column::added(&name, "text", &values);
        let one = |table: &str| {
            format!(
                "alter table {table} alter column {name} drop default, alter column {name} type text using {name}::text"
            )
        };
        Some(self.both(without_view(&format!("{}; {}", one("t"), one("src")))))
    }

    fn domain_check(self) -> Option<Ddl> {
        let (_, name) = self.domain()?;
        let nr = self.nr;
        let valid = if self.seed.is_multiple_of(2) { "" } else { " not valid" };
        Some(self.both(format!(
            "alter domain {name} add constraint more{nr} check (pg_catalog.length(value::text) > -{nr}){valid}"
        )))
    }

    fn domain_not_null(mut self) -> Option<Ddl> {
        // COPY without such a column, which has no default, does not look at the domain: a row of the server's that no
        // statement of a subscriber can repeat.
        let (place, name) = self.domain().filter(|(place, _)| self.table.columns[*place].base.has_binary)?;
        self.after.columns[place].is_nullable = false;
        Some(self.both(format!("alter domain {name} set not null")))
    }

    fn domain_nullable(mut self) -> Option<Ddl> {
        let (place, name) = self.domain()?;
        self.after.columns[place].is_nullable = true;
        Some(self.both(format!("alter domain {name} drop not null")))
    }

    fn enum_value(self) -> Ddl {
        let alone = if self.table.major < 12 { Alone::Yes } else { Alone::No };
        let sql = format!("alter type mood add value 'new{}'", self.nr);
        Ddl { alone, ..self.both(sql) }
    }

    fn attribute(mut self) -> Option<Ddl> {
        let place = self.table.columns.iter().position(|column| column.ddl.contains("_c as (a int"))?;
        let name = format!("{}_c", self.table.columns[place].own()?);
        for value in &mut self.after.columns[place].values {
            *value = value.replace(&format!(")::{name}"), &format!(", null)::{name}"));
        }
        let sql = format!("alter type {name} add attribute more{} date", self.nr);
        Some(self.both(sql))
    }

    fn rename_table(self) -> Option<Ddl> {
        // Events of PgQ's triggers have the new name.
        if matches!(self.table.capture, Capture::Generic(_)) {
            return None;
        }
        Some(self.here(
            "alter table t rename to t_other; insert into t_other (id, n) values (70, 1), (71, 1) on conflict do nothing;
             update t_other set n = n + 1 where id > 69; delete from t_other where id = 70; alter table t_other rename to t"
                .to_owned(),
        ))
    }

    fn partition(self) -> Option<Ddl> {
        let nr = self.nr;
        if self.table.is_partitioned() {
            return Some(self.both(format!(
                "create table t_p{nr} partition of t for values in ('p{nr}'); alter table t detach partition t_p{nr}"
            )));
        }
        (self.table.kind == Kind::Plain && self.table.major >= 11).then(|| {
            self.both("create table t_late (late text, primary key (id)) inherits (t); drop table t_late".to_owned())
        })
    }

    fn key_again(self) -> Option<Ddl> {
        if matches!(self.table.kind, Kind::Referenced | Kind::Inherited | Kind::UniqueKey) {
            return None;
        }
        let key = self.table.key();
        Some(self.here(format!(
            "alter table t drop constraint t_pkey; alter table t add constraint t_pkey primary key ({key})"
        )))
    }
}

/// DDL that cannot be while the view is there.
fn without_view(sql: &str) -> String {
    format!("drop view if exists v; {sql}; create view v as select * from t")
}

/// A list that goes on after something else: each item after a comma.
pub fn comma_before_each(items: impl Iterator<Item = String>) -> String {
    items.fold(String::new(), |list, item| list + ", " + &item)
}

/// Whether a statement cannot be part of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
    Yes,
    No,
}

#[derive(Clone, Debug)]
pub struct Ddl {
    pub sql: String,
    /// What the subscriber needs.
    pub subscriber: Option<String>,
    pub alone: Alone,
    pub after: Table,
}
