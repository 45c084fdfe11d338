//! Values that a sequence leaves out, so that those that somebody still draws elsewhere are not drawn twice.

use std::collections::HashMap;

use super::sequences::Value;
use crate::error::Result;
use crate::pg::{Db, FqName, text_array};

/// How a sequence goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Steps {
    increment: i64,
    least: i64,
    greatest: i64,
    cycles: bool,
}

impl Steps {
    /// The value after so many more have been drawn. `None` when the sequence would have none left to draw then.
    fn ahead(&self, (value, is_called): Value, gap: u32) -> Option<Value> {
        let [step, least, greatest] = [self.increment, self.least, self.greatest].map(i128::from);
        let last = i128::from(value) + step * i128::from(gap);
        let next = if is_called { last + step } else { last };
        let ahead = if (least..=greatest).contains(&next) {
            last
        } else if self.cycles {
            self.wrapped(i128::from(value), gap)
        } else {
            return None;
        };
        i64::try_from(ahead).ok().map(|ahead| (ahead, is_called))
    }

    /// A sequence that is at its end begins again at the bound where it comes from.
    fn wrapped(&self, value: i128, gap: u32) -> i128 {
        let [step, least, greatest] = [self.increment, self.least, self.greatest].map(i128::from);
        let (first, end) = if step > 0 { (least, greatest) } else { (greatest, least) };
        let left = (end - value) / step;
        let gap = i128::from(gap);
        if gap <= left {
            return value + step * gap;
        }
        let round = (end - first) / step + 1;
        first + step * ((gap - left - 1) % round)
    }
}

/// What a sequence is to be set to.
pub(crate) struct Ahead {
    pub(crate) name: FqName,
    pub(crate) value: Value,
    /// Whether the gap is in the value. A sequence that has no room for it keeps its value.
    pub(crate) has_room: bool,
}

/// The values, with a gap of so many values: by the increments of the side that is left, within the bounds of the other one.
pub(crate) async fn ahead(old: &Db, new: &Db, values: Vec<(FqName, Value)>, gap: u32) -> Result<Vec<Ahead>> {
    let mut steps = HashMap::new();
    if gap > 0 && !values.is_empty() {
        let names: Vec<&FqName> = values.iter().map(|(name, _)| name).collect();
        steps = on_side(new, &names).await?;
        for (name, on_old) in on_side(old, &names).await? {
            steps.entry(name).and_modify(|steps| steps.increment = on_old.increment);
        }
    }
    let with_gap = |(name, value): (FqName, Value)| {
        let ahead = if gap == 0 { Some(value) } else { steps.get(&name).and_then(|steps| steps.ahead(value, gap)) };
        Ahead { name, value: ahead.unwrap_or(value), has_room: ahead.is_some() }
    };
    Ok(values.into_iter().map(with_gap).collect())
}

/// What is told of a sequence that has no room.
pub(crate) fn no_room(name: &FqName, gap: u32) -> String {
    format!("sequence {name} is too near to its end for --seq-gap {gap}")
}

async fn on_side(db: &Db, names: &[&FqName]) -> Result<HashMap<FqName, Steps>> {
    let schemas: Vec<&str> = names.iter().map(|name| name.schema.as_str()).collect();
    let sequences: Vec<&str> = names.iter().map(|name| name.name.as_str()).collect();
    let sql = "select n.nspname::text, c.relname::text, q.seqincrement, q.seqmin, q.seqmax, q.seqcycle
                 from unnest($1, $2) as u(schema, name)
                      join pg_catalog.pg_namespace n on n.nspname = u.schema
                      join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = u.name
                      join pg_catalog.pg_sequence q on q.seqrelid = c.oid";
    let rows = db.query("read how sequences go on", sql, &[text_array(&schemas), text_array(&sequences)]).await?;
    let read = |row: &tokio_postgres::Row| {
        let name = FqName { schema: row.get(0), name: row.get(1) };
        (name, Steps { increment: row.get(2), least: row.get(3), greatest: row.get(4), cycles: row.get(5) })
    };
    Ok(rows.iter().map(read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: Steps = Steps { increment: 1, least: 1, greatest: 100, cycles: false };
    const DOWN: Steps = Steps { increment: -5, least: -100, greatest: -1, cycles: false };

    #[test]
    fn a_gap_goes_the_way_of_the_increment() {
        assert_eq!(UP.ahead((7, true), 10), Some((17, true)));
        assert_eq!(UP.ahead((1, false), 10), Some((11, false)));
        assert_eq!(DOWN.ahead((-6, true), 3), Some((-21, true)));
        assert_eq!(UP.ahead((7, true), 0), Some((7, true)));
    }

    #[test]
    fn a_value_is_left_behind_the_gap() {
        assert_eq!(UP.ahead((50, true), 49), Some((99, true)));
        assert_eq!(UP.ahead((50, true), 50), None);
        assert_eq!(UP.ahead((50, false), 50), Some((100, false)));
        assert_eq!(UP.ahead((50, false), 51), None);
        assert_eq!(DOWN.ahead((-90, true), 1), Some((-95, true)));
        assert_eq!(DOWN.ahead((-90, true), 2), None);
        let whole = Steps { greatest: i64::MAX, ..UP };
        assert_eq!(whole.ahead((i64::MAX - 1, true), u32::MAX), None);
        let wide = Steps { increment: i64::MAX, ..whole };
        assert_eq!(wide.ahead((1, true), u32::MAX), None);
    }

    #[test]
    fn a_sequence_that_cycles_begins_again() {
        let up = Steps { cycles: true, ..UP };
        // As if so many values were drawn one by one.
        for steps in [up, Steps { increment: 7, ..up }, Steps { cycles: true, ..DOWN }] {
            let mut value = if steps.increment > 0 { steps.least } else { steps.greatest };
            let first = value;
            for gap in 0..250 {
                assert_eq!(steps.ahead((first, true), gap), Some((value, true)), "{steps:?} {gap}");
                value += steps.increment;
                if !(steps.least..=steps.greatest).contains(&value) {
                    value = first;
                }
            }
        }
    }
}
