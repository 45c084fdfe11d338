//! The tutorial, command by command, in its order.

use std::fmt::Write as _;

use crate::support::{Job, Program, Replication, assert_same_rows, compare_tables, shop};

const NOTHING: &[&str] = &[];
const PLPGSQL: &str = "plpgsql is installed";
const TXID: &str = "txid_current_snapshot is installed";
const READING: &str = concat!("  Reading from rlondiste ", env!("CARGO_PKG_VERSION"));

/// How the user calls the program.
#[derive(Clone, Copy)]
enum Call {
    /// `rlondiste INI ...`: the ini file's section decides.
    Section,
    /// `pgqadm.py INI ...`, `londiste.py INI ...`: symbolic links.
    Link,
    /// `rlondiste ticker INI ...`, `rlondiste londiste INI ...`.
    Word,
}

impl Call {
    /// The program with the arguments that the tutorial gives to `pgqadm.py` or `londiste.py`.
    fn program(self, job: &Job, arguments: &str) -> Program {
        let ini = job.ini();
        let arguments = arguments.split(' ').map(|arg| if arg == "INI" { ini.to_str().unwrap() } else { arg });
        let (link, word) =
            if job.name() == "db1-ticker" { ("pgqadm.py", "ticker") } else { ("londiste.py", "londiste") };
        let program = match self {
            Call::Section => Program::new(arguments),
            Call::Link => Program::new(arguments).called(link),
            Call::Word => Program::new(std::iter::once(word).chain(arguments)),
        };
        program.dir(ini.parent().unwrap())
    }

    /// Runs it; it prints these messages, all of level INFO.
    #[track_caller]
    fn run<M: AsRef<str>>(self, job: &Job, arguments: &str, messages: &[M]) {
        let mut stderr = String::new();
        for message in messages {
            let _ = writeln!(stderr, "DATE PID INFO {}", message.as_ref());
        }
        self.program(job, arguments).stdout("").stderr(stderr).run();
    }
}

#[test]
fn tutorial_works_by_the_section_of_the_ini_file() {
    follow(Call::Section);
}

#[test]
fn tutorial_works_through_links_with_the_old_names() {
    follow(Call::Link);
}

#[test]
fn tutorial_works_with_the_program_as_the_first_word() {
    follow(Call::Word);
}

fn follow(call: Call) {
    let mut r = Replication::new().with_shop();
    // As the tutorial has it; the queue's own defaults stay too.
    r.ticker.configure("maint_delay", "600");
    r.ticker.configure("loop_delay", "0.1");
    r.londiste.unset("loop_delay");
    r.londiste.configure("log_size", "5242880");
    r.londiste.configure("log_count", "3");

    call.run(&r.ticker, "INI install", &[PLPGSQL, TXID, "Installing pgq", READING]);
    call.run(&r.ticker, "INI ticker -d", NOTHING);
    call.program(&r.londiste, "-s INI").stdout("").stderr("DATE PID WARNING No pidfile, process not running\n").run();
    let londiste = ["Installing londiste", READING];
    call.run(&r.londiste, "INI provider install", &[&[PLPGSQL, TXID, "pgq is installed"], &londiste[..]].concat());
    call.run(&r.londiste, "INI subscriber install", &[&[PLPGSQL], &londiste[..]].concat());
    call.run(&r.londiste, "INI replay -d", NOTHING);
    let load = shop::crowd(&r.provider);
    let (checking, adding) =
        (shop::TABLES.map(|t| format!("Checking {t}")), shop::TABLES.map(|t| format!("Adding {t}")));
    call.run(&r.londiste, "INI provider add --all", &adding);
    call.run(&r.londiste, "INI subscriber add --all", &[checking, adding].concat());
    call.run(&r.londiste, "INI provider add-seq --all", NOTHING);
    call.run(&r.londiste, "INI subscriber add-seq --all", &shop::SEQUENCES.map(|s| format!("Adding sequence: {s}")));
    r.wait_until_ok();
    load.stop();

    call.program(&r.londiste, "INI subscriber tables").stdout(all_ok(&r)).stderr("").run();
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &compare_tables(&r.provider));
    r.assert_sequences_in_sync();
    call.program(&r.londiste, "-s INI").stdout("").stderr("").run();
}

/// `subscriber tables` when all is done, to the byte; the order is that of registration.
fn all_ok(r: &Replication) -> String {
    let mut names = r.subscriber.column("select table_name from londiste.subscriber_table order by nr");
    let mut text = "Table                                           State\n".to_owned();
    for name in &names {
        let _ = writeln!(text, "{name:<30}   {:>20}", "ok");
    }
    names.sort();
    assert_eq!(names, shop::TABLES);
    text
}
