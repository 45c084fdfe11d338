//! Options and words of the command line, and what is said when they cannot be used. No server is needed.

use crate::support::{Job, Program, Scratch, Sleeper};

const USAGE: &str = "Usage: londiste.py [options] INI CMD [subcmd args]\n";

fn londiste<const N: usize>(args: [&str; N]) -> Program {
    Program::new(args).called("londiste.py").stdout("")
}

fn pgqadm<const N: usize>(args: [&str; N]) -> Program {
    Program::new(args).called("pgqadm.py").stdout("")
}

#[test]
fn too_few_words_are_named_on_standard_error() {
    for name in ["rlondiste", "pgqadm.py", "londiste.py"] {
        Program::new([""; 0]).called(name).stdout("").stderr("need config file\n").status(1).run();
        Program::new(["x.ini"]).called(name).stdout("").stderr("need command\n").status(1).run();
    }
    Program::new(["londiste", "x.ini"]).stdout("").stderr("need command\n").status(1).run();
}

#[test]
fn unknown_words_are_named() {
    let scratch = Scratch::new();
    let job = Job::londiste(scratch.path(), "l", ["dbname=none", "dbname=none"], "q");
    for (args, text) in [
        ("foo", "Unknown command 'foo', use --help for help\n"),
        ("ticker", "Unknown command 'ticker', use --help for help\n"),
        ("upgrade", "Unknown command 'upgrade', use --help for help\n"),
        ("provider", "DATE PID ERROR need subcommand\n"),
        ("subscriber", "DATE PID ERROR need subcommand\n"),
        ("provider foo", "DATE PID ERROR bad subcommand: foo\n"),
        ("subscriber foo", "DATE PID ERROR bad subcommand: foo\n"),
    ] {
        job.program(args.split(' ')).stdout("").stderr(text).status(1).run();
    }
    let job = Job::ticker(scratch.path(), "t", "dbname=none");
    for command in ["foo", "replay"] {
        let text = format!("Unknown command '{command}', use --help for help\n");
        job.program([command]).stdout("").stderr(text).status(1).run();
    }
}

#[test]
fn what_cannot_be_read_is_a_usage_error() {
    for (arg, text) in [
        ("--bogus", "no such option: --bogus"),
        ("-x", "no such option: -x"),
        ("--s", "ambiguous option: --s (--skip-truncate, --stop?)"),
        ("--all=1", "--all option does not take a value"),
        ("--timeout", "--timeout option requires an argument"),
        ("--timeout=soon", "option --timeout: invalid value: 'soon': invalid digit found in string"),
    ] {
        let text = format!("{USAGE}\nlondiste.py: error: {text}\n");
        londiste(["x.ini", "provider", "tables", arg]).stderr(text).status(2).run();
    }
}

const ALL: &str = "provider add, provider remove, provider refresh, provider add-seq, provider remove-seq, subscriber add, \
                   subscriber remove, subscriber add-seq, subscriber remove-seq, subscriber resync";

#[test]
fn option_that_the_command_cannot_use_is_a_usage_error() {
    let scratch = Scratch::new();
    let job = Job::londiste(scratch.path(), "l", ["dbname=none", "dbname=none"], "q");
    for (args, option, command, commands) in [
        ("replay --force", "force", "replay", "subscriber add, compare, repair"),
        ("copy --force", "force", "copy", "subscriber add, compare, repair"),
        ("--rewind --force", "force", "--rewind", "subscriber add, compare, repair"),
        ("replay --all", "all", "replay", ALL),
        ("compare --all", "all", "compare", ALL),
        ("repair --expect-sync", "expect-sync", "repair", "subscriber add"),
        ("provider add t --skip-truncate", "skip-truncate", "provider add", "subscriber add"),
        ("subscriber add --all --rewind", "all", "--rewind", ALL),
        ("provider tables --all --reset", "all", "--reset", ALL),
        ("subscriber seqs --key=a", "key", "subscriber seqs", "provider add"),
        ("compare -d", "daemon", "compare", "up, replay, copy"),
        ("provider add --all -d", "daemon", "provider add", "up, replay, copy"),
        ("subscriber seqs -d", "daemon", "subscriber seqs", "up, replay, copy"),
    ] {
        let text = format!("option --{option} cannot be used with \"{command}\"; it is for {commands}");
        let text = format!("{USAGE}\nlondiste.py: error: {text}\n");
        job.program(args.split(' ')).called("londiste.py").stdout("").stderr(text).status(2).run();
    }
    assert!(!job.log_path().exists());
}

#[test]
fn command_that_lacks_a_word_does_nothing() {
    let scratch = Scratch::new();
    let job = Job::ticker(scratch.path(), "t", "dbname=none");
    for (args, text) in [
        ("create", "create needs a queue name: create QNAME"),
        ("register q", "register needs a consumer name: register QNAME CONS"),
        ("drop q1 q2", "drop has no use for \"q2\": drop QNAME"),
        ("failed q c --retry=1 --delete=1", "--retry and --delete cannot be used together: failed QNAME CONS"),
    ] {
        let text = format!("Usage: pgqadm.py [options] INI CMD [subcmd args]\n\npgqadm.py: error: {text}\n");
        job.program(args.split(' ')).called("pgqadm.py").stdout("").stderr(text).status(2).run();
    }
}

#[test]
fn version_needs_no_ini_file() {
    let version = format!("rlondiste {} (Skytools 2.1 compatible)\n", env!("CARGO_PKG_VERSION"));
    for option in ["-V", "--version", "--vers"] {
        Program::new([option]).stdout(version.as_str()).stderr("").run();
        Program::new(["x.ini", "replay", option]).called("londiste.py").stdout(version.as_str()).stderr("").run();
    }
}

