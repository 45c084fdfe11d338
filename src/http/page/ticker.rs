//! What the page of the ticker shows. All of it is in the metrics.

use std::collections::{BTreeMap, BTreeSet};

use super::content::{Content, MINUTE, Moment, Tile, Verdict, failed};
use super::figure::{count, counted, duration, size};
use super::html::{Cell, Mood, Table};
use super::plot::{Axis, Line, MOST_LINES, Plot, Unit};
use crate::http::course::{Course, Lines};
use crate::http::metrics::{self, Metric};
use crate::http::samples::Samples;

/// The values of a metric by the values of its labels.
type ByLabels<'a> = BTreeMap<Vec<&'a str>, f64>;

fn by_labels<'a>(samples: Option<&'a Samples>, metric: &Metric) -> ByLabels<'a> {
    let labels = |labels: &'a [(&'static str, String)]| labels.iter().map(|(_, value)| value.as_str()).collect();
    samples.into_iter().flat_map(|samples| samples.values(metric)).map(|(of, value)| (labels(of), value)).collect()
}

pub(super) fn content(moment: &Moment<'_>, axis: &Axis) -> Content {
    let samples = moment.view.samples.as_deref();
    let databases = by_labels(samples, &metrics::DATABASE_UP);
    let is_one = databases.len() < 2;
    let names: Vec<&str> = databases.keys().filter_map(|labels| labels.first().copied()).collect();
    let about = match &names[..] {
        [] => Vec::new(),
        [name] => vec![("Database", (*name).to_owned())],
        names => vec![("Databases", names.join(", "))],
    };
    Content {
        about,
        verdict: failed(moment).unwrap_or_else(|| verdict(samples, &databases)),
        tiles: tiles(moment, samples),
        plots: plots(moment, axis, is_one),
        tables: samples.map(|samples| tables(moment, samples, is_one)).unwrap_or_default(),
    }
}

fn verdict(samples: Option<&Samples>, databases: &ByLabels<'_>) -> Verdict {
    let down: Vec<&str> =
        databases.iter().filter(|(_, up)| **up < 0.5).filter_map(|(labels, _)| labels.first().copied()).collect();
    if !down.is_empty() {
        let sentence = format!("{} not answering", counted(down.len(), "database"));
        return Verdict { mood: Mood::Bad, sentence, details: vec![down.join(", ")] };
    }
    let blocked: BTreeSet<&str> =
        by_labels(samples, &metrics::ROTATION_BLOCKED).keys().filter_map(|labels| labels.get(1).copied()).collect();
    if !blocked.is_empty() {
        let sentence = format!("Rotation of {} is blocked", counted(blocked.len(), "queue"));
        let queues: Vec<&str> = blocked.into_iter().collect();
        let details = format!("The event tables grow until it can be done: {}", queues.join(", "));
        return Verdict { mood: Mood::Doubtful, sentence, details: vec![details] };
    }
    let queues = samples.map_or(0, |samples| samples.values(&metrics::SIZE).count());
    Verdict {
        mood: Mood::Good,
        sentence: format!("{}, nothing is blocked", counted(queues, "queue")),
        details: Vec::new(),
    }
}

fn tiles(moment: &Moment<'_>, samples: Option<&Samples>) -> Vec<Tile> {
    let greatest = |metric| samples.and_then(|samples| samples.greatest(metric));
    let sum = |metric| samples.and_then(|samples| samples.sum(metric));
    let number = |metric| samples.map(|samples| samples.values(metric).count().to_string());
    let paces = moment.history.courses(&metrics::EVENTS).filter_map(|(_, course)| course.pace(MINUTE));
    vec![
        Tile::of("Queues", number(&metrics::SIZE), ""),
        Tile::of("Newest tick", greatest(&metrics::TICKER_LAG).map(duration), "ago, where it is oldest"),
        Tile::of("Written", paces.reduce(|sum, pace| sum + pace).map(count), "events/s, last minute"),
        Tile::of("Event tables", sum(&metrics::SIZE).map(size), "with indexes"),
        Tile::of("Consumers", number(&metrics::CONSUMER_LAST_SEEN), ""),
        Tile::of("Greatest lag", greatest(&metrics::CONSUMER_LAG).map(duration), "of a consumer"),
    ]
}

fn plots(moment: &Moment<'_>, axis: &Axis, is_one: bool) -> Vec<Plot> {
    let plot = |id, title, unit, metric, lines: fn(&Axis, &Course) -> Lines| {
        let line = |(labels, course): (&[String], &Course)| {
            let name = if is_one { labels[1..].join(" ") } else { labels.join(" / ") };
            Line { name, pieces: lines(axis, course) }
        };
        let mut lines: Vec<Line> = moment.history.courses(metric).map(line).collect();
        let all = lines.len();
        let greatest = |line: &Line| line.pieces.iter().flatten().map(|(_, value)| *value).fold(f64::MIN, f64::max);
        lines.sort_by(|one, other| greatest(other).total_cmp(&greatest(one)).then_with(|| one.name.cmp(&other.name)));
        lines.truncate(MOST_LINES);
        // A queue keeps its look while others change places.
        lines.sort_by(|one, other| one.name.cmp(&other.name));
        let note = (all > MOST_LINES).then(|| format!("the {MOST_LINES} of {all} queues with the greatest values"));
        Plot { id, title, unit, lines, note }
    };
    vec![
        plot("ticker-lag", "Age of the newest tick", Unit::Seconds, &metrics::TICKER_LAG, Axis::values),
        plot("events", "Events written", Unit::Rate("events"), &metrics::EVENTS, Axis::rates),
        plot("size", "Size of the event tables", Unit::Bytes, &metrics::SIZE, Axis::values),
    ]
}

