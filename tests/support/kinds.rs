//! Tables with columns of every kind of type (domains in domains, enums, composite types and their arrays, ranges, types of
//! extensions), and random statements that write them.

use super::statements::Dice;

/// The tables and their types. A database of any major version takes it.
const SCHEMA: &str = r"
    create extension citext;
    create extension hstore;
    create extension ltree;
    create extension cube;
    create type tone as enum ('low', 'it''s \ high', '');
    create domain tone_domain as tone;
    create domain word as text check (value <> 'never');
    create domain long_word as word check (length(value) < 60);
    create domain words as text[];
    create domain amount as numeric;
    create domain term as interval;
    create type pair_of as (a int, b long_word, t timestamptz, m tone_domain);
    create type nest as (p pair_of, ps pair_of[], f float8[], d interval, c citext);
    create type span as range (subtype = float8);
    create table kinds (
        id int primary key, t tone_domain, w long_word not null default 'w', ws words, ts tone[], p pair_of, ps pair_of[], n nest,
        s span, ss span[], r tstzrange, nr numrange, rs daterange[], h hstore, hs hstore[], l ltree, q cube, c citext, cs citext[],
        a amount, i term, x xml, js json, j jsonb, bs bytea[], tv tsvector, pt point, f float4, m money, d date[], z timetz);
    -- Of each type of the key, equal values have several texts.
    create table twins (c citext, a amount, i term, r numrange, n int default 0, primary key (c, a, i, r));
    create table tones (t tone, w long_word, p pair_of, v hstore, primary key (t, w, p));
";

/// What is added from a major version on.
const NEWER: &[(u32, &str)] = &[
    (
        11,
        "create domain pair_domain as pair_of check ((value).a is distinct from 13);
         create domain nested_domain as pair_domain;
         alter table kinds add column dp nested_domain, add column dps nested_domain[], add column dw long_word[], add column dt tone_domain[]",
    ),
    (12, "alter table kinds add column jp jsonpath"),
    (14, "alter table kinds add column mr tstzmultirange, add column nmr nummultirange[], add column sm span_multirange"),
];

/// The tables to replicate.
pub const TABLES: [&str; 3] = ["kinds", "twins", "tones"];

