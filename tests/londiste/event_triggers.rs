//! Event triggers of users whose functions name tables without schema: they run in each DDL statement of ours.

use crate::support::{Cluster, QUEUE, Replication, Session, assert_same_rows};

const AUDIT: &str = "create schema app; create table app.audit (nr serial, tag text);
    create function app.note() returns event_trigger language plpgsql as
        $$ begin insert into audit (tag) values (tg_tag); end $$;
    create function app.note_drop() returns event_trigger language plpgsql as
        $$ begin insert into audit (tag) select tg_tag from pg_event_trigger_dropped_objects(); end $$;
    create event trigger note on ddl_command_end execute procedure app.note();
    create event trigger note_drop on sql_drop execute procedure app.note_drop();
    create event trigger note_start on ddl_command_start execute procedure app.note()";

fn with_path(cluster: &Cluster, database: &crate::support::Database) {
    let session = Session::connect(&cluster.socket_conninfo("postgres")).unwrap();
    session.sql(&format!("alter database {} set search_path = app, public", database.name()));
}

/// The tables that are replicated are equal; the audit tables of the two sides are not.
#[track_caller]
fn assert_in_sync(r: &Replication) {
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["public.parent", "public.t"]);
}

/// The functions of users run in the path that sessions of the database have.
#[test]
fn event_triggers_of_users_run_in_their_own_path() {
    let r = Replication::new();
    r.install();
    for (cluster, database) in [(Cluster::provider(), &r.provider), (Cluster::subscriber(), &r.subscriber)] {
        with_path(cluster, database);
        database.sql(AUDIT);
        database.sql(
            "create table public.parent (id int primary key);
             create table public.t (id int primary key, v text, p int references public.parent);
             create function public.nothing() returns trigger language plpgsql as $$ begin return null; end $$;
             create trigger own after insert on public.t for each row execute procedure public.nothing()",
        );
    }
    r.provider.sql("insert into public.parent values (1); insert into public.t values (1, 'one', 1)");
    r.start();
    r.add("parent t");
    r.wait_until_ok();
    r.provider.sql("alter table public.t add column n int");
    r.subscriber.sql("alter table public.t add column n int");
    r.provider.sql(&format!("select londiste.provider_maintain('{QUEUE}')"));
    r.provider.sql("alter table public.t disable trigger all");
    r.provider.sql(&format!("select londiste.provider_maintain('{QUEUE}')"));
    r.provider.sql("insert into public.t values (2, 'two', 1, 2)");
    r.replay_until_in_sync();
    r.wait_until_ok();
    assert_in_sync(&r);
    r.londiste.run("provider refresh --all");
    r.londiste.run("subscriber restore-triggers public.t");
    r.londiste.run("subscriber resync --all");
    r.wait_until_ok();
    assert_in_sync(&r);
    for level in ["reader", "writer", "admin"] {
        r.ticker.run(&format!("grant pg_monitor {level}"));
        r.ticker.run(&format!("revoke pg_monitor {level}"));
    }
    r.ticker.run("install");
    r.londiste.run("provider install");
    r.londiste.run("subscriber install");
    r.ticker.run("create other");
    r.ticker.run("drop other");
    r.londiste.run("subscriber remove --all");
    r.londiste.run("provider remove --all");
    assert_ne!(r.provider.value("select count(*) from app.audit where tag = 'CREATE TRIGGER'"), "0");
}

/// An installation is too much SQL for a path that others can write to: it says what helps.
#[test]
fn installation_says_which_function_needs_a_path() {
    let r = Replication::new();
    for database in [&r.provider, &r.subscriber] {
        database.sql(AUDIT);
        for function in ["app.note()", "app.note_drop()"] {
            database.sql(&format!("set search_path = app; alter function {function} set search_path = app"));
        }
    }
    let installations = [
        (&r.ticker, "install", &r.provider),
        (&r.londiste, "provider install", &r.provider),
        (&r.londiste, "subscriber install", &r.subscriber),
    ];
    for (job, command, database) in installations {
        for function in ["app.note()", "app.note_drop()"] {
            // Its own trigger runs in this statement too.
            database.sql(&format!("set search_path = app; alter function {function} reset search_path"));
        }
        let failed = job.program(command.split(' ')).status(1).run().stderr;
        for words in ["relation \"audit\" does not exist", "HINT", "alter function app.note"] {
            assert!(failed.contains(words), "{command}: {failed}");
        }
        for function in ["app.note()", "app.note_drop()"] {
            database.sql(&format!("set search_path = app; alter function {function} set search_path = app"));
        }
        job.run(command);
    }
}

/// A path that whoever calls a function of ours has set is not used: its owner's rights would run what stands there.
#[test]
fn path_of_the_caller_is_not_used() {
    let r = Replication::new().with_table("t", "id int primary key, v text");
    r.install();
    r.londiste.run("provider add t");
    r.provider.sql(AUDIT);
    with_path(Cluster::provider(), &r.provider);
    r.provider.sql("create schema trap; create table trap.audit (nr serial, tag text); alter table t add column n int");
    let session = r.provider.session();
    session.sql("set search_path = trap, public");
    assert_eq!(session.value(&format!("select londiste.provider_maintain('{QUEUE}')")), "1");
    assert_eq!(session.value("show search_path"), "trap, public");
    assert_eq!(r.provider.value("select count(*) from trap.audit"), "0");
    assert_ne!(r.provider.value("select count(*) from app.audit"), "0");
}
