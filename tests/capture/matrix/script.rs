//! The SQL of a step's statements.

use super::plan::{Capture, Kind, Statement};
use super::table::{Table, comma_before_each};
use crate::support::statements::Dice;
use crate::support::types::Column;

/// Numbers of rows that are inserted with values: small, so that statements meet rows of others.
const IDS: u64 = 12;

/// Statements, each of which is one for the server. Some of them fail by chance, and on both sides alike.
pub fn statements(statement: Statement, table: &Table, dice: &mut Dice) -> Vec<String> {
    let mut statements = all(statement, table, dice);
    if table.kind == Kind::Rules && !matches!(statement, Statement::UpsertNothing | Statement::UpsertUpdate) {
        for statement in &mut statements {
            *statement = without_conflict(statement);
        }
    }
    statements
}

/// Where rules are, the server takes no `on conflict`.
fn without_conflict(sql: &str) -> String {
    sql.replace(" on conflict do nothing", "")
}

fn all(statement: Statement, table: &Table, dice: &mut Dice) -> Vec<String> {
    let parts = Parts::new(table, dice);
    match statement {
        Statement::InsertValues => parts.insert_values(dice),
        Statement::InsertMany => parts.insert_many(dice),
        Statement::InsertSelect => parts.insert_select(),
        Statement::InsertDefault => insert_default(),
        Statement::InsertReturning => parts.insert_returning(),
        Statement::UpsertNothing => parts.upsert("nothing"),
        Statement::UpsertUpdate => parts.upsert(&format!("update set n = t.n + 1{}", set_from(table, "excluded"))),
        Statement::UpdateSame => parts.update_same(),
        Statement::UpdateOne => parts.update_one(),
        Statement::ToNull => parts.typed_to_null(),
        Statement::FromNull => parts.typed_from_null(),
        Statement::UpdateKey => parts.update_key(),
        Statement::UpdateFrom => parts.update_from(),
        Statement::UpdateCurrent => parts.update_current(),
        Statement::Delete => parts.delete(),
        Statement::DeleteUsing => parts.delete_using(),
        Statement::Merge => parts.merge(parts.id, ""),
        Statement::MergeReturning if table.major >= 17 => {
            parts.merge(parts.other, " returning merge_action(), t.id, t.n")
        }
        Statement::MergeReturning => parts.merge(parts.other, ""),
        Statement::CopyText => parts.copy_text(),
        Statement::CopyBinary => parts.copy_binary(),
        Statement::Truncate => parts.truncate("truncate t cascade"),
        Statement::TruncateBoth => parts.truncate("truncate o, t restart identity"),
        Statement::CteBoth => parts.cte_both(),
        Statement::CteUpdate => parts.cte_update(),
        Statement::View => parts.view(),
        Statement::Function => parts.function(),
        Statement::Block => parts.block(),
        Statement::Prepared => parts.prepared(),
        Statement::ManyRows => parts.many_rows(),
        Statement::Move => parts.change_partition(),
        Statement::Child => parts.child(),
        Statement::SilentRole => parts.silent_role(),
        Statement::Refused => parts.refused(),
        Statement::Deferred => parts.deferred(),
        Statement::OddColumns => parts.odd_columns(),
    }
}

fn one(sql: String) -> Vec<String> {
    vec![sql]
}

fn insert_default() -> Vec<String> {
    vec!["insert into t default values".to_owned(), "insert into t default values returning id, n".to_owned()]
}

/// What statements are made of.
struct Parts<'a> {
    table: &'a Table,
    /// Two numbers of rows.
    id: u64,
    other: u64,
    n: u64,
    g: &'static str,
    /// The names of the typed columns, each after a comma.
    list: String,
    /// Sets the typed columns to those of the source `s`.
    from_src: String,
}

