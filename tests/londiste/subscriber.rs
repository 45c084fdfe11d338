//! The subscriber's commands, message by message.

use super::log_lines::log;
use crate::support::Replication;

/// Both sides have these.
const SHOP: &str = "
    create table customers (id int primary key, name text);
    create table orders (id int primary key, customer_id int references customers, amount int);
    create table tags (tag text primary key, data text);
";

/// Both sides installed, the tables of the provider added.
fn offered(schema: &str) -> Replication {
    let r = Replication::new().with_schema(schema);
    r.install();
    r.londiste.run("provider add --all");
    r
}

/// Runs `subscriber COMMAND` with nothing on standard output and these log lines.
#[track_caller]
fn expect(r: &Replication, command: &str, lines: &[&str], status: i32) {
    let args = ["subscriber"].into_iter().chain(command.split(' '));
    r.londiste.program(args).stdout("").stderr(log(lines)).status(status).run();
}

fn states(r: &Replication) -> Vec<String> {
    r.subscriber.column(
        "select table_name || '=' || coalesce(merge_state, '-') from londiste.subscriber_get_table_list('db1-londiste-queue')",
    )
}

#[test]
fn install_is_like_the_providers() {
    let r = Replication::new();
    let reading = format!("INFO   Reading from rlondiste {}", env!("CARGO_PKG_VERSION"));
    expect(&r, "install", &["INFO plpgsql is installed", "INFO Installing londiste", &reading], 0);
    expect(&r, "install", &["INFO plpgsql is installed", "INFO londiste is installed"], 0);
}

#[test]
fn commands_before_install_say_what_to_run() {
    const PGQ: &str = "HINT: Run \"rlondiste TICKER-INI install\" or \"rlondiste INI provider install\" first.";
    const LONDISTE: &str = "HINT: Run \"rlondiste INI subscriber install\" first.";
    const OFFERED: &str = "HINT: Run \"rlondiste INI provider install\" first.";
    let r = Replication::new();
    let on_provider = format!("on provider ({})", r.provider.place());
    let on_subscriber = format!("on subscriber ({})", r.subscriber.place());
    let londiste = "schema \"londiste\" does not exist (3F000)";
    let tables = format!("could not list the subscribed tables {on_subscriber}: {londiste}\n{LONDISTE}");
    let offered = format!("could not list the tables of the queue {on_provider}: {londiste}\n{OFFERED}");
    let gone = format!(
        "schema pgq does not exist {on_provider}, and no queue\nHINT: Run \"rlondiste INI provider install\". If the queue was \
         there before, then run \"rlondiste INI subscriber resync --all\", since its events are lost."
    );
    let seqs = format!("could not list the sequences of the queue {on_subscriber}: {londiste}\n{LONDISTE}");
    let queue = format!("could not look for the queue {on_provider}: schema \"pgq\" does not exist (3F000)\n{PGQ}");
    let consumer = format!(
        "could not look for the consumer {on_provider}: relation \"pgq.subscription\" does not exist (42P01)\n{PGQ}"
    );
    for (command, error) in [
        ("seqs", &seqs),
        ("missing", &tables),
        ("check", &gone),
        ("add --all", &tables),
        ("remove --all", &tables),
        ("resync --all", &tables),
        ("wait-sync", &tables),
        ("fkeys", &offered),
        ("triggers", &offered),
        ("register", &queue),
        ("unregister", &consumer),
    ] {
        let program = r.londiste.program(["subscriber"].into_iter().chain(command.split(' ')));
        program.stdout("").stderr(format!("rlondiste: {error}\n")).status(1).run();
    }
    let crashed = |first: &str, error: &str| format!("{first}DATE PID CRITICAL Job db1-londiste crashed: {error}\n");
    let lag = format!("could not read the consumer's lag {on_provider}: schema \"pgq\" does not exist (3F000)\n{PGQ}");
    let tick =
        |action: &str| format!("could not {action} the last applied tick {on_subscriber}: {londiste}\n{LONDISTE}");
    let install = "HINT: Run \"rlondiste INI subscriber install\" first.";
    for (command, stderr) in [
        ("compare", crashed("", &lag)),
        ("repair", crashed("", &lag)),
        ("copy", crashed("", &format!("schema londiste is not installed {on_subscriber}\n{install}"))),
        ("--rewind", crashed("DATE PID INFO Rewinding queue\n", &tick("read"))),
        ("--reset", crashed("DATE PID INFO Resetting queue tracking on dst side\n", &tick("store"))),
    ] {
        r.londiste.program([command]).stdout("").stderr(stderr).status(1).run();
    }
}

