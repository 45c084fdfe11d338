//! What is said of an ini file that cannot be used, or not as it is written: file, line, section and key, and what to write.

use crate::support::{Job, Program, Replication, Scratch};

#[test]
fn files_that_cannot_be_read_are_refused_whatever_the_command() {
    let scratch = Scratch::new();
    for (text, message) in [
        (
            "junk\n",
            "x.ini:1: this line stands before the first section; start with a line such as [londiste] or [pgqadm]",
        ),
        ("\u{feff}[londiste]\n", "x.ini:1: the file starts with a UTF-8 byte order mark; save it without one"),
        (
            "[londiste]\njob_name = x\nl\n",
            "x.ini:3: this line is not \"key = value\"; a comment starts with \"#\" in the first column, a continued value is \
             indented",
        ),
        (
            "[Londiste]\na = b\n",
            "x.ini: Wrong config file, no section 'londiste': it has [Londiste]; put the keys below a line [londiste]",
        ),
        ("", "x.ini: Wrong config file, no section 'londiste': it is empty; put the keys below a line [londiste]"),
    ] {
        scratch.write("x.ini", text);
        assert_refused(&scratch, &["provider seqs", "replay", "replay -d", "compare", "-s"], message);
    }
    scratch.write("x.ini", "[londiste]\njob_name = a\n");
    let message = "x.ini: section [londiste], key \"provider_db\": not set; add a line such as \"provider_db = dbname=shop \
                   host=provider.example.com\"";
    assert_refused(&scratch, &["provider seqs", "replay", "replay -d", "compare"], message);
}

fn assert_refused(scratch: &Scratch, commands: &[&str], message: &str) {
    for command in commands {
        let program = Program::new(["x.ini"].into_iter().chain(command.split(' '))).called("londiste.py");
        program.dir(scratch.path()).stdout("").stderr(format!("londiste.py: {message}\n")).status(1).run();
    }
}

#[test]
fn values_that_cannot_be_used_are_refused_with_what_is_allowed() {
    let scratch = Scratch::new();
    for (key, value, message) in [
        ("loop_delay", "abc", "\"abc\" is not a number of seconds; write for example 30, 0.5 or 5min"),
        ("log_count", "x", "\"x\" is not a whole number, 0 or greater"),
        ("fake", "maybe", "\"maybe\" is not 0 or 1"),
        ("method", "file_write", "\"file_write\" is not allowed here; write \"direct\""),
        ("job_name", "%(nope)s", "it refers to %(nope)s, but no key \"nope\" is set in this section"),
        ("job_name", "50%", "it has a \"%\" without \"%\" or \"(name)s\" after it; write %% for a single %"),
    ] {
        let job = Job::londiste(scratch.path(), "l", ["dbname=none", "dbname=none"], "q").set(key, value);
        let ini = std::fs::read_to_string(job.ini()).unwrap();
        let line = 1 + ini.lines().position(|line| line.starts_with(key)).unwrap();
        let text = format!("rlondiste: {}:{line}: section [londiste], key \"{key}\": {message}\n", job.ini().display());
        for command in ["provider add t", "replay", "replay -d"] {
            job.program(command.split(' ')).stdout("").stderr(text.as_str()).status(1).run();
        }
        assert!(!job.log_path().exists());
    }
}

#[test]
fn what_is_not_used_is_a_warning_and_the_command_is_run() {
    let r = Replication::new().with_table("t", "id int primary key");
    r.install();
    r.londiste.run("provider add t");
    let ini = r.londiste.ini().display().to_string();
    let mut job = r.londiste;
    for (key, value, text) in [
        (
            "use_skylog",
            "1",
            ": use_skylog is not supported: skylog.ini is not read; use \"logfile\" and \"log_format\" instead",
        ),
        ("log_file", "x", ":LINE: section [londiste]: unknown key \"log_file\" is ignored; did you mean \"logfile\"?"),
        ("colour", "red", ":LINE: section [londiste]: unknown key \"colour\" is ignored"),
    ] {
        job.configure(key, value);
        let line = std::fs::read_to_string(job.ini()).unwrap().lines().count();
        let warning = format!("DATE PID WARNING {ini}{}\n", text.replace("LINE", &line.to_string()));
        job.program(["provider", "tables"]).stdout("public.t\n").stderr(warning.as_str()).run();
        // Of a daemon the terminal and the log have it.
        job.log_contains(warning.strip_prefix("DATE PID ").unwrap(), || {
            job.program(["replay", "-d"]).stdout("").stderr(warning.as_str()).run()
        });
        job.stop();
        job.unset(key);
    }
}
