//! A strict reader of the text format: what a scraper may rely on, and nothing else.

use std::collections::BTreeMap;
use std::fmt;

/// The values of an answer.
#[derive(Debug, Default)]
pub struct Metrics {
    /// The type of each metric family, by its name.
    pub families: BTreeMap<String, String>,
    values: BTreeMap<(String, Vec<(String, String)>), f64>,
}

impl Metrics {
    /// Reads the text of /metrics. Panics at the first line that breaks a rule of OpenMetrics 1.0.
    #[track_caller]
    pub fn parse(text: &str) -> Metrics {
        let mut metrics = Metrics::default();
        let body = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("no # EOF at the end: {text}"));
        assert!(body.is_empty() || body.ends_with('\n'), "{text}");
        let (mut helped, mut family) = (String::new(), String::new());
        for line in body.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, meaning) = help.split_once(' ').unwrap_or_else(|| panic!("no text: {line}"));
                assert!(is_name(name) && meaning.len() > 10 && !meaning.contains('\\'), "{line}");
                name.clone_into(&mut helped);
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap_or_else(|| panic!("no type: {line}"));
                assert_eq!(helped, name, "{line}");
                assert!(matches!(kind, "counter" | "gauge" | "info"), "{line}");
                let before = metrics.families.insert(name.to_owned(), kind.to_owned());
                assert!(before.is_none(), "twice: {line}");
                name.clone_into(&mut family);
            } else {
                assert!(!line.starts_with('#'), "{line}");
                metrics.sample(line, &family);
            }
        }
        metrics
    }

    #[track_caller]
    fn sample(&mut self, line: &str, family: &str) {
        let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no value: {line}"));
        let (name, rest) = line.split_at(end);
        let suffix = match self.families.get(family).map(String::as_str) {
            Some("counter") => "_total",
            Some("info") => "_info",
            _ => "",
        };
        assert_eq!(name, format!("{family}{suffix}"), "under the wrong family: {line}");
        let (labels, rest) = if rest.starts_with('{') { labels(rest) } else { (Vec::new(), rest) };
        let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("no blank before the value: {line}"));
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        assert!(value.is_finite() && (suffix != "_total" || value >= 0.0), "{line}");
        let before = self.values.insert((name.to_owned(), labels), value);
        assert!(before.is_none(), "twice: {line}");
    }

    /// The value with exactly these labels.
    pub fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.values.get(&(name.to_owned(), labels)).copied()
    }

    #[track_caller]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?} in\n{self}"))
    }

    /// How many values a metric has.
    pub fn count(&self, name: &str) -> usize {
        self.values.keys().filter(|(metric, _)| metric == name).count()
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.values.iter().try_for_each(|((name, labels), value)| writeln!(f, "{name} {labels:?} {value}"))
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// `{a="b",c="d"}` and what follows.
#[track_caller]
fn labels(text: &str) -> (Vec<(String, String)>, &str) {
    let mut labels: Vec<(String, String)> = Vec::new();
    let mut rest = &text[1..];
    loop {
        if labels.is_empty()
            && let Some(end) = rest.strip_prefix('}')
        {
            return (labels, end);
        }
        let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label: {text}"));
        assert!(is_name(name) && labels.iter().all(|(other, _)| other != name), "{text}");
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().unwrap_or_else(|| panic!("no end: {text}")) {
                (at, '"') => break at,
                (_, '\\') => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, c @ ('"' | '\\'))) => value.push(c),
                    other => panic!("unknown escape {other:?}: {text}"),
                },
                (_, c) => value.push(c),
            }
        };
        labels.push((name.to_owned(), value));
        rest = &after[end + 1..];
        match rest.split_at(1) {
            ("}", end) => return (labels, end),
            (",", more) => rest = more,
            _ => panic!("no comma: {text}"),
        }
    }
}

#[test]
fn text_that_breaks_a_rule_is_refused() {
    let good = "# HELP a A long enough text.\n# TYPE a gauge\na{q=\"x\\\"\\n\\\\\",r=\"\"} 1.5\na 2\n# EOF\n";
    let metrics = Metrics::parse(good);
    assert_eq!(metrics.find("a", &[("q", "x\"\n\\"), ("r", "")]), Some(1.5));
    assert_eq!(metrics.find("a", &[]), Some(2.0));
    for (from, to) in [
        ("# EOF\n", ""),
        ("# EOF\n", "# EOF\n\n"),
        ("a 2\n", "\n"),
        ("a 2\n", "b 2\n"),
        ("a 2\n", "a two\n"),
        ("a 2\n", "a NaN\n"),
        ("a 2\n", "a 2\na 2\n"),
        ("gauge", "number"),
        ("# TYPE a gauge\n", ""),
        ("# HELP a A long enough text.\n", ""),
        ("\\n", "\\t"),
        (",r=\"\"", ",q=\"\""),
        (",r=\"\"", ",r=\"\","),
        ("gauge", "counter"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert!(std::panic::catch_unwind(|| Metrics::parse(&bad)).is_err(), "{bad}");
    }
}
