//! What the page of replay shows.

use serde::Deserialize;

use super::content::{Content, MINUTE, Moment, Tile, Verdict, failed};
use super::figure::{count, counted, duration};
use super::html::{Cell, Mood, Table};
use super::plot::{Axis, Line, Plot, Unit};
use crate::http::course::{Course, Lines};
use crate::http::metrics::{self, Metric};

/// The document of `subscriber status --json`, as far as the page shows it.
#[derive(Deserialize)]
struct Status {
    queue: String,
    consumer: String,
    provider: String,
    subscriber: String,
    position: Option<Position>,
    lag_causes: Vec<LagCause>,
    problem: Option<String>,
    events_to_skip: Vec<i64>,
    tables: Vec<Subscribed>,
    consumers: Vec<Consumer>,
    sequence_problems: Vec<SequenceProblem>,
    verification: Option<Verification>,
}

/// How far the tables together are verified.
#[derive(Deserialize)]
struct Verification {
    rows: f64,
    equal_rows: f64,
    age_seconds: Option<f64>,
}

#[derive(Deserialize)]
struct Position {
    ticker_lag_seconds: Option<f64>,
}

#[derive(Deserialize)]
struct LagCause {
    cause: String,
    share: Option<f64>,
    fact: String,
    fix: Option<String>,
}

#[derive(Deserialize)]
struct Subscribed {
    table: String,
    state: Option<String>,
    progress: Option<Progress>,
    parked: Option<String>,
    mend: Option<String>,
    problem: Option<String>,
    ledger: Option<Ledger>,
    verification: Option<Verified>,
}

/// What the last look at a table found.
#[derive(Deserialize)]
struct Verified {
    differing_rows: f64,
    last_equal: Option<String>,
    problem: Option<String>,
}

/// The events of a table since its copy.
#[derive(Deserialize)]
struct Ledger {
    inserts: f64,
    updates: f64,
    deletes: f64,
}

#[derive(Deserialize)]
struct Progress {
    rows: Option<f64>,
    share: Option<f64>,
    seconds_left: Option<f64>,
}

#[derive(Deserialize)]
struct Consumer {
    #[serde(rename = "consumer")]
    name: String,
    lag_seconds: Option<f64>,
    last_seen_seconds: Option<f64>,
    pending_events: Option<f64>,
}

#[derive(Deserialize)]
struct SequenceProblem {
    sequence: String,
    problem: String,
}

pub(super) fn content(moment: &Moment<'_>, axis: &Axis) -> Content {
    let status: Option<Status> = moment.view.status.as_deref().and_then(|document| Status::deserialize(document).ok());
    let about = status.as_ref().map_or_else(Vec::new, |status| {
        let Status { queue, consumer, provider, subscriber, .. } = status;
        let facts = [("Queue", queue), ("Consumer", consumer), ("Provider", provider), ("Subscriber", subscriber)];
        facts.map(|(name, value)| (name, value.clone())).into()
    });
    Content {
        about,
        verdict: failed(moment).unwrap_or_else(|| verdict(moment, status.as_ref())),
        tiles: tiles(moment, status.as_ref()),
        plots: plots(moment, axis),
        tables: status.as_ref().map(tables).unwrap_or_default(),
    }
}

/// The value of a metric that has one value at most.
fn value(moment: &Moment<'_>, metric: &Metric) -> Option<f64> {
    moment.view.samples.as_ref()?.greatest(metric)
}

