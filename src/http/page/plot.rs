//! A plot: lines over time, as SVG that fits any width.
//!
//! Places along the time axis are in percent of the width, and heights in pixels, so the text keeps its size while the plot
//! gets wider or narrower. The lines are in an SVG of their own, which is stretched.

use jiff::Zoned;
use jiff::tz::Offset;

use super::figure;
use super::html::Html;
use crate::http::course::{Course, Lines};

/// The upper and lower edge of the lines, and the height of everything.
const TOP: f64 = 18.0;
const BOTTOM: f64 = 138.0;
const HEIGHT: f64 = 160.0;

/// The size of the coordinates of the lines.
const WIDE: f64 = 1000.0;
const HIGH: f64 = 100.0;

/// Most lines of a plot, each with a look of its own.
pub(super) const MOST_LINES: usize = 6;

/// What values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    /// Things a second.
    Rate(&'static str),
    Bytes,
}

impl Unit {
    fn text(self, value: f64) -> String {
        match self {
            Unit::Seconds => figure::duration(value),
            Unit::Rate(what) => figure::rate(value, what),
            Unit::Bytes => figure::size(value),
        }
    }

    /// A label of the axis: the unit of a rate stands in the heading of the plot.
    fn label(self, value: f64) -> String {
        match self {
            Unit::Rate(_) => figure::count(value),
            Unit::Seconds | Unit::Bytes => self.text(value).replace(".0 ", " "),
        }
    }
}

/// A value over time.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) name: String,
    /// Times and values, with gaps between the pieces.
    pub(super) pieces: Lines,
}

impl Line {
    fn points(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.pieces.iter().flatten().copied()
    }

    fn newest(&self) -> Option<(f64, f64)> {
        self.pieces.last()?.last().copied()
    }
}

/// The time that plots show: its end now, on the clock of the history and by the calendar.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) now: f64,
    pub(super) seconds: f64,
    pub(super) clock: Zoned,
}

impl Axis {
    /// The course of a value.
    pub(super) fn values(&self, course: &Course) -> Lines {
        course.lines(self.now - self.seconds, self.seconds / 120.0)
    }

    /// The course of the growth of a counter, over at least ten seconds each.
    pub(super) fn rates(&self, course: &Course) -> Lines {
        course.growth(self.now - self.seconds, (self.seconds / 90.0).max(10.0))
    }

    /// Seconds since the epoch of a time.
    fn epoch(&self, at: f64) -> f64 {
        self.clock.timestamp().as_duration().as_secs_f64() + at - self.now
    }

    /// The part of the width, 0 to 1.
    fn place(&self, at: f64) -> f64 {
        (1.0 - (self.now - at) / self.seconds).clamp(0.0, 1.0)
    }

    /// A time of the day: `14:05`.
    fn time(&self, at: f64) -> String {
        let epoch = self.epoch(at).round() + f64::from(self.offset().seconds());
        let of_day = epoch.rem_euclid(86_400.0);
        let (hour, minute) = ((of_day / 3600.0).floor(), (of_day % 3600.0 / 60.0).floor());
        format!("{hour:02}:{minute:02}")
    }

    fn offset(&self) -> Offset {
        self.clock.offset()
    }

    /// Round times, with their labels.
    fn ticks(&self) -> Vec<(f64, String)> {
        let step = match self.seconds {
            seconds if seconds <= 900.0 => 120.0,
            seconds if seconds <= 3600.0 => 600.0,
            seconds if seconds <= 21_600.0 => 3600.0,
            _ => 14_400.0,
        };
        let local = self.epoch(self.now) + f64::from(self.offset().seconds());
        let mut at = self.now - local.rem_euclid(step);
        let mut ticks = Vec::new();
        while self.place(at) > 0.04 && at > self.now - self.seconds {
            if self.place(at) < 0.97 {
                ticks.push((at, self.time(at)));
            }
            at -= step;
        }
        ticks
    }
}

