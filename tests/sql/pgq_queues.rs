//! Queues that are not dropped under the tables that write to them, and names and settings that make no sense.

use super::with_queue;

#[test]
fn queue_is_not_dropped_while_triggers_write_to_it() {
    let (_database, session) = with_queue();
    session.sql(
        "create table public.a (id int primary key); create table public.\"B c\" (id int primary key);
         create table public.root (id int primary key); create table public.child () inherits (public.root);
         create trigger logger after insert on public.a for each row execute procedure pgq.sqltriga('q');
         create trigger \"Log ger\" after insert on public.\"B c\" for each row execute procedure pgq.logtriga('q', 'k');
         create trigger logger after insert on public.child for each row execute procedure pgq.jsontriga('q', 'backup');
         create trigger logger after insert on public.root for each row execute procedure pgq.logutriga('other')",
    );
    for force in ["false", "true"] {
        let error = session.error(&format!("select pgq.drop_queue('q', {force})"));
        assert_eq!(
            (error.code.as_str(), error.message.as_str()),
            ("55006", "cannot drop queue, tables write to it by triggers")
        );
        assert_eq!(
            error.hint,
            "End that first: drop trigger \"Log ger\" on public.\"B c\"; drop trigger logger on public.a; \
             drop trigger logger on public.child."
        );
    }
    assert_eq!(session.value("select count(*) from pgq.get_consumer_info('q')"), "1");
    session.sql("drop trigger \"Log ger\" on public.\"B c\"; drop trigger logger on public.a");
    // A disabled one does not write.
    session.sql("alter table public.child disable trigger logger");
    session.sql("select pgq.drop_queue('q', true)");
}

#[test]
fn writer_whose_queue_is_gone_is_told_what_ends_that() {
    let (_database, session) = with_queue();
    session.sql(
        "create table public.t (id int primary key);
         create trigger logger after insert on public.t for each row execute procedure pgq.sqltriga('gone');
         create trigger other after insert on public.t for each row execute procedure pgq.logutriga('q')",
    );
    let error = session.error("insert into public.t values (1)");
    assert_eq!((error.code.as_str(), error.message.as_str()), ("42704", "No such queue"));
    assert_eq!(
        error.hint,
        "Create it with pgq.create_queue(), or end what writes to it: drop trigger logger on public.t."
    );
    session.sql("drop trigger logger on public.t; insert into public.t values (1)");
    let error = session.error("select pgq.insert_event('gone', 'type', 'data')");
    assert_eq!(error.hint, "Create it with pgq.create_queue().");
}

#[test]
fn names_that_make_no_sense_are_refused() {
    let (_database, session) = with_queue();
    for (call, message) in [
        ("create_queue('')", "queue name is empty"),
        ("create_queue(repeat('x', 1001))", "queue name is too long: 1001 bytes"),
        ("create_queue(repeat('ä', 501))", "queue name is too long: 1002 bytes"),
        (r"create_queue(E'line\nbreak')", "queue name has a control character"),
        (r"create_queue(E'es\x1bcape')", "queue name has a control character"),
        ("register_consumer('q', '')", "consumer name is empty"),
        ("register_consumer_at('q', repeat('x', 10000), null)", "consumer name is too long: 10000 bytes"),
        (r"register_consumer('q', E'tab\t')", "consumer name has a control character"),
        ("register_consumer('q', null)", "consumer name is empty"),
    ] {
        let error = session.error(&format!("select pgq.{call}"));
        assert_eq!((error.code.as_str(), error.message.as_str()), ("42602", message), "{call}");
        assert!(!error.hint.is_empty(), "{call}");
    }
    // The longest name works all the way.
    for name in ["repeat('x', 1000)", "repeat('ä', 500)"] {
        assert_eq!(session.value(&format!("select pgq.create_queue({name})")), "1");
        assert_eq!(session.value(&format!("select pgq.register_consumer({name}, {name})")), "1");
        session.sql(&format!("select pgq.force_tick({name})"));
        assert_ne!(session.value(&format!("select pgq.ticker({name})")), "NULL");
    }
    // Names that are there already go on.
    session.sql(
        "insert into pgq.consumer (co_name) values (E'old\\n');
        insert into pgq.subscription (sub_queue, sub_consumer, sub_last_tick)
        select 1, co_id, 1 from pgq.consumer where co_name = E'old\\n'",
    );
    assert_eq!(session.value("select pgq.register_consumer('q', E'old\\n')"), "0");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let (_database, session) = with_queue();
    let before = session.rows("select * from pgq.queue");
    for (name, value) in [
        ("rotation_period", "-5 s"),
        ("rotation_period", "300000 years"),
        ("ticker_max_lag", "-00:00:01"),
        ("ticker_idle_period", "-1"),
        ("ticker_idle_period", "101 years"),
        ("ticker_max_count", "0"),
        ("queue_ticker_max_count", "-1"),
        ("per_tx_limit", "0"),
    ] {
        let error = session.error(&format!("select pgq.set_queue_config('q', '{name}', '{value}')"));
        let bare = name.trim_start_matches("queue_");
        assert_eq!(error.code, "22023", "{name} {value}: {error}");
        assert_eq!(error.message, format!("{bare} cannot be {value}"), "{name}");
        assert!(!error.hint.is_empty(), "{name}");
    }
    assert_eq!(session.rows("select * from pgq.queue"), before);
    for (name, value) in
        [("rotation_period", "0"), ("ticker_max_lag", "0.01"), ("ticker_max_count", "1"), ("per_tx_limit", "5")]
    {
        session.sql(&format!("select pgq.set_queue_config('q', '{name}', '{value}')"));
    }
    session.sql("select pgq.set_queue_config('q', 'per_tx_limit', null)");
    assert_eq!(session.value("select queue_per_tx_limit from pgq.queue"), "NULL");
    assert_eq!(session.error("select pgq.set_queue_config('q', 'ticker_max_lag', null)").code, "22023");
}