#[test]
fn tables_are_checked_first_and_then_added() {
    let r = offered(SHOP);
    let lines = [
        "INFO Checking public.customers",
        "INFO Checking public.tags",
        "INFO Adding public.customers",
        "INFO Adding public.tags",
    ];
    expect(&r, "add tags customers", &lines, 0);
    let again = ["INFO Checking public.customers", "INFO Table public.customers already added"];
    expect(&r, "add customers", &again, 0);
    expect(&r, "add or*", &["INFO Checking public.orders", "INFO Adding public.orders"], 0);
    let table = "\
Table                                           State
public.customers                                    -
public.tags                                         -
public.orders                                       -
";
    r.londiste.program(["subscriber", "tables"]).stdout(table).stderr("").run();
    let json = r.londiste.program(["subscriber", "tables", "--json"]).stderr("").run().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0], serde_json::json!({"table": "public.customers", "state": null}));
}

#[test]
fn a_name_that_is_not_on_the_subscriber_is_no_failure() {
    let r = offered(SHOP);
    expect(&r, "add np", &["INFO No tables found that match np"], 0);
    expect(&r, "add", &[], 0);
}

#[test]
fn a_table_that_the_provider_does_not_have_is_skipped() {
    let r = offered(SHOP);
    r.subscriber.sql("create table more (id int primary key)");
    expect(&r, "add more", &["ERROR Table public.more not attached to queue"], 0);
    let forced = [
        "ERROR Table public.more not attached to queue",
        "WARNING --force used, ignoring errors",
        "INFO Checking public.more",
        "ERROR Table public.more missing from provider side",
        "WARNING --force used, ignoring errors",
        "INFO Adding public.more",
    ];
    expect(&r, "add more --force", &forced, 0);
    assert_eq!(states(&r), ["public.more=-"]);
}

#[test]
fn all_skips_other_tables_and_reports_those_that_are_not_there() {
    let r = offered(SHOP);
    r.subscriber
        .sql("drop table tags; create table more (id int primary key); create table and_more (id int primary key)");
    let lines = [
        "INFO No tables found that match public.tags",
        "WARNING Table public.tags of the provider does not exist on subscriber: create it there first",
        "INFO Leaving out tables that are not attached to queue: 2 (-v names them)",
        "INFO Checking public.customers",
        "INFO Checking public.orders",
        "INFO Adding public.customers",
        "INFO Adding public.orders",
    ];
    expect(&r, "add --all", &lines, 0);
    let output = r.londiste.run("subscriber add --all -v");
    assert!(output.stderr.contains(" DEBUG Table public.more not attached to queue\n"), "{}", output.stderr);
}

#[test]
fn a_missing_column_keeps_the_table_out() {
    let r = offered("create table ps (a int primary key, b text, c text)");
    r.subscriber.sql("alter table ps drop column b");
    let mut lines = vec![
        "INFO Checking public.ps",
        "WARNING table public.ps structure is not same (kvv/kv), trying to continue",
        "ERROR public.ps: column b on provider not on subscriber",
    ];
    expect(&r, "add ps", &lines, 1);
    assert!(states(&r).is_empty());
    lines.extend(["WARNING --force used, ignoring errors", "INFO Adding public.ps"]);
    expect(&r, "add ps --force", &lines, 0);
}

#[test]
fn a_different_key_keeps_the_table_out() {
    let r = offered("create table pkd (id int primary key, b int)");
    r.subscriber.sql("alter table pkd drop constraint pkd_pkey, add primary key (b)");
    let lines = [
        "INFO Checking public.pkd",
        "WARNING table public.pkd structure is not same (kv/vk), trying to continue",
        "ERROR public.pkd: pk different on column id",
        "ERROR public.pkd: pk different on column b",
    ];
    expect(&r, "add pkd", &lines, 1);
    expect(&r, "check", &lines, 1);
    assert!(states(&r).is_empty());
}

