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

    /// The names of the typed columns.
    pub fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|column| column.name.as_str()).collect()
    }

    /// What both sides have, in the schema where the session creates objects.
    pub fn schema(&self) -> String {
        let types: Vec<&str> = self.columns.iter().map(|column| column.ddl.as_str()).collect();
        let columns: String = self.columns.iter().map(|column| format!(", {}", column.definition())).collect();
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

    /// A definition that is to be changed with the table.
    pub fn change(&self, change: Change, seed: usize) -> Option<Ddl> {
        let mut after = self.clone();
        after.count += 1;
        let nr = after.count;
        let column = (!self.columns.is_empty()).then(|| seed % self.columns.len());
        // The domain or row type that a column brought.
        let own = |suffix: &str| {
            let mut all = self.columns.iter().enumerate().cycle().skip(column.unwrap_or(0)).take(self.columns.len());
            all.find_map(|(place, column)| {
                let name = format!("{}{suffix}", column.own()?);
                column.ddl.contains(&format!(" {name} as ")).then_some((place, name))
            })
        };
        let both =
            |sql: String| Ddl { sql: sql.clone(), subscriber: Some(sql), alone: Alone::No, after: after.clone() };
        let here = |sql: String| Ddl { sql, subscriber: None, alone: Alone::No, after: after.clone() };
        let ddl = match change {
            // This trigger knows the columns of the time when it was created.
            Change::AddColumn | Change::AddDomainColumn | Change::DropColumn if self.capture == Capture::Generic("logtriga") => {
                return None;
            }
            Change::AddColumn => {
                let mut ddl = both(format!(
                    "alter table t add column x{nr} numeric(10,2) default 1.50; alter table src add column x{nr} numeric(10,2) default 2.5"
                ));
                ddl.after.columns.push(Column::added(&format!("x{nr}"), "numeric(10,2)", &["1.5", "-0.01"]));
                ddl
            }
            Change::AddDomainColumn => {
                let mut ddl = both(format!(
                    "create domain e{nr} as timestamptz not null default '2020-01-02 03:04+00';
                     alter table t add column x{nr} e{nr} default '2020-01-02 03:04+00';
                     alter table src add column x{nr} e{nr} default '2020-01-02 03:04+00'"
                ));
                let mut added = Column::added(&format!("x{nr}"), &format!("e{nr}"), &["'2020-01-02 03:04+00'", "'infinity'"]);
                added.is_nullable = false;
                ddl.after.columns.push(added);
                ddl
            }
            Change::DropColumn => {
                let place = column.filter(|_| self.columns.len() > 1)?;
                let name = &self.columns[place].name;
                let mut ddl = both(format!(
                    "drop view if exists v; alter table t drop column {name}; alter table src drop column {name}; create view v as select * from t"
                ));
                ddl.after.columns.remove(place);
                ddl
            }
            Change::RenameColumn => {
                let place = column?;
                let name = &self.columns[place].name;
                let mut ddl = both(format!(
                    "alter table t rename column {name} to \"R'{nr} %s\"; alter table src rename column {name} to \"R'{nr} %s\""
                ));
                ddl.after.columns[place].name = format!("\"R'{nr} %s\"");
                ddl
            }
            Change::ChangeNumber => {
                let name = ["bigint", "numeric(20,2)", "int"][seed % 3];
                both(format!("drop view if exists v; alter table t alter column n type {name}; create view v as select * from t"))
            }
            Change::ColumnToText => {
                let place = column?;
                let name = &self.columns[place].name;
                let one = |table: &str| {
                    format!("alter table {table} alter column {name} drop default, alter column {name} type text using {name}::text")
                };
                let mut ddl = both(format!("drop view if exists v; {}; {}; create view v as select * from t", one("t"), one("src")));
                let values: Vec<String> = self.columns[place].values.iter().map(|value| format!("({value})::text")).collect();
                let values: Vec<&str> = values.iter().map(String::as_str).collect();
                ddl.after.columns[place] = Column::added(name, "text", &values);
                ddl
            }
            Change::DomainCheck => {
                let (_, name) = own("")?;
                let valid = if seed % 2 == 0 { "" } else { " not valid" };
                both(format!("alter domain {name} add constraint more{nr} check (pg_catalog.length(value::text) > -{nr}){valid}"))
            }
            Change::DomainNotNull => {
                // COPY without such a column, which has no default, does not look at the domain: a row of the server's that no
                // statement of a subscriber can repeat.
                let (place, name) = own("").filter(|(place, _)| self.columns[*place].base.has_binary)?;
                let mut ddl = both(format!("alter domain {name} set not null"));
                ddl.after.columns[place].is_nullable = false;
                ddl
            }
            Change::DomainNullable => {
                let (place, name) = own("")?;
                let mut ddl = both(format!("alter domain {name} drop not null"));
                ddl.after.columns[place].is_nullable = true;
                ddl
            }
            Change::DomainDefault => {
                let (_, name) = own("")?;
                both(format!("alter domain {name} drop default"))
            }
            Change::EnumValue => {
                let sql = format!("alter type mood add value 'new{nr}'");
                let alone = if self.major < 12 { Alone::Yes } else { Alone::No };
                Ddl { alone, ..both(sql) }
            }
            Change::Attribute => {
                let place = self.columns.iter().position(|column| column.ddl.contains("_c as (a int"))?;
                let name = format!("{}_c", self.columns[place].own()?);
                let mut ddl = both(format!("alter type {name} add attribute more{nr} date"));
                let column = &mut ddl.after.columns[place];
                for value in &mut column.values {
                    *value = value.replace(&format!(")::{name}"), &format!(", null)::{name}"));
                }
                ddl
            }
            Change::ReplicaIdentity => here(format!("alter table t replica identity {}", ["full", "nothing", "default"][seed % 3])),
            // Events of PgQ's triggers have the new name.
            Change::RenameTable if matches!(self.capture, Capture::Generic(_)) => return None,
            Change::RenameTable => here(
                "alter table t rename to t_other; insert into t_other (id, n) values (70, 1), (71, 1) on conflict do nothing;
                 update t_other set n = n + 1 where id > 69; delete from t_other where id = 70; alter table t_other rename to t"
                    .to_owned(),
            ),
            Change::Check => {
                both(format!("alter table t add constraint check{nr} check (n is not null) not valid; alter table t validate constraint check{nr}"))
            }
            Change::Index => here(format!("create index on t (n); create unique index on t ({}, n)", self.key())),
            Change::Options => here(
                "alter table src set (fillfactor = 70); alter table t alter column n set statistics 7, alter column g set default 'b'".to_owned(),
            ),
            Change::Rewrite => Ddl { alone: Alone::Yes, ..here("vacuum full t".to_owned()) },
            Change::Partition if self.is_partitioned() => {
                both(format!("create table t_p{nr} partition of t for values in ('p{nr}'); alter table t detach partition t_p{nr}"))
            }
            Change::Partition if self.kind == Kind::Plain && self.major >= 11 => {
                both("create table t_late (late text, primary key (id)) inherits (t); drop table t_late".to_owned())
            }
            Change::Partition => return None,
            Change::UserTrigger => here(format!(
                "create function noop{nr}() returns trigger language plpgsql as $$ begin return null; end $$;
                 create trigger a{nr} after insert or update or delete on t for each row execute procedure noop{nr}()"
            )),
            Change::KeyAgain => match self.kind {
                Kind::Referenced | Kind::Inherited | Kind::UniqueKey => return None,
                _ => here(format!("alter table t drop constraint t_pkey; alter table t add constraint t_pkey primary key ({})", self.key())),
            },
            Change::Maintain => return None,
        };
        Some(ddl)
    }
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
