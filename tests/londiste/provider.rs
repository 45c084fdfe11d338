//! The provider's commands, message by message.

use std::thread;

use super::log_lines::log;
use crate::support::{Replication, wait_until};

/// Tables of several kinds on the provider; `customers` and `orders` hang together.
const TABLES: &str = "
    create table customers (id int primary key, name text);
    create table orders (id int primary key, customer_id int references customers);
    create table nopk (v text);
    create view v as select 1 as x;
    create sequence s;
";

fn installed(schema: &str) -> Replication {
    let r = Replication::new();
    r.provider.sql(schema);
    r.install();
    r
}

#[test]
fn install_says_what_it_finds_and_may_be_repeated() {
    let r = Replication::new();
    let version = env!("CARGO_PKG_VERSION");
    let reading = format!("INFO   Reading from rlondiste {version}");
    let first = [
        "INFO plpgsql is installed",
        "INFO txid_current_snapshot is installed",
        "INFO Installing pgq",
        &reading,
        "INFO Installing londiste",
        &reading,
    ];
    r.londiste.program(["provider", "install"]).stdout("").stderr(log(&first)).run();
    assert_eq!(r.provider.column("select queue_name from pgq.queue"), ["db1-londiste-queue"]);
    let again = [
        "INFO plpgsql is installed",
        "INFO txid_current_snapshot is installed",
        "INFO pgq is installed",
        "INFO londiste is installed",
    ];
    r.londiste.program(["provider", "install"]).stdout("").stderr(log(&again)).run();
    assert_eq!(r.provider.column("select queue_name from pgq.queue"), ["db1-londiste-queue"]);
}

#[test]
fn install_refuses_a_schema_of_londiste_3_and_changes_nothing() {
    let r = Replication::new();
    r.provider.sql("create schema londiste; create table londiste.table_info (nr int)");
    let output = r.londiste.program(["provider", "install"]).stdout("").status(1).run();
    let message = "schema londiste is there, but it is that of Londiste 3, which has other tables\n\
                   HINT: Nothing was changed. Take another database, or rename that schema if nothing needs it.\n";
    assert!(output.stderr.ends_with(message), "{}", output.stderr);
    assert_eq!(r.provider.value("select to_regnamespace('pgq') is null"), "t");
}

/// A comment tells which files have made the schema; replay, too, brings a subscriber's up to date.
#[test]
fn changed_files_are_installed_without_a_new_version() {
    const FUNCTION: &str = "select md5(prosrc) from pg_proc where oid = 'londiste.version()'::regprocedure";
    const CHANGE: &str =
        "create or replace function londiste.version() returns text language sql as 'select ''?''::text';
        comment on function londiste.rlondiste_version() is 'files of another program'";
    let r = Replication::new();
    r.install();
    let function = r.provider.value(FUNCTION);
    let reading = format!("INFO   Reading from rlondiste {}", env!("CARGO_PKG_VERSION"));
    let upgrading = ["INFO plpgsql is installed", "INFO Upgrading londiste: its files have changed", &reading];
    for (database, command) in [(&r.provider, "provider"), (&r.subscriber, "subscriber")] {
        database.sql(CHANGE);
        let mut lines = upgrading.to_vec();
        if command == "provider" {
            lines.splice(1..1, ["INFO txid_current_snapshot is installed", "INFO pgq is installed"]);
        }
        r.londiste.program([command, "install"]).stdout("").stderr(log(&lines)).run();
        assert_eq!(database.value(FUNCTION), function, "{command}");
    }
    r.subscriber.sql(CHANGE);
    r.londiste.run("subscriber register");
    r.londiste.start();
    wait_until("replay has brought the schema up to date", || match r.subscriber.value(FUNCTION) {
        now if now == function => Ok(()),
        now => Err(now),
    });
}

/// Whoever has read a list of tables, and a copy that has stored its consumer, keep their locks until their transactions end.
#[test]
fn changed_files_are_installed_beside_open_transactions() {
    let r = Replication::new();
    r.install();
    r.subscriber.sql("comment on function londiste.rlondiste_version() is 'files of another program'");
    let reader = r.subscriber.session();
    reader.sql("begin; select * from londiste.subscriber_table; select * from londiste.subscriber_seq");
    let writer = r.subscriber.session();
    writer
        .sql("begin; insert into londiste.table_position (queue_name, table_name, consumer_id) values ('q', 't', 'c')");
    thread::scope(|scope| {
        let installed = scope.spawn(|| r.londiste.run("subscriber install"));
        wait_until("the files are installed", || {
            let waits = "select relation::regclass, mode from pg_locks where not granted";
            if installed.is_finished() { Ok(()) } else { Err(format!("install waits: {:?}", r.subscriber.rows(waits))) }
        });
    });
}