/// A plot with its heading.
#[derive(Debug)]
pub(super) struct Plot {
    /// Its id in the page.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) unit: Unit,
    pub(super) lines: Vec<Line>,
    /// What is said below the heading of lines that are not drawn.
    pub(super) note: Option<String>,
}

impl Plot {
    pub(super) fn write(&self, axis: &Axis, html: &mut Html) {
        html.raw("<figure class=\"card plot\"><figcaption><h3>").text(self.title).raw("</h3>");
        if let Unit::Rate(what) = self.unit {
            html.raw("<span class=\"unit\">").text(what).raw(" a second</span>");
        }
        if self.lines.len() > 1 {
            html.raw("<ul class=\"legend\">");
            for (number, line) in self.lines.iter().enumerate() {
                html.raw("<li><svg class=\"swatch\" aria-hidden=\"true\" width=\"22\" height=\"8\"><line x1=\"0\" y1=\"4\" x2=\"22\" y2=\"4\" class=\"line s");
                html.text(number).raw("\"/></svg>").text(&line.name).raw("</li>");
            }
            html.raw("</ul>");
        }
        if let Some(note) = &self.note {
            html.raw("<p class=\"note\">").text(note).raw("</p>");
        }
        html.raw("</figcaption>");
        self.write_svg(axis, html);
        html.raw("</figure>");
    }

    fn write_svg(&self, axis: &Axis, html: &mut Html) {
        let scale =
            Scale::of(self.unit, self.lines.iter().flat_map(Line::points).map(|(_, value)| value).fold(0.0, f64::max));
        html.raw("<svg class=\"chart\" role=\"img\" width=\"100%\" height=\"").number(HEIGHT);
        html.raw("\" aria-labelledby=\"").text(self.id).raw("-title ").text(self.id).raw("-desc\"><title id=\"");
        html.text(self.id).raw("-title\">").text(self.title).raw("</title><desc id=\"").text(self.id).raw("-desc\">");
        html.text(self.in_words(axis)).raw("</desc>");
        for (at, label) in axis.ticks() {
            let x = 100.0 * axis.place(at);
            html.raw("<line class=\"tick\" x1=\"").number(x).raw("%\" x2=\"").number(x).raw("%\" y1=\"").number(BOTTOM);
            html.raw("\" y2=\"").number(BOTTOM + 4.0).raw("\"/><text class=\"time\" x=\"").number(x).raw("%\" y=\"");
            html.number(HEIGHT - 4.0).raw("\">").text(label).raw("</text>");
        }
        for value in scale.marks() {
            let y = scale.height(value);
            html.raw("<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"").number(y).raw("\" y2=\"").number(y).raw("\"/>");
        }
        html.raw("<svg y=\"").number(TOP).raw("\" width=\"100%\" height=\"").number(BOTTOM - TOP);
        html.raw("\" viewBox=\"0 0 1000 100\" preserveAspectRatio=\"none\">");
        self.write_gaps(axis, html);
        for (number, line) in self.lines.iter().enumerate() {
            let has_area = self.lines.len() == 1;
            line.pieces.iter().for_each(|piece| write_piece(piece, number, has_area, axis, &scale, html));
        }
        html.raw("</svg>");
        for (number, (at, value)) in
            self.lines.iter().enumerate().filter_map(|(number, line)| Some((number, line.newest()?)))
        {
            html.raw("<circle r=\"3\" class=\"dot s").text(number).raw("\" cx=\"").number(100.0 * axis.place(at));
            html.raw("%\" cy=\"").number(scale.height(value)).raw("\"/>");
        }
        // Above the lines, which may cross them.
        for value in scale.marks() {
            html.raw("<text class=\"value\" x=\"0\" y=\"").number(scale.height(value) - 4.0).raw("\">");
            html.text(self.unit.label(value)).raw("</text>");
        }
        if self.lines.iter().all(|line| line.pieces.is_empty()) {
            html.raw("<text class=\"none\" x=\"50%\" y=\"82\">no values yet</text>");
        }
        html.raw("</svg>");
    }

