//! Files and texts of the operator.

use std::path::Path;

use crate::config::{self, File};
use crate::error::{Report, Role};
use crate::pg::Conninfo;
use crate::pg::conninfo::Environment;

/// A password that no target's bytes have, so that a text with it has shown a password.
const CANARY: &str = "canary-4f1d";

/// A configuration file: syntax, references, and the values of all sections.
pub(super) fn ini(data: &[u8]) {
    load("x.ini", data);
}

/// The same in TOML.
pub(super) fn toml(data: &[u8]) {
    load("x.toml", data);
}

fn load(path: &str, data: &[u8]) {
    let file = match File::parse(Path::new(path), data, "host1") {
        Ok(file) => file,
        Err(error) => {
            let _ = Report(&error).to_string();
            return;
        }
    };
    let results =
        [config::Pgqadm::load(&file).err(), config::Londiste::load(&file).err(), config::Pgqd::load(&file).err()];
    for error in results.iter().flatten() {
        let _ = Report(error).to_string();
    }
}

/// A connection string, with a password from a file.
pub(super) fn conninfo(data: &[u8]) {
    let passfile = format!("*:*:*:*:{CANARY}\n");
    parse(&String::from_utf8_lossy(data), &[("/home/me/.pgpass", &passfile), SERVICES]);
}

/// The text of a password file. Whatever stands before it, its last line fits.
pub(super) fn passfile(data: &[u8]) {
    let text = format!("{}\n*:*:*:*:{CANARY}\n", String::from_utf8_lossy(data));
    parse("host=db1,/tmp,::1 port=5432 dbname=d:1 user=u", &[("/home/me/.pgpass", &text)]);
}

/// The text of a service file.
pub(super) fn service(data: &[u8]) {
    parse("service=mine", &[("/home/me/.pg_service.conf", &String::from_utf8_lossy(data))]);
}

const SERVICES: (&str, &str) = ("/home/me/.pg_service.conf", "[mine]\nhost=db1\npassword=canary-4f1d\n");

fn parse(text: &str, files: &[(&str, &str)]) {
    let environment = Environment::in_memory(&[], files);
    let shown = match Conninfo::parse_in(&environment, Role::Provider, text, "job") {
        Ok(conninfo) => conninfo.to_string(),
        Err(error) => Report(&error).to_string(),
    };
    assert!(text.contains(CANARY) || !shown.contains(CANARY), "a password is shown: {shown}");
}
