//! What batches bring of sequences.

use crate::support::{Cluster, QUEUE, Replication, wait_until};

/// A batch, which brings the sequences too.
fn batch(r: &Replication, id: usize) {
    r.provider.sql(&format!("insert into t values ({id})"));
    r.replay_until_in_sync();
    assert_eq!(r.subscriber.value(&format!("select count(*) from t where id = {id}")), "1");
}

fn with_sequences(r: Replication, names: &[String]) -> Replication {
    let sequences: Vec<String> = names.iter().map(|name| format!("create sequence if not exists {name}")).collect();
    let r = r.with_table("t", "id int primary key").with_schema(&sequences.join(";")).up();
    r.londiste.run(&format!("provider add-seq {}", names.join(" ")));
    r.londiste.run(&format!("subscriber add-seq {}", names.join(" ")));
    r
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn whether_a_sequence_was_called_is_kept() {
    let r = Replication::new();
    r.subscriber.sql("create sequence fresh start 50");
    let r = with_sequences(r, &names(&["fresh", "called", "reset"]));
    r.provider.sql("select nextval('called'); select setval('reset', 10, true)");
    batch(&r, 1);
    r.provider.sql("select setval('reset', 10, false)");
    batch(&r, 2);
    let state = "select last_value, is_called from fresh union all select last_value, is_called from called
                 union all select last_value, is_called from reset";
    assert_eq!(r.subscriber.rows(state), [["1", "f"], ["1", "t"], ["10", "f"]]);
    assert_eq!(r.subscriber.rows("select nextval('fresh'), nextval('called'), nextval('reset')"), [["1", "2", "10"]]);
}

#[test]
fn a_dropped_sequence_is_reported_once_and_holds_up_nothing() {
    let r = with_sequences(Replication::new(), &names(&["here", "gone_there", "gone_here"]));
    r.provider.sql("select setval('gone_here', 5)");
    batch(&r, 1);
    r.provider.sql("drop sequence gone_there");
    r.subscriber.sql("drop sequence gone_here");
    r.provider.sql("select setval('here', 77)");
    for id in 2..5 {
        batch(&r, id);
    }
    assert_eq!(r.subscriber.value("select last_value from here"), "77");
    let log = r.londiste.log();
    for (name, side) in [("gone_there", "provider"), ("gone_here", "subscriber")] {
        let said = format!("WARNING Seq public.{name} does not exist on {side} side, its value is not replicated");
        assert_eq!(log.matches(&said).count(), 1, "{log}");
    }
    assert!(!log.contains("crashed"), "{log}");
    // Made again, it follows again, though its value has not changed on the provider.
    r.subscriber.sql("create sequence gone_here");
    batch(&r, 5);
    assert_eq!(r.subscriber.value("select last_value from gone_here"), "5");
}

/// Replay sees a sequence, then waits for the lock of a transaction that drops it, and one that makes its bounds narrower.
#[test]
fn a_sequence_that_is_dropped_or_altered_before_it_is_set_is_reported_without_an_error() {
    let r = with_sequences(Replication::new(), &names(&["fine", "gone", "narrow"]));
    batch(&r, 1);
    let waiting =
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    for (id, change) in [(2, "drop sequence gone"), (3, "alter sequence narrow maxvalue 8")] {
        let session = r.subscriber.session();
        session.sql(&format!("begin; {change}"));
        r.provider.sql(&format!(
            "select setval('fine', {id}), setval('gone', {id}), setval('narrow', {}); insert into t values ({id});
             select pgq.force_tick('{QUEUE}')",
            id * id
        ));
        wait_until("replay waits for the lock", || match r.subscriber.value(waiting).as_str() {
            "0" => Err("it does not".to_owned()),
            _ => Ok(()),
        });
        session.sql("commit");
        batch(&r, id + 10);
    }
    assert_eq!(r.subscriber.rows("select f.last_value, n.last_value from fine f, narrow n"), [["3", "4"]]);
    let log = r.londiste.log();
    for (name, change) in
        [("gone", " does not exist on subscriber side"), ("narrow", ": value 9 of provider is out of the bounds")]
    {
        assert_eq!(log.matches(&format!("WARNING Seq public.{name}{change}")).count(), 1, "{log}");
    }
    assert!(!log.contains("ERROR") && !log.contains("crashed"), "{log}");
}

/// What replay has sent to the servers, by their logs.
pub(super) fn statements(r: &Replication, servers: [&Cluster; 2]) -> [Vec<String>; 2] {
    let of = |database: &str, server: &Cluster| {
        let session = format!(" {database} {} LOG:  ", r.londiste.name());
        let log = server.log();
        let lines = log.lines().filter_map(|line| Some(line.split_once(&session)?.1.to_owned()));
        lines.filter(|said| said.starts_with("statement") || said.starts_with("execute")).collect()
    };
    [of(r.provider.name(), servers[0]), of(r.subscriber.name(), servers[1])]
}

/// How many statements each server gets for a batch in which each of so many sequences moves, with the look for the next.
fn statements_of_a_batch(servers: [&Cluster; 2], count: usize) -> [usize; 2] {
    let list: Vec<String> = (0..count).map(|i| format!("s{i}")).collect();
    let mut r = with_sequences(Replication::between(servers[0], servers[1]), &list);
    batch(&r, 0);
    wait_until("no snapshot is left", || {
        let left = r.subscriber.column("select table_name from londiste.subscriber_table where snapshot is not null");
        if left.is_empty() { Ok(()) } else { Err(left.join(" ")) }
    });
    r.ticker.stop();
    r.londiste.stop();
    // Only ticks wake it: without them it asks for nothing.
    r.londiste.configure("loop_delay", "600");
    r.londiste.start();
    let mut sent = [[0; 2]; 8];
    for (i, sent) in sent.iter_mut().enumerate() {
        r.provider.sql(&format!(
            "select nextval(seq_name) from londiste.provider_seq; insert into t values ({});
             select pgq.force_tick('{QUEUE}')",
            i + 1
        ));
        let tick = r.provider.value(&format!("select pgq.ticker('{QUEUE}')"));
        let finished = format!("select sub_last_tick = {tick} and sub_batch is null from pgq.subscription");
        wait_until("the batch is finished", || match r.provider.value(&finished).as_str() {
            "t" => Ok(()),
            other => Err(other.to_owned()),
        });
        wait_until("it has looked for the next batch, and says that it waits", || {
            let now = statements(&r, servers);
            *sent = [now[0].len(), now[1].len()];
            let at = |part: &str| now[0].iter().rposition(|statement| statement.contains(part));
            let is_over = at("b.has_all_events") > at("pgq.finish_batch");
            if is_over { Ok(()) } else { Err(now[0].last().map_or("nothing", String::as_str).to_owned()) }
        });
    }
    let stand: Vec<String> = list.iter().map(|name| format!("select last_value from {name}")).collect();
    assert_eq!(r.subscriber.column(&stand.join(" union all ")), vec!["8"; count]);
    // The first batches prepare statements, one more look at the queue may come in between, and a line of the log may be counted with the
    // batch behind its own: the middle of the numbers is that of a batch.
    let of_a_batch = |side: usize| {
        let mut numbers: Vec<usize> = sent.windows(2).skip(1).map(|w| w[1][side] - w[0][side]).collect();
        numbers.sort_unstable();
        numbers[numbers.len() / 2]
    };
    [of_a_batch(0), of_a_batch(1)]
}

#[test]
fn twenty_sequences_cost_as_many_statements_as_one() {
    let servers = ["counted-provider", "counted-subscriber"]
        .map(|name| Cluster::builder().name(name).conf("log_statement = all").start());
    let servers = [&servers[0], &servers[1]];
    let one = statements_of_a_batch(servers, 1);
    println!("statements of a batch on provider and subscriber: {one:?}");
    assert!(one[0] > 3 && one[1] > 3, "{one:?}");
    assert_eq!(statements_of_a_batch(servers, 20), one);
}

/// A select list of the server has at most 1664 columns.
#[test]
fn more_sequences_than_a_select_list_has_columns_are_replicated() {
    let sequences =
        "do $$ begin for i in 1 .. 2000 loop execute format('create sequence many_%s', i); end loop; end $$";
    let r = Replication::new().with_table("t", "id int primary key").with_schema(sequences).up();
    for (side, function) in [(&r.provider, "provider_add_seq"), (&r.subscriber, "subscriber_add_seq")] {
        side.sql(&format!(
            "select londiste.{function}('{QUEUE}', 'public.many_' || i) from generate_series(1, 2000) i"
        ));
    }
    r.provider.sql("select setval('many_' || i, 10000000000 * (i % 2) + i) from generate_series(1, 2000) i");
    r.assert_sequences_in_sync();
}

/// A sequence that the subscriber cannot set holds up nothing.
#[test]
fn sequence_that_cannot_be_set_is_reported_once_with_what_mends_it() {
    let r = with_sequences(Replication::new(), &names(&["fine", "small", "swapped"]));
    r.subscriber.sql("alter sequence small as int; drop sequence swapped; create table swapped (i int)");
    r.provider.sql("select setval('small', 3000000000), setval('fine', 5)");
    for id in 1..4 {
        r.provider.sql("select nextval('small'), nextval('fine')");
        batch(&r, id);
    }
    assert_eq!(r.subscriber.value("select last_value from fine"), "8");
    let log = r.londiste.log();
    let small = "Seq public.small: value 3000000001 of provider is out of the bounds of subscriber (1 to 2147483647), it is not \
                 replicated; run on the subscriber: alter sequence \"public\".\"small\" as bigint minvalue 1 maxvalue \
                 9223372036854775807\n";
    let swapped = "WARNING public.swapped is no sequence on subscriber side, its value is not replicated; ";
    for said in ["WARNING Seq public.small: value ", swapped] {
        assert_eq!(log.matches(said).count(), 1, "{said}: {log}");
    }
    assert!(
        log.contains(
            " of provider is out of the bounds of subscriber (1 to 2147483647), it is not replicated; run on "
        ),
        "{log}"
    );
    assert!(!log.contains("crashed"), "{log}");
    let status = r.londiste.run("subscriber status").stdout;
    let small = small.replace("3000000001", "3000000003");
    assert!(
        status.contains(&small) && status.contains("\npublic.swapped is no sequence on subscriber side, "),
        "{status}"
    );
    let json = r.londiste.run("subscriber status --json").stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["sequence_problems"][0]["sequence"], "public.small");
    let check = r.londiste.program(["subscriber", "check"]).status(1).run().stderr;
    assert!(check.contains(&format!("ERROR {small}")), "{check}");
    // What the message says helps.
    let mend = small.split("run on the subscriber: ").nth(1).unwrap();
    r.subscriber.sql(mend);
    r.subscriber.sql("drop table swapped; create sequence swapped");
    batch(&r, 4);
    assert_eq!(r.subscriber.value("select last_value from small"), "3000000003");
    r.londiste.program(["subscriber", "check"]).run();
}