/// Cells for the names of labels, with the database only where there are several.
fn names(labels: &[&str], is_one: bool) -> Vec<Cell> {
    let (database, rest) = labels.split_first().unwrap_or((&"", &[]));
    let mut cells: Vec<Cell> = rest.iter().map(|name| Cell::Name((*name).to_owned())).collect();
    if !is_one {
        cells.push(Cell::Text((*database).to_owned()));
    }
    cells
}

fn number(value: Option<&f64>, text: impl Fn(f64) -> String) -> Cell {
    Cell::Number(value.map_or_else(|| "\u{2013}".to_owned(), |value| text(*value)))
}

fn ago(seconds: f64) -> String {
    format!("{} ago", duration(seconds))
}

/// The columns, without the one for databases where there is only one.
fn columns(names: &[&'static str], is_one: bool) -> Vec<&'static str> {
    names.iter().copied().filter(|name| !is_one || *name != "Database").collect()
}

fn tables(moment: &Moment<'_>, samples: &Samples, is_one: bool) -> Vec<Table> {
    let of = |metric| by_labels(Some(samples), metric);
    let mut found = Vec::new();
    let blockers = blockers(samples, is_one);
    if !blockers.is_empty() {
        found.push(Table {
            id: "blockers",
            caption: "What blocks the rotation of event tables".to_owned(),
            columns: columns(
                &["Queue", "Database", "Kind", "Who", "Process", "Its age", "Rotation is late by"],
                is_one,
            ),
            rows: blockers,
        });
    }
    let (lag, sizes, new) = (of(&metrics::TICKER_LAG), of(&metrics::SIZE), of(&metrics::EVENTS_NEW));
    let (rotated, period) = (of(&metrics::ROTATION_AGE), of(&metrics::ROTATION_PERIOD));
    let paces: BTreeMap<Vec<&str>, f64> = moment
        .history
        .courses(&metrics::EVENTS)
        .filter_map(|(labels, course)| Some((labels.iter().map(String::as_str).collect(), course.pace(MINUTE)?)))
        .collect();
    let queue = |labels: &Vec<&str>| {
        let mut row = names(labels, is_one);
        row.extend([
            number(lag.get(labels), ago),
            number(new.get(labels), count),
            number(paces.get(labels), count),
            number(sizes.get(labels), size),
            number(rotated.get(labels), ago),
            number(period.get(labels), duration),
        ]);
        row
    };
    found.push(Table {
        id: "queues",
        caption: "Queues".to_owned(),
        columns: columns(
            &["Queue", "Database", "Newest tick", "Events since", "Events/s", "Size", "Last rotation", "Due after"],
            is_one,
        ),
        rows: sizes.keys().map(queue).collect(),
    });
    let (lag, seen) = (of(&metrics::CONSUMER_LAG), of(&metrics::CONSUMER_LAST_SEEN));
    let (pending, retries) = (of(&metrics::CONSUMER_PENDING), of(&metrics::CONSUMER_RETRY));
    let mut consumers: Vec<&Vec<&str>> = seen.keys().collect();
    // The one that is furthest behind is the first.
    let behind = |labels: &Vec<&str>| lag.get(labels).copied().unwrap_or(f64::INFINITY);
    consumers.sort_by(|one, other| behind(other).total_cmp(&behind(one)));
    let consumer = |labels: &Vec<&str>| {
        let mut row = names(labels, is_one);
        // The name of the consumer begins the row.
        row.swap(0, 1);
        row.extend([
            number(lag.get(labels), duration),
            number(pending.get(labels), count),
            number(retries.get(labels), count),
            number(seen.get(labels), ago),
        ]);
        row
    };
    found.push(Table {
        id: "consumers",
        caption: "Consumers".to_owned(),
        columns: columns(&["Consumer", "Queue", "Database", "Lag", "Waiting events", "In retry", "Last seen"], is_one),
        rows: consumers.into_iter().map(consumer).collect(),
    });
    found
}

fn blockers(samples: &Samples, is_one: bool) -> Vec<Vec<Cell>> {
    let ages = by_labels(Some(samples), &metrics::BLOCKER_AGE);
    let row = |(labels, late): (&Vec<&str>, &f64)| {
        let [database, queue, kind, who, pid] = labels[..] else { return Vec::new() };
        let mut row = names(&[database, queue], is_one);
        row.extend([
            Cell::State(Mood::Doubtful, kind.to_owned()),
            Cell::Text(who.to_owned()),
            Cell::Number(pid.to_owned()),
            number(ages.get(labels), duration),
            Cell::Number(duration(*late)),
        ]);
        row
    };
    by_labels(Some(samples), &metrics::ROTATION_BLOCKED).iter().map(row).collect()
}
