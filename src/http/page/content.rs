//! What is on a page, before it is HTML.

use jiff::Zoned;

use super::html::{Mood, Table};
use super::plot::Plot;
use crate::http::answers::View;
use crate::http::course::DAY;
use crate::http::history::History;
use crate::http::metrics::Program;

/// Seconds over which a rate of this moment is taken.
pub(super) const MINUTE: f64 = 60.0;

/// The time that plots show: values of the parameter `span`, their names and seconds.
pub(super) const SPANS: [(&str, &str, f64); 4] =
    [("10m", "10 min", 600.0), ("1h", "1 h", 3600.0), ("6h", "6 h", 21_600.0), ("24h", "24 h", DAY)];

/// The time that the plots of a page show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::http) enum Span {
    /// The longest of [`SPANS`] of which half has a history.
    Fitting,
    /// One of [`SPANS`].
    Chosen(usize),
}

impl Span {
    /// Reads the query of the request. Fails with a line for the client.
    pub(in crate::http) fn of(query: Option<&str>) -> Result<Span, String> {
        let Some(query) = query.filter(|query| !query.is_empty()) else { return Ok(Span::Fitting) };
        let chosen = SPANS.iter().position(|(value, ..)| query.strip_prefix("span=") == Some(value));
        chosen
            .map(Span::Chosen)
            .ok_or_else(|| "the only parameter is span: 10m, 1h, 6h or 24h, as in /?span=1h".to_owned())
    }

    pub(super) fn place(self, age: f64) -> usize {
        match self {
            Span::Chosen(place) => place,
            Span::Fitting => SPANS.iter().rposition(|(.., seconds)| age >= 0.5 * seconds).unwrap_or(0),
        }
    }
}

/// What a page is made of.
pub(in crate::http) struct Moment<'a> {
    pub(in crate::http) program: Program,
    pub(in crate::http) job: &'a str,
    /// Whether there is a log file.
    pub(in crate::http) has_log: bool,
    /// Why the last round of a loop failed.
    pub(in crate::http) health: Option<String>,
    pub(in crate::http) view: &'a View,
    pub(in crate::http) history: &'a History,
    pub(in crate::http) span: Span,
    pub(in crate::http) now: Zoned,
}

/// What the program has to say.
pub(super) struct Content {
    /// What it is about: names of things and their values.
    pub(super) about: Vec<(&'static str, String)>,
    pub(super) verdict: Verdict,
    pub(super) tiles: Vec<Tile>,
    pub(super) plots: Vec<Plot>,
    pub(super) tables: Vec<Table>,
}

/// The state in one sentence, with what is to be known about it.
pub(super) struct Verdict {
    pub(super) mood: Mood,
    pub(super) sentence: String,
    pub(super) details: Vec<String>,
}

/// A number with a name.
pub(super) struct Tile {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) note: String,
}

impl Tile {
    /// A tile; `None` is shown as a dash.
    pub(super) fn of(name: &'static str, value: Option<String>, note: impl Into<String>) -> Tile {
        Tile { name, value: value.unwrap_or_else(|| "\u{2013}".to_owned()), note: note.into() }
    }
}

/// What a failed answer or round of work makes of a verdict; `None` when nothing failed.
pub(super) fn failed(moment: &Moment<'_>) -> Option<Verdict> {
    let bad = |sentence: &str, why: &String| Verdict {
        mood: Mood::Bad,
        sentence: sentence.to_owned(),
        details: vec![why.clone()],
    };
    let unread = moment.view.failure.as_ref().map(|why| bad("Not everything can be read", why));
    unread.or_else(|| moment.health.as_ref().map(|why| bad("The last round of work failed", why)))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn span_is_one_of_the_links_or_fits() {
        assert_eq!(Span::of(None), Ok(Span::Fitting));
        assert_eq!(Span::of(Some("")), Ok(Span::Fitting));
        assert_eq!(Span::of(Some("span=6h")), Ok(Span::Chosen(2)));
        for query in ["span=", "span=1d", "span=1h&span=6h", "lag=1h", "SPAN=1h"] {
            assert!(Span::of(Some(query)).is_err(), "{query}");
        }
        let fitting = [0.0, 600.0, 1799.0, 1800.0, 10_800.0, 43_200.0, 1e6].map(|age| Span::Fitting.place(age));
        assert_eq!(fitting, [0, 0, 0, 1, 2, 3, 3]);
    }
}
