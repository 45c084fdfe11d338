//! The ini file and this machine; and what a plugin sees when there is nothing to examine.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{Clinic, bad, examine};

#[test]
fn files_and_daemons_that_are_not_as_they_should_be_are_named() {
    let mut clinic = Clinic::open();
    let scratch = clinic.r.scratch().path().to_owned();

    // A daemon that was killed leaves its pidfile.
    clinic.r.londiste.kill9();
    assert!(clinic.r.londiste.pidfile().exists());
    let finding = clinic.finds_and_mends("process");
    assert_eq!((finding.level.as_str(), clinic.r.londiste.is_running()), ("error", true));
    assert!(finding.fact.contains("its pidfile names a process that is gone"), "{finding:?}");

    let log = scratch.join("missing/x.log");
    clinic.r.londiste.configure("logfile", log.to_str().unwrap());
    let finding = clinic.finds_and_mends("log-file");
    assert_eq!(finding.fix.unwrap(), format!("mkdir -p {}", log.parent().unwrap().display()));
    clinic.r.londiste.configure("logfile", "%(job_name)s.log");

    // The daemon goes on under its old pidfile, and is found by its session.
    clinic.r.londiste.configure("pidfile", scratch.join("gone/x.pid").to_str().unwrap());
    clinic.finds_and_mends("pidfile");
    clinic.r.londiste.configure("pidfile", "%(job_name)s.pid");

    let passwords = scratch.join("pass words");
    fs::write(&passwords, "*:*:*:*:secret\n").unwrap();
    fs::set_permissions(&passwords, fs::Permissions::from_mode(0o644)).unwrap();
    let conninfo = clinic.r.provider.conninfo().to_owned();
    clinic.r.londiste.configure("provider_db", &format!("{conninfo} passfile='{}'", passwords.display()));
    let finding = clinic.finds_and_mends("password-file");
    assert_eq!((finding.object.as_str(), finding.fact.contains("mode 0644")), ("provider", true));
    clinic.r.londiste.configure("provider_db", &conninfo);

    clinic.r.londiste.configure("aply", "set");
    let found = clinic.wait_for(&["ini"]);
    assert!(found[0].fact.contains("unknown key \"aply\" is ignored; did you mean \"apply\"?"), "{found:?}");
    clinic.r.londiste.unset("aply");
    clinic.wait_for(&[]);
}

#[test]
fn plugin_whose_ini_file_cannot_be_read_says_unknown() {
    let clinic = Clinic::open();
    let missing = clinic.r.scratch().path().join("none.ini");
    let program = crate::support::Program::new([missing.as_os_str(), "doctor".as_ref(), "--nagios".as_ref()]);
    let output = program.status(3).run();
    assert!(output.stdout.starts_with("UNKNOWN - ") && output.stdout.contains("none.ini"), "{}", output.stdout);
    assert_eq!(output.stdout.lines().count(), 1);

    // Warnings and errors in the words of plugins.
    clinic.r.subscriber.sql("alter table plain alter column v set not null");
    clinic.wait_for(&["not-null"]);
    let line = clinic.r.londiste.program(["doctor", "--nagios"]).status(1).run().stdout;
    assert!(line.starts_with("WARNING - ") && line.contains("1 warning; not-null public.plain: column v"), "{line}");
    clinic.r.subscriber.sql("alter table plain drop column v");
    clinic.wait_for(&["columns"]);
    let line = clinic.r.londiste.program(["doctor", "--nagios"]).status(2).run().stdout;
    assert!(line.starts_with("CRITICAL - ") && line.contains("1 error; columns public.plain: column v"), "{line}");
    let text = clinic.r.londiste.program(["doctor"]).stderr("").status(2).run().stdout;
    let fix = "on subscriber: alter table \"public\".\"plain\" add column \"v\" text;";
    let start = format!("error    columns  public.plain  column v is not on the subscriber\n    fix: {fix}\n\n");
    assert!(text.starts_with(&start) && text.ends_with(&format!("Next steps:\n  1. {fix}\n")), "{text}");
    assert_eq!(bad(&examine(&clinic.r.londiste)).len(), 1);
}
