//! The schema of the provider's database, brought to the subscriber by the distribution's `pg_dump` and `psql`.
//!
//! All in one transaction of the subscriber: what the tables are made of must succeed, else nothing is left; of what comes after them
//! (keys, indexes, foreign keys, triggers) each statement that fails is left out and told. So a command that was killed has copied
//! everything or nothing.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::request::SchemaCopy;
use crate::config;
use crate::error::{Error, Result, Role};
use crate::pg;

/// Settings that `pg_dump` writes at the head of its script and servers before this major version do not know.
const NEWER_SETTINGS: [(&str, i32); 2] = [("SET default_table_access_method ", 12), ("SET transaction_timeout ", 17)];

/// `pg_dump` and `psql` of one release.
#[derive(Debug)]
pub(super) struct Programs {
    directory: PathBuf,
    pub(super) major: i32,
}

impl Programs {
    /// The newest that are installed. Fails when there are none, and when they are older than the provider's server.
    pub(super) async fn find(provider_version: i32) -> Result<Programs> {
        let mut newest: Option<Programs> = None;
        for directory in directories() {
            let Some(major) = major_in(&directory).await else { continue };
            if newest.as_ref().is_none_or(|found| found.major < major) {
                newest = Some(Programs { directory, major });
            }
        }
        let wanted = provider_version / 10_000;
        match newest {
            Some(programs) if programs.major >= wanted => Ok(programs),
            Some(Programs { directory, major }) => Err(Error::unsupported(
                format!(
                    "the newest pg_dump here ({}) is of PostgreSQL {major}, and the provider is PostgreSQL {wanted}",
                    directory.display()
                ),
                format!(
                    "Install the client programs of PostgreSQL {wanted} or newer on this machine, such as package \
                     postgresql-client-{wanted}; or make the tables on the subscriber by hand, and run \"up\" without --schema."
                ),
            )),
            None => Err(Error::missing(
                "there is no pg_dump and psql, neither in PATH nor in /usr/lib/postgresql/*/bin",
                "Install the client programs of PostgreSQL, such as package postgresql-client; or make the tables on the subscriber by hand, \
                 and run \"up\" without --schema.",
            )),
        }
    }

    /// Copies the schema. Returns the errors of statements that were left out.
    pub(super) async fn copy(
        &self,
        config: &config::Londiste,
        how: SchemaCopy,
        subscriber_version: i32,
    ) -> Result<Vec<String>> {
        let tables = self.dump(config, how, "pre-data").await?;
        let rest = self.dump(config, how, "post-data").await?;
        let mut script =
            String::from("\\set ON_ERROR_STOP on\nbegin read write;\nset local client_min_messages = error;\n");
        push_without_unknown(&mut script, &tables, subscriber_version);
        script.push_str("\\set ON_ERROR_STOP off\n\\set ON_ERROR_ROLLBACK on\n");
        push_without_unknown(&mut script, &rest, subscriber_version);
        script.push_str("\\set ON_ERROR_ROLLBACK off\n\\set ON_ERROR_STOP on\ncommit;\n");
        let restored = self.run(config, Role::Subscriber, "psql", &["-X", "-q", "-f", "-"], &script).await?;
        let errors = errors(&String::from_utf8_lossy(&restored.stderr), &script);
        if restored.status.success() {
            return Ok(errors);
        }
        let why = errors.first().map_or("psql gave no reason", String::as_str);
        Err(Error::refused(
            format!("the schema could not be made on subscriber: {why}"),
            "Nothing of it was kept. Where the user of subscriber_db may not make an owner's or extension's object, let an administrator \
             make the extension, and add --no-owner.",
        ))
    }

