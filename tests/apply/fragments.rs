//! What the parser of fragments understands means the same to PostgreSQL, whatever is done to a fragment.
//!
//! Random fragments are written as triggers do, most of them are damaged, and each one that the parser takes is run by
//! the server as it stands: the rows are then those that the parsed values give. The server runs it under both settings
//! of `standard_conforming_strings`.

use std::fmt::Write as _;

use rlondiste::config::Apply;
use rlondiste::error::FaultKind;
use rlondiste::londiste::apply::Settings;
use rlondiste::pg::name::{quote_ident, quote_literal};
use rlondiste::pgq::EventId;
use rlondiste::pgq::event::Event;
use rlondiste::pgq::fragment::{Parsed, Verb, parse};
use rlondiste::pgq::value_buffer::ValueBuffer;
use rlondiste::{Error, Report};

use super::torture::seeds;
use super::{Replay, SETTINGS, replay};
use crate::support::statements::Dice;
use crate::support::{Database, Session};

/// The columns of the table, as a trigger may write them.
const COLUMNS: &[(&str, &str)] = &[
    ("id", "id"),
    ("b", "b"),
    ("_c1$", "_c1$"),
    ("Weird Col", "\"Weird Col\""),
    ("quote\"d", "\"quote\"\"d\""),
    ("select", "\"select\""),
    ("name", "name"),
    ("name", "\"name\""),
    ("values", "\"values\""),
    ("is", "\"is\""),
    ("é", "\"é\""),
    ("a,b", "\"a,b\""),
    ("e", "E"),
    ("n", "n"),
    ("=''--", "\"=''--\""),
    ("back\\", "\"back\\\""),
];

/// What is put into fragments to damage them.
const SNIPPETS: &[&str] = &[
    "'",
    "''",
    "\\",
    "\\\\",
    "\"",
    "\"\"",
    "--",
    "/*",
    "*/",
    "/**/",
    "$$",
    "$a$",
    ";",
    ",",
    "(",
    ")",
    "=",
    "E'",
    "e'",
    "U&'",
    "U&\"",
    "N'",
    "n'",
    "X'",
    "b'",
    "::text",
    "::",
    " is ",
    " is null",
    " is not null",
    " isnull",
    " not ",
    " null",
    "NULL",
    " and ",
    " AND ",
    " or ",
    " where ",
    "values",
    " values ",
    " default ",
    "default",
    "\n",
    "\t",
    "\r",
    "\u{b}",
    "\u{c}",
    " ",
    "\u{a0}",
    "\u{2028}",
    "é",
    "1",
    "-1",
    "+",
    "-",
    "||",
    "@",
    "!",
    "=null",
    " = ",
    "==",
    "=>",
    "uescape '!'",
    "collate",
    "\\'",
    "\\n",
    "\\x41",
    "\\u0041",
    "\\101",
    "'\n'",
    "' '",
    "x",
    "id",
    "b",
    "id='1'",
    "name",
    "ctid",
    "fragment",
    "user",
    "true",
    "current_user",
    "returning",
    "(select 1)",
    "now()",
    "%",
    "null",
    "E'\\\\'",
    ".",
    "[1]",
    "fragment.id",
    "only",
    "in",
    "any",
    "row",
    "coalesce",
    "interval '1'",
    "\u{1}",
];

