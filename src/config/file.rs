//! One configuration file: reads it, splits it into sections, and returns single values as text. Their meaning is up to
//! `value`.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::ini::{self, Entry, Section};
use crate::error::{Error, Result};

/// A configuration file as it was when it was read.
#[derive(Clone)]
pub(crate) struct File {
    path: PathBuf,
    format: Format,
    sections: Vec<Section>,
    host_name: String,
}

/// The two syntaxes, told apart by the file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Ini,
    Toml,
}

/// A value with all references replaced.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) text: String,
    pub(super) line: usize,
}

impl File {
    /// Reads a file: as TOML if its name ends in `.toml`, else as ini. Fails with [`Error::Missing`] (no such file),
    /// [`Error::Io`], or [`Error::Config`] for a line that cannot be read.
    pub(crate) fn read(path: &Path) -> Result<File> {
        let bytes = fs::read(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::missing(
                format!("Config file not found: {}", path.display()),
                "The first word after the options is the ini file; \"rlondiste --ini londiste\" and \"rlondiste --ini \
                 pgqadm\" print samples to start from.",
            ),
            _ => Error::Io { action: "read config file", path: path.to_owned(), source },
        })?;
        File::parse(path, &bytes, &host_name()?)
    }

    /// As [`File::read`], for the text of a file that is not there yet.
    pub(crate) fn read_text(path: &Path, text: &str) -> Result<File> {
        File::parse(path, text.as_bytes(), &host_name()?)
    }

    /// As [`File::read`], for the bytes of a file.
    pub(crate) fn parse(path: &Path, bytes: &[u8], host_name: &str) -> Result<File> {
        let format = if path.extension().is_some_and(|e| e == "toml") { Format::Toml } else { Format::Ini };
        // Comments may have another encoding, as in old files; values may not (see `value`).
        let text = String::from_utf8_lossy(bytes);
        let sections = match format {
            Format::Ini => ini::parse(&text).map_err(|e| (Some(e.line), e.message)),
            Format::Toml => parse_toml(&text),
        };
        let sections = sections.map_err(|(line, message)| Error::Config {
            path: path.to_owned(),
            line,
            section: String::new(),
            key: String::new(),
            message,
        })?;
        Ok(File { path: path.to_owned(), format, sections, host_name: host_name.to_owned() })
    }

    /// The path of the file, as given.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is such a section; names are case-sensitive.
    pub(crate) fn has_section(&self, name: &str) -> bool {
        self.section(name).is_some()
    }

    /// The names of all sections, in the order of the file.
    pub(super) fn section_names(&self) -> impl Iterator<Item = &str> {
        self.sections.iter().map(|section| section.name.as_str())
    }

    fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name && name != ini::DEFAULT_SECTION)
    }

    /// The entries of a section itself, without those of `[DEFAULT]`.
    pub(super) fn entries(&self, section: &str) -> &[Entry] {
        self.section(section).map_or(&[], |section| &section.entries)
    }

    /// Whether any value of the file refers to `%(key)s`: then `key` is used although no program reads it.
    pub(super) fn is_referenced(&self, key: &str) -> bool {
        let reference = format!("%({key})s");
        self.sections.iter().flat_map(|s| &s.entries).any(|entry| entry.text.to_lowercase().contains(&reference))
    }

    /// The value of a key in a section, else in `[DEFAULT]`, with references replaced; `None` where it is not set.
    /// Fails with [`Error::Config`] for a wrong reference or text that is not UTF-8.
    pub(super) fn value(&self, section: &str, key: &str) -> Result<Option<Value>> {
        let Some(entry) = self.entry(section, key) else { return Ok(None) };
        let fail = |message: String| self.error(Some(entry.line), section, key, message);
        if entry.text.contains(char::REPLACEMENT_CHARACTER) {
            return Err(fail("the value is not valid UTF-8; save the file in UTF-8".to_owned()));
        }
        let lookup = |name: &str| self.name(section, name);
        let text = match self.format {
            Format::Ini => ini::interpolate(&entry.text, &lookup),
            Format::Toml => ini::interpolate_names(&entry.text, &lookup),
        };
        Ok(Some(Value { text: text.map_err(fail)?, line: entry.line }))
    }

    fn entry(&self, section: &str, key: &str) -> Option<&Entry> {
        let own = self.section(section).and_then(|section| section.entry(key));
        own.or_else(|| self.sections.iter().find(|s| s.name == ini::DEFAULT_SECTION)?.entry(key))
    }

    /// The text that `%(name)s` stands for, with its own references not replaced yet. As in SkyTools, `job_name`,
    /// `service_name` and `host_name` have defaults.
    fn name(&self, section: &str, name: &str) -> Option<String> {
        if let Some(entry) = self.entry(section, name) {
            return Some(entry.text.clone());
        }
        match name {
            "job_name" | "service_name" | "__name__" => Some(section.to_owned()),
            "host_name" => Some(self.host_name.clone()),
            _ => None,
        }
    }

    /// The text of a value as it is written, with its references; `None` where it is not set.
    pub(crate) fn raw(&self, section: &str, key: &str) -> Option<&str> {
        self.entry(section, key).map(|entry| entry.text.as_str())
    }

    /// The text of an ini file with the values of `[DEFAULT]` and of the section, some of them replaced by others. Comments are left out.
    pub(crate) fn rewritten(&self, section: &str, changes: &[(&str, String)]) -> String {
        let mut text = String::new();
        for name in [ini::DEFAULT_SECTION, section] {
            let Some(found) = self.sections.iter().find(|found| found.name == name) else { continue };
            let changes: &[(&str, String)] = if name == section { changes } else { &[] };
            let is_changed = |entry: &&Entry| changes.iter().any(|(key, _)| *key == entry.key);
            let kept = found.entries.iter().filter(|entry| !is_changed(entry));
            let values = changes.iter().map(|(key, value)| (*key, value.as_str()));
            text.push_str(&format!("[{name}]\n"));
            for (key, value) in values.chain(kept.map(|entry| (entry.key.as_str(), entry.text.as_str()))) {
                // The next lines of a value are indented.
                text.push_str(&format!("{key} = {}\n", value.replace('\n', "\n    ")));
            }
            text.push('\n');
        }
        text
    }

    /// An error about a place in this file.
    pub(super) fn error(&self, line: Option<usize>, section: &str, key: &str, message: impl Into<String>) -> Error {
        Error::Config {
            path: self.path.clone(),
            line,
            section: section.to_owned(),
            key: key.to_owned(),
            message: message.into(),
        }
    }
}

