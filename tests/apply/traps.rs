//! Names in our statements mean what they mean in `pg_catalog`, or what a table's own index says, whatever else has the
//! same name: a role that may create objects in a schema of the path cannot get its code run, nor an update lost.

use rlondiste::Report;
use rlondiste::config::Apply;
use rlondiste::error::Error;
use rlondiste::londiste::apply::{Applied, Settings};

use super::events::events;
use super::{Replay, SETTINGS};
use crate::support::{Cluster, Database, wait_until};

const WAYS: [Settings; 3] =
    [Settings { small_chunk: 0, ..SETTINGS }, SETTINGS, Settings { apply: Apply::Row, ..SETTINGS }];

/// Namesakes of all operators, functions and types of `pg_catalog`, and of its tables. Whoever calls or uses one gets an
/// error. An operator of text has a namesake of varchar too, which fits columns of varchar better than the real one.
const TRAPS: &str = r"
    set search_path = pg_catalog;
    do $do$
    declare
        v record;
        v_nr int := 0;
        v_body text;
    begin
        for v in
            select oprname as name, l.left_type, r.right_type, format_type(oprresult, null) as result
            from pg_operator o,
                 lateral (select format_type(oprleft, null)
                          union all select 'character varying' where oprleft = 'text'::regtype) l(left_type),
                 lateral (select format_type(oprright, null)
                          union all select 'character varying' where oprright = 'text'::regtype) r(right_type)
            where oprnamespace = 'pg_catalog'::regnamespace and oprleft <> 0 and oprright <> 0
        loop
            v_nr := v_nr + 1;
            v_body := format('begin raise exception using message = %L; end', 'sprung: operator ' || v.name || ' of ' || v.left_type);
            begin
                execute format('create function public.trap_%s(%s, %s) returns %s language plpgsql as %L',
                               v_nr, v.left_type, v.right_type, v.result, v_body);
                execute format('create operator public.%s (procedure = public.trap_%s, leftarg = %s, rightarg = %s)',
                               v.name, v_nr, v.left_type, v.right_type);
            exception when others then null;
            end;
        end loop;
        for v in
            select proname as name, pg_get_function_identity_arguments(oid) as arguments, pg_get_function_result(oid) as result
            from pg_proc where pronamespace = 'pg_catalog'::regnamespace
        loop
            v_body := format('begin raise exception using message = %L; end', 'sprung: function ' || v.name);
            begin
                execute format('create function public.%I(%s) returns %s language plpgsql as %L', v.name, v.arguments, v.result, v_body);
            exception when others then null;
            end;
        end loop;
        for v in select relname as name from pg_class where relnamespace = 'pg_catalog'::regnamespace and relkind in ('r', 'v') loop
            execute format('create table public.%I (sprung int)', v.name);
        end loop;
        for v in
            select typname as name from pg_type
            where typnamespace = 'pg_catalog'::regnamespace and typtype = 'b' and typelem = 0 and typname <> 'unknown'
        loop
            begin
                execute format('create domain public.%I as pg_catalog.%I constraint sprung check (false)', v.name, v.name);
            exception when others then null;
            end;
        end loop;
    end $do$;
";

