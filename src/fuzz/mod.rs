//! What must hold for any bytes that a decoder is given: by a configuration file, by the environment, by a server, or by
//! whoever writes events into a queue.
//!
//! Each target gives the bytes to one decoder and panics where a promise is broken: a decoder never panics, its result is
//! not much bigger than the bytes, and values that are encoded again are decoded to the same values. The programs in
//! `fuzz/` call the targets with bytes that libFuzzer makes up; the tests call them with the corpus in `fuzz/corpus`,
//! with changed pieces of the corpus, and with random bytes.

mod configuration;
mod events;
mod stored;

/// A decoder under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its program in `fuzz/fuzz_targets` and of its directory in `fuzz/corpus`.
    pub name: &'static str,
    /// Decodes the bytes. Panics where a promise is broken.
    pub check: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "ini", check: configuration::ini },
    Target { name: "toml", check: configuration::toml },
    Target { name: "conninfo", check: configuration::conninfo },
    Target { name: "passfile", check: configuration::passfile },
    Target { name: "service", check: configuration::service },
    Target { name: "event_type", check: events::event_type },
    Target { name: "fragment", check: events::fragment },
    Target { name: "urlenc", check: events::urlenc },
    Target { name: "json", check: events::json },
    Target { name: "copy_binary", check: events::copy_binary },
    Target { name: "copy_text", check: events::copy_text },
    Target { name: "snapshot", check: stored::snapshot },
    Target { name: "table_state", check: stored::table_state },
];

/// Calls the target of this name, for the programs of the fuzzer.
pub fn check(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("the table has each target's name");
    (target.check)(data);
}

#[cfg(test)]
mod tests;