    async fn dump(&self, config: &config::Londiste, how: SchemaCopy, section: &str) -> Result<String> {
        let section = format!("--section={section}");
        let mut arguments =
            vec!["--schema-only", &section, "--no-subscriptions", "--no-tablespaces", "-N", "pgq", "-N", "londiste"];
        if how == SchemaCopy::WithoutOwners {
            arguments.extend(["--no-owner", "--no-privileges"]);
        }
        let dumped = self.run(config, Role::Provider, "pg_dump", &arguments, "").await?;
        if !dumped.status.success() {
            let text = String::from_utf8_lossy(&dumped.stderr);
            let why = text.lines().next().unwrap_or("it gave no reason").to_owned();
            return Err(Error::refused(format!("pg_dump could not read the schema of provider: {why}"), ""));
        }
        String::from_utf8(dumped.stdout)
            .map_err(|_| Error::refused("the schema of provider is not valid UTF-8", "Set client_encoding=UTF8."))
    }

    /// Runs a program on the database of a side. Dropped before its end, the program is killed.
    async fn run(
        &self,
        config: &config::Londiste,
        role: Role,
        program: &str,
        arguments: &[&str],
        input: &str,
    ) -> Result<Output> {
        let path = self.directory.join(program);
        let failed = |source| Error::Io { action: "run", path: path.clone(), source };
        let conninfo = match role {
            Role::Provider => &config.provider_db,
            Role::Subscriber => &config.subscriber_db,
        };
        let mut command = Command::new(&path);
        // The password stands in the environment, which other users cannot see.
        for (variable, value) in pg::variables(role, conninfo)? {
            match value {
                Some(value) => command.env(variable, value),
                None => command.env_remove(variable),
            };
        }
        command.env("PGCLIENTENCODING", "UTF8").args(arguments).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let stdin = child.stdin.take();
        let write = async {
            match stdin {
                Some(mut stdin) => stdin.write_all(input.as_bytes()).await,
                None => Ok(()),
            }
        };
        let (written, output) = tokio::join!(write, child.wait_with_output());
        match written {
            // It ended at an error, which it has told.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written.map_err(failed)?,
        }
        output.map_err(failed)
    }
}

/// Statements that are left out: the messages are to be those of errors alone; the comment of an extension belongs to who has made it; the
/// owner of schema public is the server's matter, and before PostgreSQL 15 it was a superuser.
const LEFT_OUT: [&str; 3] = ["SET client_min_messages ", "COMMENT ON EXTENSION ", "ALTER SCHEMA public OWNER TO "];

/// Adds the statements of a dump without those that the subscriber's server cannot know, or the user may not run. What stands in quotes
/// stays as it is: the body of a function has statements of its own.
fn push_without_unknown(script: &mut String, dump: &str, subscriber_version: i32) {
    let is_unknown = |line: &str| {
        NEWER_SETTINGS.iter().any(|(set, since)| line.starts_with(set) && subscriber_version < since * 10_000)
    };
    let mut quote = None;
    for line in dump.split_inclusive('\n') {
        if quote.is_some() || !is_unknown(line) && !LEFT_OUT.iter().any(|statement| line.starts_with(statement)) {
            script.push_str(line);
        }
        quote = quote_behind(line, quote);
    }
}

/// The quote that is open at the end of a line of `pg_dump`: `'`, `"`, or a tag in dollars. In its strings a backslash stands for nothing,
/// or for itself before another one.
fn quote_behind<'a>(line: &'a str, before: Option<&'a str>) -> Option<&'a str> {
    let (mut rest, mut quote) = (line, before);
    loop {
        if let Some(open) = quote {
            let Some(at) = rest.find(open) else { return quote };
            rest = &rest[at + open.len()..];
            quote = None;
            continue;
        }
        rest = &rest[rest.find(['\'', '"', '$', '-'])?..];
        if rest.starts_with("--") {
            return None;
        }
        let length = match rest.as_bytes()[0] {
            b'$' => dollars(rest),
            b'-' => None,
            _ => Some(1),
        };
        quote = length.map(|length| &rest[..length]);
        rest = &rest[length.unwrap_or(1)..];
    }
}

/// The length of the tag in dollars that a text begins with.
fn dollars(text: &str) -> Option<usize> {
    let end = text[1..].find(|c: char| !c.is_alphanumeric() && c != '_')? + 1;
    text[end..].starts_with('$').then_some(end + 1)
}

