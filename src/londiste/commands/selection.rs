//! Matches the names and globs of a command with the tables or sequences that exist.

use std::collections::HashSet;

use super::command::Selection;
use crate::pg::FqName;

/// A name or glob as typed. `*` stands for any characters, dots too, `?` for one; everything else is meant literally.
/// A pattern without a dot is in `public`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    typed: String,
    full: String,
}

impl Pattern {
    /// The pattern of a word of the command line.
    pub(crate) fn parse(typed: &str) -> Pattern {
        Pattern { typed: typed.to_owned(), full: FqName::parse(typed).to_string() }
    }

    /// The pattern that every name matches.
    fn any() -> Pattern {
        Pattern::parse("*.*")
    }

    /// As it was typed.
    pub(crate) fn typed(&self) -> &str {
        &self.typed
    }

    /// The name that the pattern is; `None` for a glob.
    pub(crate) fn name(&self) -> Option<FqName> {
        (!self.full.contains(['*', '?'])).then(|| FqName::parse(&self.full))
    }

    /// Whether the whole of `schema.name` matches.
    pub(crate) fn matches(&self, name: &FqName) -> bool {
        let pattern: Vec<char> = self.full.chars().collect();
        let text: Vec<char> = name.to_string().chars().collect();
        glob_matches(&pattern, &text)
    }
}

/// One pattern and the names it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    /// The pattern.
    pub(crate) pattern: Pattern,
    /// The candidates that match, in their order.
    pub(crate) names: Vec<FqName>,
}

impl Selection {
    /// The patterns as typed; for `--all` without names the pattern `*.*`.
    pub(crate) fn patterns(&self) -> Vec<Pattern> {
        if self.names.is_empty() && self.all {
            return vec![Pattern::any()];
        }
        self.names.iter().map(|n| Pattern::parse(n)).collect()
    }

    /// Whether neither a name nor `--all` was given, so that the command has nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty() && !self.all
    }

    /// For each pattern the candidates that match.
    pub(crate) fn matches(&self, candidates: &[FqName]) -> Vec<Match> {
        let matches_of = |pattern: Pattern| {
            let names = candidates.iter().filter(|c| pattern.matches(c)).cloned().collect();
            Match { pattern, names }
        };
        self.patterns().into_iter().map(matches_of).collect()
    }
}

/// The names of all matches, each once, in their order.
pub(crate) fn union(matches: &[Match]) -> Vec<FqName> {
    let mut seen = HashSet::new();
    matches.iter().flat_map(|m| &m.names).filter(|name| seen.insert(*name)).cloned().collect()
}

/// Goes back only to the last `*`, so the time is at most the length of the pattern times that of the text.
fn glob_matches(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((star_p, star_t)) = star else { return false };
                star = Some((star_p, star_t + 1));
                p = star_p + 1;
                t = star_t + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("t", "public.t", true),
            ("t", "other.t", false),
            ("t", "public.tt", false),
            ("t*", "public.tt", true),
            ("*", "public.t", true),
            ("*", "other.t", false),
            ("*.*", "other.t", true),
            ("*.t", "other.t", true),
            ("o*.t?", "other.t1", true),
            ("o*.t?", "other.t", false),
            ("*.*a*b*c", "x.xaxxbxxcxc.c", true),
            ("a.b.c", "a.b.c", true),
            ("a.b*", "a.b.c", true),
            ("Mixed", "public.mixed", false),
            ("a.b[c]", "a.bc", false),
            ("a.b[c]", "a.b[c]", true),
            ("t+", "public.tt", false),
            ("таб?", "public.табл", true),
        ] {
            assert_eq!(Pattern::parse(pattern).matches(&FqName::parse(name)), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn all_matters_only_without_names() {
        let typed = Selection { names: vec!["a".into()], all: true };
        assert_eq!(typed.patterns(), [Pattern::parse("a")]);
        let all = Selection { names: vec![], all: true };
        assert_eq!(all.patterns(), [Pattern::parse("*.*")]);
        assert!(Selection::default().is_empty());
    }

    #[test]
    fn a_name_matched_twice_is_taken_once() {
        let candidates = [FqName::parse("a"), FqName::parse("b")];
        let selection = Selection { names: vec!["b".into(), "*".into(), "none".into()], all: false };
        let matches = selection.matches(&candidates);
        assert_eq!(union(&matches), [FqName::parse("b"), FqName::parse("a")]);
        assert!(matches[2].names.is_empty());
    }
}