/// As in 2.1: the lists are those of the source queue's provider, and the queue that repeats it has the same.
#[test]
fn link_takes_the_lists_of_the_provider() {
    let r = installed("create table a (id int primary key); create table b (id int primary key); create sequence s");
    r.provider.sql(
        "insert into londiste.subscriber_table (queue_name, table_name) values ('src', 'public.b'), ('src', 'public.a');
         insert into londiste.subscriber_seq (queue_name, seq_name) values ('src', 'public.s')",
    );
    // The first versions had other arguments of the same types.
    r.provider.sql(
        "drop function londiste.cmp_list(text, text, text, text), londiste.link(text, text, bigint, text, text);
         create function londiste.cmp_list(i_list text, i_table_name text, i_column text, i_condition text) returns boolean
             language sql as 'select false';
         create function londiste.link(i_source_name text, i_dest_name text, i_tick_id bigint, i_tick_snapshot text,
                                       i_tick_time text) returns text language sql as 'select null::text';
         comment on function londiste.rlondiste_version() is 'files of another program'",
    );
    r.londiste.run("provider install");
    let same = |list: &str, column: &str| {
        r.provider.value(&format!("select londiste.cmp_list('{list}', 'src', 'londiste.subscriber_table', '{column}')"))
    };
    let lists = ["public.a,public.b", "public.b,public.a", "public.a", "public.a,public.b,public.c", ""];
    assert_eq!(lists.map(|list| same(list, "table_name")), ["t", "t", "f", "f", "f"]);
    assert_eq!(r.provider.value("select londiste.cmp_list(null, 'x', 'londiste.provider_seq', 'seq_name')"), "t");

    let link = |tick: i32, tables: &str, seqs: &str| {
        format!("select londiste.link('src', 'dst', {tick}, '{tables}', '{seqs}')")
    };
    let refused = |sql: &str| r.provider.session().error(sql).message;
    let (tables, not_subscribed) = ("public.a,public.b", "this database is not subscribed to exactly these");
    assert_eq!(refused(&link(7, "public.a", "public.s")), format!("{not_subscribed} tables of queue \"src\""));
    assert_eq!(refused(&link(7, tables, "public.s")), "queue \"dst\" does not have exactly these tables");
    r.provider.sql(
        "insert into londiste.provider_table (queue_name, table_name) values ('dst', 'public.a'), ('dst', 'public.b')",
    );
    assert_eq!(refused(&link(7, tables, "")), format!("{not_subscribed} sequences of queue \"src\""));
    assert_eq!(refused(&link(7, tables, "public.s")), "queue \"dst\" does not have exactly these sequences");
    r.provider.sql("insert into londiste.provider_seq (queue_name, seq_name) values ('dst', 'public.s')");
    assert_eq!(refused(&link(7, tables, "public.s")), "no such queue: dst");
    r.provider.sql("select pgq.create_queue('dst'); select pgq.register_consumer('dst', 'c')");
    let late = "queue \"dst\" is at tick 1, which is not before tick 1 of queue \"src\"";
    assert_eq!(refused(&link(1, tables, "public.s")), late);

    assert_eq!(r.provider.value(&link(7, tables, "public.s")), "NULL");
    assert_eq!(r.provider.rows("select * from londiste.link"), [["src", "dst"]]);
    assert_eq!(refused(&link(8, tables, "public.s")), "queue \"src\" or \"dst\" is already linked");
    assert_eq!(refused("select pgq.ticker('dst')"), "This queue has external tick source.");
    assert_eq!(r.provider.value("select pgq.ticker('dst', 7, now(), 0)"), "7");
    assert_eq!(r.provider.value("select count(*) from pgq.get_consumer_info('dst', 'c')"), "1");
    assert_eq!(
        refused("select londiste.provider_remove_table('dst', 'public.a')"),
        "Linked queue, manipulation not allowed"
    );
    assert_eq!(r.provider.value("select londiste.link_del('src', 'dst')"), "NULL");
}

