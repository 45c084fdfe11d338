//! One captured table and its uncaptured twin, which get the same statements, and a copy, which gets the events.

use std::collections::BTreeSet;

use rlondiste::config::Apply;
use rlondiste::londiste::apply::Settings;

use super::plan::{Capture, Change, EventTriggers, Kind, Path, Place, Plan, Shape, Statement, Step};
use super::script;
use super::table::{Alone, Ddl, Table};
use crate::apply::{Replay, SETTINGS};
use crate::support::statements::{DDL, Dice};
use crate::support::types::{Base, bases};
use crate::support::{Outcome, QUEUE, Replication, Session, SqlError};

/// Two databases with what all trials share.
pub struct World {
    r: Replication,
    bases: Vec<Base>,
    role: String,
    /// Sessions that look at the queue and the tables.
    provider: Session,
    subscriber: Session,
    trials: usize,
}

/// Functions and operators that must not be called by capture.
const TRAPS: &str = "
    create schema trap;
    create function trap.fail() returns text language plpgsql as $$ begin raise exception 'trap'; end $$;
    create function trap.format(text, anyelement) returns text language sql as 'select trap.fail()';
    create function trap.now() returns timestamptz language sql as 'select trap.fail()::timestamptz';
    create function trap.substr(text, int) returns text language sql as 'select trap.fail()';
    create function trap.to_json(anyelement) returns json language sql as 'select trap.fail()::json';
    create function trap.current_setting(text) returns text language sql as 'select trap.fail()';
    create function trap.octet_length(text) returns int language sql as 'select trap.fail()::int';
    create function trap.unnest(text[]) returns setof text language sql as 'select trap.fail()';
    create function trap.eq(text, text) returns bool language sql as 'select trap.fail()::bool';
    create function trap.add(text, text) returns text language sql as 'select trap.fail()';
    create operator trap.= (procedure = trap.eq, leftarg = text, rightarg = text);
    create operator trap.<> (procedure = trap.eq, leftarg = text, rightarg = text);
    create operator trap.|| (procedure = trap.add, leftarg = text, rightarg = text);";

const EVENT_TRIGGERS: &str = "
    create function app.note() returns event_trigger language plpgsql as
        $$ begin insert into audit (tag) values (tg_tag); end $$;
    create function app.note_objects() returns event_trigger language plpgsql as
        $$ begin insert into audit (tag) select object_identity from pg_catalog.pg_event_trigger_ddl_commands(); end $$;
    create function app.note_drop() returns event_trigger language plpgsql as
        $$ begin insert into audit (tag) select object_identity from pg_catalog.pg_event_trigger_dropped_objects(); end $$;
    create event trigger note_start on ddl_command_start execute procedure app.note();
    create event trigger note_end on ddl_command_end execute procedure app.note_objects();
    create event trigger note_drop on sql_drop execute procedure app.note_drop();
    create event trigger note_rewrite on table_rewrite execute procedure app.note()";

impl World {
    #[track_caller]
    pub fn new() -> World {
        let r = Replication::new();
        r.install();
        let major = r.provider.major();
        let found = bases(&r.provider.session(), major);
        let subscribed = bases(&r.subscriber.session(), major);
        assert_eq!(found.len(), subscribed.len());
        let role = format!("writer_{}", r.provider.name());
        r.provider.sql(&format!(
            "create role {role} login; grant usage on schema ext to public; {TRAPS} grant usage on schema trap to public;
             create schema app; create table app.audit (nr serial, tag text);
             alter database {} set search_path = app, public",
            r.provider.name()
        ));
        if major >= 11 {
            r.provider.sql(&format!("grant pg_execute_server_program to {role}"));
        }
        let [provider, subscriber] = [&r.provider, &r.subscriber].map(|database| {
            let session = database.session();
            session.sql("set extra_float_digits = 3; set timezone = 'UTC'; set datestyle = 'ISO'");
            session
        });
        World { r, bases: found, role, provider, subscriber, trials: 0 }
    }

    fn last_event(&self) -> i64 {
        self.provider.value("select coalesce(max(ev_id), 0) from pgq.event_1").parse().unwrap()
    }
}

