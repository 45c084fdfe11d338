//! The keywords of a connection string with their values, from the string, the service file and the environment.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use super::environment::Environment;
use super::{keyword, service, syntax};

/// All keywords that are set, with their values.
pub(super) struct Settings(BTreeMap<&'static str, String>);

impl Settings {
    /// Collects the values: the string's come before the service's, the service's before the environment's.
    pub(super) fn collect(text: &str, environment: &Environment) -> Result<Settings, String> {
        let mut values: BTreeMap<&'static str, String> = syntax::split(text)?.into_iter().collect();
        refuse_hidden_passwords(&values)?;
        let service = values.get("service").map(String::as_str).or_else(|| environment.variable("PGSERVICE"));
        if let Some(name) = service.filter(|name| !name.is_empty()) {
            for (keyword, value) in service::find(name, environment)? {
                values.entry(keyword).or_insert(value);
            }
        }
        for keyword in keyword::KEYWORDS {
            if let Some(value) = keyword.variable.and_then(|name| environment.variable(name)) {
                values.entry(keyword.name).or_insert_with(|| value.to_owned());
            }
        }
        Ok(Settings(values))
    }

    /// The value of a keyword; an empty value counts as not set.
    pub(super) fn get(&self, keyword: &str) -> Option<&str> {
        self.0.get(keyword).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn list(&self, keyword: &str) -> Vec<&str> {
        self.get(keyword).map(|value| value.split(',').map(str::trim).collect()).unwrap_or_default()
    }

    /// The value of a keyword as a number; surrounding blanks are allowed.
    pub(super) fn number<T: FromStr>(&self, keyword: &str) -> Result<Option<T>, String> {
        let Some(value) = self.get(keyword) else { return Ok(None) };
        let number = value.trim().parse();
        number.map(Some).map_err(|_| format!("the value \"{value}\" of \"{keyword}\" is not a number in its range"))
    }

    /// The meaning of a keyword's value, which must be one of `words`; the type's default when not set.
    pub(super) fn word<T: Copy + Default>(&self, keyword: &str, words: &[(&str, T)]) -> Result<T, String> {
        let Some(value) = self.get(keyword) else { return Ok(T::default()) };
        let found = words.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning);
        found.ok_or_else(|| {
            let allowed: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            format!("the value \"{value}\" of \"{keyword}\" is not one of {}", allowed.join(", "))
        })
    }

    /// The value of a keyword as a duration of so many units. `None`, the system's default, when not set or not above 0.
    pub(super) fn positive(&self, keyword: &str, unit: fn(u64) -> Duration) -> Result<Option<Duration>, String> {
        Ok(self.number::<i32>(keyword)?.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0).map(unit))
    }

    /// The keywords that are set, with their values, as they are written in a connection string. For messages.
    pub(super) fn shown(&self, keywords: &[&str]) -> String {
        let parts = keywords.iter().filter_map(|keyword| Some(format!("{keyword}={}", quoted(self.get(keyword)?))));
        parts.collect::<Vec<_>>().join(" ")
    }
}

/// Keywords whose values are never shown.
const NEVER_SHOWN: [&str; 4] = ["password", "sslpassword", "oauth_client_secret", "options"];

/// Refuses a password inside of another value, which messages of this program and of servers would show. It gets there by
/// other separators than blanks, as other drivers have them: `host=db1;password=...`.
fn refuse_hidden_passwords(values: &BTreeMap<&'static str, String>) -> Result<(), String> {
    for (keyword, value) in values.iter().filter(|(keyword, _)| !NEVER_SHOWN.contains(keyword)) {
        let value = value.to_ascii_lowercase();
        if let Some(word) = ["password=", "passwd=", "pwd="].iter().find(|word| value.contains(**word)) {
            return Err(format!("the value of \"{keyword}\" has \"{word}\" in it; keywords are separated by blanks"));
        }
    }
    Ok(())
}

/// A value as it is written in a connection string, in quotes where needed.
pub(super) fn quoted(value: &str) -> String {
    let plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || matches!(c, '\'' | '\\'));
    if plain { value.to_owned() } else { format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'")) }
}