#[test]
fn sample_ini_files_are_the_examples() {
    Program::new(["--ini", "pgqadm"]).stdout(include_str!("../../examples/pgqadm.ini")).stderr("").run();
    Program::new(["--ini=londiste"]).stdout(include_str!("../../examples/londiste.ini")).stderr("").run();
}

#[test]
fn help_beats_everything_else() {
    let help = Program::new(["-h"]).called("pgqadm.py").stderr("").run().stdout;
    for args in [["-V", "-h"], ["-h", "-V"], ["--help", "x.ini"], ["-dh", "ticker"]] {
        Program::new(args).called("pgqadm.py").stdout(help.as_str()).stderr("").run();
    }
}

#[test]
fn help_is_of_the_program_that_was_called() {
    let both = Program::new(["-h"]).stderr("").run().stdout;
    let ticker = Program::new(["-h"]).called("pgqadm").stderr("").run().stdout;
    let londiste = Program::new(["-h"]).called("londiste").stderr("").run().stdout;
    for (text, ours, others) in [
        (&ticker, ["  ticker ", "  create QNAME ", "--consumer"], ["  replay ", "  provider add ", "--rewind"]),
        (&londiste, ["  replay ", "  provider add ", "--rewind"], ["  ticker ", "  create QNAME ", "--consumer"]),
    ] {
        for word in ours {
            assert!(text.contains(word) && both.contains(word), "no {word:?} in\n{text}\nor\n{both}");
        }
        assert!(!others.iter().any(|word| text.contains(word)), "{text}");
    }
    assert!(ticker.starts_with("Usage: pgqadm [options] INI CMD [subcmd args]\n"), "{ticker}");
}

#[test]
fn help_is_of_the_command_that_was_given() {
    let compare = Program::new(["help", "compare"]).stderr("").run().stdout;
    assert!(compare.contains("INI compare [TBL ...]"), "{compare}");
    for args in ["x.ini compare --help", "compare -h", "--help londiste x.ini compare public.t --online"] {
        Program::new(args.split(' ')).stdout(compare.as_str()).stderr("").run();
    }
    let all = Program::new(["help", "subscriber"]).stderr("").run().stdout;
    Program::new(["x.ini", "subscriber", "--help"]).stdout(all.as_str()).stderr("").run();
    let short = Program::new(["-h"]).stderr("").run().stdout;
    Program::new(["x.ini", "nothing", "--help"]).stdout(short.as_str()).stderr("").run();
}

#[test]
fn help_has_every_command_and_option_of_the_original() {
    let help = Program::new(["-h"]).called("londiste.py").stderr("").run().stdout;
    let commands = "replay|provider install|provider add TBL ...|provider remove TBL ...|provider tables|provider add-seq SEQ ...|\
        provider remove-seq SEQ ...|provider seqs|subscriber install|subscriber add TBL ...|subscriber remove TBL ...|\
        subscriber add-seq SEQ ...|subscriber remove-seq SEQ ...|subscriber tables|subscriber seqs|subscriber missing|\
        subscriber check|subscriber resync TBL ...|subscriber fkeys [pending|subscriber triggers [pending|\
        subscriber restore-triggers TBL [TGNAME ...]|subscriber register|subscriber unregister|compare [TBL ...]|\
        repair [TBL ...]|copy";
    for command in commands.split('|') {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "no {command:?} in\n{help}");
    }
    for option in [
        "-h, --help",
        "-q, --quiet",
        "-v, --verbose",
        "-d, --daemon",
        "-V, --version",
        "-r, --reload",
        "-s, --stop",
        "-k, --kill",
        "--all",
        "--force",
        "--expect-sync",
        "--skip-truncate",
        "--rewind",
        "--reset",
    ] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(option)), "no {option:?} in\n{help}");
    }
}

#[test]
fn closed_standard_output_is_no_error() {
    let output = std::process::Command::new("sh")
        .args(["-c", "{ \"$0\" -h; echo $? >&2; } | true", env!("CARGO_BIN_EXE_rlondiste")])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "0\n");
}

#[test]
fn pgqadm_by_its_own_name_has_its_own_usage() {
    let text = "Usage: pgqadm.py [options] INI CMD [subcmd args]\n\npgqadm.py: error: no such option: --bogus\n";
    pgqadm(["--bogus"]).stderr(text).status(2).run();
}

#[test]
fn options_may_stand_anywhere_and_the_first_word_is_the_ini_file() {
    let scratch = Scratch::new();
    let job = Job::londiste(scratch.path(), "l", ["dbname=none", "dbname=none"], "q");
    let nothing = "DATE PID WARNING No pidfile, process not running\n";
    for args in ["-s l.ini", "l.ini -s", "l.ini -s replay", "l.ini replay -s", "--verb l.ini -qs replay", "-s -- l.ini"]
    {
        Program::new(args.split(' ')).dir(scratch.path()).stdout("").stderr(nothing).run();
    }
    // The last one counts.
    let mut sleeper = Sleeper::with_pidfile(&job.pidfile());
    job.program(["-s", "-k", "-r"]).stdout("").stderr("").run();
    assert_eq!(sleeper.ended_by(), Some(nix::sys::signal::Signal::SIGHUP));
    let text = "londiste.py: Config file not found: provider\nHINT: The first word after the options is the ini file; \
                \"rlondiste --ini londiste\" and \"rlondiste --ini pgqadm\" print samples to start from.\n";
    let wrong_order = ["provider", "l.ini", "seqs"];
    londiste(wrong_order).dir(scratch.path()).stderr(text).status(1).run();
    // What stands after "--" is a word.
    let text = "Unknown command '--all', use --help for help\n";
    londiste(["l.ini", "--", "--all"]).dir(scratch.path()).stderr(text).status(1).run();
}
