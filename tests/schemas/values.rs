//! Values of every type, as the texts that the server reads.

use std::collections::HashMap;

use super::catalog::Type;
use crate::support::statements::Dice;

/// How many different values a column of a key has, more or less: statements are to meet rows that are there.
const KEYS: u64 = 60;

/// Texts of all shapes that columns and domains ask for.
const TEXTS: [&str; 22] = [
    "",
    "a",
    "é😀",
    "it's",
    "back\\slash",
    "tab\tand\nline",
    "\"quoted\"",
    "NULL",
    "{braces}",
    "(a,b)",
    "$1 %s",
    "AB-1234",
    "XY-77",
    "DE",
    "FR",
    "SE",
    "ab",
    "x@example.org",
    "First.Last@example.com",
    "https://example.org/p?a=1&b=%20",
    "+49301234567",
    "some-slug",
];

fn pick<'a>(dice: &mut Dice, of: &[&'a str]) -> &'a str {
    of[usize::try_from(dice.below(u64::try_from(of.len()).unwrap())).unwrap()]
}

/// Texts to try as values of a domain over this type.
pub fn candidates(types: &HashMap<u32, Type>, base: u32, modifier: i32) -> Vec<String> {
    let mut dice = Dice::new(1);
    (0..150).filter_map(|_| value(types, base, modifier, &mut dice)).collect()
}

/// A value as text, `None` for null.
pub fn value(types: &HashMap<u32, Type>, id: u32, modifier: i32, dice: &mut Dice) -> Option<String> {
    let text = match types.get(&id)? {
        Type::Base(name) => base(name, modifier, dice),
        Type::Enum(of) | Type::Domain(of) => of[usize::try_from(dice.below(of.len() as u64)).unwrap()].clone(),
        Type::Composite(attributes) => {
            let fields = attributes.iter().map(|(id, modifier)| {
                let value = if dice.below(6) == 0 { None } else { value(types, *id, *modifier, dice) };
                value.map_or(String::new(), |text| quoted(&text))
            });
            format!("({})", fields.collect::<Vec<_>>().join(","))
        }
        Type::Array(element) => {
            let count = dice.below(4);
            let elements = (0..count).map(|_| {
                let value = if dice.below(8) == 0 { None } else { value(types, *element, modifier, dice) };
                value.map_or("NULL".to_owned(), |text| quoted(&text))
            });
            format!("{{{}}}", elements.collect::<Vec<_>>().join(","))
        }
        Type::Range(of) => range(types, *of, dice)?,
        Type::Multirange(of) => {
            let count = dice.below(3);
            let ranges: Option<Vec<String>> = (0..count).map(|_| value(types, *of, -1, dice)).collect();
            format!("{{{}}}", ranges?.join(","))
        }
    };
    Some(text)
}

/// Within an array, a row or a range.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The lower bound has to be the lower one: of two values that order as their texts do, or of numbers.
fn range(types: &HashMap<u32, Type>, of: u32, dice: &mut Dice) -> Option<String> {
    if dice.below(12) == 0 {
        return Some("empty".to_owned());
    }
    let mut bounds = [value(types, of, -1, dice)?, value(types, of, -1, dice)?];
    match [bounds[0].parse::<f64>(), bounds[1].parse::<f64>()] {
        [Ok(a), Ok(b)] if a > b => bounds.swap(0, 1),
        [Ok(_), Ok(_)] => {}
        // Infinity comes last as a text too.
        _ => bounds.sort(),
    }
    let [low, high] = bounds;
    let bound = |text: String, dice: &mut Dice| if dice.below(15) == 0 { String::new() } else { quoted(&text) };
    let (open, close) = (pick(dice, &["[", "("]), pick(dice, &[")", "]"]));
    Some(format!("{open}{},{}{close}", bound(low, dice), bound(high, dice)))
}

/// A value of a type that the server has, or one of an extension.
fn base(name: &str, modifier: i32, dice: &mut Dice) -> String {
    let n = dice.below(KEYS);
    let (small, other) = (dice.below(4), dice.below(1_000_000));
    match name {
        "int2" | "int4" | "int8" | "oid" => n.to_string(),
        "numeric" => pick(dice, &["0", "1.50", "1.5", "12.340", "99.99", "7", "-3.25"]).to_owned(),
        "float4" | "float8" => pick(dice, &["0", "-0", "0.1", "1e10", "0.30000000000000004", "3.25", "7"]).to_owned(),
        "money" => format!("{n}.{small}5"),
        "bool" => pick(dice, &["t", "f"]).to_owned(),
        "uuid" => format!("00000000-0000-4000-8000-{n:012}"),
        "date" => date(n, small),
        "timestamp" => pick_time(dice, format!("{} {:02}:{:02}:{:02}.{other:06}", date(n, small), n % 24, n, small)),
        "timestamptz" => {
            pick_time(dice, format!("{} {:02}:{n:02}:{small:02}.{other:06}+0{small}", date(n, small), n % 24))
        }
        "time" => format!("{:02}:{n:02}:0{small}", n % 24),
        "timetz" => format!("{:02}:{n:02}:0{small}-0{small}", n % 24),
        "interval" => {
            pick(dice, &["1 mon", "30 days", "-1 year -2 mons +3 days -04:05:06.000007", "00:00:01", "P1DT2H"])
                .to_owned()
        }
        "bytea" => format!("\\x{other:06}00ff5c27"),
        "json" | "jsonb" => match small {
            0 => "null".to_owned(),
            1 => format!("{{\"kind\": \"k{n}\", \"n\": {n}.50, \"q\": \"\\\"\\\\ é\"}}"),
            2 => format!("[{n}, null, true, \"it's\"]"),
            _ => format!("{{\"deep\": {{\"er\": [{{}}, {other}]}}}}"),
        },
        "xml" => format!("<a n=\"{n}\">it's &amp; {other}</a>"),
        "inet" => format!("10.0.{small}.{n}/2{small}"),
        "cidr" => format!("10.{n}.0.0/16"),
        "macaddr" => format!("08:00:2b:01:0{small}:{n:02}"),
        "bit" => (0..modifier.max(1)).map(|_| pick(dice, &["0", "1"])).collect(),
        "varbit" => (0..dice.below(10)).map(|_| pick(dice, &["0", "1"])).collect(),
        "point" => format!("({small}.{n},-{n}.5)"),
        "tsvector" => format!("'it''s':{}A b:2,3 w{n}", small + 1),
        "tsquery" => format!("w{n} & !b"),
        "hstore" => format!("a=>NULL, \"b\\\"\"=>\"it's {n}\", k{small}=>{other}"),
        "ltree" => format!("Top.n{}.x{small}", n % 12),
        "varchar" | "bpchar" => {
            let text = text(dice, n);
            let length = usize::try_from(modifier - 4).unwrap_or(usize::MAX);
            text.chars().take(length).collect()
        }
        "name" | "text" | "citext" => text(dice, n),
        _ => panic!("no values are known for type {name}"),
    }
}

fn date(n: u64, small: u64) -> String {
    format!("{}-{:02}-{:02}", 2019 + small, n % 12 + 1, n % 28 + 1)
}

fn pick_time(dice: &mut Dice, usual: String) -> String {
    if dice.below(30) == 0 { "infinity".to_owned() } else { usual }
}

fn text(dice: &mut Dice, n: u64) -> String {
    match dice.below(6) {
        0..=1 => pick(dice, &TEXTS).to_owned(),
        2 => format!("Key {n}"),
        3 => pick(dice, &["a", "b", "c", "d"]).to_owned(),
        _ => format!("k{n}"),
    }
}
