//! What replay does after an error that a trigger of the subscriber raises, by its SQLSTATE, and what it advises.

use crate::support::{Replication, wait_until};

/// What replay is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    TriesAgain,
    Parks,
    Stops,
    StopsOrSkips,
}

use Expected::{Parks, Stops, StopsOrSkips, TriesAgain};

/// Every insert into `t` on the subscriber raises the SQLSTATE that `raised` has, if there is one.
const TRIGGER: &str = "create table raised (code text);
    create function raise_it() returns trigger language plpgsql as $$
    declare c text; begin
        select code into c from public.raised;
        if found then raise exception using errcode = c, message = 'raised'; end if;
        return new;
    end $$;
    create trigger raise_it before insert on t for each row execute procedure raise_it()";

#[test]
fn sqlstate_decides_what_replay_does_and_advises() {
    let r = Replication::new().with_table("t", "id int primary key").with_table("other", "id int primary key").up();
    r.subscriber.sql(TRIGGER);
    let subscriber = r.subscriber.session();
    for (id, (code, expected)) in [
        ("40001", TriesAgain),
        ("23505", StopsOrSkips),
        ("P0001", StopsOrSkips),
        ("MY001", StopsOrSkips),
        ("42501", Parks),
        ("53100", Stops),
        ("53200", Stops),
        ("54001", Stops),
        ("55006", Stops),
        ("58030", Stops),
        ("XX000", Stops),
        ("0A000", Parks),
        ("42883", Parks),
    ]
    .into_iter()
    .enumerate()
    {
        let start = r.londiste.log().len();
        subscriber.sql(&format!("insert into raised values ('{code}')"));
        r.provider.sql(&format!("begin; insert into t values ({id}); insert into other values ({id}); commit"));
        r.londiste.wait_for_log_after(start, &format!("raised ({code})\n"));
        let event = r.provider.value("select max(ev_id) from pgq.event_1 where ev_extra1 = 'public.t'");
        if expected == Parks {
            wait_until("the other table goes on", || {
                match subscriber.value(&format!("select count(*) from other where id = {id}")).as_str() {
                    "1" => Ok(()),
                    count => Err(count.to_owned()),
                }
            });
        }
        let log = r.londiste.log()[start..].to_owned();
        let hint = format!("skip-event {event}\" leaves this event out");
        assert_eq!(log.contains(&hint), expected == StopsOrSkips, "{code}: {log}");
        assert_eq!(log.contains("skip-event"), expected == StopsOrSkips, "{code}: {log}");
        assert_eq!(log.contains("CRITICAL Table public.t is parked"), expected == Parks, "{code}: {log}");
        subscriber.sql("delete from raised");
        match expected {
            // By itself, before the pause of 20 s after other errors ends.
            TriesAgain => {}
            Stops | StopsOrSkips => r.londiste.reload(),
            Parks => r.wait_until_ok(),
        }
        r.assert_in_sync();
    }
}
