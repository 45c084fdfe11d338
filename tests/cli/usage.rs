//! Command lines that cannot be run.

use crate::support::{Job, Program, Scratch};

#[test]
fn missing_words_are_named_on_standard_error() {
    let scratch = Scratch::new();
    let job = Job::londiste(scratch.path(), "l", ["dbname=none", "dbname=none"], "q");
    Program::new::<&str>([]).stdout("").stderr("need config file\n").status(1).run();
    job.program::<&str>([]).stdout("").stderr("need command\n").status(1).run();
    job.program(["provider"]).stdout("").stderr("DATE PID ERROR need subcommand\n").status(1).run();
    job.program(["subscriber"]).stdout("").stderr("DATE PID ERROR need subcommand\n").status(1).run();
}

#[test]
fn unknown_commands_are_named() {
    let scratch = Scratch::new();
    let job = Job::londiste(scratch.path(), "l", ["dbname=none", "dbname=none"], "q");
    job.program(["foo"]).stdout("").stderr("Unknown command 'foo', use --help for help\n").status(1).run();
    job.program(["provider", "foo"]).stdout("").stderr("DATE PID ERROR bad subcommand: foo\n").status(1).run();
    job.program(["subscriber", "foo"]).stdout("").stderr("DATE PID ERROR bad subcommand: foo\n").status(1).run();
    let job = Job::ticker(scratch.path(), "t", "dbname=none");
    job.program(["foo"]).stdout("").stderr("unknown command\n").status(1).run();
}

#[test]
fn unknown_option_is_a_usage_error() {
    let output = Program::new(["l.ini", "--bogus"]).stdout("").status(2).run();
    assert!(output.stderr.starts_with("Usage: rlondiste [options] INI CMD [subcmd args]\n"), "{}", output.stderr);
    assert!(output.stderr.ends_with("\n\nrlondiste: error: no such option: --bogus\n"), "{}", output.stderr);
}

#[test]
fn version_names_what_it_stands_in_for() {
    let version = concat!("rlondiste ", env!("CARGO_PKG_VERSION"), " (Skytools 2.1 compatible)\n");
    Program::new(["-V"]).stdout(version).stderr("").run();
    Program::new(["--version"]).called("londiste.py").stdout(version).stderr("").run();
}

#[test]
fn help_goes_to_standard_output_and_wins() {
    for arguments in [vec!["-h"], vec!["-V", "-h"], vec!["nofile.ini", "replay", "--help"]] {
        let output = Program::new(arguments).stderr("").run();
        assert!(output.stdout.starts_with("Usage: rlondiste [options] INI CMD"), "{}", output.stdout);
    }
    let output = Program::new(["-h"]).called("pgqadm.py").stderr("").run();
    assert!(output.stdout.starts_with("Usage: pgqadm.py [options] INI CMD"), "{}", output.stdout);
}