    /// Times without any value between the first and the last.
    fn gaps(&self, axis: &Axis) -> Vec<(f64, f64)> {
        let mut pieces: Vec<(f64, f64)> = self
            .lines
            .iter()
            .flat_map(|line| &line.pieces)
            .filter_map(|piece| Some((piece.first()?.0, piece.last()?.0)))
            .collect();
        pieces.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut end = pieces.first().map_or(axis.now, |piece| piece.1);
        let mut gaps = Vec::new();
        for (first, last) in pieces.into_iter().chain([(axis.now, axis.now)]) {
            // A reading that is not due yet is no gap.
            if first - end > (axis.seconds / 100.0).max(20.0) {
                gaps.push((end, first));
            }
            end = end.max(last);
        }
        gaps
    }

    fn write_gaps(&self, axis: &Axis, html: &mut Html) {
        for (from, to) in self.gaps(axis) {
            let (left, right) = (WIDE * axis.place(from), WIDE * axis.place(to));
            html.raw("<rect class=\"gap\" y=\"0\" height=\"100\" x=\"")
                .number(left)
                .raw("\" width=\"")
                .number(right - left)
                .raw("\"/>");
        }
    }

    /// The plot as text.
    fn in_words(&self, axis: &Axis) -> String {
        let mut words = vec![format!("The last {}.", figure::duration(axis.seconds))];
        for line in &self.lines {
            let name = if self.lines.len() > 1 { format!("{}: ", line.name) } else { String::new() };
            let greatest = line.points().max_by(|one, other| one.1.total_cmp(&other.1));
            words.push(match (line.newest(), greatest) {
                (Some((at, value)), Some((when, most))) => format!(
                    "{name}{} at {}, at most {} at {}.",
                    self.unit.text(value),
                    axis.time(at),
                    self.unit.text(most),
                    axis.time(when)
                ),
                _ => format!("{name}no values."),
            });
        }
        words.extend(
            self.gaps(axis)
                .iter()
                .map(|(from, to)| format!("No values from {} to {}.", axis.time(*from), axis.time(*to))),
        );
        words.join(" ")
    }
}

fn write_piece(piece: &[(f64, f64)], number: usize, has_area: bool, axis: &Axis, scale: &Scale, html: &mut Html) {
    let (Some(first), Some(last)) = (piece.first(), piece.last()) else { return };
    let x = |at: f64| WIDE * axis.place(at);
    let points = |html: &mut Html| {
        for (at, value) in piece {
            html.raw(" ").number(x(*at)).raw(",").number(HIGH * scale.depth(*value));
        }
    };
    if has_area && piece.len() > 1 {
        html.raw("<polygon class=\"area\" points=\"").number(x(first.0)).raw(",100");
        points(html);
        html.raw(" ").number(x(last.0)).raw(",100\"/>");
    }
    html.raw("<polyline class=\"line s").text(number).raw("\" points=\"");
    points(html);
    if piece.len() == 1 {
        // A line needs a length.
        html.raw(" ").number(x(first.0) + 0.5).raw(",").number(HIGH * scale.depth(first.1));
    }
    html.raw("\"/>");
}

/// The axis of values, which begins at 0.
#[derive(Debug, PartialEq)]
struct Scale {
    step: f64,
    marks: u32,
}

impl Scale {
    /// With two to four marks above 0.
    fn of(unit: Unit, greatest: f64) -> Scale {
        let greatest = greatest.max(match unit {
            Unit::Seconds | Unit::Rate(_) => 1.0,
            Unit::Bytes => 1000.0,
        });
        // The smallest round step of which four reach the greatest value.
        let step = steps(unit).find(|step| 4.0 * step >= greatest).unwrap_or(greatest);
        let marks = (1..4).find(|marks| f64::from(*marks) * step >= greatest).unwrap_or(4);
        Scale { step, marks }
    }

    fn top(&self) -> f64 {
        self.step * f64::from(self.marks)
    }

    fn marks(&self) -> impl Iterator<Item = f64> + use<> {
        let step = self.step;
        (0..=self.marks).map(move |number| step * f64::from(number))
    }

