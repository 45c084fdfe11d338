//! Reads a section into a typed struct: a serde deserializer that looks up each field of the struct as a key, with the
//! types and defaults of [`super::keys`]. Every error has its line and key.

use std::path::PathBuf;
use std::time::Duration;

use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::file::File;
use super::keys::{Default, Key, Kind, Program};
use crate::error::Result;

/// Reads the fields of `T` from the section of `program`. Fails with [`Error::Config`](crate::error::Error::Config).
pub(super) fn read<T: DeserializeOwned>(file: &File, program: Program) -> Result<T> {
    let section = program.section();
    let mut source = SectionReader { file, program, fields: &[], at: None, failed: None };
    match T::deserialize(&mut source) {
        Ok(value) => Ok(value),
        Err(Wrong(message)) => Err(source.failed.take().unwrap_or_else(|| {
            let (line, key) = source.at.as_ref().map_or((None, ""), |at| (at.line, at.key.name));
            file.error(line, section, key, message)
        })),
    }
}

/// An error about a value, without its place.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Wrong(String);

impl de::Error for Wrong {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Wrong(message.to_string())
    }
}

/// The value being read.
struct Found {
    key: &'static Key,
    text: String,
    /// `None` for a default.
    line: Option<usize>,
}

struct SectionReader<'a> {
    file: &'a File,
    program: Program,
    /// Fields that are not read yet.
    fields: &'static [&'static str],
    at: Option<Found>,
    /// An error that already names its place.
    failed: Option<crate::error::Error>,
}

impl<'de> de::Deserializer<'de> for &mut SectionReader<'_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Wrong> {
        Err(Wrong("a section is read into a struct".to_owned()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.fields = fields;
        visitor.visit_map(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl SectionReader<'_> {
    /// The value of a key, its default, or nothing.
    fn find(&mut self, key: &'static Key) -> Result<Option<Found>, Wrong> {
        let section = self.program.section();
        let found = match self.file.value(section, key.name) {
            Ok(found) => found,
            Err(error) => {
                self.failed = Some(error);
                return Err(Wrong(String::new()));
            }
        };
        let text = found.map(|value| Found { key, text: value.text, line: Some(value.line) });
        match key.default {
            Default::Required(example) if text.as_ref().is_none_or(|t| t.text.is_empty() && key.kind == Kind::Text) => {
                let message = format!("not set; add a line such as \"{} = {example}\"", key.name);
                self.failed = Some(self.file.error(None, section, key.name, message));
                Err(Wrong(String::new()))
            }
            Default::Is(default) => {
                Ok(Some(text.unwrap_or_else(|| Found { key, text: default.to_owned(), line: None })))
            }
            Default::None(_) | Default::Required(_) => Ok(text),
        }
    }
}

impl<'de> MapAccess<'de> for &mut SectionReader<'_> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        while let Some((field, rest)) = self.fields.split_first() {
            self.fields = rest;
            let Some(key) = self.program.key(field) else {
                return Err(Wrong(format!("the table of keys lacks \"{field}\"")));
            };
            self.at = self.find(key)?;
            if self.at.is_some() {
                let name: StrDeserializer<'_, Wrong> = (*field).into_deserializer();
                return seed.deserialize(name).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        match &self.at {
            Some(text) => seed.deserialize(text),
            None => Err(Wrong("a value without a key".to_owned())),
        }
    }
}

impl Found {
    fn trimmed(&self) -> &str {
        self.text.trim()
    }

    fn wrong(&self, expected: &str) -> Wrong {
        Wrong(format!("\"{}\" is not {expected}", self.text.escape_debug()))
    }

    fn seconds(&self) -> Result<Duration, Wrong> {
        let (seconds, expected) = match self.key.kind {
            Kind::Minutes => (
                self.trimmed().parse().ok().map(|minutes: f64| minutes * 60.0),
                "a number of minutes; write for example 5 or 0.5",
            ),
            _ => (seconds(self.trimmed()), "a number of seconds; write for example 30, 0.5 or 5min"),
        };
        seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).ok_or_else(|| self.wrong(expected))
    }

    fn number(&self) -> Result<u64, Wrong> {
        match self.key.kind {
            Kind::Bytes => bytes(self.trimmed())
                .ok_or_else(|| self.wrong("a number of bytes; write for example 65536, 512kB, 64MB or 1GB")),
            _ => self.trimmed().parse().map_err(|_| self.wrong("a whole number, 0 or greater")),
        }
    }

    fn small_number<T: TryFrom<u64>>(&self) -> Result<T, Wrong> {
        T::try_from(self.number()?).map_err(|_| self.wrong("a number in the allowed range"))
    }

    fn flag(&self) -> Result<bool, Wrong> {
        match self.trimmed().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Ok(true),
            "false" | "no" | "off" | "" => Ok(false),
            number => match number.parse::<i64>() {
                Ok(number) => Ok(number != 0),
                Err(_) => Err(self.wrong("0 or 1")),
            },
        }
    }

    fn string(&self) -> String {
        match self.key.kind {
            Kind::File => expand_home(&self.text, home_of),
            _ => self.text.clone(),
        }
    }

    /// Lines of `name: value` as pairs.
    fn pairs(&self) -> Result<Vec<(String, String)>, Wrong> {
        let lines = self.text.split('\n').filter(|line| !line.trim().is_empty());
        lines
            .map(|line| {
                let (name, value) =
                    line.split_once(':').ok_or_else(|| self.wrong("a list of lines \"name: value\""))?;
                Ok((name.trim().to_owned(), value.trim().to_owned()))
            })
            .collect()
    }

    /// Whether the value of an optional key means "not set": an empty text, or a time of zero.
    fn is_off(&self) -> Result<bool, Wrong> {
        Ok(match self.key.kind {
            // SkyTools' default of `maint_delay_min` is -1.
            Kind::Minutes if self.trimmed().starts_with('-') => true,
            Kind::Seconds | Kind::Minutes => self.seconds()?.is_zero(),
            _ => self.text.is_empty(),
        })
    }
}

