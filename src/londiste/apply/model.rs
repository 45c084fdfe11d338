//! Net changes against a model: carried out, they give the rows that the events give one by one.

use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::prelude::*;

use super::applied::Applied;
use super::chunk::Chunk;
use super::measure::{self, TableSketch};
use super::net_changes::NetAction;
use super::plan::{self, Refusals, SetColumns};
use super::read::{EventReader, ReadOutcome};
use super::settings::Filter;
use super::table_cache::TableCache;
use super::target_table::TargetTable;
use crate::config::{Apply, ApplyRole};
use crate::pg::FqName;
use crate::pg::name::{quote_ident, quote_literal};
use crate::pgq::EventId;
use crate::pgq::event::Event;

/// A row: the values of columns a and b. The key is apart.
type Row = [Option<String>; 2];
type RowIdentity = BTreeMap<(i64, String), Row>;

/// A new value for a column, or none; the value may be NULL.
#[derive(Clone, Debug)]
enum Setting {
    Keep,
    To(Option<String>),
}

const NAMES: [&str; 2] = ["a", "Weird B"];

/// What happens, before it is known whether it fits the rows that are there.
#[derive(Clone, Debug)]
enum Op {
    Insert((i64, String), Row),
    /// New values by column.
    Update((i64, String), [Setting; 2]),
    Move((i64, String), (i64, String), Setting),
    Delete((i64, String)),
}

#[derive(Clone, Copy, Debug)]
enum DataFormat {
    Fragment,
    Urlenc,
    Json,
}

fn key() -> impl Strategy<Value = (i64, String)> {
    (-2_i64..3, "[x']{1}")
}

fn value() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("[a'\\\\& %\"\t]{0,3}")
}

fn setting() -> impl Strategy<Value = Setting> {
    prop_oneof![Just(Setting::Keep), value().prop_map(Setting::To)]
}

fn op() -> impl Strategy<Value = (Op, DataFormat)> {
    let op = prop_oneof![
        3 => (key(), [value(), value()]).prop_map(|(key, row)| Op::Insert(key, row)),
        4 => (key(), [setting(), setting()]).prop_map(|(key, set)| Op::Update(key, set)),
        1 => (key(), key(), setting()).prop_map(|(from, to, set)| Op::Move(from, to, set)),
        2 => key().prop_map(Op::Delete),
    ];
    (op, prop_oneof![Just(DataFormat::Fragment), Just(DataFormat::Urlenc), Just(DataFormat::Json)])
}

fn literal(value: Option<&String>) -> String {
    value.map_or("null".to_owned(), |value| quote_literal(value))
}

fn condition((id, code): &(i64, String)) -> String {
    format!("id={} and code={}", quote_literal(&id.to_string()), quote_literal(code))
}

/// All columns of a row with their values as text.
fn fields(key: &(i64, String), row: &Row) -> Vec<(&'static str, Option<String>)> {
    vec![
        ("id", Some(key.0.to_string())),
        (NAMES[0], row[0].clone()),
        ("code", Some(key.1.clone())),
        (NAMES[1], row[1].clone()),
    ]
}

fn encode(verb: char, key: &(i64, String), row: &Row, format: DataFormat) -> (String, String) {
    let fields = fields(key, row);
    match format {
        DataFormat::Fragment => unreachable!("has its own form for each verb"),
        DataFormat::Urlenc => {
            let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
            let field = |(name, value): &(&str, Option<String>)| match value {
                None => escape(name),
                Some(value) => format!("{}={}", escape(name), escape(value)),
            };
            (format!("{verb}:id,code"), fields.iter().map(field).collect::<Vec<_>>().join("&"))
        }
        DataFormat::Json => {
            let op = match verb {
                'I' => "INSERT",
                'U' => "UPDATE",
                _ => "DELETE",
            };
            let kind = serde_json::json!({"op": op, "table": ["public", "t"], "pkey": ["id", "code"]});
            let data: serde_json::Map<String, serde_json::Value> =
                fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
            (kind.to_string(), serde_json::Value::from(data).to_string())
        }
    }
}

