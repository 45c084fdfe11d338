//! The ini files of tickers.

use std::fs;

use super::{Clinic, bad, examine, wait_for};
use crate::support::{Job, Program, wait_until};

#[test]
fn ticker_that_does_not_run_is_named_and_started() {
    let clinic = Clinic::open();
    let ticker = &clinic.r.ticker;
    wait_for(ticker, &[]);
    ticker.stop();
    clinic.r.provider.sql("update pgq.queue set queue_ticker_idle_period = '1 hour'; update plain set v = 'waits'");
    let found = clinic.wait_for(&["tick-age"]);
    assert!(found[0].fact.starts_with("events wait, and the newest tick is "), "{found:?}");
    // Stands for an hour without a tick.
    clinic.r.provider.sql("update pgq.queue set queue_ticker_idle_period = '-1 hour'");
    let found = clinic.wait_for(&["tick-age"]);
    assert_eq!(found[0].fix.as_deref(), Some("rlondiste TICKER-INI ticker -d"));
    let found = wait_for(ticker, &["process", "tick-age"]);
    let process = found.iter().find(|finding| finding.check == "process").unwrap();
    assert_eq!(process.fix, found.iter().find(|finding| finding.check == "tick-age").unwrap().fix);
    clinic.r.provider.sql("update pgq.queue set queue_ticker_idle_period = '200 ms'");
    clinic.mend(process);
    wait_for(ticker, &[]);
    clinic.wait_for(&[]);
}

#[test]
fn tick_of_the_future_is_named() {
    let clinic = Clinic::open();
    clinic.r.londiste.stop();
    let newest = || clinic.r.provider.value("select max(tick_id) from pgq.tick");
    let applied = newest();
    wait_until("there is a tick that replay has not seen", || {
        if newest() == applied { Err(applied.clone()) } else { Ok(()) }
    });
    clinic.r.ticker.stop();
    let set = |time: &str| {
        clinic.r.provider.sql(&format!(
            "update pgq.tick set tick_time = {time} where tick_id = (select max(tick_id) from pgq.tick)"
        ));
    };
    set("now() + interval '1 hour'");
    let found = clinic.wait_for(&["process", "tick-time"]);
    let future = found.iter().find(|finding| finding.check == "tick-time").unwrap();
    assert!(future.fact.contains(" s in the future: the clock of provider"), "{future:?}");
    set("now()");
    clinic.wait_for(&["process"]);
}

#[test]
fn second_ticker_is_named() {
    let clinic = Clinic::open();
    let second =
        Job::ticker(clinic.r.scratch().path(), "second", clinic.r.provider.conninfo()).set("maint_delay", "600");
    second.start();
    let found = wait_for(&clinic.r.ticker, &["two-tickers"]);
    assert!(found[0].fact.contains("(\"second\")") && found[0].fact.contains("(\"db1-ticker\")"), "{found:?}");
    clinic.wait_for(&["two-tickers"]);
    second.stop();
    clinic.wait_for(&[]);
}

#[test]
fn ticker_of_a_server_examines_the_databases_that_have_queues() {
    let clinic = Clinic::open();
    clinic.r.ticker.stop();
    let empty = clinic.provider.database();
    let conninfo = clinic.provider.conninfo("postgres").replace(" dbname=postgres", "");
    let scratch = clinic.r.scratch().path();
    let ini = scratch.join("all.ini");
    let text =
        format!("[pgqd]\nbase_connstr = {conninfo}\nlogfile = all.log\npidfile = all.pid\nticker_period = 0.1\n");
    fs::write(&ini, text).unwrap();
    let program = |word: &str| Program::new([ini.as_os_str(), word.as_ref()]).dir(scratch);
    program("-d").run();
    let text = wait_until("nothing but ok is found", || {
        let output = program("doctor").arg("-v").output();
        if output.status == 0 { Ok(output.stdout) } else { Err(output.stdout) }
    });
    assert!(text.contains(&format!("{}: queue db1-londiste-queue", clinic.r.provider.name())), "{text}");
    assert!(!text.contains(&format!("{}: ", empty.name())), "{text}");
    program("-s").run();
    assert!(bad(&examine(&clinic.r.ticker)).iter().any(|finding| finding.check == "process"));
}