impl<'de> de::Deserializer<'de> for &Found {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_string(self.string())
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_bool(self.flag()?)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_u64(self.number()?)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_u32(self.small_number()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.is_off()? { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    /// The only struct among the values is `Duration`, which serde makes from seconds and nanoseconds.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let duration = self.seconds()?;
        let parts = [duration.as_secs(), u64::from(duration.subsec_nanos())];
        visitor.visit_seq(SeqDeserializer::new(parts.into_iter()))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_map(MapDeserializer::new(self.pairs()?.into_iter()))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        if let Some(variant) = variants.iter().find(|variant| **variant == self.trimmed()) {
            return visitor.visit_enum(Word(variant));
        }
        let allowed: Vec<_> = variants.iter().map(|variant| format!("\"{variant}\"")).collect();
        Err(self.wrong(&format!("allowed here; write {}", allowed.join(" or "))))
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq tuple
        tuple_struct identifier ignored_any
    }
}

/// A word that is known to be a variant.
struct Word(&'static str);

impl<'de> EnumAccess<'de> for Word {
    type Error = Wrong;
    type Variant = UnitOnly;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, UnitOnly), Wrong> {
        let name: StrDeserializer<'_, Wrong> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, UnitOnly))
    }
}

struct UnitOnly;

impl<'de> VariantAccess<'de> for UnitOnly {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Wrong> {
        Err(Wrong("a word holds no value".to_owned()))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Wrong> {
        Err(Wrong("a word holds no value".to_owned()))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Wrong> {
        Err(Wrong("a word holds no value".to_owned()))
    }
}

/// A time in PostgreSQL's spelling, in seconds; without a unit, seconds.
fn seconds(text: &str) -> Option<f64> {
    let letters = text.find(|c: char| c.is_ascii_alphabetic() && c != 'e').unwrap_or(text.len());
    let (number, unit) = text.split_at(letters);
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "min" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return None,
    };
    number.trim_end().parse::<f64>().ok().map(|number| number * factor)
}

/// A size in PostgreSQL's spelling; units are powers of 1024.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" => 10,
        "m" | "mb" => 20,
        "g" | "gb" => 30,
        "t" | "tb" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Expands `~/x` and `~user/x`; a name without a home directory stays as it is, as in Python.
fn expand_home(text: &str, home_of: impl Fn(&str) -> Option<PathBuf>) -> String {
    let Some(rest) = text.strip_prefix('~') else { return text.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    match home_of(&rest[..end]) {
        Some(home) => {
            let home = home.to_string_lossy();
            let path = format!("{}{}", home.trim_end_matches('/'), &rest[end..]);
            if path.is_empty() { "/".to_owned() } else { path }
        }
        None => text.to_owned(),
    }
}

/// The home directory of a user; an empty name is the user of this process.
fn home_of(user: &str) -> Option<PathBuf> {
    use nix::unistd::{User, getuid};
    if user.is_empty() {
        if let Some(home) = std::env::var_os("HOME") {
            return Some(PathBuf::from(home));
        }
        return User::from_uid(getuid()).ok().flatten().map(|user| user.dir);
    }
    User::from_name(user).ok().flatten().map(|user| user.dir)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn sizes_are_read_in_postgres_spelling() {
        for (text, expected) in [
            ("0", Some(0)),
            ("10485760", Some(10_485_760)),
            ("64MB", Some(64 << 20)),
            ("64 MB", Some(64 << 20)),
            ("512kB", Some(512 << 10)),
            ("1GB", Some(1 << 30)),
            ("2T", Some(2 << 40)),
            ("", None),
            ("MB", None),
            ("-1", None),
            ("1.5GB", None),
            ("1XB", None),
            ("18446744073709551615kB", None),
        ] {
            assert_eq!(bytes(text), expected, "{text:?}");
        }
    }

    #[test]
    fn times_are_read_in_postgres_spelling() {
        for (text, expected) in [
            ("0", Some(0.0)),
            ("0.5", Some(0.5)),
            ("1e3", Some(1000.0)),
            ("30s", Some(30.0)),
            ("5 min", Some(300.0)),
            ("1h", Some(3600.0)),
            ("2d", Some(172_800.0)),
            ("1m", None),
            ("h", None),
            ("", None),
            ("1h30min", None),
        ] {
            assert_eq!(seconds(text), expected, "{text:?}");
        }
        assert_eq!(seconds("500ms"), Some(0.5));
    }

    #[test]
    fn home_directories_are_expanded_at_the_start_only() {
        let homes = |user: &str| match user {
            "" => Some(PathBuf::from("/home/me/")),
            "root" => Some(PathBuf::from("/root")),
            "slash" => Some(PathBuf::from("/")),
            _ => None,
        };
        for (text, expected) in [
            ("~/x.log", "/home/me/x.log"),
            ("~", "/home/me"),
            ("~root/x", "/root/x"),
            ("~nobody/x", "~nobody/x"),
            ("~slash", "/"),
            ("~slash/x", "/x"),
            ("a~b", "a~b"),
            ("-", "-"),
            ("", ""),
        ] {
            assert_eq!(expand_home(text, homes), expected, "{text:?}");
        }
    }
}