#[test]
fn a_missing_key_keeps_the_table_out() {
    let r = offered("create table nopk2 (v int primary key)");
    r.subscriber.sql("alter table nopk2 drop constraint nopk2_pkey");
    let lines = ["INFO Checking public.nopk2", "ERROR subscriber table public.nopk2 has no primary key (v)"];
    expect(&r, "add nopk2", &lines, 1);
    r.subscriber.sql("alter table nopk2 add primary key (v)");
    r.provider.sql("alter table nopk2 drop constraint nopk2_pkey; alter table nopk2 alter v drop not null");
    let lines = ["INFO Checking public.nopk2", "ERROR provider table public.nopk2 has no primary key (v)"];
    expect(&r, "add nopk2", &lines, 1);
}

#[test]
fn another_order_and_more_columns_are_a_warning() {
    let r = offered("create table o (id int primary key, a text)");
    r.subscriber.sql("drop table o; create table o (x int default 1, id int primary key, a text)");
    let lines = [
        "INFO Checking public.o",
        "WARNING table public.o structure is not same (kv/vkv), trying to continue",
        "INFO Adding public.o",
    ];
    expect(&r, "add o", &lines, 0);
}

#[test]
fn other_types_are_a_warning() {
    let r = offered("create table o (id int primary key)");
    r.subscriber.sql("alter table o alter id type bigint");
    let lines = [
        "INFO Checking public.o",
        "WARNING table public.o: column id is integer on provider, bigint on subscriber",
        "INFO Adding public.o",
    ];
    expect(&r, "add o", &lines, 0);
}

#[test]
fn one_bad_table_does_not_stop_the_others() {
    let r = offered(SHOP);
    r.subscriber.sql("alter table customers drop column name");
    let lines = [
        "INFO Checking public.customers",
        "WARNING table public.customers structure is not same (kv/k), trying to continue",
        "ERROR public.customers: column name on provider not on subscriber",
        "INFO Checking public.orders",
        "INFO Checking public.tags",
        "INFO Adding public.orders",
        "INFO Adding public.tags",
    ];
    expect(&r, "add --all", &lines, 1);
    assert_eq!(states(&r), ["public.orders=-", "public.tags=-"]);
}

#[test]
fn a_unique_index_is_a_key_where_there_is_no_primary_key() {
    let r = offered("create table u (a int not null unique, b text)");
    expect(&r, "add u", &["INFO Checking public.u", "INFO Adding public.u"], 0);
}

#[test]
fn a_chosen_key_needs_no_index_on_the_subscriber() {
    let r = offered(SHOP);
    r.provider.sql("create table n (a int not null, b text)");
    r.subscriber.sql("create table n (a int, b text)");
    r.londiste.run("provider add n --key=a");
    expect(&r, "add n", &["INFO Checking public.n", "INFO Adding public.n"], 0);
}

#[test]
fn expect_sync_and_skip_truncate_are_stored() {
    let r = offered(SHOP);
    r.londiste.run("subscriber add tags --expect-sync");
    r.londiste.run("subscriber add customers --skip-truncate");
    assert_eq!(states(&r), ["public.tags=ok", "public.customers=-"]);
    let skip = "select skip_truncate from londiste.subscriber_table where table_name = 'public.customers'";
    assert_eq!(r.subscriber.value(skip), "t");
    let lines = [
        "INFO Checking public.orders",
        "INFO Adding public.orders",
        "ERROR Too many options: --expect-sync and --skip-truncate",
    ];
    expect(&r, "add orders --expect-sync --skip-truncate", &lines, 1);
    let again = ["INFO Checking public.tags", "INFO Table public.tags already added"];
    expect(&r, "add tags --expect-sync --skip-truncate", &again, 0);
    assert_eq!(states(&r), ["public.tags=ok", "public.customers=-"]);
}

