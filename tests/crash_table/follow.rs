//! A subscriber that goes over to another provider, ended between two of its steps: the next call goes on, or begins anew.

use crate::switchover::{Place, Third};

const PLACES: [&str; 4] = ["follow::applied", "follow::registered", "follow::gone_over", "follow::written"];

pub(super) fn places() -> Vec<&'static str> {
    PLACES.to_vec()
}

const SCHEMA: &str = "create table t (id serial primary key, v text)";

#[test]
#[cfg_attr(not(feature = "failpoints"), ignore = "needs a program with --features failpoints")]
fn subscriber_goes_over_whenever_the_command_ends() {
    let p = Place::new(SCHEMA);
    let third = Third::of(&p, SCHEMA);
    for (switches, place) in PLACES.iter().enumerate() {
        p.run(if switches % 2 == 0 { "switchover" } else { "switchback" });
        let (open, _) = p.open_side(switches + 1);
        open.sql(&format!("insert into t (v) values ('{place}')"));
        let args = ["subscriber", "follow", "--provider", open.conninfo()];
        let output = third.job.program(args).env("FAILPOINTS", format!("{place}=return")).output();
        assert_eq!(output.status, 137, "{place} was not reached\n{}", output.stderr);
        open.sql(&format!("insert into t (v) values ('after {place}')"));
        if !third.job.is_running() {
            third.job.start();
        }
        if *place == "follow::gone_over" {
            // The ini file is that of before.
            third.job.wait_for_log("are ok by the position of consumer db3-londiste");
        }
        // All but the start of replay is done when the ini file is written.
        if *place != "follow::written" {
            let output = third.follow(open);
            assert_eq!(output.status, 0, "{place}: {}", output.stderr);
        }
        open.sql(&format!("insert into t (v) values ('later than {place}')"));
        third.assert_follows(open);
    }
}