/// The table has every column of [`COLUMNS`]. `run` gives the rows that a statement leaves, or its SQLSTATE, and undoes it.
const SCHEMA: &str = r#"
    create table fragment (id text, b text, "_c1$" text, "Weird Col" text, "quote""d" text, "select" text, name text, "values" text,
        "is" text, "é" text, "a,b" text, e text, n text, "=''--" text, "back\" text);
    insert into fragment (id, b, name, e, n) values ('1', null, 'x', '\', ''''), ('2', '', 'null', null, null), ('', 'b', 'it''s \ ', 'E', 'N');
    create function run(sql text) returns text language plpgsql as $$
    declare
        v_rows text;
    begin
        begin
            execute sql;
            select string_agg(t::text, '|' order by t::text) into v_rows from fragment t;
            raise exception using errcode = 'RL000', message = coalesce(v_rows, 'empty');
        exception
            when sqlstate 'RL000' then
                return sqlerrm;
            when others then
                return sqlstate;
        end;
    end $$;
"#;

const HEADS: [(Verb, &str); 3] = [
    (Verb::Insert, "insert into fragment "),
    (Verb::Update, "update only fragment set "),
    (Verb::Delete, "delete from only fragment where "),
];

/// Writes random fragments.
struct Writer {
    dice: Dice,
}

impl Writer {
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.dice.below(limit as u64)).unwrap()
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    fn fragment(&mut self, verb: Verb) -> String {
        match verb {
            Verb::Insert => {
                let columns = self.columns(6);
                let values: Vec<String> = columns.iter().map(|_| self.value()).collect();
                let (names, values) = (self.join(&columns, ","), self.join(&values, ","));
                self.spaced(&["(", &names, ")", " values ", "(", &values, ")"])
            }
            Verb::Update => {
                let columns = self.columns(4);
                let set: Vec<String> = columns.iter().map(|column| self.equation(column)).collect();
                let (set, condition) = (self.join(&set, ","), self.condition());
                self.spaced(&[&set, " where ", &condition])
            }
            Verb::Delete => self.condition(),
        }
    }

    fn condition(&mut self) -> String {
        let columns = self.columns(3);
        let terms: Vec<String> = columns
            .iter()
            .map(|column| match self.below(4) {
                0 => self.spaced(&[column, " is ", "null"]),
                _ => loop {
                    let term = self.equation(column);
                    if !term.to_lowercase().ends_with("null") {
                        break term;
                    }
                },
            })
            .collect();
        self.join(&terms, " and ")
    }

    fn equation(&mut self, column: &str) -> String {
        let value = self.value();
        self.spaced(&[column, "=", &value])
    }

    /// Different columns.
    fn columns(&mut self, limit: usize) -> Vec<String> {
        let count = 1 + self.below(limit);
        let mut chosen: Vec<(&str, &str)> = Vec::new();
        while chosen.len() < count {
            let column = *self.pick(COLUMNS);
            if chosen.iter().all(|(name, _)| *name != column.0) {
                chosen.push(column);
            }
        }
        chosen.into_iter().map(|(_, written)| written.to_owned()).collect()
    }

    /// A literal as a trigger writes it.
    fn value(&mut self) -> String {
        const PIECES: &[&str] =
            &["1", "'", "\\", "\"", "x", "null", "--", ";", "é😀", "\n", " ", "%", "E", "$$", "/*", "\t", ")", ","];
        match self.below(8) {
            0 => "null".to_owned(),
            1 => "NULL".to_owned(),
            2 => "'1'".to_owned(),
            3 => "'x'".to_owned(),
            _ => {
                let text: String = (0..self.below(6)).map(|_| *self.pick(PIECES)).collect();
                let doubled = text.replace('\'', "''");
                if text.contains('\\') {
                    format!("E'{}'", doubled.replace('\\', r"\\"))
                } else {
                    format!("'{doubled}'")
                }
            }
        }
    }

    fn join(&mut self, parts: &[String], separator: &str) -> String {
        let mut parts = parts.iter();
        let mut text = parts.next().cloned().unwrap_or_default();
        for part in parts {
            text = self.spaced(&[&text, separator, part]);
        }
        text
    }

    /// The parts with blanks between some of them.
    fn spaced(&mut self, parts: &[&str]) -> String {
        let mut text = String::new();
        for part in parts {
            if self.below(12) == 0 {
                let blank = *self.pick(&[" ", "  ", "\n", "\t", "\r\n", "\u{c}"]);
                text.push_str(blank);
            }
            text.push_str(part);
        }
        text
    }

    /// The fragment with some changes.
    fn damage(&mut self, fragment: &str) -> String {
        let mut text: Vec<char> = fragment.chars().collect();
        for _ in 0..=self.below(2) {
            let at = self.below(text.len() + 1);
            let end = (at + 1 + self.below(6)).min(text.len());
            match self.below(5) {
                0 => drop(text.drain(at..end)),
                1 => {
                    let piece: Vec<char> = text[at..end].to_vec();
                    let to = self.below(text.len() + 1);
                    text.splice(to..to, piece);
                }
                2 => text.truncate(at),
                _ => {
                    let snippet: Vec<char> = self.pick(SNIPPETS).chars().collect();
                    let until = if self.below(3) == 0 { end } else { at };
                    text.splice(at..until, snippet);
                }
            }
        }
        text.into_iter().collect()
    }
}

/// A fragment that the parser has taken apart.
struct Understood {
    verb: Verb,
    data: String,
    parsed: Parsed,
    values: Vec<Option<String>>,
}

impl Understood {
    /// The statement that the parsed values give.
    fn statement(&self, head: &str) -> String {
        let mut names =
            self.parsed.columns.iter().chain(&self.parsed.key).map(|name| quote_ident(name)).collect::<Vec<_>>();
        let values: Vec<String> = self
            .values
            .iter()
            .map(|value| value.as_ref().map_or("null".to_owned(), |value| quote_literal(value)))
            .collect();
        let key: Vec<String> = names
            .split_off(self.parsed.columns.len())
            .iter()
            .zip(&values[names.len()..])
            .map(|(name, value)| if value == "null" { format!("{name} is null") } else { format!("{name} = {value}") })
            .collect();
        let values = &values[..names.len()];
        let set: Vec<String> = names.iter().zip(values).map(|(name, value)| format!("{name} = {value}")).collect();
        match self.verb {
            Verb::Insert => format!("{head}({}) values ({})", names.join(", "), values.join(", ")),
            Verb::Update => format!("{head}{} where {}", set.join(", "), key.join(" and ")),
            Verb::Delete => format!("{head}{}", key.join(" and ")),
        }
    }
}

/// The fragment taken apart, or where it is not understood.
fn read(verb: Verb, data: &str) -> Result<Understood, usize> {
    let mut values = ValueBuffer::default();
    match parse(verb, data.as_bytes(), &mut values) {
        Ok(parsed) => {
            let values = texts(&values);
            Ok(Understood { verb, data: data.to_owned(), parsed, values })
        }
        Err(error) => {
            assert!(values.is_empty(), "{data}");
            assert!(error.at <= data.len(), "{data}");
            assert!(error.describe(data.as_bytes()).contains(error.expected), "{data}");
            Err(error.at)
        }
    }
}

fn texts(values: &ValueBuffer) -> Vec<Option<String>> {
    (0..values.len()).map(|i| values.get(i).map(|value| String::from_utf8(value.to_vec()).unwrap())).collect()
}

/// Runs each fragment as it stands, and what was understood of it, and compares.
fn compare(sessions: &[Session], understood: &[Understood], place: &str) {
    if understood.is_empty() {
        return;
    }
    let mut list = String::new();
    for fragment in understood {
        let (_, head) = HEADS[fragment.verb as usize];
        let (raw, ours) = (format!("{head}{}", fragment.data), fragment.statement(head));
        let comma = if list.is_empty() { "" } else { "," };
        write!(list, "{comma}({},{})", quote_literal(&raw), quote_literal(&ours)).unwrap();
    }
    for session in sessions {
        let rows = session.rows(&format!("select run(raw), run(ours), raw, ours from (values {list}) v(raw, ours)"));
        for row in rows {
            assert_eq!(row[0], row[1], "{place}: means something else to the server:\n{}\n{}", row[2], row[3]);
        }
    }
}

/// What a template reads is what the parser reads.
fn compare_templates(understood: &[Understood], all: &[(Verb, String)]) {
    for (i, known) in understood.iter().enumerate().filter(|(i, _)| i % 20 == 0) {
        let nearby = understood[i..].iter().map(|other| (other.verb, &other.data)).take(40);
        let others = all.iter().map(|(verb, data)| (*verb, data)).skip(i).take(100);
        for (verb, data) in nearby.chain(others).filter(|(verb, _)| *verb == known.verb) {
            let mut values = ValueBuffer::default();
            if known.parsed.template.read(data.as_bytes(), &mut values) {
                let again = read(verb, data);
                let again =
                    again.unwrap_or_else(|at| panic!("the template of {} reads {data}, wrong at {at}", known.data));
                assert_eq!(
                    (&again.parsed.columns, &again.parsed.key),
                    (&known.parsed.columns, &known.parsed.key),
                    "{data}"
                );
                assert_eq!(again.values, texts(&values), "{data}");
            }
        }
    }
}

/// Applies single events, each in a transaction that is rolled back.
fn rows_after(replay: &mut Replay, verb: Verb, data: &str) -> Result<String, Error> {
    let kind = verb.letter().to_string();
    let event = Event::new(EventId(7), 1, kind.as_bytes(), Some(data.as_bytes()), Some(b"public.fragment"));
    let runtime = &replay.runtime;
    runtime.block_on(async {
        let tx = replay.subscriber.begin("begin", "begin").await?;
        let events = futures_util::stream::iter([Ok(event)]);
        Box::pin(replay.applier.apply(events, &replay.tables, &tx)).await?;
        let sql = "select coalesce(string_agg(t::text, '|' order by t::text), 'empty') from public.fragment t";
        Ok(tx.query_one("look", sql, &[]).await?.get(0))
    })
}

/// The applier does what the server would do with the fragment, and reports what the parser does not understand.
fn compare_applier(
    replays: &mut [Replay],
    session: &Session,
    understood: &[Understood],
    all: &[(Verb, String)],
    place: &str,
) {
    for replay in replays {
        for fragment in understood.iter().take(20) {
            let (_, head) = HEADS[fragment.verb as usize];
            let raw = quote_literal(&format!("{head}{}", fragment.data));
            let expected = session.value(&format!("select run({raw})"));
            match rows_after(replay, fragment.verb, &fragment.data) {
                Ok(rows) => assert_eq!(rows, expected, "{place}: {}", fragment.data),
                // The condition may be on what is no column: the row, or a column of the system.
                Err(Error::Apply(fault)) => {
                    assert!(matches!(fault.kind, FaultKind::MissingColumn(_)), "{place}: {}: {fault}", fragment.data);
                }
                Err(error) => panic!("{place}: {}: {}", fragment.data, Report(&error)),
            }
        }
        for (verb, data) in all.iter().filter(|(verb, data)| read(*verb, data).is_err()).take(10) {
            match rows_after(replay, *verb, data) {
                Err(Error::Apply(fault)) if matches!(fault.kind, FaultKind::Unreadable(_)) => {}
                other => panic!("{place}: {data}: {other:?}"),
            }
        }
    }
}

fn sessions(database: &Database) -> Vec<Session> {
    ["on", "off"]
        .map(|conforming| {
            let session = database.session();
            session.sql(&format!("set standard_conforming_strings = {conforming}; set escape_string_warning = off"));
            session
        })
        .into_iter()
        .collect()
}

/// Compares random fragments with the server.
fn check(seed: u64) {
    println!("TORTURE_SEED={seed}");
    let settings = [Settings { small_chunk: 0, ..SETTINGS }, Settings { apply: Apply::Row, ..SETTINGS }];
    let (first, database) = replay(settings[0], SCHEMA, "public.fragment");
    let provider = first.provider_database.as_ref().unwrap();
    let second = Replay::new(provider, &database, settings[1], "public.fragment");
    let sessions = sessions(&database);
    let mut writer = Writer { dice: Dice::new(seed) };
    let (mut whole, mut damaged, mut taken) = (0, 0, 0);
    let mut replays = [second, first];
    for round in 0..40 {
        let place = format!("seed {seed} round {round}");
        let (mut all, mut understood) = (Vec::new(), Vec::new());
        for _ in 0..200 {
            let verb = HEADS[writer.below(3)].0;
            let fragment = writer.fragment(verb);
            let is_whole = writer.below(5) == 0;
            let data = if is_whole { fragment } else { writer.damage(&fragment) };
            match read(verb, &data) {
                Ok(found) => understood.push(found),
                Err(at) => assert!(!is_whole, "{place}: not understood at {at}: {data}"),
            }
            whole += u32::from(is_whole);
            damaged += u32::from(!is_whole);
            all.push((verb, data));
        }
        taken += u32::try_from(understood.len()).unwrap();
        compare(&sessions, &understood, &place);
        compare_templates(&understood, &all);
        if round % 10 == 0 {
            compare_applier(&mut replays, &sessions[0], &understood, &all, &place);
        }
    }
    println!("{whole} whole and {damaged} damaged fragments, {taken} understood");
    assert!(taken - whole > damaged / 10 && taken - whole < damaged * 9 / 10, "{taken} of {damaged} and {whole}");
}

#[test]
fn what_is_understood_means_the_same_to_the_server() {
    seeds(&[11], check);
}

/// A keyword as the name of a column, not quoted.
#[test]
fn words_are_names_where_they_are_names_for_the_server() {
    let (_replay, database) = replay(SETTINGS, SCHEMA, "public.fragment");
    let words = database
        .column("select word from pg_get_keywords() where word not in ('name', 'values', 'is', 'select') order by 1");
    assert!(words.len() > 400, "{}", words.len());
    let columns: Vec<String> = words.iter().map(|word| format!("add column {} text", quote_ident(word))).collect();
    database.sql(&format!("alter table fragment {}; update fragment set {}", columns.join(", "), {
        let set: Vec<String> = words.iter().map(|word| format!("{} = 'x'", quote_ident(word))).collect();
        set.join(", ")
    }));
    let mut understood = Vec::new();
    let mut reserved = Vec::new();
    for word in words.iter().map(String::as_str).chain(["name", "values", "is", "select"]) {
        for (verb, data) in [
            (Verb::Insert, format!("(id,{word}) values ('9','x')")),
            (Verb::Update, format!("{word}='y' where id='1'")),
            (Verb::Update, format!("id='y' where {word}='x'")),
            (Verb::Delete, format!("{word}='x' and id='1'")),
            (Verb::Delete, format!("id='1' and {word} is null")),
        ] {
            match read(verb, &data) {
                // Triggers on servers before 16 write it as a name; a newer one would not read it so.
                Ok(_) if word == "system_user" => {}
                Ok(found) => understood.push(found),
                Err(_) => reserved.push(word.to_owned()),
            }
        }
    }
    compare(&sessions(&database), &understood, "keywords");
    let expected = database.column(
        "select word from pg_get_keywords() where catcode in ('R', 'T') and word <> 'system_user' order by word collate \"C\"",
    );
    reserved.sort();
    reserved.dedup();
    assert_eq!(reserved, expected);
}