/// What one session runs in a step.
#[derive(Clone, Debug)]
enum Item {
    Writer(String),
    /// By the writer, or another session.
    Change(Who, Ddl),
    Maintain(Who),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Writer,
    Other,
}

type Outcomes = Vec<Result<Outcome, (String, String)>>;

pub struct Trial<'a> {
    world: &'a World,
    plan: Plan,
    nr: usize,
    table: Table,
    dice: Dice,
    /// The captured table's schema and its twin's, each with the sessions of the writer and another one.
    sides: [Side; 2],
    copy: Session,
    replay: Replay,
    from: i64,
    /// The statements that went through.
    done: BTreeSet<Statement>,
    log: Vec<String>,
}

struct Side {
    schema: String,
    writer: Session,
    other: Session,
}

impl Side {
    fn open(world: &World, schema: String) -> Side {
        let [writer, other] = [(); 2].map(|()| {
            let session = world.r.provider.session();
            session.sql(&format!("set search_path = {schema}, ext, app; set lock_timeout = '1 s'"));
            session
        });
        Side { schema, writer, other }
    }
}

impl<'a> Trial<'a> {
    #[track_caller]
    pub fn new(world: &'a mut World, plan: Plan) -> Trial<'a> {
        world.trials += 1;
        let nr = world.trials;
        let world: &'a World = world;
        let r = &world.r;
        let table = Table::new(&plan, &world.bases, r.provider.major());
        let schema = table.schema();
        let sides = ["c", "p"].map(|letter| {
            let name = format!("{letter}{nr}");
            r.provider.sql(&format!("create schema {name}"));
            Side::open(world, name)
        });
        let copy = r.subscriber.session();
        let captured = &sides[0].schema;
        copy.sql(&format!("create schema {captured}; set search_path = {captured}, ext; {schema}"));
        if plan.event_triggers == EventTriggers::Unqualified {
            r.provider.sql(EVENT_TRIGGERS);
        }
        let values: Vec<String> = (0..4)
            .map(|row: usize| {
                let values = table.list(|column| column.values[row % column.values.len()].clone());
                format!("({}, {row}, '{}', 'sad'{values})", row + 1, ["a", "b", "c", "z"][row])
            })
            .collect();
        for side in &sides {
            side.other.sql(&format!(
                "{schema}; {} {}; insert into src values {};
                 grant usage on schema {name} to public; grant all on all tables in schema {name} to public;
                 grant all on all sequences in schema {name} to public",
                table.provider_only(),
                script::functions(table.kind),
                values.join(", "),
                name = side.schema,
            ));
        }
        capture(world, &table, captured);
        adapt(world, &table, captured, plan.seed);
        let names: Vec<String> = table.captured().iter().map(|name| format!("{captured}.{name}")).collect();
        let apply = if plan.seed.is_multiple_of(2) { Apply::Row } else { Apply::Set };
        let replay = Replay::new(&r.provider, &r.subscriber, Settings { apply, ..SETTINGS }, &names.join(" "));
        // What DDL makes of values depends on settings.
        let sessions = sides.iter().flat_map(|side| [&side.writer, &side.other]).chain([&copy]);
        for session in sessions {
            // Some servers lack some of the settings.
            for setting in plan.settings.split("; ") {
                let _ = session.try_rows(setting);
            }
        }
        for side in &sides {
            let path = match plan.path {
                Path::Usual => format!("{}, ext, app", side.schema),
                Path::Traps => format!("{}, trap, ext, app, pg_catalog", side.schema),
            };
            side.writer.sql(&format!("set search_path = {path}; {}", script::prepare(&table)));
            if plan.kind == Kind::Guarded {
                side.writer.sql(&format!("set role {}", world.role));
            }
        }
        let (dice, from) = (Dice::new(plan.seed), world.last_event());
        Trial { world, plan, nr, table, dice, sides, copy, replay, from, done: BTreeSet::new(), log: Vec::new() }
    }

    /// Runs all steps, and compares now and then. Returns the statements that went through on both sides.
    #[track_caller]
    pub fn run(mut self) -> BTreeSet<Statement> {
        for (nr, step) in self.plan.steps.clone().into_iter().enumerate() {
            if nr > 0 && nr % 4 == 0 {
                self.compare();
                self.tidy();
            }
            self.step(step);
        }
        self.compare();
        self.end();
        std::mem::take(&mut self.done)
    }

    fn step(&mut self, step: Step) {
        let body = script::statements(step.statement, &self.table, &mut self.dice);
        let mut place = step.change.map(|(_, place)| place);
        let change = step.change.and_then(|(change, asked)| {
            let who = match asked {
                Place::Before | Place::UnderSnapshot => Who::Other,
                // The writer does not own the table.
                Place::Inside | Place::Between if self.plan.kind == Kind::Guarded => Who::Other,
                Place::Inside | Place::Between => Who::Writer,
            };
            if change == Change::Maintain {
                return Some(Item::Maintain(who));
            }
            let seed = usize::try_from(self.dice.below(100)).unwrap();
            let ddl = self.table.change(change, seed)?;
            if ddl.alone == Alone::Yes {
                place = Some(Place::Before);
            }
            Some(Item::Change(if ddl.alone == Alone::Yes { Who::Other } else { who }, ddl))
        });
        if self.plan.kind == Kind::Guarded && matches!(place, Some(Place::Inside | Place::Between)) {
            place = Some(Place::Before);
        }
        // What goes on while the transaction of a TRUNCATE is open may have to be repeated.
        if matches!(step.statement, Statement::Truncate | Statement::TruncateBoth)
            && place == Some(Place::UnderSnapshot)
        {
            place = Some(Place::Before);
        }
        let items = arrange(step, &body, change, place);
        self.both(step, &items);
    }

    /// Runs the items on both sides, and compares what they give.
    #[track_caller]
    fn both(&mut self, step: Step, items: &[Item]) {
        let before = self.world.last_event();
        let captured = self.side(0, step, items);
        let twin = self.side(1, step, items);
        for ((item, captured), twin) in items.iter().zip(&captured).zip(&twin) {
            if captured != twin {
                self.fail(&format!("{step:?}\n{item:?}\ncaptured: {captured:?}\nnot captured: {twin:?}"));
            }
        }
        let mut went = true;
        for (item, outcome) in items.iter().zip(&captured) {
            let says = outcome
                .as_ref()
                .map_or_else(|(code, message)| format!("{code} {message}"), |o| format!("{:?}", o.counts));
            self.log.push(format!("{says}: {item:?}"));
            match item {
                Item::Writer(sql) if outcome.is_err() && sql != "commit" => went = false,
                _ => {}
            }
        }
        for item in items {
            // The event of a change that was undone is not there.
            if let Item::Change(_, ddl) = item {
                let kept = self
                    .world
                    .provider
                    .value(&format!("select count(*) from pgq.event_1 where ev_id > {before} and ev_type = '{DDL}'"));
                if kept != "0" {
                    self.table = ddl.after.clone();
                }
            }
        }
        if went {
            self.done.insert(step.statement);
        }
        if step.statement == Statement::SilentRole && went && step.change.is_none() {
            let events = self.world.provider.value(&format!(
                "select count(*) from pgq.event_1 where ev_id > {before} and ev_extra1 like '{}.%'",
                self.sides[0].schema
            ));
            assert_eq!(events, "0", "{step:?} of {:?}", self.plan);
        }
    }

    /// Runs the items on one side, again where the captured side asks for that.
    fn side(&self, nr: usize, step: Step, items: &[Item]) -> Outcomes {
        let side = &self.sides[nr];
        let level = format!("set session characteristics as transaction isolation level {}", step.isolation);
        for session in [&side.writer, &side.other] {
            session.sql(&level);
        }
        let file = format!("matrix_{}.copy", self.world.r.provider.name());
        let mut tries = 0;
        loop {
            let mut outcomes: Outcomes = Vec::new();
            for item in items {
                let (session, sql) = match item {
                    Item::Writer(sql) => (&side.writer, sql.replace("matrix.copy", &file)),
                    Item::Change(who, ddl) => (side.session(*who), ddl.sql.clone()),
                    Item::Maintain(who) => {
                        (side.session(*who), format!("select londiste.provider_maintain('{QUEUE}')"))
                    }
                };
                let mut outcome = match item {
                    Item::Maintain(_) if nr == 1 => Ok(Outcome::default()),
                    _ => session.outcome(&sql),
                };
                if let (Item::Change(_, ddl), Ok(_), 0) = (item, &outcome, nr) {
                    let sql = ddl.subscriber.as_deref().unwrap_or_default();
                    session.sql(&format!("select pgq.insert_event('{QUEUE}', '{DDL}', $ddl${sql}$ddl$)"));
                }
                // What maintenance returns is of the captured side only, and it does nothing after an error of the writer.
                if matches!(item, Item::Maintain(_)) && outcome.as_ref().err().is_none_or(|error| error.code == "25P02")
                {
                    outcome = Ok(Outcome::default());
                }
                outcomes.push(outcome.map_err(|error| self.plain(error)));
            }
            // As docs/differences.md says, of TRUNCATE of partitions; other tests commit on this server too.
            let is_old = |outcome: &Result<Outcome, (String, String)>| matches!(outcome, Err((code, message)) if code == "40001" && message.contains("may hold rows"));
            if nr == 1 || tries == 50 || !outcomes.iter().any(is_old) {
                return outcomes;
            }
            tries += 1;
        }
    }

    /// An error without the names of the schemas and what other sessions of the server decide.
    fn plain(&self, error: SqlError) -> (String, String) {
        let mut message = error.message;
        for side in &self.sides {
            message = message.replace(&format!("{}.", side.schema), "");
        }
        // The server names the user of a type that it finds first.
        if let Some(at) = message.find(" because column ") {
            message.truncate(at);
        }
        (error.code, message)
    }

    /// Most changes leave the capture functions behind, which makes each row slow. So they are generated anew now and then, and the tables
    /// stay small.
    #[track_caller]
    fn tidy(&self) {
        let [captured, twin] = &self.sides;
        if let Capture::Generated(..) = self.plan.capture {
            captured.other.sql(&format!("select londiste.provider_maintain('{QUEUE}')"));
        }
        for side in [captured, twin] {
            side.other.sql("delete from t where id not between 0 and 6; delete from o where id > 6");
        }
    }

    /// Applies the events, and compares the captured table with its twin and with the copy.
    #[track_caller]
    fn compare(&mut self) {
        let last = self.world.last_event();
        let changes = self.world.provider.rows(&format!(
            "select ev_id, ev_data from pgq.event_1 where ev_type = '{DDL}' and ev_id > {} order by 1",
            self.from
        ));
        let end = [vec![(last + 1).to_string(), String::new()]];
        for change in changes.iter().chain(&end) {
            let (id, sql) = (&change[0], &change[1]);
            let events =
                format!("select * from pgq.event_1 where ev_id > {} and ev_id < {id} order by ev_id", self.from);
            if let Err(error) = self.replay.apply(&events) {
                self.fail(&format!("events {}..{id}: {}", self.from, rlondiste::Report(&error)));
            }
            if let Err(error) = self.copy.try_rows(sql) {
                self.fail(&format!("the subscriber's {sql}: {error}"));
            }
            self.from = id.parse().unwrap();
        }
        self.from = last;
        let captured = self.rows(&self.world.provider, 0);
        let twin = self.rows(&self.world.provider, 1);
        self.assert_same("its twin", &captured, &twin);
        let copy = self.rows(&self.world.subscriber, 0);
        self.assert_same("its copy", &captured, &copy);
    }

    /// All rows of a side's tables, by text, and the stored form of what has the same one in every database.
    fn rows(&self, session: &Session, side: usize) -> Vec<String> {
        let schema = &self.sides[side].schema;
        let mut rows = Vec::new();
        for table in self.table.captured() {
            let columns = session.value(&format!(
                "select string_agg(format('%I', attname), ', ' order by attnum) from pg_attribute
                 where attrelid = '{schema}.{table}'::regclass and attnum > 0 and not attisdropped"
            ));
            let stored: Vec<&str> = if table == "t" {
                self.table.columns.iter().filter(|c| c.is_same_everywhere()).map(|c| c.name.as_str()).collect()
            } else {
                Vec::new()
            };
            rows.extend(session.column(&format!(
                "select concat('{table} ', row({columns}), ' ', md5(record_send(row({})))) from {schema}.{table}",
                stored.join(", ")
            )));
        }
        rows.sort();
        rows
    }

    #[track_caller]
    fn assert_same(&self, what: &str, captured: &[String], other: &[String]) {
        if captured == other {
            return;
        }
        let only = |rows: &[String], others: &[String]| {
            let only = rows.iter().filter(|row| !others.contains(row)).take(5);
            only.map(|row| row.chars().take(3000).collect::<String>()).collect::<Vec<_>>().join("\n  ")
        };
        self.fail(&format!(
            "the table ({} rows) is not as {what} ({} rows)\nonly there:\n  {}\nonly here:\n  {}",
            captured.len(),
            other.len(),
            only(captured, other),
            only(other, captured)
        ));
    }

    #[track_caller]
    fn fail(&self, what: &str) -> ! {
        let log = &self.log[self.log.len().saturating_sub(25)..];
        let columns: Vec<String> = self
            .table
            .columns
            .iter()
            .map(|column| format!("{} {} of {}", column.name, column.type_name, column.base.name))
            .collect();
        let events = self.world.provider.column(&format!(
            "select pg_catalog.concat_ws(' ', ev_id, ev_txid, ev_extra1, ev_type, pg_catalog.left(ev_data, 200)) from pgq.event_1
             where ev_id > {} - 20 order by ev_id limit 60",
            self.from
        ));
        panic!(
            "trial {} of {}, seed {}, {:?}, {:?}, {:?}, {:?}, {}\ncolumns: {}\nlast statements:\n{}\nlast events:\n{}\n{what}",
            self.nr,
            self.world.r.provider.name(),
            self.plan.seed,
            self.plan.capture,
            self.plan.kind,
            self.plan.path,
            self.plan.event_triggers,
            self.plan.settings,
            columns.join(", "),
            log.join("\n"),
            events.join("\n"),
        );
    }

    /// Removes the trial's tables.
    #[track_caller]
    fn end(&self) {
        let provider = &self.world.r.provider;
        if self.plan.event_triggers == EventTriggers::Unqualified {
            assert_ne!(provider.value("select count(*) from app.audit"), "0");
            provider.sql(
                "drop event trigger note_start; drop event trigger note_end; drop event trigger note_drop; drop event trigger note_rewrite;
                 drop function app.note(); drop function app.note_objects(); drop function app.note_drop(); delete from app.audit",
            );
        }
        let [captured, twin] = [0, 1].map(|nr| &self.sides[nr].schema);
        if let Capture::Generated(..) = self.plan.capture {
            for table in self.table.captured() {
                provider.sql(&format!("select londiste.provider_remove_table('{QUEUE}', '{captured}.{table}')"));
            }
        }
        for schema in [captured, twin] {
            provider.sql(&format!("set client_min_messages = error; drop schema {schema} cascade"));
        }
        self.copy.sql(&format!("set client_min_messages = error; drop schema {captured} cascade"));
        provider.sql("truncate pgq.event_1_0, pgq.event_1_1, pgq.event_1_2");
    }
}

impl Side {
    fn session(&self, who: Who) -> &Session {
        match who {
            Who::Writer => &self.writer,
            Who::Other => &self.other,
        }
    }
}

/// Has the tables of a schema captured.
#[track_caller]
fn capture(world: &World, table: &Table, schema: &str) {
    for name in table.captured() {
        match table.capture {
            Capture::Generated(level, format) => world.r.provider.sql(&format!(
                "select londiste.provider_add_table_as('{QUEUE}', '{schema}.{name}', '{level}', '{format}', null)"
            )),
            Capture::Generic(function) => {
                let arguments = if function == "logtriga" {
                    let columns = world.r.provider.value(&format!(
                        "select string_agg(case when attname = 'id' then 'k' else 'v' end, '' order by attnum)
                         from pg_attribute where attrelid = '{schema}.{name}'::regclass and attnum > 0"
                    ));
                    format!("'{QUEUE}', '{columns}', '{schema}.{name}'")
                } else {
                    format!("'{QUEUE}'")
                };
                world.r.provider.sql(&format!(
                    "create trigger zz_queue after insert or update or delete on {schema}.{name}
                         for each row execute procedure pgq.{function}({arguments})"
                ));
                if function != "logtriga" {
                    world.r.provider.sql(&format!(
                        "create trigger zz_truncate after truncate on {schema}.{name}
                             for each statement execute procedure pgq.{function}({arguments})"
                    ));
                }
            }
        }
    }
}

/// Has maintenance adapted the capture, rightly or wrongly: no guess about what is done to a table may change an event.
#[track_caller]
fn adapt(world: &World, table: &Table, schema: &str, seed: u64) {
    let Capture::Generated(level, "sql") = table.capture else { return };
    let typed = table.columns.get(usize::try_from(seed / 4).unwrap() % table.columns.len().max(1));
    let typed = typed.map_or("n", |column| &column.name);
    let (hot, empty) = [("n", "m"), ("n,m", typed), (typed, "m"), ("m", typed)][usize::try_from(seed % 4).unwrap()];
    let update =
        if level == "statement" && seed / 2 % 2 == 1 { "capture = 'auto', update_level = 'row', " } else { "" };
    for name in table.captured() {
        world.r.provider.sql(&format!(
            "update londiste.capture set {update}hot_columns = '{{{hot}}}', empty_columns = '{{{empty}}}'
             where table_name = '{schema}.{name}';
             select londiste.provider_refresh_table('{QUEUE}', '{schema}.{name}')"
        ));
    }
}

/// The statements of a step in its shape, with the change at its place.
fn arrange(step: Step, body: &[String], change: Option<Item>, place: Option<Place>) -> Vec<Item> {
    let writer = |sql: &str| Item::Writer(sql.to_owned());
    let mut body: Vec<Item> = body.iter().map(|sql| writer(sql)).collect();
    let (mut before, mut under) = (Vec::new(), Vec::new());
    if let (Some(change), Some(place)) = (change, place) {
        match place {
            Place::Before => before.push(change),
            Place::UnderSnapshot => under.extend([writer("select pg_catalog.count(*) from pg_catalog.pg_am"), change]),
            Place::Inside => body.insert(0, change),
            Place::Between => {
                let again = body.clone();
                body.push(change);
                body.extend(again);
            }
        }
    }
    let quoted = |body: &[Item]| {
        let statement = |item: &Item| match item {
            Item::Writer(sql) => Some(format!("execute $matrix${sql}$matrix$;")),
            Item::Change(..) | Item::Maintain(_) => None,
        };
        body.iter().filter_map(statement).collect::<String>()
    };
    let has_change = body.iter().any(|item| !matches!(item, Item::Writer(_)));
    let mut items = before;
    match step.shape {
        Shape::Alone if under.is_empty() => items.extend(body),
        Shape::AfterReading => {
            // A lock on the table would make another session wait.
            if under.is_empty() {
                body.insert(0, writer("select pg_catalog.count(*) from t"));
            }
            items.extend(around("begin", under, body, "commit"));
        }
        Shape::Savepoint => {
            body.insert(0, writer("savepoint s"));
            body.push(writer("release s"));
            items.extend(around("begin", under, body, "commit"));
        }
        Shape::Again => {
            let again = body.clone();
            body.insert(0, writer("savepoint s"));
            body.push(writer("rollback to s"));
            body.extend(again);
            items.extend(around("begin", under, body, "commit"));
        }
        Shape::Exception if !has_change => {
            let body = quoted(&body);
            let block = format!(
                "do $do$begin begin {body} raise exception 'undone'; exception when raise_exception then null; end; {body} end$do$"
            );
            items.extend(around("begin", under, vec![Item::Writer(block)], "commit"));
        }
        Shape::Alone | Shape::Transaction | Shape::Exception => {
            items.extend(around("begin", under, body, "commit"));
        }
        Shape::Rollback => items.extend(around("begin", under, body, "rollback")),
    }
    items
}

fn around(begin: &str, under: Vec<Item>, body: Vec<Item>, end: &str) -> Vec<Item> {
    let writer = |sql: &str| Item::Writer(sql.to_owned());
    [vec![writer(begin)], under, body, vec![writer(end)]].concat()
}