#[test]
fn remove_takes_names_globs_and_all() {
    let r = offered(SHOP);
    r.londiste.run("subscriber add --all");
    expect(&r, "remove nix", &[], 0);
    expect(&r, "remove t*", &["INFO Removing: public.tags"], 0);
    r.subscriber.sql("drop table orders");
    expect(&r, "remove --all", &["INFO Removing: public.customers", "INFO Removing: public.orders"], 0);
    assert!(states(&r).is_empty());
}

#[test]
fn missing_lists_what_is_not_subscribed() {
    let r = offered(&format!("{SHOP} create sequence s1; create sequence s2"));
    r.londiste.run("provider add-seq --all");
    r.londiste.run("subscriber add customers tags");
    r.londiste.run("subscriber add-seq s2");
    r.londiste
        .program(["subscriber", "missing"])
        .stdout("Table: public.orders\nSequence: public.s1\n")
        .stderr("")
        .run();
    r.londiste.run("subscriber add orders");
    r.londiste.run("subscriber add-seq s1");
    r.londiste.program(["subscriber", "missing"]).stdout("").stderr("").run();
}

#[test]
fn check_looks_at_all_tables_of_the_provider() {
    let r = offered(SHOP);
    let lines = ["INFO Checking public.customers", "INFO Checking public.orders", "INFO Checking public.tags"];
    expect(&r, "check", &lines, 0);
    r.subscriber.sql("drop table tags");
    let missing = [lines.as_slice(), &["ERROR Table public.tags missing from subscriber side"]].concat();
    expect(&r, "check", &missing, 1);
    r.provider.sql("drop table tags");
    let both =
        [missing[..3].to_vec(), vec!["ERROR Table public.tags missing from provider side"], missing[3..].to_vec()];
    expect(&r, "check", &both.concat(), 1);
}

#[test]
fn resync_takes_stable_tables_only() {
    let r = offered(SHOP);
    r.londiste.run("subscriber add --all");
    r.subscriber.sql("update londiste.subscriber_table set merge_state = 'ok' where table_name <> 'public.tags'");
    let lines = [
        "INFO Resyncing public.orders",
        "WARNING Table public.tags is not in stable state",
        "WARNING Table public.x not found",
    ];
    expect(&r, "resync orders tags x", &lines, 0);
    assert_eq!(states(&r), ["public.customers=ok", "public.orders=-", "public.tags=-"]);
    let lines = [
        "INFO Resyncing public.customers",
        "WARNING Table public.orders is not in stable state",
        "WARNING Table public.tags is not in stable state",
    ];
    expect(&r, "resync --all", &lines, 0);
    expect(&r, "resync", &[], 0);
    // No globs.
    expect(&r, "resync t*", &["WARNING Table public.t* not found"], 0);
}

#[test]
fn words_that_a_command_cannot_do_with_or_without_are_a_usage_error() {
    let r = offered(SHOP);
    for (command, text) in [
        ("fkeys old", "\"old\" is neither pending nor active: subscriber fkeys [pending|active]"),
        ("triggers old", "\"old\" is neither pending nor active: subscriber triggers [pending|active]"),
        (
            "restore-triggers",
            "subscriber restore-triggers needs a table name: subscriber restore-triggers TBL [TGNAME ...]",
        ),
    ] {
        let args = ["subscriber"].into_iter().chain(command.split(' '));
        let text = format!("Usage: londiste.py [options] INI CMD [subcmd args]\n\nlondiste.py: error: {text}\n");
        r.londiste.program(args).called("londiste.py").stdout("").stderr(text).status(2).run();
    }
}