/// Key columns: a table's name, the type of its key, and the texts of five keys.
const KEYS: &[(&str, &str, [&str; 5])] = &[
    ("k_varchar", "varchar(20)", ["a", "b", "c", "d", "e"]),
    ("k_text", "text", ["a", "b", "c'", "d\\", ""]),
    ("k_char", "char(4)", ["a   ", "b   ", "c   ", "d   ", "e   "]),
    ("k_name", "name", ["a", "b", "c", "d", "e"]),
    ("k_letter", "\"char\"", ["a", "b", "c", "d", "e"]),
    ("k_int2", "int2", ["1", "2", "3", "4", "5"]),
    ("k_int4", "int4", ["1", "2", "3", "4", "5"]),
    ("k_int8", "int8", ["1", "2", "3", "4", "5"]),
    ("k_oid", "oid", ["1", "2", "3", "4", "5"]),
    ("k_numeric", "numeric(10,2)", ["1.00", "2.50", "3.00", "4.00", "5.00"]),
    ("k_float", "float8", ["1", "2.5", "3", "NaN", "5"]),
    ("k_date", "date", ["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-04", "infinity"]),
    (
        "k_time",
        "timestamptz",
        [
            "2020-01-01 00:00:00+00",
            "2020-01-02 00:00:00+00",
            "2020-01-03 00:00:00+00",
            "2020-01-04 00:00:00+00",
            "infinity",
        ],
    ),
    ("k_interval", "interval", ["1 day", "2 days", "3 days", "4 days", "5 days"]),
    ("k_bytea", "bytea", ["\\x01", "\\x02", "\\x03", "\\x", "\\x05"]),
    (
        "k_uuid",
        "uuid",
        [
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a13",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a14",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a15",
        ],
    ),
    ("k_cidr", "cidr", ["10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16"]),
    ("k_jsonb", "jsonb", ["1", "2", "[3]", "{\"a\": null}", "5"]),
    ("k_enum", "mood", ["a", "b", "c", "d", "e"]),
    ("k_enum_domain", "moods", ["a", "b", "c", "d", "e"]),
    ("k_domain", "code", ["a", "b", "c", "d", "e"]),
    ("k_array", "int[]", ["{1}", "{2}", "{NULL}", "{4,4}", "{}"]),
    ("k_array_domain", "codes", ["{a}", "{b}", "{NULL}", "{d,d}", "{}"]),
    ("k_range", "int4range", ["[1,2)", "[2,3)", "[3,)", "empty", "[5,6)"]),
    ("k_composite", "pair", ["(1,a)", "(2,b)", "(3,)", "(4,\"d,d\")", "(5,e)"]),
    ("k_citext", "extensions.citext", ["a", "B", "c", "D", "e"]),
    ("k_citext_domain", "extensions.label", ["a", "B", "c", "D", "e"]),
    ("k_ltree", "extensions.ltree", ["a", "a.b", "a.c", "d", "e"]),
    ("k_hstore", "extensions.hstore", ["\"a\"=>\"1\"", "\"a\"=>\"2\"", "\"b\"=>NULL", "", "\"e\"=>\"5\""]),
    ("k_cube", "extensions.cube", ["(1)", "(2)", "(3)", "(4, 4)", "(5)"]),
    (
        "k_isbn",
        "extensions.isbn13",
        ["978-0-393-04002-9", "978-0-13-110362-7", "978-0-201-63361-0", "978-0-262-03384-8", "978-3-16-148410-0"],
    ),
];

const SCHEMA: &str = "
    create schema extensions;
    create extension citext schema extensions; create extension ltree schema extensions; create extension hstore schema extensions;
    create extension cube schema extensions; create extension isn schema extensions;
    create type mood as enum ('a', 'b', 'c', 'd', 'e'); create domain moods as mood not null;
    create domain code as varchar(9) check (value ~ '^[a-z]*$'); create domain codes as text[]; create type pair as (a int, b text);
    create domain extensions.label as extensions.citext;
    create table two_keys (k varchar(9), l extensions.ltree, a varchar(10), b int, primary key (k, l));
    create table wide (k int primary key, c0 text, c1 varchar, c2 int, c3 extensions.citext, c4 mood, c5 numeric, c6 int[], c7 pair);
    create table no_key (v varchar(10), j json, x xml, p point, ja json[], n numeric, e mood, c extensions.citext, r pair, t timestamptz);
    create table parent (id int primary key); create table child (id int primary key, p int references parent);
    insert into parent values (1)";

fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", doubled.replace('\\', r"\\")) } else { format!("'{doubled}'") }
}

fn apply(replay: &mut Replay, list: &[(&str, String, &str)]) -> Result<Applied, Error> {
    let list: Vec<_> = (1..).zip(list).map(|(id, (kind, data, table))| (id, 1, *kind, data.as_str(), *table)).collect();
    replay.apply(&events(&list))
}

/// Whether the servers have the extensions that the schema needs.
fn has_extensions() -> bool {
    let count = Cluster::subscriber().value(
        "select count(*) from pg_available_extensions where name in ('citext', 'ltree', 'hstore', 'cube', 'isn')",
    );
    if count != "5" {
        eprintln!("skipped: the server lacks extensions (apt-get install postgresql-contrib)");
    }
    count == "5"
}