#[test]
fn install_refuses_a_newer_schema() {
    let r = Replication::new();
    r.install();
    r.provider.sql(
        "create or replace function londiste.rlondiste_version() returns text language sql as 'select ''99.0''::text'",
    );
    let output = r.londiste.program(["provider", "install"]).stdout("").status(1).run();
    assert!(
        output.stderr.contains("was made by rlondiste 99.0, which is newer than this program"),
        "{}",
        output.stderr
    );
}

#[test]
fn commands_before_install_say_what_to_run() {
    let r = Replication::new();
    let stderr = format!(
        "rlondiste: could not look for the queue on provider ({}): schema \"pgq\" does not exist (3F000)\n\
         HINT: Run \"rlondiste TICKER-INI install\" or \"rlondiste INI provider install\" first.\n",
        r.provider.place()
    );
    for command in ["tables", "seqs", "add --all", "add-seq --all", "remove --all", "remove-seq --all", "refresh --all"]
    {
        let program = r.londiste.program(["provider"].into_iter().chain(command.split(' ')));
        program.stdout("").stderr(stderr.as_str()).status(1).run();
    }
}

#[test]
fn an_unknown_queue_is_named() {
    let mut r = installed("");
    r.londiste.configure("pgq_queue_name", "other");
    let stderr = format!(
        "rlondiste: Event queue does not exist yet: no queue \"other\" on provider ({})\n\
         HINT: Check pgq_queue_name in the ini file, or create the queue with \"rlondiste INI provider install\".\n",
        r.provider.place()
    );
    for command in ["tables", "add --all"] {
        let program = r.londiste.program(["provider"].into_iter().chain(command.split(' ')));
        program.stdout("").stderr(stderr.as_str()).status(1).run();
    }
}

#[test]
fn names_globs_and_all_add_tables() {
    let r = installed(
        "create table a (id int primary key); create table a1 (id int primary key);
                       create table \"Mixed.Dot\" (id int primary key); create schema s2;
                       create table s2.b (id int primary key)",
    );
    let add = |names: &[&str], lines: &[&str]| {
        r.londiste.program(["provider", "add"].iter().chain(names)).stdout("").stderr(log(lines)).run();
    };
    add(&["public.a"], &["INFO Adding public.a"]);
    add(&["a?"], &["INFO Adding public.a1"]);
    add(&["Mixed*"], &["INFO Adding public.Mixed.Dot"]);
    add(&[], &[]);
    add(&["--all"], &["INFO Adding s2.b"]);
    add(&["--all"], &[]);
    let names = "public.a\npublic.a1\npublic.Mixed.Dot\ns2.b\n";
    r.londiste.program(["provider", "tables"]).stdout(names).stderr("").run();
    let names = "[\n  \"public.a\",\n  \"public.a1\",\n  \"public.Mixed.Dot\",\n  \"s2.b\"\n]\n";
    r.londiste.program(["provider", "tables", "--json"]).stdout(names).stderr("").run();
}

#[test]
fn other_characters_of_patterns_are_literal() {
    let r = installed("create table ab (id int primary key); create table \"a[b]\" (id int primary key)");
    r.londiste.program(["provider", "add", "a[b]"]).stderr(log(&["INFO Adding public.a[b]"])).run();
}

#[test]
fn a_table_that_is_there_already_is_a_warning() {
    let r = installed(TABLES);
    r.londiste.run("provider add customers");
    let lines = log(&["WARNING Table public.customers already added to queue"]);
    r.londiste.program(["provider", "add", "customers"]).stdout("").stderr(lines).run();
}

#[test]
fn what_is_no_table_is_a_warning_and_a_failure() {
    let r = installed(TABLES);
    let lines = [
        "WARNING Table public.nix does not exist on provider",
        "WARNING public.v on provider is a view, only tables can be added",
        "WARNING public.s on provider is a sequence, add it with \"provider add-seq\"",
        "WARNING No table on provider matches zz*",
        "INFO Adding public.customers",
    ];
    let names = ["provider", "add", "nix", "v", "s", "zz*", "customers"];
    r.londiste.program(names).stdout("").stderr(log(&lines)).status(1).run();
    r.londiste.program(["provider", "tables"]).stdout("public.customers\n").run();
}