#[test]
fn every_listing_has_its_facts_as_json() {
    let r = offered(&format!("{SHOP} create sequence s"));
    r.londiste.run("provider add-seq --all");
    r.londiste.run("subscriber add customers orders");
    r.subscriber.sql("alter table tags drop column data");
    let json = |command: &str, status: i32| -> serde_json::Value {
        let args = command.split(' ').chain(["--json"]);
        serde_json::from_str(&r.londiste.program(args).status(status).run().stdout).unwrap()
    };
    assert_eq!(json("provider tables", 0), serde_json::json!(["public.customers", "public.orders", "public.tags"]));
    assert_eq!(json("provider seqs", 0), serde_json::json!(["public.s"]));
    assert_eq!(json("subscriber seqs", 0), serde_json::json!([]));
    assert_eq!(
        json("subscriber missing", 0),
        serde_json::json!({"schema_version": 1, "tables": ["public.tags"], "sequences": ["public.s"]})
    );
    assert_eq!(json("subscriber fkeys", 0)["active_fkeys"][0]["from_table"], "public.orders");
    assert_eq!(
        json("subscriber triggers", 0),
        serde_json::json!({"schema_version": 1, "pending_triggers": [], "active_triggers": []})
    );
    let check = json("subscriber check", 1);
    assert_eq!(check[0], serde_json::json!({"table": "public.customers", "notes": [], "differences": []}));
    assert_eq!(check[2]["differences"][0], "public.tags: column data on provider not on subscriber");
}

#[test]
fn register_and_unregister_leave_no_position_behind() {
    let r = offered(SHOP);
    let consumers =
        || r.provider.column("select co_name from pgq.subscription join pgq.consumer on co_id = sub_consumer");
    expect(&r, "register", &[], 0);
    expect(&r, "register", &[], 0);
    assert_eq!(consumers(), ["db1-londiste"]);
    r.londiste.run("subscriber add --all --expect-sync");
    r.subscriber.sql("select londiste.set_last_tick('db1-londiste', 1)");
    r.provider.sql("select pgq.register_consumer('db1-londiste-queue', 'db1-londiste_copy2')");
    expect(&r, "unregister", &[], 0);
    assert!(consumers().is_empty());
    assert_eq!(states(&r), ["public.customers=-", "public.orders=-", "public.tags=-"]);
    assert_eq!(r.subscriber.value("select count(*) from londiste.completed"), "0");
    expect(&r, "register", &[], 0);
}

#[test]
fn unregister_of_an_unknown_consumer_changes_nothing() {
    let r = offered(SHOP);
    r.londiste.run("subscriber add tags --expect-sync");
    let stderr = format!(
        "rlondiste: consumer not registered on queue: no consumer \"db1-londiste\" on queue \"db1-londiste-queue\" on provider \
         ({})\nHINT: Check job_name, pgq_consumer_id and pgq_queue_name in the ini file. Nothing was changed.\n",
        r.provider.place()
    );
    r.londiste.program(["subscriber", "unregister"]).stdout("").stderr(stderr).status(1).run();
    assert_eq!(states(&r), ["public.tags=ok"]);
}

#[test]
fn fake_shows_the_messages_and_changes_nothing() {
    let mut r = offered(SHOP);
    r.londiste.configure("fake", "1");
    expect(&r, "add tags", &["INFO Checking public.tags", "INFO Adding public.tags"], 0);
    expect(&r, "register", &[], 0);
    assert!(states(&r).is_empty());
    assert_eq!(r.provider.value("select count(*) from pgq.subscription"), "0");
}

#[test]
fn words_that_a_listing_has_no_use_for_are_a_warning() {
    let r = offered(SHOP);
    for (command, words, stdout) in [
        ("provider tables", "extra args", "public.customers\npublic.orders\npublic.tags\n"),
        ("provider seqs", "x", ""),
        ("subscriber seqs", "all", ""),
        ("subscriber missing", "x", "Table: public.customers\nTable: public.orders\nTable: public.tags\n"),
        ("subscriber register", "x", ""),
    ] {
        let line = format!("WARNING {command} has no use for \"{words}\"");
        let args = command.split(' ').chain(["--"]).chain(words.split(' '));
        r.londiste.program(args).stdout(stdout).stderr(log(&[line])).run();
    }
    let tables = "public.customers\npublic.orders\npublic.tags\n";
    r.londiste.program(["provider", "tables", "--all"]).stdout(tables).stderr("").run();
    for command in
        ["provider seqs", "subscriber seqs", "subscriber fkeys active", "subscriber missing", "subscriber check"]
    {
        r.londiste.run(&format!("{command} --all"));
    }
}
