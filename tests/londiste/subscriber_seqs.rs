//! Sequences of the subscriber.

use super::log_lines::log;
use crate::support::Replication;

#[track_caller]
fn expect(r: &Replication, command: &str, lines: &[&str]) {
    let args = ["subscriber"].into_iter().chain(command.split(' '));
    r.londiste.program(args).stdout("").stderr(log(lines)).run();
}

#[test]
fn each_case_has_its_message_and_status_0() {
    let r = Replication::new().with_schema("create sequence s; create sequence \"T\"; create sequence gone");
    r.install();
    r.londiste.run("provider add-seq --all");
    r.subscriber.sql("drop sequence gone; create sequence x");
    expect(&r, "add-seq s", &["INFO Adding sequence: public.s"]);
    expect(&r, "add-seq s", &["INFO Seq public.s already subscribed"]);
    expect(&r, "add-seq x", &["ERROR Seq public.x does not exist on provider side"]);
    expect(&r, "add-seq gone", &["ERROR Seq public.gone does not exist on subscriber side"]);
    let all = |own: &str| {
        let of_t = format!("INFO {own}");
        expect(
            &r,
            "add-seq --all",
            &[&of_t, "ERROR Seq public.gone does not exist on subscriber side", "INFO Seq public.s already subscribed"],
        );
    };
    all("Adding sequence: public.T");
    all("Seq public.T already subscribed");
    expect(&r, "add-seq", &[]);
    r.londiste.program(["subscriber", "seqs"]).stdout("public.s\npublic.T\n").stderr("").run();
    r.londiste.program(["subscriber", "seqs", "--json"]).stdout("[\n  \"public.s\",\n  \"public.T\"\n]\n").run();
    expect(&r, "remove-seq gone", &["WARNING Seq public.gone not subscribed"]);
    expect(&r, "remove-seq s", &["INFO Removing sequence: public.s"]);
    expect(&r, "remove-seq --all", &["INFO Removing sequence: public.T"]);
    r.londiste.program(["subscriber", "seqs"]).stdout("").stderr("").run();
}