/// Literals of values, with their casts, by column of table kinds.
const VALUES: &[(u32, &str, &[&str])] = &[
    (10, "t", &["'low'", "'it''s \\ high'", "''", "null"]),
    (10, "w", &["''", "'null'", "E'\\\\ ''\\t'", "'é😀'", "repeat('x', 59)"]),
    (10, "ws", &["array['NULL', null, 'a\"b', E'\\\\']", "'{}'", "array[array['1', ''], array['2', null]]", "null"]),
    (10, "ts", &["array['low', null, '', E'it''s \\\\ high']::tone[]", "'{}'", "'[5:6]={low,low}'", "null"]),
    (
        10,
        "p",
        &[
            "row(1, E'a,\"b''\\\\)', '2020-07-08 09:10:11.5+00', '')",
            "row(null, null, null, null)",
            "row(-1, '', 'infinity', 'low')",
            "null",
        ],
    ),
    (
        10,
        "ps",
        &[
            "array[row(1, '\"', now(), 'low')::pair_of, null, row(null, null, null, null)::pair_of]",
            "array[array[row(7, E'{\\\\}', '-infinity', '')::pair_of]]",
            "'{}'",
            "null",
        ],
    ),
    (
        10,
        "n",
        &[
            "row(row(1, 'x', now(), 'low')::pair_of, array[row(2, '(', null, '')::pair_of, null], array['NaN', 0.1, -0.0]::float8[], '-1 mon', 'MiXed')",
            "row(null, '{}', '{}', '30 days -01:00', '')",
            "null",
        ],
    ),
    (10, "s", &["'[0.1,1e300)'", "'empty'", "'(,)'", "null"]),
    (10, "ss", &["array['[0.30000000000000004,1]'::span, null]", "'{}'", "null"]),
    (10, "r", &["tstzrange('2020-01-02 03:04+00', 'infinity', '[]')", "'empty'", "tstzrange(null, now())", "null"]),
    (10, "nr", &["'[1.50,2.500)'", "'[1.5,2.5)'", "'(,NaN]'", "null"]),
    (10, "rs", &["array[daterange('2020-02-03', '2020-03-02'), 'empty', null]", "null"]),
    (10, "h", &[r#"'a=>NULL, "b\"\\"=>"it''s", "NULL"=>"null"'"#, "''", "hstore('k', null)", "null"]),
    (10, "hs", &["array[hstore('a', E'\\\\'), null, '']", "null"]),
    (10, "l", &["'Top.Sub_1.x'", "''", "'a.a.a'", "null"]),
    (10, "q", &["'(0.1,1e-300),(2,-0)'", "cube(array[0.30000000000000004, 1e15 + 0.3])", "'(1)'", "null"]),
    (10, "c", &["'MiXed'", "'mixed'", "E'\\\\'", "null"]),
    (10, "cs", &["array['A', 'a', null, 'NULL']::citext[]", "'{}'", "null"]),
    (10, "a", &["1.50", "1.500", "'NaN'", "-1e300", "null"]),
    (10, "i", &["'1 mon'", "'30 days'", "'-1 year -2 mons +3 days -04:05:06.000007'", "null"]),
    (10, "x", &["'<a b=\"it''s\">&amp;</a>'", "xmlparse(content 'text only')", "xmlparse(content '')", "null"]),
    (10, "js", &["'{\"a\" : 1.50, \"a\":2}'", "'null'", "null"]),
    (10, "j", &["'{\"a\": 1.50, \"q\": null}'", "'1e400'", "'null'", "null"]),
    (10, "bs", &["array[decode('005c27ff', 'hex'), '', null]", "'{}'", "null"]),
    (10, "tv", &["$$'it''s':1A 'b':2,3$$::text::tsvector", "''", "null"]),
    (10, "pt", &["'(0.1,-0)'", "'(NaN,1e-300)'", "null"]),
    (10, "f", &["0.1", "'-0'", "3.4028235e38", "'NaN'", "null"]),
    (10, "m", &["12345.67::numeric", "-0.01::numeric", "null"]),
    (10, "d", &["array['2020-02-03'::date, '2020-12-11', null, 'infinity']", "null"]),
    (10, "z", &["'23:59:59.999999+15:59'", "'00:00-12:30'", "null"]),
    (11, "dp", &["row(1, 'in', now(), '')", "row(null, null, null, null)", "null"]),
    (11, "dps", &["array[row(2, E'\\\\\"', null, 'low')::pair_of::nested_domain, null]", "'{}'", "null"]),
    (11, "dw", &["array['NULL', null, '{', E'\\\\']::long_word[]", "null"]),
    (11, "dt", &["array['', 'low', null]::tone_domain[]", "null"]),
    (12, "jp", &["'$.a[*] ? (@.b > 1.5)'", "null"]),
    (
        14,
        "mr",
        &[
            "'{}'",
            "tstzmultirange(tstzrange('2020-01-02 03:04+00', '2021-02-03 00:00+00'), tstzrange('2022-01-01 00:00+00', null))",
            "null",
        ],
    ),
    (14, "nmr", &["array['{[1.50,2.5],(3,)}'::nummultirange, null]", "null"]),
    (14, "sm", &["'{[0.1,0.30000000000000004],(1e10,)}'", "null"]),
];

/// The schema for a major version.
pub fn schema(major: u32) -> String {
    let newer = NEWER.iter().filter(|(first, _)| major >= *first).map(|(_, sql)| *sql);
    [SCHEMA].into_iter().chain(newer).collect::<Vec<_>>().join(";")
}

/// The next statement. It may fail, because of what is in the tables. Without `moves` no key becomes an unequal one.
pub fn statement(dice: &mut Dice, major: u32, moves: bool) -> String {
    let (id, other) = (dice.below(12), dice.below(12));
    match dice.below(12) {
        0..=2 => insert(dice, major, id),
        3..=5 => {
            let set: Vec<String> =
                some(dice, major, 4).iter().map(|(name, value)| format!("{name} = {value}")).collect();
            format!("update kinds set {} where id >= {id} and id < {id} + 3", set.join(", "))
        }
        6 => inside(dice, id),
        7 => format!("delete from kinds where id = {id}; delete from kinds where id > 40 - {other}"),
        8 => format!(
            "update kinds k set (h, n, ps, c, s, ws) = (select h, n, ps, upper(c::text)::citext, s, ws from kinds o where o.id = {other}) where k.id = {id}"
        ),
        9 if moves => format!("update kinds set id = id + 20, q = null where id = {id}"),
        10 => tones(dice, id),
        _ => twins(dice, id, moves),
    }
}

/// Some columns with values.
fn some(dice: &mut Dice, major: u32, limit: u64) -> Vec<(&'static str, &'static str)> {
    let count = 1 + dice.below(limit);
    let mut chosen: Vec<(&str, &str)> = Vec::new();
    for _ in 0..count {
        let (first, name, values) = VALUES[place(dice, VALUES.len())];
        if major >= first && chosen.iter().all(|(other, _)| *other != name) {
            chosen.push((name, values[place(dice, values.len())]));
        }
    }
    if chosen.is_empty() {
        chosen.push(("c", "'none'"));
    }
    chosen
}

fn place(dice: &mut Dice, count: usize) -> usize {
    usize::try_from(dice.below(count as u64)).unwrap()
}

fn insert(dice: &mut Dice, major: u32, id: u64) -> String {
    let chosen = some(dice, major, 2 * VALUES.len() as u64);
    let names: Vec<&str> = chosen.iter().map(|(name, _)| *name).collect();
    let values: Vec<&str> = chosen.iter().map(|(_, value)| *value).collect();
    format!(
        "insert into kinds (id, {}) values ({id}, {}) on conflict (id) do update set c = kinds.c || '+', w = 'again'",
        names.join(", "),
        values.join(", ")
    )
}

/// Changes inside of values.
fn inside(dice: &mut Dice, id: u64) -> String {
    const CHANGES: &[&str] = &[
        "p.b = 'in', p.a = coalesce((p).a, 0) + 1",
        "ws[2] = 'two', cs[4] = null",
        "ps[2].t = '2020-10-25 01:30+00', n.c = 'N'",
        "h = h || 'z=>1'::hstore, l = l || 'x'",
        "h = delete(h, 'a'), hs[1] = h",
        "s = s * '[0.2,5)'::span, nr = nr * '[0,2.50]'::numrange",
        "c = upper(c::text)::citext, a = a * 1.00, i = case when i = interval '1 mon' then interval '30 days' else i + interval '1 mon' end",
        "f = f / 3, pt = pt * point(3, 0), q = cube_enlarge(q, 0.1, 2)",
        "j = jsonb_build_object('was', j), m = m * 3",
        "t = 'low', ts = ts || null::tone",
    ];
    format!("update kinds set {} where id <= {id}", CHANGES[place(dice, CHANGES.len())])
}

fn twins(dice: &mut Dice, id: u64, moves: bool) -> String {
    match dice.below(8) {
        0..=2 => format!(
            "insert into twins values (chr(97 + {id}), 1.{id}, '1 mon', '[1.50,2)'), (chr(65 + {id}), 1.{id}0, '30 days', '[1.5,2.0)'),
                ('Z' || {id}, 'NaN', '0', 'empty') on conflict do nothing"
        ),
        3 => format!("update twins set c = upper(c::text)::citext, n = n + 1 where c > chr(97 + {id})::citext"),
        4 => "update twins set a = a * 1.00, i = i - interval '1 mon' + interval '30 days', n = n + 1".to_owned(),
        5 => format!("delete from twins where c = chr(65 + {id})::citext or n > 9"),
        6 if moves => format!("update twins set a = a + 1, c = c || 'é' where n = {}", id % 4),
        _ => format!("update twins set n = {id} where a < 1.{id}"),
    }
}

fn tones(dice: &mut Dice, id: u64) -> String {
    match dice.below(6) {
        0..=2 => format!(
            "insert into tones values ('low', 'w' || {id}, row({id}, E'\\\\', '2020-01-01 00:00+00', ''), hstore('n', '{id}')),
                ('', '', row({id}, null, null, 'low'), '') on conflict (t, w, p) do update set v = tones.v || hstore('again', '{id}')"
        ),
        3 => format!("update tones set v = v || 'k=>\"{id}\"'::hstore where (p).a > {id}"),
        4 => format!("delete from tones where (p).a = {id}"),
        _ => "delete from tones where t = '' and (p).a < 4".to_owned(),
    }
}