fn verdict(moment: &Moment<'_>, status: Option<&Status>) -> Verdict {
    let say = |mood, sentence: String, details| Verdict { mood, sentence, details };
    let Some(status) = status else {
        return say(Mood::Bad, "The state is not known".to_owned(), Vec::new());
    };
    let mut details: Vec<String> = status.problem.iter().cloned().collect();
    if !status.events_to_skip.is_empty() {
        let events: Vec<String> = status.events_to_skip.iter().map(i64::to_string).collect();
        details.push(format!("To be skipped when replay comes to them: event {}", events.join(", ")));
    }
    let all = status.tables.len();
    let number = |is: &dyn Fn(&Subscribed) -> bool| status.tables.iter().filter(|table| is(table)).count();
    let (parked, doubtful) = (number(&Subscribed::is_parked), number(&|table| table.problem.is_some()));
    let unfinished = number(&|table| !table.is_ok() && !table.is_parked());
    if status.problem.is_some() {
        return say(Mood::Bad, "Replay cannot go on as it is".to_owned(), details);
    }
    if status.position.is_none() {
        return say(Mood::Doubtful, "The consumer is not registered on the queue".to_owned(), details);
    }
    if parked > 0 {
        let wait = if parked == 1 { "is parked and waits" } else { "are parked and wait" };
        return say(Mood::Bad, format!("{} {wait} for somebody", counted(parked, "table")), details);
    }
    let differing = number(&|table| table.verification.as_ref().is_some_and(|verified| verified.differing_rows > 0.0));
    if differing > 0 {
        return say(Mood::Bad, format!("Rows of {} differ from the provider's", counted(differing, "table")), details);
    }
    if doubtful > 0 || !status.sequence_problems.is_empty() {
        return say(Mood::Doubtful, "Something may differ from the provider".to_owned(), details);
    }
    let catching_up = value(moment, &metrics::CATCH_UP)
        .filter(|seconds| *seconds > 0.0)
        .map(|seconds| format!("Catching up: about {} left", duration(seconds)));
    if unfinished > 0 {
        details.extend(catching_up);
        return say(Mood::Busy, format!("{unfinished} of {} still to be copied", counted(all, "table")), details);
    }
    if let Some(sentence) = catching_up {
        return say(Mood::Busy, sentence, details);
    }
    match value(moment, &metrics::CATCH_UP) {
        Some(_) => say(Mood::Good, "Up to date".to_owned(), details),
        None if value(moment, &metrics::REPLAY_PENDING).is_some_and(|events| events > 0.0) => {
            say(Mood::Doubtful, "Behind, and it cannot be told for how long yet".to_owned(), details)
        }
        None => say(Mood::Good, "Replay runs".to_owned(), details),
    }
}

fn tiles(moment: &Moment<'_>, status: Option<&Status>) -> Vec<Tile> {
    let pace = |metric| {
        let (_, course) = moment.history.courses(metric).next()?;
        course.pace(MINUTE).map(count)
    };
    let ticked = status.and_then(|status| status.position.as_ref()).and_then(|position| position.ticker_lag_seconds);
    let ticked = ticked.map_or_else(String::new, |age| format!("newest tick {} ago", duration(age)));
    let catch_up = value(moment, &metrics::CATCH_UP);
    let mut tiles = vec![
        Tile::of("Lag", value(moment, &metrics::REPLAY_LAG).map(duration), ticked),
        Tile::of("Waiting events", value(moment, &metrics::REPLAY_PENDING).map(count), "in the queue"),
        Tile::of("Applied", pace(&metrics::APPLIED_EVENTS), "events/s, last minute"),
        Tile::of("Written", pace(&metrics::REPLAY_WRITTEN), "events/s, last minute"),
        match catch_up {
            Some(seconds) if seconds > 0.0 => Tile::of("Up to date in", Some(duration(seconds)), "at this pace"),
            Some(_) => Tile::of("Up to date in", Some("now".to_owned()), "nothing waits for long"),
            None => Tile::of("Up to date in", None, "cannot be told"),
        },
    ];
    if let Some(Status { tables, .. }) = status {
        let ok = tables.iter().filter(|table| table.is_ok()).count();
        tiles.push(Tile::of("Tables", Some(format!("{ok} of {}", tables.len())), "ok"));
    }
    if let Some(Status { verification: Some(Verification { rows, equal_rows, age_seconds }), .. }) = status {
        let share = if equal_rows < rows { (1000.0 * equal_rows / rows).floor() / 10.0 } else { 100.0 };
        let within = age_seconds.map_or_else(
            || "of the rows; first round".to_owned(),
            |age| format!("of the rows within {}", duration(age)),
        );
        tiles.push(Tile::of("Verified", Some(format!("{share} %")), within));
    }
    tiles
}