/// The errors in what psql has written about a script, each with the object that the statement was to make; details and hints are left
/// out.
fn errors(text: &str, script: &str) -> Vec<String> {
    let lines: Vec<&str> = script.lines().collect();
    let error = |line: &str| {
        let (number, message) = line.strip_prefix("psql:<stdin>:")?.split_once(": ")?;
        let before = lines.get(..number.parse().ok()?).unwrap_or(&lines);
        let object = before.iter().rev().find_map(|line| object(line));
        Some(object.map_or_else(|| message.to_owned(), |object| format!("{object}: {message}")))
    };
    text.lines().filter_map(error).collect()
}

/// The object of the comment that `pg_dump` writes above a statement: `-- Name: t_pkey; Type: CONSTRAINT; Schema: public; Owner: -`.
fn object(line: &str) -> Option<String> {
    let (name, rest) = line.strip_prefix("-- Name: ")?.split_once("; Type: ")?;
    Some(format!("{} {name}", rest.split(';').next()?))
}

/// Where programs are looked for.
fn directories() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = env::split_paths(&path).collect();
    let distribution = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    directories.extend(distribution.map(|entry| entry.path().join("bin")));
    directories
}

/// The major version of the `pg_dump` in a directory that has a `psql` too.
async fn major_in(directory: &Path) -> Option<i32> {
    let (pg_dump, psql) = (directory.join("pg_dump"), directory.join("psql"));
    if !pg_dump.is_file() || !psql.is_file() {
        return None;
    }
    let output = Command::new(pg_dump).arg("--version").kill_on_drop(true).output().await.ok()?;
    major(&String::from_utf8_lossy(&output.stdout))
}

/// `pg_dump (PostgreSQL) 15.10 (Debian 15.10-1)` is of 15.
fn major(version: &str) -> Option<i32> {
    let number = version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn version_of_a_program_is_read() {
        for (text, found) in [
            ("pg_dump (PostgreSQL) 15.10 (Debian 15.10-1)", Some(15)),
            ("pg_dump (PostgreSQL) 18beta1", Some(18)),
            ("pg_dump (PostgreSQL) 9.6.24", Some(9)),
            ("what?", None),
        ] {
            assert_eq!(major(text), found, "{text}");
        }
    }

    #[test]
    fn errors_are_told_with_their_objects() {
        let script =
            "begin;\n--\n-- Name: t_x; Type: INDEX; Schema: public; Owner: -\n--\ncreate index\n  t_x on t (x);\n";
        let text = "psql:<stdin>:6: ERROR:  column \"x\" does not exist\nDETAIL:  none\npsql:<stdin>:1: FEHLER:  weg\n";
        assert_eq!(errors(text, script), ["INDEX t_x: ERROR:  column \"x\" does not exist", "FEHLER:  weg"]);
    }

    #[test]
    fn settings_of_newer_servers_are_left_out() {
        let dump = "SET transaction_timeout = 0;\nSET default_table_access_method = heap;\ncreate table t ();\n";
        let of = |version| {
            let mut script = String::new();
            push_without_unknown(&mut script, dump, version);
            script.lines().count()
        };
        assert_eq!([of(100_023), of(150_010), of(180_000)], [1, 2, 3]);
    }

    #[test]
    fn what_stands_in_quotes_is_not_left_out() {
        let left = "SET client_min_messages = warning;\n";
        for (before, behind) in [
            ("create function f() as $_$\n", "$_$;\n"),
            ("create function f() as $$ select '$_$';\r\n", "$$;\n"),
            ("comment on table t is 'it''s\n", "';\n"),
            ("create table \"a'b\" (\"x\n", "\" int);\n"),
        ] {
            let dump =
                format!("-- Name: it's; Type: TABLE\n{left}{before}{left}{behind}{left}select 1 - 2, $1, 'x';\n{left}");
            let mut script = String::new();
            push_without_unknown(&mut script, &dump, 150_010);
            let expected = format!("-- Name: it's; Type: TABLE\n{before}{left}{behind}select 1 - 2, $1, 'x';\n");
            assert_eq!(script, expected);
        }
    }
}