/// A replay of all tables into a database with this search path; `traps` are set by a role that may create objects in schema
/// `public`.
fn trapped(settings: Settings, traps: bool, path: &str) -> (Replay, Database) {
    let mut schema = SCHEMA.to_owned();
    let mut names = "public.two_keys public.wide public.no_key public.parent public.child".to_owned();
    for (table, key, _) in KEYS {
        schema += &format!("; create table {table} (k {key} primary key, a varchar(10), b int)");
        names += &format!(" public.{table}");
    }
    if traps {
        schema += &format!(
            "; create role setter_{{name}}; grant create, usage on schema public to setter_{{name}}; set role setter_{{name}}; {TRAPS};
             reset role"
        );
    }
    replay_in(path, settings, &schema, &names)
}

/// A replay between new databases; the subscriber has a schema, in which `{name}` is its name, and a search path.
fn replay_in(path: &str, settings: Settings, schema: &str, tables: &str) -> (Replay, Database) {
    let (provider, subscriber) = (Cluster::provider().database(), Cluster::subscriber().database());
    subscriber.sql(&schema.replace("{name}", subscriber.name()));
    subscriber.sql(&format!("alter database {} set search_path = {path}", subscriber.name()));
    let replay = Replay::new(&provider, &subscriber, settings, tables);
    (Replay { provider_database: Some(provider), ..replay }, subscriber)
}

/// Inserts, updates, deletes and moves of keys for every table.
fn batches() -> Vec<Vec<(&'static str, String, &'static str)>> {
    let table = |name: &'static str| -> &'static str { Box::leak(format!("public.{name}").into_boxed_str()) };
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for (name, _, keys) in KEYS {
        let [k1, k2, k3, k4, k5] = keys.map(literal);
        for key in [&k1, &k2, &k3, &k4] {
            first.push(("I", format!("(k,a,b) values ({key},'x','1')"), table(name)));
        }
        second.push(("U", format!("a='y',b='2' where k={k2}"), table(name)));
        second.push(("D", format!("k={k3}"), table(name)));
        second.push(("U", format!("k={k5} where k={k4}"), table(name)));
        // A row that is not there.
        second.push(("U", format!("a='z' where k={k3}"), table(name)));
    }
    for id in 1..=150 {
        first.push(("I", format!("(k,c1) values ('{id}','old')"), "public.wide"));
    }
    for (id, set) in
        ["c0='x'", "c1='x'", "c2='1'", "c3='x'", "c4='a'", "c5='1.50'", "c6='{1}'", "c7='(1,x)'", "c0=null,c7=null"]
            .into_iter()
            .enumerate()
    {
        second.push(("U", format!("{set} where k='{}'", id + 1), "public.wide"));
    }
    first.push(("I", "(k,l,a,b) values ('a','a.b','x','1')".to_owned(), "public.two_keys"));
    second.push(("U", "b='2' where k='a' and l='a.b'".to_owned(), "public.two_keys"));
    let row = |v: &str| {
        format!(
            "('{v}','{{\"a\" : 1}}','<a/>','(1,2)','{{\"[1]\",NULL}}','1.50','a','Ab','(1,a)','2020-01-01 00:00:00+00')"
        )
    };
    let columns = "(v,j,x,p,ja,n,e,c,r,t)";
    let condition = |v: &str, n: &str| {
        format!(
            "v='{v}' and j='{{\"a\" : 1}}' and x='<a/>' and p='(1,2)' and ja='{{\"[1]\",NULL}}' and n='{n}' and e='a' and c='Ab'
             and r='(1,a)' and t='2020-01-01 00:00:00+00'"
        )
    };
    for v in ["a", "b", "c"] {
        first.push(("I", format!("{columns} values {}", row(v)), "public.no_key"));
    }
    first.push(("I", "(v) values ('null')".to_owned(), "public.no_key"));
    second.push(("U", format!("v='b!' where {}", condition("b", "1.5")), "public.no_key"));
    second.push(("D", condition("c", "1.50"), "public.no_key"));
    second.push((
        "U",
        "v='was null' where v='null' and j is null and x is null and p is null and ja is null and n is null and e is null".to_owned(),
        "public.no_key",
    ));
    first.push(("I", "(id,p) values ('1','1')".to_owned(), "public.child"));
    second.push(("R", String::new(), "public.child"));
    second.push(("R", String::new(), "public.parent"));
    vec![first, second]
}

/// What is in the tables, looked at from where no trap is seen.
fn rows(subscriber: &Database) -> Vec<String> {
    let session = subscriber.session();
    session.sql("set search_path = pg_catalog");
    let mut rows = Vec::new();
    let names = KEYS.iter().map(|(name, _, _)| *name).chain(["two_keys", "wide", "no_key", "parent", "child"]);
    for table in names {
        rows.extend(
            session
                .column(&format!("select '{table} ' || whole::pg_catalog.text from public.{table} whole order by 1")),
        );
    }
    rows
}