fn plots(moment: &Moment<'_>, axis: &Axis) -> Vec<Plot> {
    let line = |metric, name: &str, lines: fn(&Axis, &Course) -> Lines| {
        let course = moment.history.courses(metric).next();
        Line { name: name.to_owned(), pieces: course.map(|(_, course)| lines(axis, course)).unwrap_or_default() }
    };
    let ops = ["insert", "update", "delete"].map(|op| {
        let course =
            moment.history.courses(&metrics::ROWS).find(|(labels, _)| labels.first().is_some_and(|label| label == op));
        Line { name: format!("{op}s"), pieces: course.map(|(_, course)| axis.rates(course)).unwrap_or_default() }
    });
    let lag = line(&metrics::REPLAY_LAG, "lag", Axis::values);
    let applied = line(&metrics::APPLIED_EVENTS, "applied", Axis::rates);
    let written = line(&metrics::REPLAY_WRITTEN, "written into the queue", Axis::rates);
    let catch_up = line(&metrics::CATCH_UP, "time to catch up", Axis::values);
    let plot = |id, title, unit, lines| Plot { id, title, unit, lines, note: None };
    vec![
        plot("lag", "Lag of the subscriber", Unit::Seconds, vec![lag]),
        plot("events", "Events", Unit::Rate("events"), vec![applied, written]),
        plot("rows", "Rows applied", Unit::Rate("rows"), ops.into()),
        plot("catch-up", "Time to catch up", Unit::Seconds, vec![catch_up]),
    ]
}

fn tables(status: &Status) -> Vec<Table> {
    let mut found = Vec::new();
    let attention = attention(status);
    if !attention.is_empty() {
        found.push(Table {
            id: "attention",
            caption: "What needs somebody".to_owned(),
            columns: vec!["What", "Why", "What mends it"],
            rows: attention,
        });
    }
    if !status.lag_causes.is_empty() {
        found.push(Table {
            id: "behind",
            caption: "Why it is behind".to_owned(),
            columns: vec!["Cause", "What", "What mends it"],
            rows: status.lag_causes.iter().map(LagCause::row).collect(),
        });
    }
    let mut subscribed: Vec<&Subscribed> = status.tables.iter().collect();
    subscribed.sort_by_key(|table| table.rank());
    let ok = subscribed.iter().filter(|table| table.is_ok()).count();
    let has_copies = subscribed.iter().any(|table| table.progress.is_some());
    let mut columns = vec!["Table", "State"];
    if has_copies {
        columns.extend(["Copy", "Time left"]);
    }
    columns.extend(["Inserts", "Updates", "Deletes"]);
    found.push(Table {
        id: "tables",
        caption: format!("Tables: {ok} of {} ok, with their events since the copy", subscribed.len()),
        columns,
        rows: subscribed.iter().map(|table| table.row(has_copies)).collect(),
    });
    found.push(Table {
        id: "consumers",
        caption: format!("Consumers of queue {}", status.queue),
        columns: vec!["Consumer", "Lag", "Waiting events", "Last seen"],
        rows: status.consumers.iter().map(|consumer| consumer.row(&status.consumer)).collect(),
    });
    found
}