impl<'a> Parts<'a> {
    fn new(table: &'a Table, dice: &mut Dice) -> Parts<'a> {
        let (id, other, n) = (dice.below(IDS), dice.below(IDS), dice.below(120));
        let g = ["a", "b", "c", "d"][usize::try_from(dice.below(4)).unwrap()];
        let list = table.list(|column| column.name.clone());
        let from_src = set_from(table, "s");
        Parts { table, id, other, n, g, list, from_src }
    }

    /// Sets the typed columns that take it to null.
    fn nulls(&self) -> String {
        let nulls = self.table.columns.iter().filter(|column| column.is_nullable);
        comma_before_each(nulls.map(|column| format!("{} = null", column.name)))
    }

    /// A value for each of the typed columns.
    fn literals(&self, dice: &mut Dice) -> String {
        self.table.list(|column| {
            let count = column.values.len() as u64 + u64::from(column.is_nullable);
            let nr = usize::try_from(dice.below(count)).unwrap();
            column.values.get(nr).cloned().unwrap_or_else(|| "null".to_owned())
        })
    }

    fn insert_values(&self, dice: &mut Dice) -> Vec<String> {
        let Parts { id, n, g, list, .. } = self;
        let values = self.literals(dice);
        one(format!("insert into t (id, n, g{list}) values ({id}, {n}, '{g}'{values}) on conflict do nothing"))
    }

    fn insert_many(&self, dice: &mut Dice) -> Vec<String> {
        let Parts { id, n, g, list, .. } = self;
        let rows: Vec<String> =
            (0..3).map(|row| format!("({}, {n}, '{g}'{})", 100 + id * 3 + row, self.literals(dice))).collect();
        one(format!("insert into t (id, n, g{list}) values {}", rows.join(", ")))
    }

    fn insert_select(&self) -> Vec<String> {
        let Parts { id, list, .. } = self;
        one(format!("insert into t (id, n, g{list}) select id + {id}, n, g{list} from src on conflict do nothing"))
    }

    fn insert_returning(&self) -> Vec<String> {
        let Parts { id, list, .. } = self;
        one(format!(
            "insert into t as x (id, n, g{list}) select {id} + 200, n, g{list} from src where id = 1 returning x.*"
        ))
    }

    fn upsert(&self, action: &str) -> Vec<String> {
        let Parts { id, g, list, .. } = self;
        one(format!(
            "insert into t (id, n, g{list}) select id + {id}, n, '{g}'{list} from src
             on conflict ({}) do {action} returning id, n",
            self.table.key()
        ))
    }

    fn update_same(&self) -> Vec<String> {
        let same = self.table.list(|column| format!("{0} = {0}", column.name));
        vec![
            format!("update t set n = n, m = m{same}"),
            format!("update t set n = n{same} where id = {} returning *", self.id),
        ]
    }

    fn update_one(&self) -> Vec<String> {
        let Parts { id, n, .. } = self;
        vec![
            format!("update t set n = {n} where id = {id}"),
            format!("update t set m = 'it''s \\ ok', g = g, n = n + 1 where id <= {id} returning id, n"),
        ]
    }

    fn typed_to_null(&self) -> Vec<String> {
        let Parts { id, other, .. } = self;
        let nulls = self.nulls();
        vec![
            format!("update t set m = null{nulls} where id = {id}"),
            format!("update t set m = null{nulls} where id > {other}"),
        ]
    }

    fn typed_from_null(&self) -> Vec<String> {
        let Parts { id, other, from_src, .. } = self;
        vec![
            format!("update t set m = ''{from_src} from src s where s.id = 2 and t.id <= {id}"),
            format!("update t set m = 'sad'{from_src} from src s where s.id = 3 and t.id = {other} returning t.*"),
        ]
    }

    fn update_key(&self) -> Vec<String> {
        let Parts { id, other, .. } = self;
        if !self.table.capture.moves_keys() {
            return one(format!("update t set n = -n where id = {id}"));
        }
        vec![
            format!("update t set id = id + 300 where id = {id} and id < 300"),
            format!("update t set id = -id, n = n + 1 where id <> 0 and id between -30 and {other}"),
        ]
    }

    fn update_from(&self) -> Vec<String> {
        one(format!("update t set n = t.n + s.n{} from src s where s.id = t.id % 4 + 1", self.from_src))
    }

    fn update_current(&self) -> Vec<String> {
        one(format!(
            "do $current$declare c cursor for select * from t where id < 300 order by id for update; r record; v_nr int := 0;
             begin
                 open c;
                 loop
                     fetch c into r;
                     exit when not found;
                     v_nr := v_nr + 1;
                     if v_nr = 2 then delete from t where current of c;
                     elsif v_nr < 5 then update t set n = n + {}, m = null where current of c;
                     end if;
                 end loop;
             end$current$",
            self.n
        ))
    }

    fn delete(&self) -> Vec<String> {
        let Parts { id, other, .. } = self;
        vec![
            format!("delete from t where id = {id}"),
            format!("delete from t where id > 100 + {other} returning id, n"),
        ]
    }

    fn delete_using(&self) -> Vec<String> {
        one(format!("delete from t using src s where t.id = s.id + {} returning t.*", self.id))
    }

    /// MERGE of the source, whose numbers are moved up; an update before PostgreSQL 15.
    fn merge(&self, up: u64, returning: &str) -> Vec<String> {
        let Parts { id, list, from_src, .. } = self;
        if self.table.major < 15 {
            return one(format!(
                "with s as (select * from src) update t set n = s.n{from_src} from s where t.id = s.id + {id}"
            ));
        }
        let new = self.table.list(|column| format!("s.{}", column.name));
        one(format!(
            "merge into t using src s on t.id = s.id + {up} when matched and s.id = 2 then delete
             when matched then update set n = t.n + 1{from_src}
             when not matched then insert (id, n, g{list}) values (s.id + {up}, s.n, s.g{new}){returning}"
        ))
    }

    fn copy_text(&self) -> Vec<String> {
        let Parts { id, g, list, .. } = self;
        vec![
            format!("copy (select id + {id} + 400, n, '{g}'{list} from src) to program 'cat > matrix.copy'"),
            format!("copy t (id, n, g{list}) from program 'cat matrix.copy'"),
        ]
    }

    fn copy_binary(&self) -> Vec<String> {
        let columns = self.table.columns.iter().filter(|column| column.base.has_binary);
        let list = comma_before_each(columns.map(|column| column.name.clone()));
        vec![
            format!(
                "copy (select id + {} + 500, m{list} from src) to program 'cat > matrix.copy' (format binary)",
                self.id
            ),
            format!("copy t (id, m{list}) from program 'cat matrix.copy' (format binary)"),
        ]
    }

    fn truncate(&self, sql: &str) -> Vec<String> {
        // This trigger has no events for TRUNCATE.
        if self.table.capture == Capture::Generic("logtriga") {
            return vec!["delete from o".to_owned(), "delete from t".to_owned()];
        }
        one(sql.to_owned())
    }

    fn cte_both(&self) -> Vec<String> {
        let Parts { id, list, .. } = self;
        one(match self.table.kind {
            Kind::Triggers | Kind::Rules => format!(
                "with made as (select s.* from src s)
                 insert into t (id, n{list}) select id + {id}, n{list} from made on conflict do nothing"
            ),
            _ => format!(
                "with gone as (delete from t where id = {id} returning *),
                     made as (insert into o select id + {id}, null, 'cte' from src on conflict do nothing returning id)
                 insert into t (id, n{list})
                     select id + 600 + {id}, n{list} from src where exists (select from made) returning id"
            ),
        })
    }

    fn cte_update(&self) -> Vec<String> {
        let Parts { id, from_src, .. } = self;
        one(format!(
            "with changed as (
                 update t set n = t.n + 1{from_src} from src s where s.id = 1 and t.id < {id} returning t.id
             ) select pg_catalog.count(*) from changed"
        ))
    }

