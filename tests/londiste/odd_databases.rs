//! Databases whose defaults are not the server's: sessions of the program get them too, and none may change what it does.

use pretty_assertions::assert_eq;

use super::log_lines::{checked, log};
use crate::support::{Database, QUEUE, Replication, assert_same_rows};

const DEFAULTS: &[&str] = &[
    "default_transaction_isolation = 'serializable'",
    "standard_conforming_strings = off",
    "escape_string_warning = off",
    "quote_all_identifiers = on",
    "transform_null_equals = on",
    "array_nulls = off",
    "search_path = ''",
    "datestyle = 'German'",
    "intervalstyle = 'sql_standard'",
    "timezone = 'Asia/Kolkata'",
    "bytea_output = 'escape'",
    "extra_float_digits = -5",
    "xmloption = 'document'",
    "row_security = off",
    "client_min_messages = 'error'",
    "work_mem = '64kB'",
];

const SCHEMA: &str = r#"
    create table public.parent (id int primary key, "Text" text, at timestamptz, span interval, f float8, raw bytea, a text[]);
    create table public."Child" (id serial primary key, parent int references public.parent, x xml, j jsonb);
    create index on public."Child" (parent)"#;

const ROWS: &str = r#"
    insert into public.parent values
        (1, E'it''s \\ "here"', '2020-02-03 04:05:06.7+00', '1 mon -2 days 03:04:05', 0.1, E'\\x5c27ff00', array['a', E'\\']),
        (2, null, 'infinity', null, 'NaN', '', '{}');
    insert into public."Child" (parent, x, j) values (1, '<a/>', '{"k": null}'), (2, null, '[1.0]');
    update public.parent set "Text" = "Text" || E'\n%s\\', at = at - interval '1 s', f = f / 3, raw = raw || E'\\x00'
    where id = 1"#;

fn set_defaults(database: &Database) {
    for setting in DEFAULTS {
        database.sql(&format!("alter database {} set {setting}", database.name()));
    }
}

#[test]
fn defaults_of_the_database_change_nothing() {
    let r = Replication::new().with_schema(SCHEMA);
    set_defaults(&r.provider);
    set_defaults(&r.subscriber);
    r.provider.sql(ROWS);
    let r = r.up();
    r.provider.sql("delete from public.\"Child\"; delete from public.parent");
    r.provider.sql(ROWS);
    r.assert_in_sync();
    let tables = ["public.parent", "public.\"Child\""];
    assert_same_rows(&r.provider, &r.subscriber, &tables);

    let stdout = "Table                                           State\n\
                  public.Child                                       ok\n\
                  public.parent                                      ok\n";
    r.londiste.program(["subscriber", "tables"]).stdout(stdout).run();
    let lines = log(&["INFO Checking public.Child", "INFO Checking public.parent"]);
    r.londiste.program(["subscriber", "check"]).stdout("").stderr(lines).run();
    let lines = [checked("public.Child", 2, 2), checked("public.parent", 2, 2)].concat();
    r.londiste.program(["compare"]).stdout("").stderr(log(&lines)).run();

    // Differences are found and mended.
    r.subscriber.sql("update public.parent set \"Text\" = E'\\\\' where id = 1; delete from public.\"Child\"");
    r.londiste.program(["compare", "--checksum"]).status(1).run();
    r.londiste.run("repair --apply");
    assert_same_rows(&r.provider, &r.subscriber, &tables);

    // Capture goes on after DDL, before and after its functions are made anew.
    r.provider.sql("alter table public.parent add column more text default E'\\\\'");
    r.subscriber.sql("alter table public.parent add column more text");
    r.provider.sql("update public.parent set more = more || '''', f = 1e-7");
    r.londiste.run("provider refresh parent");
    r.provider.sql("update public.parent set more = more || E'\\\\n', f = f / 3; truncate public.\"Child\"");
    r.assert_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &tables);

    r.ticker.run(&format!("config {QUEUE} ticker_max_count=7"));
    assert_eq!(r.provider.value("select queue_ticker_max_count from pgq.queue"), "7");
    let logs = r.ticker.log() + &r.londiste.log();
    let complaints: Vec<&str> = logs
        .lines()
        .filter(|line| ["WARNING", "ERROR", "CRITICAL"].iter().any(|word| line.contains(word)))
        .filter(|line| !line.ends_with(": Results do not match!"))
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}
