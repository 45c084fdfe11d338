//! HTML in which values of any kind stay text.

use std::fmt::{Display, Write as _};

use crate::text::shown;

/// A piece of HTML. Markup comes from the program's source only; everything else is escaped.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Appends markup.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Html {
        self.0.push_str(markup);
        self
    }

    /// Appends a value as text, or as a part of the value of an attribute in double quotes. Characters that end a line or turn
    /// the direction of writing are shown, as in the log.
    pub(super) fn text(&mut self, value: impl Display) -> &mut Html {
        for c in shown(value).chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
        self
    }

    /// Appends a number with two decimals at most, for coordinates.
    pub(super) fn number(&mut self, number: f64) -> &mut Html {
        let text = format!("{number:.2}");
        // Writing into a string does not fail.
        let _ = self.0.write_str(text.trim_end_matches('0').trim_end_matches('.'));
        self
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// A cell of a table.
#[derive(Debug)]
pub(super) enum Cell {
    /// A name, which may be long.
    Name(String),
    Text(String),
    /// A number with its unit.
    Number(String),
    /// A state with a mark, which is not told by its colour alone.
    State(Mood, String),
    /// The part of something that is done, 0 to 1, with words about it.
    Progress(f64, String),
}

/// How good something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    /// Something is being done.
    Busy,
    Doubtful,
    Bad,
}

impl Mood {
    /// The class and the mark, which screen readers leave out.
    pub(super) fn mark(self) -> (&'static str, &'static str) {
        match self {
            Mood::Good => ("good", "\u{2713}"),
            Mood::Busy => ("busy", "\u{21bb}"),
            Mood::Doubtful => ("doubtful", "!"),
            Mood::Bad => ("bad", "\u{2715}"),
        }
    }
}

/// A table with a caption, in a box of its own that scrolls where the window is narrow.
pub(super) struct Table {
    /// Its id in the page.
    pub(super) id: &'static str,
    pub(super) caption: String,
    pub(super) columns: Vec<&'static str>,
    /// The first cell of a row is its heading.
    pub(super) rows: Vec<Vec<Cell>>,
}

/// Most rows of a table.
const MOST_ROWS: usize = 500;

impl Table {
    pub(super) fn write(&self, html: &mut Html) {
        html.raw("<div class=\"card scroll\" role=\"region\" tabindex=\"0\" id=\"").text(self.id);
        html.raw("\" aria-labelledby=\"").text(self.id).raw("-caption\"><table><caption id=\"").text(self.id);
        html.raw("-caption\"><span>").text(&self.caption).raw("</span></caption><thead><tr>");
        for (number, column) in self.columns.iter().enumerate() {
            let is_number =
                self.rows.first().and_then(|row| row.get(number)).is_some_and(|cell| matches!(cell, Cell::Number(_)));
            html.raw(if is_number { "<th scope=\"col\" class=\"number\">" } else { "<th scope=\"col\">" });
            html.text(column).raw("</th>");
        }
        html.raw("</tr></thead><tbody>");
        for row in self.rows.iter().take(MOST_ROWS) {
            html.raw("<tr>");
            for (number, cell) in row.iter().enumerate() {
                cell.write(number == 0, html);
            }
            html.raw("</tr>");
        }
        html.raw("</tbody></table>");
        if self.rows.len() > MOST_ROWS {
            let more = self.rows.len() - MOST_ROWS;
            html.raw("<p class=\"note\">and ")
                .text(more)
                .raw(" more, which <a href=\"/status.json\">/status.json</a> has</p>");
        }
        html.raw("</div>");
    }
}

impl Cell {
    fn write(&self, is_heading: bool, html: &mut Html) {
        let class = match self {
            Cell::Name(_) => "name",
            Cell::Number(_) => "number",
            Cell::Text(_) | Cell::State(..) | Cell::Progress(..) => "words",
        };
        html.raw(if is_heading { "<th scope=\"row\" class=\"" } else { "<td class=\"" }).raw(class).raw("\">");
        match self {
            Cell::Name(text) | Cell::Text(text) | Cell::Number(text) => {
                html.text(text);
            }
            Cell::State(mood, text) => {
                let (class, mark) = mood.mark();
                html.raw("<span class=\"state ")
                    .raw(class)
                    .raw("\"><span class=\"mark\" aria-hidden=\"true\">")
                    .raw(mark);
                html.raw("</span> ").text(text).raw("</span>");
            }
            Cell::Progress(share, text) => {
                html.raw("<progress max=\"1\" value=\"")
                    .number(*share)
                    .raw("\" aria-label=\"done\"></progress> ")
                    .text(text);
            }
        }
        html.raw(if is_heading { "</th>" } else { "</td>" });
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn values_stay_text() {
        let mut html = Html::default();
        html.raw("<a title=\"")
            .text("\"><script>alert('1')</script>&amp;\n\u{202e}")
            .raw("\">")
            .number(1.5)
            .raw("</a>");
        assert_eq!(
            html.into_string(),
            "<a title=\"&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;amp;\\n\\u{202e}\">1.5</a>"
        );
    }

    #[test]
    fn long_tables_are_cut_and_say_so() {
        let row = |number: usize| vec![Cell::Name(format!("t{number}")), Cell::Number("1".to_owned())];
        let mut table = Table {
            id: "t",
            caption: "T".to_owned(),
            columns: vec!["a", "b"],
            rows: (0..MOST_ROWS).map(row).collect(),
        };
        let text = |table: &Table| {
            let mut html = Html::default();
            table.write(&mut html);
            html.into_string()
        };
        assert_eq!(text(&table).matches("<th scope=\"row\"").count(), MOST_ROWS);
        assert!(!text(&table).contains(" more, "));
        table.rows.extend((0..7).map(row));
        assert_eq!(text(&table).matches("<th scope=\"row\"").count(), MOST_ROWS);
        assert!(text(&table).contains("and 7 more, "));
    }
}