/// Without values, because some hold passwords.
impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("path", &self.path).finish_non_exhaustive()
    }
}

fn host_name() -> Result<String> {
    let name = nix::unistd::gethostname()
        .map_err(|errno| Error::System { action: "read the host name", source: errno.into() })?;
    Ok(name.to_string_lossy().into_owned())
}

/// Reads TOML, in which sections are tables. Values become the text that would stand in an ini file, so that both syntaxes
/// are understood by the same code.
fn parse_toml(text: &str) -> Result<Vec<Section>, (Option<usize>, String)> {
    let line_of = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
    let root = DeTable::parse(text).map_err(|error| {
        let line = error.span().map(|span| line_of(span.start));
        (line, format!("not valid TOML: {}", error.message()))
    })?;
    let mut sections = Vec::new();
    for (name, value) in root.get_ref() {
        let DeValue::Table(table) = value.get_ref() else {
            let message = format!("key \"{}\" stands outside of a section such as [londiste]", name.get_ref());
            return Err((Some(line_of(name.span().start)), message));
        };
        let mut entries = Vec::new();
        for (key, value) in table {
            let line = line_of(key.span().start);
            let text = toml_text(value.get_ref()).map_err(|what| {
                (Some(line), format!("key \"{}\" cannot be {what}; use a string, a number or a boolean", key.get_ref()))
            })?;
            entries.push(Entry { key: key.get_ref().to_lowercase(), text, line });
        }
        sections.push(Section { name: name.get_ref().to_string(), entries });
    }
    Ok(sections)
}

/// The ini spelling of a TOML value: lists are separated by commas, tables become lines of `name: value`.
fn toml_text(value: &DeValue<'_>) -> Result<String, &'static str> {
    Ok(match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_err(|_| "so big a number")?.to_string()
        }
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(flag) => u8::from(*flag).to_string(),
        DeValue::Datetime(_) => return Err("a date or time"),
        DeValue::Array(items) => {
            items.iter().map(|item| toml_text(item.get_ref())).collect::<Result<Vec<_>, _>>()?.join(",")
        }
        DeValue::Table(table) => {
            let mut lines = Vec::new();
            for (key, value) in table {
                lines.push(format!("{}: {}", key.get_ref(), toml_text(value.get_ref())?));
            }
            lines.join("\n")
        }
    })
}