#[test]
fn a_table_without_key_does_not_stop_the_others() {
    let r = installed(TABLES);
    let error = format!(
        "ERROR could not add a table to the queue on provider ({}), public.nopk: need key column (42P16)\n\
         DETAIL: Table public.nopk has no primary key, and no unique index that is valid, not partial, not deferrable and over \
         columns that are all not null.\n\
         HINT: alter table public.nopk add primary key (...); or name the columns that identify a row (--key).",
        r.provider.place()
    );
    let alone = ["INFO Adding public.nopk", &error];
    r.londiste.program(["provider", "add", "nopk"]).stdout("").stderr(log(&alone)).status(1).run();
    let lines = ["INFO Adding public.customers", alone[0], alone[1], "INFO Adding public.orders"];
    r.londiste.program(["provider", "add", "--all"]).stdout("").stderr(log(&lines)).status(1).run();
    r.londiste.program(["provider", "tables"]).stdout("public.customers\npublic.orders\n").run();
}

#[test]
fn a_key_can_be_chosen() {
    let r = installed("create table nopk (a int not null, b text, c int not null)");
    r.londiste.run("provider add nopk --key=c,a");
    r.provider.sql("insert into nopk values (1, 'x', 2); delete from nopk");
    let events = r.provider.column("select ev_data from pgq.event_1 where ev_type = 'D'");
    assert_eq!(events, ["a='1' and c='2'"]);
}

#[test]
fn partitions_come_with_their_root() {
    let r = Replication::new();
    if r.provider.major() < 11 {
        return; // No primary keys on partitioned tables.
    }
    r.install();
    r.provider.sql(
        "create table root (id int, d int, primary key (id, d)) partition by list (d);
         create table leaf partition of root for values in (1)",
    );
    r.londiste.program(["provider", "add", "--all"]).stderr(log(&["INFO Adding public.root"])).run();
    r.londiste.program(["provider", "tables"]).stdout("public.root\n").run();
}

#[test]
fn a_schema_with_a_dot_in_its_name_is_refused_by_name() {
    let r = installed("create schema \"a.b\"; create table \"a.b\".t (id int primary key)");
    let line = "ERROR Table \"a.b\".\"t\" on provider cannot be added: its schema's name has a dot";
    r.londiste.program(["provider", "add", "--all"]).stdout("").stderr(log(&[line])).status(1).run();
}

/// Subscribers get the names of all tables as one list, and drop the tables that are not in it.
#[test]
fn tables_whose_names_a_list_cannot_hold_are_refused() {
    let r = installed("create table \"a,b\" (id int primary key); create table \"blank \" (id int primary key)");
    let lines = [
        "ERROR Table \"public\".\"a,b\" on provider cannot be added: its name has a comma, which separates names in the list of \
         tables that subscribers get",
        "ERROR Table \"public\".\"blank \" on provider cannot be added: its name begins or ends with a blank, which the list of \
         tables that subscribers get does not keep",
    ];
    r.londiste.program(["provider", "add", "--all"]).stdout("").stderr(log(&lines)).status(1).run();
}

#[test]
fn triggers_that_run_before_ours_are_a_warning() {
    let r = installed(
        "create table t (id int primary key);
         create function f() returns trigger language plpgsql as 'begin return null; end';
         create trigger zzz after insert on t for each row execute procedure f();
         create trigger aaa after insert on t execute procedure f();
         create trigger zz2 after insert on t execute procedure f();
         create trigger before_it before insert on t for each row execute procedure f();
         create trigger _londiste_x after insert on t for each row execute procedure f();
         create table u (id int primary key);
         create trigger aaa after insert on u for each row execute procedure f()",
    );
    let several = "WARNING Table public.t has AFTER triggers '_londiste_x', 'aaa', 'zzz' which run before Londiste trigger.  \
                   If they modify data, then events will appear in queue in wrong order.";
    let one = "WARNING Table public.u has AFTER trigger 'aaa' which runs before Londiste trigger.  \
               If it modifies data, then events will appear in queue in wrong order.";
    let lines = ["INFO Adding public.t", several, "INFO Adding public.u", one];
    r.londiste.program(["provider", "add", "t", "u"]).stderr(log(&lines)).run();
}