fn attention(status: &Status) -> Vec<Vec<Cell>> {
    let row = |what: &str, why: &str, mend: &str| {
        vec![Cell::Name(what.to_owned()), Cell::Text(why.to_owned()), Cell::Text(mend.to_owned())]
    };
    let mut rows = Vec::new();
    for table in &status.tables {
        if let Some(why) = &table.parked {
            let unknown = "Mend what the reason names; replay then tries again by itself.";
            rows.push(row(&table.table, &format!("parked: {why}"), table.mend.as_deref().unwrap_or(unknown)));
        }
        if let Some(why) = &table.problem {
            rows.push(row(&table.table, why, "Compare the table; repair or resync it if it differs."));
        }
        if let Some(verified) = &table.verification {
            if verified.differing_rows > 0.0 {
                let since = verified.last_equal.as_ref().map(|time| format!("; equal at {time} UTC still"));
                let why = format!("{} rows differ{}", count(verified.differing_rows), since.unwrap_or_default());
                rows.push(row(&table.table, &why, &format!("rlondiste INI repair --online --apply {}", table.table)));
            }
            if let Some(why) = &verified.problem {
                rows.push(row(&table.table, &format!("not verified: {why}"), ""));
            }
        }
    }
    rows.extend(
        status.sequence_problems.iter().map(|SequenceProblem { sequence, problem }| row(sequence, problem, "")),
    );
    rows
}

impl Subscribed {
    fn is_parked(&self) -> bool {
        self.parked.is_some()
    }

    fn is_ok(&self) -> bool {
        self.state.as_deref() == Some("ok")
    }

    /// The place in the list: first what needs somebody, then what is being done.
    fn rank(&self) -> u8 {
        match (self.is_parked(), self.progress.is_some(), self.is_ok()) {
            (true, ..) => 0,
            (_, true, _) => 1,
            (.., false) => 2,
            (.., true) => 3,
        }
    }

    fn row(&self, has_copies: bool) -> Vec<Cell> {
        let state = match self.state.as_deref() {
            _ if self.is_parked() => Cell::State(Mood::Bad, "parked".to_owned()),
            Some("ok") => Cell::State(Mood::Good, "ok".to_owned()),
            Some(state) => Cell::State(Mood::Busy, state.to_owned()),
            None => Cell::State(Mood::Busy, "to be copied".to_owned()),
        };
        let mut row = vec![Cell::Name(self.table.clone()), state];
        if has_copies {
            let progress = self.progress.as_ref();
            let left = progress.and_then(|progress| progress.seconds_left).map(duration).unwrap_or_default();
            row.push(progress.map_or_else(|| Cell::Text(String::new()), Progress::cell));
            row.push(Cell::Number(left));
        }
        let numbers = self.ledger.as_ref().map_or([0.0; 3], |ledger| [ledger.inserts, ledger.updates, ledger.deletes]);
        row.extend(numbers.map(|number| Cell::Number(count(number))));
        row
    }
}

impl LagCause {
    fn row(&self) -> Vec<Cell> {
        let share = self.share.map(|share| format!(", {:.0} % of the time", 100.0 * share)).unwrap_or_default();
        let fix = self.fix.clone().unwrap_or_default();
        vec![Cell::Name(format!("{}{share}", self.cause)), Cell::Text(self.fact.clone()), Cell::Text(fix)]
    }
}

impl Progress {
    fn cell(&self) -> Cell {
        let step = self.rows.map_or_else(|| "building an index".to_owned(), |rows| format!("{} rows", count(rows)));
        match self.share {
            Some(share) => Cell::Progress(share, format!("{:.0} %, {step}", 100.0 * share)),
            None => Cell::Text(step),
        }
    }
}

impl Consumer {
    fn row(&self, own: &str) -> Vec<Cell> {
        let or_dash = |text: Option<String>| Cell::Number(text.unwrap_or_else(|| "\u{2013}".to_owned()));
        let name = if self.name == own { format!("{} (this one)", self.name) } else { self.name.clone() };
        vec![
            Cell::Name(name),
            or_dash(self.lag_seconds.map(duration)),
            or_dash(self.pending_events.map(count)),
            or_dash(self.last_seen_seconds.map(|seconds| format!("{} ago", duration(seconds)))),
        ]
    }
}
