//! A document as its reader sees it: text, code, headings and links.

use std::fs;
use std::path::{Path, PathBuf};

use crate::architecture::collect;

/// A Markdown file of the repository.
pub(super) struct Document {
    pub(super) path: PathBuf,
    lines: Vec<Line>,
}

enum Line {
    Prose(String),
    Code {
        /// The word behind the fence; empty for indented code.
        language: String,
        text: String,
    },
}

/// The README and all that it leads to.
pub(super) fn documents() -> Vec<Document> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "sql/README.md"];
    let mut paths: Vec<PathBuf> = names.iter().map(|name| root.join(name)).collect();
    collect(&root.join("docs"), "md", &mut paths);
    paths.iter().map(|path| Document::read(path)).collect()
}

impl Document {
    fn read(path: &Path) -> Document {
        let text = fs::read_to_string(path).unwrap();
        let mut lines = Vec::new();
        let mut fence: Option<String> = None;
        for line in text.lines() {
            let inside = line.trim_start();
            if let Some(language) = inside.strip_prefix("```") {
                fence = if fence.is_some() { None } else { Some(language.to_owned()) };
            } else if let Some(language) = &fence {
                lines.push(Line::Code { language: language.clone(), text: inside.to_owned() });
            } else if line.starts_with("    ") {
                lines.push(Line::Code { language: String::new(), text: inside.to_owned() });
            } else {
                lines.push(Line::Prose(line.to_owned()));
            }
        }
        assert!(fence.is_none(), "{}: a fence is open", path.display());
        Document { path: path.canonicalize().unwrap(), lines }
    }

    /// Lines of code blocks in one of these languages.
    pub(super) fn code(&self, languages: &[&str]) -> Vec<&str> {
        let mut found = Vec::new();
        for line in &self.lines {
            if let Line::Code { language, text } = line
                && languages.contains(&language.as_str())
            {
                found.push(text.as_str());
            }
        }
        found
    }

    /// What stands between backquotes in the text, with single blanks.
    pub(super) fn spans(&self) -> Vec<String> {
        let parts = self.parts();
        let inside = parts.iter().skip(1).step_by(2);
        inside.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    /// Where the links of the text lead.
    pub(super) fn links(&self) -> Vec<String> {
        let text = self.parts().into_iter().step_by(2).collect::<Vec<_>>().join("`");
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        targets.map(|(target, _)| target.to_owned()).collect()
    }

    /// The names by which links reach the headings.
    pub(super) fn anchors(&self) -> Vec<String> {
        self.prose().lines().filter(|line| line.starts_with('#')).map(anchor).collect()
    }

    /// The text, cut at each backquote.
    fn parts(&self) -> Vec<String> {
        let parts: Vec<String> = self.prose().split('`').map(str::to_owned).collect();
        assert!(parts.len() % 2 == 1, "{}: a backquote is open", self.path.display());
        parts
    }

    fn prose(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            if let Line::Prose(line) = line {
                text.push_str(line);
            }
            text.push('\n');
        }
        text
    }
}

/// A heading's name in links, as GitHub and GitLab make it.
fn anchor(heading: &str) -> String {
    let title = heading.trim_start_matches('#').trim();
    let kept = title.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase()
}