    fn view(&self) -> Vec<String> {
        let Parts { id, other, n, list, .. } = self;
        vec![
            format!("insert into v (id, n{list}) select {id}, n{list} from src where id = 2"),
            format!("update v set n = n + 1, m = null where id = {other}"),
            format!("delete from v where id = {n}"),
        ]
    }

    fn function(&self) -> Vec<String> {
        vec![format!("select f({}, {})", self.id, self.n), format!("select f_sql({})", self.other)]
    }

    fn block(&self) -> Vec<String> {
        let Parts { id, other, n, .. } = self;
        one(format!(
            "do $block$begin
                 begin
                     insert into t (id, n) values ({id}, {n});
                     update t set n = n + 1 where id = {id};
                 exception when unique_violation then
                     update t set n = -1, m = 'sad' where id = {id};
                 end;
                 for i in 1..3 loop
                     begin
                         insert into t (id, n) values ({other} + i, i);
                         if i = 2 then raise exception 'undone'; end if;
                     exception when others then
                         null;
                     end;
                 end loop;
             end$block$"
        ))
    }

    fn prepared(&self) -> Vec<String> {
        let Parts { id, other, n, .. } = self;
        vec![
            format!("execute p_in({id})"),
            format!("execute p_up({other}, {n})"),
            format!("execute p_all({})", id % 4 + 1),
            format!("execute p_out({n})"),
        ]
    }

    fn many_rows(&self) -> Vec<String> {
        // Capture by statement inserts 1,000 events at once. After DDL each row takes its time.
        let is_cheap = self.table.capture == Capture::Generated("statement", "sql")
            && self.table.count == 0
            && matches!(self.table.kind, Kind::Plain | Kind::Unlogged);
        let last = if is_cheap { 6005 } else { 5007 };
        vec![
            format!(
                "insert into t (id, n) select i, 1 from pg_catalog.generate_series(5000, {last}) i on conflict do nothing"
            ),
            "update t set n = n + 1 where id >= 5000".to_owned(),
            "delete from t where id >= 5000".to_owned(),
        ]
    }

    /// Rows that go to another partition, where the table has them.
    fn change_partition(&self) -> Vec<String> {
        let Parts { id, other, n, g, .. } = self;
        if !self.table.capture.moves_keys() {
            return one(format!("update t set n = {n} where g > ''"));
        }
        vec![
            format!("update t set g = '{g}' where id <= {id}"),
            format!("update t set g = 'b', n = n + 1 where id = {other} returning id, g, n"),
            format!("update t set g = 'c', id = id + 30 where id = {n}"),
        ]
    }