    /// The part of the height below the upper edge.
    fn depth(&self, value: f64) -> f64 {
        1.0 - (value / self.top()).clamp(0.0, 1.0)
    }

    fn height(&self, value: f64) -> f64 {
        TOP + (BOTTOM - TOP) * self.depth(value)
    }
}

/// Round numbers in this unit, growing.
fn steps(unit: Unit) -> impl Iterator<Item = f64> {
    let of_time: &[f64] = match unit {
        Unit::Seconds => &[
            0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0,
            21_600.0, 43_200.0,
        ],
        Unit::Rate(_) | Unit::Bytes => &[],
    };
    let (begin, unit) = if unit == Unit::Seconds { (0, 86_400.0) } else { (-1, 1.0) };
    let decimal = (begin..18).flat_map(move |power| [1.0, 2.0, 5.0].map(|digit| digit * unit * 10.0_f64.powi(power)));
    of_time.iter().copied().chain(decimal)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn axis() -> Axis {
        let clock = "2026-11-30T14:32:10+01:00[+01:00]".parse().unwrap_or_default();
        Axis { now: 1000.0, seconds: 600.0, clock }
    }

    #[test]
    fn marks_are_round_and_reach_the_greatest_value() {
        for (unit, greatest, top, step) in [
            (Unit::Seconds, 0.0, 1.0, 0.5),
            (Unit::Seconds, 3.1, 4.0, 1.0),
            (Unit::Seconds, 61.0, 90.0, 30.0),
            (Unit::Seconds, 4000.0, 5400.0, 1800.0),
            (Unit::Seconds, 3.0 * 86_400.0, 259_200.0, 86_400.0),
            (Unit::Rate("rows"), 0.3, 1.0, 0.5),
            (Unit::Rate("rows"), 1234.0, 1500.0, 500.0),
            (Unit::Bytes, 7e9, 8e9, 2e9),
        ] {
            let scale = Scale::of(unit, greatest);
            assert_eq!((scale.top(), scale.step), (top, step), "{unit:?} {greatest}");
            assert!(scale.depth(top).abs() < 1e-9 && (scale.depth(0.0) - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn times_are_those_of_the_day_and_round() {
        let labels: Vec<String> = axis().ticks().into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["14:30", "14:28", "14:26", "14:24"]);
        let day = Axis { seconds: 86_400.0, ..axis() };
        let labels: Vec<String> = day.ticks().into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["12:00", "08:00", "04:00", "00:00", "20:00", "16:00"]);
    }

    fn svg(lines: Vec<Line>) -> String {
        let plot = Plot { id: "lag", title: "Lag", unit: Unit::Seconds, lines, note: None };
        let mut html = Html::default();
        plot.write(&axis(), &mut html);
        html.into_string()
    }

    #[test]
    fn plot_is_told_in_words_with_its_gaps() {
        let pieces = vec![vec![(400.0, 1.0), (460.0, 65.0)], vec![(940.0, 2.0), (1000.0, 0.44)]];
        let text = svg(vec![Line { name: "q".to_owned(), pieces }]);
        let words = "<desc id=\"lag-desc\">The last 10 min. 0.4 s at 14:32, at most 1 min 5 s at 14:23. \
                     No values from 14:23 to 14:31.</desc>";
        assert!(text.contains(words), "{text}");
        assert_eq!((text.matches("<polyline").count(), text.matches("<rect class=\"gap\"").count()), (2, 1), "{text}");
        assert!(!text.contains("legend"), "{text}");
    }

    #[test]
    fn plot_without_values_says_so() {
        let text = svg(vec![Line { name: "<q>".to_owned(), pieces: Vec::new() }]);
        assert!(text.contains("no values yet") && text.contains("The last 10 min. no values."), "{text}");
        let two = ["<q>", "r"].map(|name| Line { name: name.to_owned(), pieces: vec![vec![(999.0, 1.0)]] });
        let text = svg(two.into());
        assert!(text.contains("&lt;q&gt;</li>") && !text.contains("<q>"), "{text}");
    }
}