/// Carries out the operation and gives the event for it. `None` when a provider would have refused it.
fn carry_out(op: &Op, format: DataFormat, rows: &mut RowIdentity) -> Option<(String, String)> {
    match op {
        Op::Insert(key, row) => {
            if rows.contains_key(key) {
                return None;
            }
            rows.insert(key.clone(), row.clone());
            Some(match format {
                DataFormat::Fragment => {
                    let list = [Some(&key.0.to_string()), row[1].as_ref(), Some(&key.1), row[0].as_ref()].map(literal);
                    ("I".to_owned(), format!("(id,\"Weird B\",code,a) values ({})", list.join(",")))
                }
                _ => encode('I', key, row, format),
            })
        }
        Op::Update(key, set) => {
            let row = rows.get_mut(key)?;
            let mut list = Vec::new();
            for (i, value) in set.iter().enumerate() {
                if let Setting::To(value) = value {
                    row[i].clone_from(value);
                    list.push(format!("{}={}", quote_ident(NAMES[i]), literal(value.as_ref())));
                }
            }
            if list.is_empty() {
                list.push(format!("id={}", quote_literal(&key.0.to_string())));
            }
            Some(match format {
                DataFormat::Fragment => ("U".to_owned(), format!("{} where {}", list.join(","), condition(key))),
                _ => encode('U', key, row, format),
            })
        }
        Op::Move(from, to, set) => {
            if rows.contains_key(to) {
                return None;
            }
            let mut row = rows.remove(from)?;
            let mut list = format!("code={},id={}", quote_literal(&to.1), quote_literal(&to.0.to_string()));
            if let Setting::To(value) = set {
                row[0].clone_from(value);
                list.push_str(&format!(",a={}", literal(value.as_ref())));
            }
            rows.insert(to.clone(), row);
            Some(("U".to_owned(), format!("{list} where {}", condition(from))))
        }
        Op::Delete(key) => {
            let row = rows.remove(key)?;
            Some(match format {
                DataFormat::Fragment => ("D".to_owned(), condition(key)),
                _ => encode('D', key, &row, format),
            })
        }
    }
}

/// Columns id, a, code, "Weird B" with the key (id, code).
fn table() -> TargetTable {
    let columns = [("id", 23), ("a", 25), ("code", 25), ("Weird B", 25)];
    let mut table = measure::table(1, &TableSketch { name: "public.t", columns: &columns });
    table.primary_key = Some(vec![0, 2]);
    table.keys = vec![vec![0, 2]];
    table
}