#[test]
fn a_lock_that_is_not_granted_names_who_holds_it() {
    let mut r = installed(TABLES);
    r.londiste.configure("lock_timeout", "0.5");
    let writer = r.provider.session();
    writer.sql("set application_name = 'shop'; begin; insert into customers values (1, 'x')");
    let pid = writer.backend_pid();
    let output = r.londiste.program(["provider", "add", "customers", "orders"]).stdout("").status(1).run();
    let holder = format!("held by process {pid} (application \"shop\", user \"postgres\", idle in transaction, ");
    for text in [
        "ERROR could not lock public.customers on provider (",
        " within 0.5 s: ",
        &holder,
        "RowExclusiveLock)",
        &format!("HINT: Wait for the end of that transaction, or end it with \"select pg_terminate_backend({pid})\""),
    ] {
        assert!(output.stderr.contains(text), "{text}\n{}", output.stderr);
    }
    // orders references customers, but only the table itself is locked.
    r.londiste.program(["provider", "tables"]).stdout("public.orders\n").run();
    writer.sql("commit");
    r.londiste.run("provider add customers");
}

#[test]
fn writers_do_not_wait_long_behind_a_command_that_waits_for_a_lock() {
    let mut r = installed("create table t (id int primary key)");
    r.londiste.configure("lock_timeout", "20");
    let reader = r.provider.session();
    r.londiste.run("provider add t");
    reader.sql("begin; select * from t");
    std::thread::scope(|scope| {
        let removal = scope.spawn(|| r.londiste.run("provider remove t"));
        let writer = r.provider.session();
        writer.sql("set statement_timeout = '15s'");
        for id in 0..100 {
            writer.sql(&format!("insert into t values ({id})"));
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(!removal.is_finished());
        reader.sql("commit");
    });
    r.londiste.program(["provider", "tables"]).stdout("").run();
}

#[test]
fn remove_tells_subscribers_what_is_left() {
    let r = installed(TABLES);
    r.londiste.run("provider add customers orders");
    let events = || r.provider.rows("select ev_type, ev_data from pgq.event_1 order by ev_id");
    r.londiste.program(["provider", "remove", "nix"]).stdout("").stderr("").run();
    assert_eq!(events(), [["T", "public.customers,public.orders"]]);
    r.londiste.program(["provider", "remove", "cust*"]).stderr(log(&["INFO Removing public.customers"])).run();
    r.provider.sql("drop table orders");
    r.londiste.program(["provider", "tables"]).stdout("public.orders\n").run();
    r.londiste.program(["provider", "remove", "--all"]).stderr(log(&["INFO Removing public.orders"])).run();
    let left = [["T", "public.customers,public.orders"], ["T", "public.orders"], ["T", ""]];
    assert_eq!(events(), left);
    r.londiste.program(["provider", "tables"]).stdout("").stderr("").run();
    let triggers = "select tgname from pg_trigger where not tgisinternal and tgrelid <> 'pgq.queue'::regclass";
    assert_eq!(r.provider.column(triggers), Vec::<String>::new());
}

#[test]
fn refresh_takes_what_is_in_the_queue() {
    let r = installed(TABLES);
    r.londiste.run("provider add customers");
    r.provider.sql("alter table customers add column more text");
    let lines =
        ["WARNING No table of queue db1-londiste-queue on provider matches nix", "INFO Refreshing public.customers"];
    r.londiste.program(["provider", "refresh", "nix", "customers"]).stdout("").stderr(log(&lines)).status(1).run();
    r.provider.sql("insert into customers values (1, 'a', 'b')");
    let events = r.provider.column("select ev_data from pgq.event_1 where ev_type = 'I'");
    assert_eq!(events, ["(id,\"name\",more) values ('1','a','b')"]);
}

#[test]
fn sequences_are_added_and_removed_silently() {
    let r = installed("create sequence b; create sequence \"A\"; create schema x; create sequence x.c");
    let run = |command: &str, lines: &[&str], status: i32| {
        let args: Vec<&str> = command.split(' ').collect();
        r.londiste.program(&args).stdout("").stderr(log(lines)).status(status).run();
    };
    run("provider add-seq b", &[], 0);
    run("provider add-seq b", &["INFO Seq public.b already subscribed"], 0);
    run("provider add-seq nix", &["ERROR Seq public.nix does not exist on provider side"], 1);
    run("provider add-seq --all", &["INFO Seq public.b already subscribed"], 0);
    r.londiste.program(["provider", "seqs"]).stdout("public.b\npublic.A\nx.c\n").stderr("").run();
    run("provider remove-seq x.c", &[], 0);
    assert_eq!(r.provider.column("select ev_type from pgq.event_1"), ["T", "T"]);
    run(
        "provider remove-seq nix",
        &["ERROR Seq public.nix is not attached to queue db1-londiste-queue on provider"],
        1,
    );
    run("provider remove-seq --all", &[], 0);
    r.londiste.program(["provider", "seqs"]).stdout("").stderr("").run();
}

#[test]
fn fake_shows_the_messages_and_changes_nothing() {
    let mut r = installed(TABLES);
    r.londiste.run("provider add orders");
    r.londiste.configure("fake", "1");
    r.londiste.program(["provider", "add", "customers"]).stderr(log(&["INFO Adding public.customers"])).run();
    r.londiste.program(["provider", "remove", "orders"]).stderr(log(&["INFO Removing public.orders"])).run();
    r.londiste.run("provider add-seq --all");
    r.londiste.program(["provider", "tables"]).stdout("public.orders\n").run();
    r.londiste.program(["provider", "seqs"]).stdout("").run();
    assert_eq!(r.provider.value("select count(*) from pgq.event_1"), "0");
}

#[test]
fn a_table_is_registered_with_its_trigger_and_without_an_event() {
    let mut r = Replication::new();
    r.provider.sql("create schema my_pg_data; create table my_pg_data.t (id int primary key)");
    r.londiste.configure("pgq_queue_name", "My.Queue");
    r.londiste.run("provider install");
    // Only schemas whose names begin with "pg_" are the server's.
    r.londiste.program(["provider", "add", "--all"]).stderr(log(&["INFO Adding my_pg_data.t"])).run();
    let row = r.provider.rows("select queue_name, table_name, trigger_name from londiste.provider_table");
    assert_eq!(row, [["My.Queue", "my_pg_data.t", "my_queue_logger"]]);
    assert_eq!(r.provider.value("select count(*) from pgq.event_1"), "0");
}

#[test]
fn a_domain_that_becomes_its_base_type_stops_no_writer() {
    let r = installed("create domain amount as int");
    for (table, capture) in [("a", "statement"), ("b", "row")] {
        r.provider.sql(&format!("create table {table} (id int primary key, v amount)"));
        r.provider.sql(&format!(
            "select londiste.provider_add_table_as('db1-londiste-queue', 'public.{table}', '{capture}', null, null)"
        ));
        // One session: it has run the functions for the domain before.
        r.provider.sql(&format!(
            "insert into {table} select i, i from generate_series(1, 2) i;
             update {table} set v = v + 1;
             alter table {table} alter v type int;
             update {table} set v = v + 1"
        ));
        assert_eq!(
            r.provider.column(&format!(
                "select ev_data from pgq.event_1 where ev_type = 'U' and ev_extra1 = 'public.{table}' order by ev_id"
            )),
            ["v='2' where id='1'", "v='3' where id='2'", "v='3' where id='1'", "v='4' where id='2'"]
        );
    }
}

#[test]
fn columns_may_be_words_of_plpgsql() {
    let r = installed("");
    for (table, capture) in [("a", "statement"), ("b", "row")] {
        r.provider.sql(&format!("create table {table} (id int primary key, by int, loop int, if int)"));
        r.provider.sql(&format!(
            "select londiste.provider_add_table_as('db1-londiste-queue', 'public.{table}', '{capture}', null, null)"
        ));
        r.provider.sql(&format!("insert into {table} select i, i, i, i from generate_series(1, 2) i"));
        r.provider.sql(&format!("update {table} set by = 5, if = 6, loop = null"));
        assert_eq!(
            r.provider.column(&format!(
                "select ev_data from pgq.event_1 where ev_type = 'U' and ev_extra1 = 'public.{table}' order by ev_id"
            )),
            [r#""by"='5',loop=NULL,"if"='6' where id='1'"#, r#""by"='5',loop=NULL,"if"='6' where id='2'"#]
        );
    }
}