/// Replay's users may not read one sequence, nor set another one.
#[test]
fn sequence_without_the_right_is_reported_once() {
    let r = Replication::new().with_schema("create schema hidden_there; create schema hidden_here");
    let mut r = with_sequences(r, &names(&["fine", "unread", "unset", "hidden_there.s", "hidden_here.s"]));
    r.londiste.stop();
    let user = format!("limited_{}", r.provider.name());
    for (cluster, database, seq) in
        [(Cluster::provider(), &r.provider, "unread"), (Cluster::subscriber(), &r.subscriber, "unset")]
    {
        cluster.sql(&format!("create role {user} login"));
        database.sql(&format!(
            "grant usage on schema londiste, public to {user};
             grant all on all tables in schema londiste, public to {user}; grant all on all sequences in schema londiste, public to {user};
             grant execute on all functions in schema londiste to {user};
             revoke all on sequence {seq} from {user}"
        ));
    }
    for (database, hidden) in [(&r.provider, "hidden_there"), (&r.subscriber, "hidden_here")] {
        database.sql(&format!(
            "grant usage on schema hidden_there, hidden_here to {user}; revoke usage on schema {hidden} from {user};
             grant all on all sequences in schema hidden_there, hidden_here to {user}"
        ));
    }
    r.provider.sql(&format!(
        "grant usage on schema pgq to {user}; grant all on all tables in schema pgq to {user};
         grant execute on all functions in schema pgq to {user}; grant all on all sequences in schema pgq to {user}"
    ));
    r.londiste.configure("provider_db", &r.provider.conninfo_as(&user));
    r.londiste.configure("subscriber_db", &r.subscriber.conninfo_as(&user));
    r.londiste.start();
    r.provider.sql("select nextval('fine'), nextval('unread'), nextval('unset')");
    batch(&r, 1);
    batch(&r, 2);
    assert_eq!(r.subscriber.value("select last_value from fine"), "1");
    let log = r.londiste.log();
    for (schema, side) in [("hidden_there", "provider"), ("hidden_here", "subscriber")] {
        let said = format!(
            "WARNING Seq {schema}.s: a right on its schema is missing on {side} side, its value is not replicated; run there, for the \
             user of the connection string: grant usage on schema \"{schema}\" to ..."
        );
        assert_eq!(log.matches(&said).count(), 1, "{log}");
    }
    for (seq, right, side) in [("unread", "select", "provider"), ("unset", "update", "subscriber")] {
        let said = format!(
            "WARNING Seq public.{seq}: a right is missing on {side} side, its value is not replicated; run there, for the user of the \
             connection string: grant {right} on sequence \"public\".\"{seq}\" to ..."
        );
        assert_eq!(log.matches(&said).count(), 1, "{log}");
    }
}
