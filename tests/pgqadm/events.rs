//! Looking into a queue, and at the events that a consumer has put aside.

use pretty_assertions::assert_eq;

use super::Setup;

const HEADER: &str = "ev_id\tev_time\tev_txid\tev_retry\tev_type\tev_data\tev_extra1\tev_extra2\tev_extra3\tev_extra4";

/// Lines of `events` or `failed` without header, time and transaction: `ev_id ev_retry ev_type ...`, joined by `|`.
fn lines(output: &str, header: &str) -> Vec<String> {
    let mut lines = output.lines();
    assert_eq!(lines.next(), Some(header));
    let cut = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let shown = [&fields[..1], &fields[3..]].concat();
        shown.join("|")
    };
    lines.map(cut).collect()
}

fn insert(setup: &Setup, kind: &str, data: &str) {
    setup.database.sql(&format!("select pgq.insert_event('q', '{kind}', {data}, 'public.t', null, '', null)"));
    setup.database.sql("select pgq.force_tick('q')");
    setup.database.sql("select pgq.ticker('q')");
}

#[test]
fn pending_events_are_shown_and_stay_pending() {
    let setup = Setup::with_queues(&["q"]);
    let events = |arguments: &str| lines(&setup.job.run(&format!("events q {arguments}")).stdout, HEADER);
    insert(&setup, "old", "'x'");
    setup.job.run("register q c");
    insert(&setup, "I", "E'a\\tb\\nc\\\\'");
    insert(&setup, "U", "null");
    let ids = setup.database.column("select ev_id from pgq.event_1 order by 1");
    let expected = [
        format!("{}|0|old|x|public.t|\\N||\\N", ids[0]),
        format!("{}|0|I|a\\tb\\nc\\\\|public.t|\\N||\\N", ids[1]),
        format!("{}|0|U|\\N|public.t|\\N||\\N", ids[2]),
    ];
    assert_eq!(events(""), expected);
    for _ in 0..2 {
        assert_eq!(events("--consumer c"), expected[1..]);
    }
    assert_eq!(events("--consumer c --limit 1"), expected[1..2]);

    // Also while it has a batch open, and no longer when it has finished it.
    let batch = setup.database.value("select pgq.next_batch('q', 'c')");
    assert_eq!(events("--consumer c"), expected[1..]);
    setup.database.sql(&format!("select pgq.finish_batch({batch})"));
    assert_eq!(events("--consumer c"), expected[2..]);

    let json: serde_json::Value = serde_json::from_str(&setup.job.run("events q --limit 2 --json").stdout).unwrap();
    assert_eq!(
        (&json["queue"], &json["consumer"], &json["more"]),
        (&"q".into(), &serde_json::Value::Null, &true.into())
    );
    assert_eq!(json["events"][1]["ev_data"], "a\tb\nc\\");
    assert_eq!(json["events"][1]["ev_extra1"], "public.t");
}

#[test]
fn events_of_unknown_queues_and_consumers_are_refused() {
    let setup = Setup::with_queues(&["q"]);
    let place = setup.place();
    for (command, message) in [
        ("events nope", format!("no such queue: nope (on provider, {place})")),
        ("events q --consumer c", format!("no such consumer: c is not registered on queue q (on provider, {place})")),
        ("failed q c", format!("no such consumer: c is not registered on queue q (on provider, {place})")),
    ] {
        let output = setup.job.program(command.split(' ')).stdout("").status(1).run();
        assert!(output.stderr.contains(&message), "{command}: no {message:?} in\n{}", output.stderr);
    }
}

#[test]
fn failed_events_are_listed_retried_and_deleted() {
    let setup = Setup::with_queues(&["q"]);
    let header = format!("{HEADER}\tev_failed_time\tev_failed_reason");
    let failed = || {
        let lines = lines(&setup.job.run("failed q c").stdout, &header);
        // Without the time of the failure.
        let cut = |line: &String| {
            line.split('|').enumerate().filter(|(i, _)| *i != 8).map(|(_, f)| f).collect::<Vec<_>>().join("|")
        };
        lines.iter().map(cut).collect::<Vec<_>>()
    };
    setup.job.run("register q c");
    assert_eq!(failed(), Vec::<String>::new());
    insert(&setup, "I", "'one'");
    insert(&setup, "I", "'two'");
    for reason in ["bad", "worse"] {
        let batch = setup.database.value("select pgq.next_batch('q', 'c')");
        setup.database.sql(&format!(
            "select pgq.event_failed({batch}, ev_id, '{reason}') from pgq.get_batch_events({batch});
             select pgq.finish_batch({batch})"
        ));
    }
    let ids = setup.database.column("select ev_id from pgq.failed_queue order by 1");
    assert_eq!(
        failed(),
        [format!("{}|0|I|one|public.t|\\N||\\N|bad", ids[0]), format!("{}|0|I|two|public.t|\\N||\\N|worse", ids[1])]
    );
    setup.says(
        &format!("failed q c --retry {}", ids[0]),
        &[&format!("DATE PID INFO Retrying event {} of consumer c on queue q", ids[0])],
    );
    setup.says(
        &format!("failed q c --delete {}", ids[1]),
        &[&format!("DATE PID INFO Deleting event {} of consumer c on queue q", ids[1])],
    );
    assert_eq!(failed(), Vec::<String>::new());
    let output = setup.job.program(["failed", "q", "c", "--retry", &ids[1]]).stdout("").status(1).run();
    assert!(output.stderr.contains("event not found (42704)"), "{}", output.stderr);
    let pending = lines(&setup.job.run("events q --consumer c").stdout, HEADER);
    assert_eq!(pending, [format!("{}|0|I|one|public.t|\\N||\\N", ids[0])]);
}