/// Applies the net change of a chunk as the statements would: deletes, updates against the rows as they were, inserts.
fn apply_net(chunk: &Chunk, rows: &mut RowIdentity) {
    let Some(table) = chunk.active.first() else { return };
    let changes = chunk.net_changes(*table);
    assert!(!changes.by_row, "valid events have net changes");
    let text = |index| chunk.values.get(index).map(|value| String::from_utf8(value.to_vec()).expect("utf8"));
    let key_at = |id, code| (text(id).expect("key").parse().expect("integer"), text(code).expect("key"));
    let of = |action| changes.rows().iter().filter(move |net| net.action == action);
    for net in of(NetAction::Delete) {
        assert!(rows.remove(&key_at(net.origin, net.origin + 1)).is_some(), "a delete finds its row");
    }
    let mut updated = Vec::new();
    for net in of(NetAction::Update) {
        let shape = chunk.shape(net.shape);
        let mut key = key_at(net.origin, net.origin + 1);
        let mut row = rows.remove(&key).expect("an update finds its row");
        for column in &shape.written {
            let value = text(net.values + shape.place(*column).expect("written"));
            match column {
                0 => key.0 = value.expect("key").parse().expect("integer"),
                2 => key.1 = value.expect("key"),
                1 => row[0] = value,
                _ => row[1] = value,
            }
        }
        updated.push((key, row));
    }
    for net in of(NetAction::Insert) {
        let shape = chunk.shape(net.shape);
        let place = |column| net.values + shape.place(column).expect("inserts have all columns");
        updated.push((key_at(place(0), place(2)), [text(place(1)), text(place(3))]));
    }
    for (key, row) in updated {
        assert!(rows.insert(key, row).is_none(), "two rows have one key");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_net_change_is_what_the_events_do(
        before in proptest::collection::btree_map(key(), [value(), value()], 0..5),
        ops in proptest::collection::vec(op(), 0..30),
    ) {
        let mut cache = TableCache::default();
        cache.start();
        cache.put(table());
        let filters = HashMap::from([(FqName::parse("public.t"), Filter::Apply)]);
        let mut reader = EventReader::new(&mut cache, &filters, Apply::Set, "");
        let mut expected = before.clone();
        let mut count = 0;
        for (op, format) in &ops {
            let Some((kind, data)) = carry_out(op, *format, &mut expected) else { continue };
            count += 1;
            let event = Event::new(EventId(count), 1, kind.as_bytes(), Some(data.as_bytes()), Some(b"public.t"));
            prop_assert!(matches!(reader.read(&event), Ok(ReadOutcome::Done)), "{kind} {data}");
        }
        let mut chunk = std::mem::take(&mut reader.chunk);
        let Applied { count: read, ignored, .. } = reader.finish();
        prop_assert_eq!((read, ignored), (count.cast_unsigned(), 0));
        chunk.shapes = cache.shapes.all().to_vec();
        let mut rows = before;
        apply_net(&chunk, &mut rows);
        prop_assert_eq!(rows, expected);
    }
}

/// A table of 100 columns, and an event for each of many sets of them: what is known of the sets, and the statements for
/// them, stay within their bounds.
#[test]
fn shapes_and_statements_are_bounded_within_a_batch() {
    const EVENTS: u32 = 12_000;
    let names: Vec<String> = (0..100).map(|i| format!("c{i}")).collect();
    let columns: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 25)).collect();
    let mut cache = TableCache::default();
    cache.start();
    cache.put(measure::table(1, &TableSketch { name: "public.t", columns: &columns }));
    let filters = HashMap::from([(FqName::parse("public.t"), Filter::Apply)]);
    let mut reader = EventReader::new(&mut cache, &filters, Apply::Set, "");
    let (mut most, mut chunks) = (0, Vec::new());
    for n in 1..=EVENTS {
        let set: Vec<String> = (1..100).filter(|i| n >> (i % 17) & 1 == 1).map(|i| format!("c{i}='x'")).collect();
        let data = format!("{} where c0='{n}'", set.join(","));
        let event = Event::new(EventId(i64::from(n)), 1, b"U", Some(data.as_bytes()), Some(b"public.t"));
        assert!(matches!(reader.read(&event), Ok(ReadOutcome::Done)), "{data}");
        most = most.max(reader.tables.shapes.all().len());
        if reader.is_full(usize::MAX) || n == EVENTS {
            chunks.push(reader.take_chunk());
        }
    }
    assert!(most < 3_000, "{most} shapes");
    let mut rows = 0;
    for chunk in &chunks {
        assert!(chunk.shapes.iter().map(|shape| shape.columns.len()).max() > Some(50));
        let plan = plan::plan(chunk, ApplyRole::Origin, &Refusals::default());
        assert!(plan.by_row.is_empty());
        let columns: HashSet<_> = chunk.shapes.iter().flat_map(|shape| &shape.written).collect();
        for set in plan.steps.iter().flat_map(|step| &step.row_sets) {
            assert!(
                set.columns == SetColumns::Different && set.rows.len() * columns.len() <= 100_000,
                "{} rows",
                set.rows.len()
            );
            rows += set.rows.len();
        }
    }
    assert_eq!((rows, chunks.len() > 3), (EVENTS as usize, true));
}
