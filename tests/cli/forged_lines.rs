//! Values from databases and from users in log lines and on terminals: none makes a line of its own, none moves the cursor,
//! and none fills the log.

use std::fs;

use crate::support::{QUEUE, Replication, Scratch, Terminal};

/// A line as the log writes it.
const FORGED: &str = "2026-11-22 06:57:52,294 1 CRITICAL Job db1-londiste crashed: forged";

/// A value with everything that could make a line of its own or talk to a terminal.
fn value() -> String {
    format!("odd\n{FORGED}\nHINT: forged\r\x1b[2J\x07\u{85}\u{9b}1m\u{2028}\u{202e}end")
}

/// That each line is one of the log's own, with nothing in it that a terminal or a reader takes for a command.
#[track_caller]
fn assert_plain(text: &str) {
    for line in text.lines() {
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(!line.starts_with(FORGED) && line != "HINT: forged", "{text}");
    }
}

#[test]
fn types_and_keys_of_events_stay_in_their_line() {
    let r = Replication::new().with_table("t", "id text primary key").up();
    // A key is shown up to 60 characters.
    let insert = "insert into t values ($v$odd\nHINT: forged\r\x1b[2J\x07\u{9b}end$v$)";
    r.provider.sql(&format!("select pgq.insert_event('{QUEUE}', $v${}$v$, '')", value()));
    r.londiste.wait_for_log("Unknown op odd");
    r.subscriber.sql(insert);
    r.provider.sql(insert);
    r.londiste.wait_for_log("(23505)");
    let log = r.londiste.log();
    assert_plain(&log);
    assert!(log.contains("Unknown op odd\\n2026-11-22 06:57:52,294"), "{log}");
    assert!(log.contains(", key id=odd\\nHINT: forged\\r\\u{1b}[2J\\u{7}\\u{9b}end on "), "{log}");
    // DETAIL and HINT of the report itself are lines as before.
    assert!(log.contains("\nDETAIL: Key (id)=(odd"), "{log}");
    assert!(log.contains("\nHINT: \"rlondiste INI subscriber skip-event "), "{log}");
}

#[test]
fn messages_of_a_server_stay_in_their_line() {
    let r = Replication::new().with_table("t", "id int primary key").up();
    let message = value().replace("odd\n", "odd\x0b");
    r.subscriber.sql(&format!(
        "create function refuse() returns trigger language plpgsql as $f$
         begin raise exception using message = $v${message}$v$, detail = $v${message}$v$, hint = $v${message}$v$; end $f$;
         create trigger refuse before insert on t for each row execute procedure refuse();
         alter table t enable always trigger refuse"
    ));
    r.provider.sql("insert into t values (1)");
    r.londiste.wait_for_log("CRITICAL");
    let log = r.londiste.log();
    assert_plain(&log);
    assert!(log.contains("odd\\x0b2026-11-22"), "{log}");
}

#[test]
fn long_values_are_cut_and_their_length_told() {
    let r = Replication::new().with_table("t", "id text primary key").up();
    r.provider.sql(&format!("select pgq.insert_event('{QUEUE}', repeat('x', 500000) || 'end', '')"));
    r.londiste.wait_for_log("Unknown op xxx");
    r.subscriber.sql(
        "create function refuse() returns trigger language plpgsql as $f$
         begin raise exception using message = repeat('y', 500000) || 'end'; end $f$;
         create trigger refuse before insert on t for each row execute procedure refuse();
         alter table t enable always trigger refuse",
    );
    r.provider.sql("insert into t values ('1')");
    r.londiste.wait_for_log("yend (P0001)");
    let log = r.londiste.log();
    let line = |text: &str| log.lines().find(|line| line.contains(text)).unwrap();
    assert!(line("Unknown op").contains("... (500003 bytes) (event "), "{}", line("Unknown op"));
    let line = line("yend (P0001)");
    assert!(line.len() < 10_000, "{} bytes", line.len());
    let told: usize = line.split("... [").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap();
    assert!((500_000..501_000).contains(&told), "{told}");
}

#[test]
fn words_of_the_command_line_stay_in_their_line() {
    let r = Replication::new();
    r.ticker.run("install");
    let queue = value();
    for args in [["create", &queue], ["config", "no such\x1b[2J\nqueue"], ["\x1b[2J\nbogus", "x"]] {
        let output = r.ticker.program(args).output();
        assert!(!output.stderr.is_empty());
        assert_plain(&output.stderr);
        assert!(output.stderr.contains("\\x1b[2J"), "{}", output.stderr);
    }
    assert_plain(&r.ticker.log());
}

#[test]
fn terminal_gets_no_commands_from_a_database() {
    let r = Replication::new();
    r.ticker.run("install");
    // Of another program: our functions refuse such a name.
    r.provider.sql("select pgq.create_queue('q'); update pgq.queue set queue_name = E'red\\x1b[31m\\x07'");
    let (terminal, scratch) = (Terminal::new(), Scratch::new());
    let mut config = r.ticker.program(["config"]).spawn_with_stdout_on(&scratch, &terminal);
    assert_eq!(config.wait().unwrap().code(), Some(0));
    terminal.wait_for_line(&["ticker_max_count"]);
    let drawn = terminal.drawn();
    assert!(drawn.contains("red\\x1b[31m\\x07"), "{drawn:?}");
    assert!(!drawn.contains(['\x1b', '\x07']), "{drawn:?}");
    // Programs get the bytes as they are.
    let piped = r.ticker.program(["config"]).run();
    assert!(piped.stdout.starts_with("red\x1b[31m\x07\n"), "{}", piped.stdout);
    assert_eq!(fs::read_to_string(scratch.path().join("stderr")).unwrap(), "");
}
