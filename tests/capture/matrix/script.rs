//! The SQL of a step's statements.

use super::plan::{Capture, Kind, Statement};
use super::table::Table;
use crate::support::statements::Dice;

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
    let (id, other, n) = (dice.below(IDS), dice.below(IDS), dice.below(120));
    let g = ["a", "b", "c", "d"][usize::try_from(dice.below(4)).unwrap()];
    let names = table.names();
    let list: String = names.iter().map(|name| format!(", {name}")).collect();
    let from_src: String = names.iter().map(|name| format!(", {name} = s.{name}")).collect();
    let excluded: String = names.iter().map(|name| format!(", {name} = excluded.{name}")).collect();
    let literals = |dice: &mut Dice| -> String {
        let mut text = String::new();
        for column in &table.columns {
            let count = column.values.len() as u64 + u64::from(column.is_nullable);
            let nr = usize::try_from(dice.below(count)).unwrap();
            text += ", ";
            text += column.values.get(nr).map_or("null", String::as_str);
        }
        text
    };
    let key = table.key();
    let moves = table.capture.moves_keys();
    let one = |sql: String| vec![sql];
    match statement {
        Statement::InsertValues => {
            let values = literals(dice);
            one(format!("insert into t (id, n, g{list}) values ({id}, {n}, '{g}'{values}) on conflict do nothing"))
        }
        Statement::InsertMany => {
            let rows: Vec<String> =
                (0..3).map(|row| format!("({}, {n}, '{g}'{})", 100 + id * 3 + row, literals(dice))).collect();
            one(format!("insert into t (id, n, g{list}) values {}", rows.join(", ")))
        }
        Statement::InsertSelect => {
            one(format!("insert into t (id, n, g{list}) select id + {id}, n, g{list} from src on conflict do nothing"))
        }
        Statement::InsertDefault => vec!["insert into t default values".to_owned(), "insert into t default values returning id, n".to_owned()],
        Statement::InsertReturning => {
            one(format!("insert into t as x (id, n, g{list}) select {id} + 200, n, g{list} from src where id = 1 returning x.*"))
        }
        Statement::UpsertNothing => one(format!(
            "insert into t (id, n, g{list}) select id + {id}, n, '{g}'{list} from src on conflict ({key}) do nothing returning id, n"
        )),
        Statement::UpsertUpdate => one(format!(
            "insert into t (id, n, g{list}) select id + {id}, n, '{g}'{list} from src on conflict ({key}) do update set n = t.n + 1{excluded} returning id, n"
        )),
        Statement::UpdateSame => {
            let same: String = names.iter().map(|name| format!(", {name} = {name}")).collect();
            vec![format!("update t set n = n, m = m{same}"), format!("update t set n = n{same} where id = {id} returning *")]
        }
        Statement::UpdateOne => vec![
            format!("update t set n = {n} where id = {id}"),
            format!("update t set m = 'it''s \\ ok', g = g, n = n + 1 where id <= {id} returning id, n"),
        ],
        Statement::ToNull => {
            let nulls: String = table
                .columns
                .iter()
                .filter(|column| column.is_nullable)
                .map(|column| format!(", {} = null", column.name))
                .collect();
            vec![format!("update t set m = null{nulls} where id = {id}"), format!("update t set m = null{nulls} where id > {other}")]
        }
        Statement::FromNull => vec![
            format!("update t set m = ''{from_src} from src s where s.id = 2 and t.id <= {id}"),
            format!("update t set m = 'sad'{from_src} from src s where s.id = 3 and t.id = {other} returning t.*"),
        ],
        Statement::UpdateKey if moves => vec![
            format!("update t set id = id + 300 where id = {id} and id < 300"),
            format!("update t set id = -id, n = n + 1 where id <> 0 and id between -30 and {other}"),
        ],
        Statement::UpdateKey => one(format!("update t set n = -n where id = {id}")),
        Statement::UpdateFrom => one(format!("update t set n = t.n + s.n{from_src} from src s where s.id = t.id % 4 + 1")),
        Statement::UpdateCurrent => one(format!(
            "do $current$declare c cursor for select * from t where id < 300 order by id for update; r record; v_nr int := 0;
             begin
                 open c;
                 loop
                     fetch c into r;
                     exit when not found;
                     v_nr := v_nr + 1;
                     if v_nr = 2 then delete from t where current of c;
                     elsif v_nr < 5 then update t set n = n + {n}, m = null where current of c;
                     end if;
                 end loop;
             end$current$"
        )),
        Statement::Delete => vec![
            format!("delete from t where id = {id}"),
            format!("delete from t where id > 100 + {other} returning id, n"),
        ],
        Statement::DeleteUsing => one(format!("delete from t using src s where t.id = s.id + {id} returning t.*")),
        Statement::Merge | Statement::MergeReturning if table.major < 15 => {
            one(format!("with s as (select * from src) update t set n = s.n{from_src} from s where t.id = s.id + {id}"))
        }
        Statement::Merge => one(merge(table, id, &list, &from_src)),
        Statement::MergeReturning => {
            let returning = if table.major >= 17 { " returning merge_action(), t.id, t.n" } else { "" };
            one(format!("{}{returning}", merge(table, other, &list, &from_src)))
        }
        Statement::CopyText => vec![
            format!("copy (select id + {id} + 400, n, '{g}'{list} from src) to program 'cat > matrix.copy'"),
            format!("copy t (id, n, g{list}) from program 'cat matrix.copy'"),
        ],
        Statement::CopyBinary => {
            let list: String =
                table.columns.iter().filter(|c| c.base.has_binary).map(|column| format!(", {}", column.name)).collect();
            vec![
                format!("copy (select id + {id} + 500, m{list} from src) to program 'cat > matrix.copy' (format binary)"),
                format!("copy t (id, m{list}) from program 'cat matrix.copy' (format binary)"),
            ]
        }
        // This trigger has no events for TRUNCATE.
        Statement::Truncate | Statement::TruncateBoth if table.capture == Capture::Generic("logtriga") => {
            vec!["delete from o".to_owned(), "delete from t".to_owned()]
        }
        Statement::Truncate => one("truncate t cascade".to_owned()),
        Statement::TruncateBoth => one("truncate o, t restart identity".to_owned()),
        Statement::CteBoth if matches!(table.kind, Kind::Triggers | Kind::Rules) => {
            one(format!("with made as (select s.* from src s) insert into t (id, n{list}) select id + {id}, n{list} from made on conflict do nothing"))
        }
        Statement::CteBoth => one(format!(
            "with gone as (delete from t where id = {id} returning *), made as (insert into o select id + {id}, null, 'cte' from src on conflict do nothing returning id)
             insert into t (id, n{list}) select id + 600 + {id}, n{list} from src where exists (select from made) returning id"
        )),
        Statement::CteUpdate => one(format!(
            "with changed as (update t set n = t.n + 1{from_src} from src s where s.id = 1 and t.id < {id} returning t.id) select pg_catalog.count(*) from changed"
        )),
        Statement::View => vec![
            format!("insert into v (id, n{list}) select {id}, n{list} from src where id = 2"),
            format!("update v set n = n + 1, m = null where id = {other}"),
            format!("delete from v where id = {n}"),
        ],
        Statement::Function => vec![format!("select f({id}, {n})"), format!("select f_sql({other})")],
        Statement::Block => one(format!(
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
        )),
        Statement::Prepared => vec![
            format!("execute p_in({id})"),
            format!("execute p_up({other}, {n})"),
            format!("execute p_all({})", id % 4 + 1),
            format!("execute p_out({n})"),
        ],
        Statement::ManyRows => {
            // Capture by statement inserts 1,000 events at once. After DDL each row takes its time.
            let is_cheap = table.capture == Capture::Generated("statement", "sql") && table.count == 0
                && matches!(table.kind, Kind::Plain | Kind::Unlogged);
            let last = if is_cheap { 6005 } else { 5007 };
            vec![
                format!("insert into t (id, n) select i, 1 from pg_catalog.generate_series(5000, {last}) i on conflict do nothing"),
                "update t set n = n + 1 where id >= 5000".to_owned(),
                "delete from t where id >= 5000".to_owned(),
            ]
        }
        Statement::Move if moves => vec![
            format!("update t set g = '{g}' where id <= {id}"),
            format!("update t set g = 'b', n = n + 1 where id = {other} returning id, g, n"),
            format!("update t set g = 'c', id = id + 30 where id = {n}"),
        ],
        Statement::Move => one(format!("update t set n = {n} where g > ''")),
        Statement::Child if table.kind == Kind::Inherited => vec![
            format!("insert into t_child (id, n, extra{list}) select id + {id}, n, 7{list} from src on conflict do nothing"),
            format!("update only t set n = n + 1 where id = {id}"),
            format!("update t set n = n + 1, m = null where id = {other}"),
            format!("update t_child set extra = extra + 1 where id < {other}"),
            format!("delete from only t where id = {n}"),
        ],
        Statement::Child if table.is_partitioned() => vec![
            format!("insert into t_a (id, n) values ({id}, {n}) on conflict do nothing"),
            format!("update t_b set n = n + 1 where id >= {other}"),
            format!("delete from t_b1 where id = {other}"),
        ],
        Statement::Child => one(format!("update only t set n = n + 1 where id >= {id}")),
        // Not captured, and without a trace in the end.
        Statement::SilentRole => {
            // Under local the triggers and rules of users do their work, which is not captured either.
            let is_local = n % 2 == 0 && !matches!(table.kind, Kind::Triggers | Kind::Rules);
            let role = if is_local { "local" } else { "replica" };
            vec![
                format!("set session_replication_role = {role}"),
                format!("insert into t (id, n{list}) select 4000, n{list} from src where id = 1"),
                "update t set n = n + 1, m = null where id = 4000".to_owned(),
                "delete from t where id = 4000".to_owned(),
                "set session_replication_role = origin".to_owned(),
            ]
        }
        Statement::Refused => one(match n % 6 {
            0 => format!("insert into t (id, n) values ({id}, 1), ({id}, 2)"),
            1 => format!("update t set n = null where id >= {id}"),
            2 => "update t set id = 13 where n > -1".to_owned(),
            3 => format!("update t set m = 'no such mood' where id = {id}"),
            4 => "update t set n = 1 / (n - n)".to_owned(),
            _ => "insert into t (id, no_such_column) values (1, 2)".to_owned(),
        }),
        Statement::Deferred => vec![
            "set constraints all deferred".to_owned(),
            format!("insert into o values ({id}, {other} + 700, 'early') on conflict do nothing"),
            format!("insert into t (id, n) values ({other} + 700, 1) on conflict do nothing"),
            "set constraints all immediate".to_owned(),
        ],
        // Every other column by itself, one row each.
        Statement::OddColumns => table
            .columns
            .iter()
            .enumerate()
            .skip(usize::try_from(id % 2).unwrap())
            .step_by(2)
            .map(|(nr, column)| {
                let value = &column.values[usize::try_from(n).unwrap() % column.values.len()];
                format!("update t set {} = {value} where id = {}", column.name, nr as u64 % IDS)
            })
            .collect(),
    }
}

fn merge(table: &Table, id: u64, list: &str, from_src: &str) -> String {
    let new: String = table.names().iter().map(|name| format!(", s.{name}")).collect();
    format!(
        "merge into t using src s on t.id = s.id + {id} when matched and s.id = 2 then delete
         when matched then update set n = t.n + 1{from_src} when not matched then insert (id, n, g{list}) values (s.id + {id}, s.n, s.g{new})"
    )
}

/// What the sessions of a writer begin with.
pub fn prepare(table: &Table) -> String {
    let from_src: String = table.names().iter().map(|name| format!(", {name} = s.{name}")).collect();
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