    fn child(&self) -> Vec<String> {
        let Parts { id, other, n, list, .. } = self;
        if self.table.kind == Kind::Inherited {
            vec![
                format!(
                    "insert into t_child (id, n, extra{list}) select id + {id}, n, 7{list} from src on conflict do nothing"
                ),
                format!("update only t set n = n + 1 where id = {id}"),
                format!("update t set n = n + 1, m = null where id = {other}"),
                format!("update t_child set extra = extra + 1 where id < {other}"),
                format!("delete from only t where id = {n}"),
            ]
        } else if self.table.is_partitioned() {
            vec![
                format!("insert into t_a (id, n) values ({id}, {n}) on conflict do nothing"),
                format!("update t_b set n = n + 1 where id >= {other}"),
                format!("delete from t_b1 where id = {other}"),
            ]
        } else {
            one(format!("update only t set n = n + 1 where id >= {id}"))
        }
    }

    /// Not captured, and without a trace in the end.
    fn silent_role(&self) -> Vec<String> {
        let list = &self.list;
        // Under local the triggers and rules of users do their work, which is not captured either.
        let is_local = self.n.is_multiple_of(2) && !matches!(self.table.kind, Kind::Triggers | Kind::Rules);
        let role = if is_local { "local" } else { "replica" };
        vec![
            format!("set session_replication_role = {role}"),
            format!("insert into t (id, n{list}) select 4000, n{list} from src where id = 1"),
            "update t set n = n + 1, m = null where id = 4000".to_owned(),
            "delete from t where id = 4000".to_owned(),
            "set session_replication_role = origin".to_owned(),
        ]
    }

    fn refused(&self) -> Vec<String> {
        let id = self.id;
        one(match self.n % 6 {
            0 => format!("insert into t (id, n) values ({id}, 1), ({id}, 2)"),
            1 => format!("update t set n = null where id >= {id}"),
            2 => "update t set id = 13 where n > -1".to_owned(),
            3 => format!("update t set m = 'no such mood' where id = {id}"),
            4 => "update t set n = 1 / (n - n)".to_owned(),
            _ => "insert into t (id, no_such_column) values (1, 2)".to_owned(),
        })
    }

    fn deferred(&self) -> Vec<String> {
        let Parts { id, other, .. } = self;
        vec![
            "set constraints all deferred".to_owned(),
            format!("insert into o values ({id}, {other} + 700, 'early') on conflict do nothing"),
            format!("insert into t (id, n) values ({other} + 700, 1) on conflict do nothing"),
            "set constraints all immediate".to_owned(),
        ]
    }

    /// Every other column by itself, one row each.
    fn odd_columns(&self) -> Vec<String> {
        let columns = self.table.columns.iter().enumerate().skip(usize::try_from(self.id % 2).unwrap()).step_by(2);
        let update = |(nr, column): (usize, &Column)| {
            let value = &column.values[usize::try_from(self.n).unwrap() % column.values.len()];
            format!("update t set {} = {value} where id = {}", column.name, nr as u64 % IDS)
        };
        columns.map(update).collect()
    }
}

/// Sets the typed columns to those of a source.
fn set_from(table: &Table, source: &str) -> String {
    table.list(|column| format!("{0} = {source}.{0}", column.name))
}

/// What the sessions of a writer begin with.
pub fn prepare(table: &Table) -> String {
    let from_src = set_from(table, "s");
    let sql = format!(
        "prepare p_in(int) as insert into t (id, n) values ($1, $1) on conflict do nothing;
         prepare p_up(int, int) as update t set n = $2, m = null where id = $1;
         prepare p_all(int) as update t set n = t.n + 1{from_src} from src s where s.id = $1 and t.id < 40;
         prepare p_out(int) as delete from t where id = $1"
    );
    if table.kind == Kind::Rules { without_conflict(&sql) } else { sql }
}

/// Functions that write.
pub fn functions(kind: Kind) -> String {
    let sql = match kind {
        // The server takes no such CTE where rules are.
        Kind::Rules => "update t set n = n + 1 where id >= $1; select 1::bigint",
        _ => "with c as (update t set n = n + 1 where id >= $1 returning id) select pg_catalog.count(*) from c",
    };
    let sql = format!(
        "create function f(i_id int, i_n int) returns int language plpgsql as $$
         declare
             v_n int;
         begin
             insert into t (id, n) values (i_id, i_n) on conflict do nothing;
             update t set n = n + 1 where id = i_id;
             update t set n = n + 1, m = 'sad' where id > i_id returning id into v_n;
             delete from t where id = i_n;
             return v_n;
         exception when too_many_rows then
             return -1;
         end $$;
         create function f_sql(int) returns bigint language sql as $$ {sql} $$"
    );
    if kind == Kind::Rules { without_conflict(&sql) } else { sql }
}
