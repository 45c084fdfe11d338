//! Service files: named sets of keywords that a connection string refers to by `service=NAME`.

use std::io;
use std::path::PathBuf;

use super::environment::Environment;
use super::keyword;
use super::syntax::Pairs;

/// Directories of the system-wide file when `PGSYSCONFDIR` is not set: distributions build libpq with one of these.
const SYSTEM_DIRECTORIES: &[&str] = &["/etc/postgresql-common", "/etc/postgresql", "/usr/local/pgsql/etc"];

/// The keywords of a service: from the user's file if the service is there, else from the system-wide file.
pub(super) fn find(name: &str, environment: &Environment) -> Result<Pairs, String> {
    for (path, must_exist) in candidates(environment) {
        match (environment.read)(&path) {
            Ok(content) => {
                if let Some(settings) = section(&content.text, name)
                    .map_err(|(line, what)| format!("service file {}:{line}: {what}", path.display()))?
                {
                    return Ok(settings);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => {}
            Err(error) => return Err(format!("cannot read service file \"{}\": {error}", path.display())),
        }
    }
    let looked = candidates(environment).map(|(path, _)| path.display().to_string()).collect::<Vec<_>>().join(", ");
    Err(format!("no definition of service \"{name}\" in {looked}"))
}

/// The service files in the order of search, each with whether it must exist.
fn candidates(environment: &Environment) -> impl Iterator<Item = (PathBuf, bool)> {
    let user = match environment.variable("PGSERVICEFILE") {
        Some(path) => Some((PathBuf::from(path), true)),
        None => environment.in_home(".pg_service.conf").map(|path| (path, false)),
    };
    let system: Vec<PathBuf> = match environment.variable("PGSYSCONFDIR") {
        Some(directory) => vec![PathBuf::from(directory)],
        None => SYSTEM_DIRECTORIES.iter().map(PathBuf::from).collect(),
    };
    user.into_iter().chain(system.into_iter().map(|directory| (directory.join("pg_service.conf"), false)))
}

/// The settings below `[name]`, `None` when there is no such section. Of a repeated keyword the first counts. The error is
/// the number of the line, counted from 1, and what is wrong with it.
fn section(text: &str, name: &str) -> Result<Option<Pairs>, (usize, String)> {
    let mut found: Option<Pairs> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if header.strip_suffix(']') == Some(name) {
                found = Some(Pairs::new());
            }
            continue;
        }
        let Some(settings) = &mut found else { continue };
        let wrong = |what: &str| Err((index + 1, what.to_owned()));
        if line.starts_with("ldap") {
            return wrong("services in LDAP are not supported; write the keywords into the file");
        }
        let Some((key, value)) = line.split_once('=') else {
            return wrong("this line is not \"keyword=value\"");
        };
        match keyword::known(key) {
            Some("service") => return wrong("a service cannot refer to another service"),
            Some(key) if settings.iter().all(|(known, _)| *known != key) => settings.push((key, value.to_owned())),
            Some(_) => {}
            None => return wrong(&format!("unknown keyword \"{key}\"")),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    const USER: (&str, &str) =
        ("/home/me/.pg_service.conf", "# mine\n[a]\nhost=h1\n  port=1 \nport=2\n\n[b]\nhost=h2\n");
    const SYSTEM: (&str, &str) = ("/etc/postgresql-common/pg_service.conf", "[c]\ndbname=x\n");

    #[test]
    fn services_are_found_in_the_users_file_then_the_systems() {
        let environment = Environment::in_memory(&[], &[USER, SYSTEM]);
        let a = vec![("host", "h1".to_owned()), ("port", "1".to_owned())];
        assert_eq!(find("a", &environment), Ok(a));
        assert_eq!(find("c", &environment), Ok(vec![("dbname", "x".to_owned())]));
        let message = find("d", &environment).expect_err("no such service");
        assert!(message.starts_with("no definition of service \"d\" in /home/me/.pg_service.conf, /etc/"), "{message}");
    }

    #[test]
    fn variables_name_other_files() {
        let files = [("/s/mine", "[a]\nhost=h3\n"), ("/sys/pg_service.conf", "[b]\nhost=h4\n"), USER];
        let variables = [("PGSERVICEFILE", "/s/mine"), ("PGSYSCONFDIR", "/sys")];
        let environment = Environment::in_memory(&variables, &files);
        assert_eq!(find("a", &environment), Ok(vec![("host", "h3".to_owned())]));
        assert_eq!(find("b", &environment), Ok(vec![("host", "h4".to_owned())]));
        let environment = Environment::in_memory(&[("PGSERVICEFILE", "/s/none")], &files);
        assert!(find("a", &environment).expect_err("no file").starts_with("cannot read service file \"/s/none\""));
    }

    #[test]
    fn wrong_lines_name_their_place() {
        for (line, expected) in [
            ("hots=x", "unknown keyword \"hots\""),
            ("junk", "this line is not \"keyword=value\""),
            ("service=b", "a service cannot refer to another service"),
            ("ldap://x", "services in LDAP are not supported; write the keywords into the file"),
        ] {
            let text = format!("[a]\n{line}\n");
            let environment = Environment::in_memory(&[], &[(USER.0, &text)]);
            let expected = format!("service file /home/me/.pg_service.conf:2: {expected}");
            assert_eq!(find("a", &environment), Err(expected));
        }
    }
}
