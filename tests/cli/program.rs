//! Which of the two programs runs. `-s` tells: it says what it found by the pidfile of the section that it read.

use crate::support::{Program, Scratch};

const BOTH: &str = "[pgqadm]\njob_name = t\ndb = dbname=none\n\n[londiste]\njob_name = l\npidfile = l.pid\n\
                    provider_db = dbname=none\nsubscriber_db = dbname=none\npgq_queue_name = q\n";

const TICKER: &str = "DATE PID WARNING No pidfile in config, nothing todo\n";
const LONDISTE: &str = "DATE PID WARNING No pidfile, process not running\n";

#[test]
fn name_of_the_link_decides() {
    let scratch = Scratch::new();
    let ini = scratch.write("both.ini", BOTH);
    for (name, found) in
        [("pgqd", TICKER), ("pgqadm", TICKER), ("pgqadm.py", TICKER), ("londiste", LONDISTE), ("londiste.py", LONDISTE)]
    {
        Program::new([ini.as_os_str(), "-s".as_ref()]).called(name).stdout("").stderr(found).run();
    }
}

#[test]
fn first_word_decides() {
    let scratch = Scratch::new();
    let ini = scratch.write("both.ini", BOTH);
    for (word, found) in [("ticker", TICKER), ("pgqadm", TICKER), ("londiste", LONDISTE)] {
        Program::new([word.as_ref(), ini.as_os_str(), "-s".as_ref()]).stdout("").stderr(found).run();
        Program::new(["-s".as_ref(), word.as_ref(), ini.as_os_str()]).stdout("").stderr(found).run();
    }
}

#[test]
fn section_decides() {
    let scratch = Scratch::new();
    let (ticker, londiste) = BOTH.split_once("\n\n").unwrap();
    for (text, found) in [(ticker, TICKER), (londiste, LONDISTE)] {
        let ini = scratch.write("one.ini", text);
        Program::new([ini.as_os_str(), "-s".as_ref()]).stdout("").stderr(found).run();
    }
}

#[test]
fn with_both_sections_the_command_decides() {
    let scratch = Scratch::new();
    let ini = scratch.write("both.ini", BOTH);
    for (command, found) in [("status", TICKER), ("replay", LONDISTE), ("provider", LONDISTE)] {
        let program = Program::new([ini.as_os_str(), command.as_ref(), "-s".as_ref()]);
        program.stdout("").stderr(found).run();
    }
    let output = Program::new([ini.as_os_str(), "-s".as_ref()]).stdout("").status(2).run();
    for words in ["[pgqadm] and [londiste]", "\"rlondiste ticker ", "\"rlondiste londiste "] {
        assert!(output.stderr.contains(words), "{}", output.stderr);
    }
}

#[test]
fn file_with_neither_section_is_named() {
    let scratch = Scratch::new();
    let ini = scratch.write("x.ini", "[other]\na = b\n");
    let output = Program::new([ini.as_os_str(), "ticker".as_ref()]).stdout("").status(1).run();
    for words in [ini.to_str().unwrap(), "no section 'pgqadm' or 'londiste'"] {
        assert!(output.stderr.contains(words), "{}", output.stderr);
    }
}