#[test]
fn namesakes_in_the_path_are_never_called() {
    if !has_extensions() {
        return;
    }
    let mut wrong = Vec::new();
    let mut expected = None;
    for settings in WAYS {
        // Namesakes are found before pg_catalog's own when that is in the path, and beside them otherwise.
        for (traps, path) in [(false, "public"), (true, "public"), (true, "public, extensions, pg_catalog")] {
            let place = format!("{:?} {} traps {traps}, path {path}", settings.apply, settings.small_chunk);
            let (mut replay, subscriber) = trapped(settings, traps, path);
            let mut missing = 0;
            let mut failed = false;
            for batch in batches() {
                match apply(&mut replay, &batch) {
                    Ok(applied) => missing += applied.missing_rows,
                    Err(error) => {
                        wrong.push(format!("{place}: {}", Report(&error)));
                        failed = true;
                        break;
                    }
                }
            }
            if failed {
                continue;
            }
            let rows = rows(&subscriber);
            let expected = expected.get_or_insert_with(|| rows.clone());
            if rows != *expected || missing != KEYS.len() as u64 {
                wrong.push(format!("{place}: {missing} rows missing, {rows:#?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let expected = expected.unwrap();
    assert!(
        expected.contains(&"k_ltree (a.b,y,2)".to_owned()) && !expected.iter().any(|row| row.starts_with("parent")),
        "{expected:#?}"
    );
    assert_eq!(expected.len(), KEYS.len() * 3 + 1 + 150 + 3, "{expected:#?}");
}

/// The equality of the key's index is used, so that its index is too.
#[test]
fn keys_of_extensions_types_are_found_by_their_index() {
    if !has_extensions() {
        return;
    }
    for settings in [WAYS[0], WAYS[2]] {
        let (mut replay, subscriber) = trapped(settings, false, "public");
        subscriber
            .sql("insert into k_citext select 'Key ' || g, 'x', 1 from generate_series(1, 3000) g; analyze k_citext");
        let updates: Vec<_> =
            (1..=300).map(|id| ("U", format!("b='2' where k='Key {id}'"), "public.k_citext")).collect();
        let applied = apply(&mut replay, &updates).unwrap();
        assert_eq!(applied.missing_rows, 0);
        assert_eq!(subscriber.value("select count(*) from k_citext where b = 2"), "300");
        wait_until("the index was used", || {
            let scans = subscriber.value(
                "select row(idx_scan >= 300, seq_scan < 5)::text from pg_stat_user_tables where relname = 'k_citext'",
            );
            if scans == "(t,t)" { Ok(()) } else { Err(scans) }
        });
    }
}

/// Triggers, defaults and functions of indexes run in the path that they were written for.
#[test]
fn code_of_users_finds_its_names() {
    const SCHEMA: &str = "
        create schema app; create table app.audit (id int);
        create function app.next() returns int language sql as 'select 7';
        create function app.note() returns trigger language plpgsql as $$
            begin insert into audit values (new.id); return null; end $$;
        create function app.twice(int) returns int language plpgsql immutable as 'begin return $1 + next(); end';
        create table t (id int primary key, v text, n int);
        create function app.note_later() returns trigger language plpgsql as $$
            begin insert into audit values (-new.id); return null; end $$;
        set search_path = app, public;
        alter table t alter n set default next();
        create index on t (twice(id));
        create trigger note after insert on t for each row execute procedure note();
        alter table t enable always trigger note;
        create constraint trigger later after insert on t deferrable initially deferred
            for each row execute procedure note_later();
        alter table t enable always trigger later";
    for settings in WAYS {
        let (mut replay, subscriber) = replay_in("app, public", settings, SCHEMA, "public.t");
        let insert: Vec<_> = (1..=3).map(|id| ("I", format!("(id,v) values ('{id}','x')"), "public.t")).collect();
        apply(&mut replay, &insert).unwrap();
        assert_eq!(subscriber.column("select id from app.audit order by id"), ["-3", "-2", "-1", "1", "2", "3"]);
        assert_eq!(subscriber.column("select distinct n from public.t"), ["7"]);
    }
}
