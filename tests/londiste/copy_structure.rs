//! A copy leaves everything that belongs to a table as it was, and under a write load both sides end equal.

use pretty_assertions::assert_eq;

use crate::support::{Cluster, Database, Load, Replication, run_dir, wait_until};

const TYPES: &str = "
    create type mood as enum ('sad', 'ok', 'happy');
    create domain positive as int check (value > 0);
    create type pair as (x int, y text);
    create function touch() returns trigger language plpgsql as 'begin return new; end';";

/// 2-column keys, partial and expression indexes, exclusion and deferrable constraints, self references, inheritance,
/// partitions.
const TABLES: &str = "
    create table p (
        a int, b text, n int not null, span int4range, note text, m mood default 'ok', d positive, r pair, ms mood[],
        constraint p_pkey primary key (a, b) include (n) with (fillfactor = 80),
        constraint p_n unique (n) deferrable initially deferred,
        constraint p_span exclude using gist (span with &&) where (span is not null),
        constraint p_note check (length(note) < 100000)
    );
    create table c (
        id bigint primary key, a int, b text, once int unique,
        constraint c_p foreign key (a, b) references p on update cascade on delete set null deferrable initially deferred
    );
    create table tree (id bigint primary key, up bigint constraint tree_up references tree deferrable, name text);
    create table part (id bigint, kind text, tree_id bigint constraint part_tree references tree, primary key (id))
        partition by range (id);
    create table part_low partition of part for values from (minvalue) to (1000000);
    create table part_high partition of part for values from (1000000) to (maxvalue);
    create table base (id bigint primary key, what text, constraint base_what check (what <> ''));
    create table derived (more int, constraint derived_pkey primary key (id)) inherits (base);";

const ROWS: &str = "
    insert into p select i, 'b' || i, i, int4range(i * 10, i * 10 + 5), repeat('x', i % 50), 'happy', i, format('(%s,y)', i)::pair, '{sad,ok}'
        from generate_series(1, 3000) i;
    insert into p (a, b, n) values (10000, 'below what p_late allows', -10), (10001, 'stays', 10001);
    insert into c select i, i, 'b' || i, i from generate_series(1, 2000) i;
    insert into tree select i, nullif(i / 2, 0), 'node' from generate_series(1, 1000) i;
    insert into part select i * 1000, 'kind', i % 1000 + 1 from generate_series(1, 2000) i;
    insert into base select i, 'base' from generate_series(1, 500) i;
    insert into derived select i, 'derived', i from generate_series(501, 1000) i;";

/// What only the subscriber has: everything that can hang on a table, its indexes, constraints, rules and triggers.
const TRIMMINGS: &str = r#"
    alter table p add constraint p_late check (n > -5) not valid;
    comment on constraint p_late on p is 'it''s late';
    comment on constraint p_pkey on p is 'the key';
    comment on index p_pkey is 'the key''s index';
    create index p_partial on p (note desc nulls last) where n % 2 = 0;
    comment on index p_partial is 'a part';
    create unique index "P expr" on p (lower(b) collate "C", (a * 2)) with (fillfactor = 60) tablespace space;
    alter index "P expr" alter column 1 set statistics 500;
    create index p_ms on p using gin (ms) with (fastupdate = off);
    create unique index p_identity on p (n, a) tablespace space;
    alter table p alter column a set not null, alter column note set statistics 77, alter column note set storage external;
    alter table p replica identity using index p_identity;
    alter table p cluster on p_identity;
    alter table p set (fillfactor = 90);
    create statistics p_statistics on a, n from p;
    create rule "p rule" as on delete to p do also notify gone;
    alter table p enable always rule "p rule";
    comment on rule "p rule" on p is 'a rule';
    create trigger p_plain before insert or update of note on p for each row when (new.n > 0) execute procedure touch();
    alter table p disable trigger p_plain;
    comment on trigger p_plain on p is 'sleeps';
    create constraint trigger p_deferred after insert on p deferrable initially deferred
        for each row execute procedure touch();
    comment on constraint c_p on c is 'c to p';
    alter table tree add constraint tree_unchecked foreign key (id) references tree not valid;
    create index part_low_kind on part_low (kind);
    create index part_kind on part (kind);
    create table outside (a int, b text, tree_id bigint,
        constraint outside_p foreign key (a, b) references p match full, constraint outside_tree foreign key (tree_id) references tree);
    insert into p (a, b, n) values (10001, 'stays', 10001);
    insert into tree values (1), (1000);
    insert into outside values (10001, 'stays', 1), (null, null, 1000);"#;

/// All that the catalogs say of the tables in `public`, a line each.
fn described(database: &Database) -> Vec<String> {
    database.column(
        "with mine as (select c.*, relname as name from pg_class c where relnamespace = 'public'::regnamespace
                           and relkind in ('r', 'p', 'i', 'I'))
         select format('relation %s %s %s %s %s %s', name, relkind, relreplident, array_to_string(reloptions, ' '),
                       (select spcname from pg_tablespace t where t.oid = reltablespace), obj_description(oid, 'pg_class'))
           from mine
         union all
         select format('column %s.%s %s %s %s %s', name, attname, format_type(atttypid, atttypmod), attnotnull,
                       attstorage, coalesce(attstattarget, -1))
           from mine join pg_attribute on attrelid = mine.oid where attnum > 0
         union all
         select format('index %s %s %s', pg_get_indexdef(indexrelid),
                       to_jsonb(i) - 'indexrelid' - 'indrelid' - 'indpred' - 'indexprs', ti.inhparent::regclass)
           from mine join pg_index i on indrelid = mine.oid left join pg_inherits ti on inhrelid = indexrelid
         union all
         select format('constraint %s %s %s %s %s %s %s %s', name, conname, pg_get_constraintdef(k.oid), convalidated,
                       conislocal, coninhcount, connoinherit, obj_description(k.oid, 'pg_constraint'))
           from mine join pg_constraint k on conrelid = mine.oid
         union all
         select format('rule %s %s %s', pg_get_ruledef(r.oid), ev_enabled, obj_description(r.oid, 'pg_rewrite'))
           from mine join pg_rewrite r on ev_class = mine.oid
         union all
         select format('trigger %s %s %s', pg_get_triggerdef(t.oid), tgenabled, obj_description(t.oid, 'pg_trigger'))
           from mine join pg_trigger t on tgrelid = mine.oid where not tgisinternal
         union all
         select 'statistics ' || pg_get_statisticsobjdef(oid) from pg_statistic_ext
         order by 1",
    )
}

/// Inserts, updates, key changes, rows that move between partitions, deletes, transactions that roll back.
fn writes(client: usize, n: usize) -> String {
    let new = 100_000 + client * 5_000_000 + n;
    let old = (client * 7919 + n * 104_729) % 2900 + 1;
    format!(
        "begin;
         insert into p (a, b, n, span, note, d, r) values
             ({new}, 'new', {new}, int4range({new} * 10, {new} * 10 + 5), 'it''s \\', 7, '({n},)');
         insert into c values ({new}, {new}, 'new', {new});
         insert into tree values ({new}, {old} % 1000 + 1, 'leaf'), ({new} + 20000000, {new}, 'leaf of a leaf');
         insert into part values ({new} * 100, 'new', {new});
         insert into derived values ({new}, 'derived', 1);
         {end};
         update p set note = note || 'y', m = 'sad', ms = ms || '{{happy}}' where a = {old};
         update p set b = b || '+' where a = {old} and length(b) < 20;
         update tree set name = name || '!' where id = {old} % 1000 + 1;
         update part set id = id + 3000000000 where id = {old} * 1000;
         update base set what = what || '?' where id = {old} % 1000 + 1;
         delete from c where id = {old};
         delete from p where a = {old} and a % 5 = 0;",
        end = if n % 7 == 3 { "rollback" } else { "commit" },
    )
}

#[test]
fn tables_of_every_kind_are_copied_under_load_and_keep_all_that_hangs_on_them() {
    let subscriber = Cluster::builder().name("structures").start();
    if subscriber.binaries().major() < 12 {
        return; // TRIMMINGS has what PostgreSQL 11 and 12 brought.
    }
    let space = subscriber.socket_dir().join("space");
    run_dir::create_server_dir(&space);
    subscriber.sql(&format!("create tablespace space location '{}'", space.display()));
    let r = Replication::between(Cluster::provider(), &subscriber).with_schema(TYPES).with_schema(TABLES);
    r.provider.sql(ROWS);
    r.subscriber.sql(TRIMMINGS);
    let before = described(&r.subscriber);
    r.install();
    r.start();
    r.londiste.run("provider add --all");

    let open = r.provider.session();
    open.sql("begin; insert into p (a, b, n) values (9000, 'open', 9000); update p set note = 'open' where a = 2999");
    let load = Load::start(&r.provider, 2, writes);
    r.londiste.run("subscriber add --all");
    r.wait_until_ok();
    open.sql(
        "update p set note = note || ', still open' where a = 2999; insert into c values (9000, 9000, 'open'); commit",
    );
    // Once more, with triggers and foreign keys in place again.
    r.londiste.run("subscriber resync p c tree part");
    r.wait_until_ok();
    assert!(load.stop() > 0);
    for table in ["p", "c"] {
        r.londiste.run(&format!("subscriber restore-triggers {table}"));
    }
    wait_until("the foreign keys are back and no snapshot is left", || {
        let left = r.subscriber.rows(
            "select fkey_name from londiste.subscriber_pending_fkeys
             union all select table_name from londiste.subscriber_table where snapshot is not null",
        );
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    assert_eq!(described(&r.subscriber), before);
    r.replay_until_in_sync();
    crate::support::assert_same_rows(&r.provider, &r.subscriber, &["p", "c", "tree", "part", "base", "derived"]);
    assert!(!r.londiste.log().contains("CRITICAL"), "{}", r.londiste.log());
}

/// How a table went over the wire, by the log of a provider that logs the statements.
pub(super) fn format_of(provider: &Cluster, r: &Replication, table: &str) -> String {
    let log = provider.log();
    let line = log
        .lines()
        .find(|l| {
            l.contains(&format!(" {} ", r.provider.name())) && l.contains(&format!("copy \"public\".\"{table}\" "))
        })
        .unwrap_or_else(|| panic!("no copy of {table} in the log"));
    line.split("(format ").nth(1).unwrap().trim_end_matches(')').to_owned()
}

#[test]
fn binary_form_is_taken_where_both_sides_mean_the_same_by_it() {
    let r = Replication::new().with_schema(TYPES).with_schema(
        "create table plain (id int primary key, t timestamptz[], n numeric(10, 2), j jsonb, v varchar(9), u uuid, r int4range);
         create table with_enum (id int primary key, m mood);
         create table with_domain (id int primary key, d positive);
         create table with_composite (id int primary key, r pair);
         create table with_enums (id int primary key, ms mood[]);
         create table with_class (id int primary key, c regclass)",
    );
    r.provider.sql(
        r#"create table other (v varchar(4), id int primary key, gone int);
           alter table other drop column gone;
           create table wider (id int primary key, n int);
           insert into plain values (1, '{2020-01-01 0:00Z,null}', 12.34, '{"a": [null]}', 'ž', md5('x')::uuid, '[1,5)'), (2, null, null, null, null, null, null);
           insert into with_enum values (1, 'happy'), (2, null);
           insert into with_domain values (1, 5);
           insert into with_composite values (1, row(1, 'a"b,c')), (2, row(null, null));
           insert into with_enums values (1, '{sad,null}');
           insert into with_class values (1, 'plain');
           insert into other values ('\N' || chr(9), 1);
           insert into wider values (1, 2)"#,
    );
    // Enum values in another order of creation, columns in another order and more of them, another type that fits.
    r.subscriber.sql(
        "create table other (more text default 'more', id int primary key, v varchar(9));
         create table wider (id int primary key, n bigint)",
    );
    r.provider.log_statements();
    r.install();
    r.start();
    r.londiste.run("provider add --all");
    r.londiste.run("subscriber add --all --force");
    r.wait_until_ok();
    for (table, format) in [
        ("plain", "binary"),
        ("with_enum", "text"),
        ("with_domain", "text"),
        ("with_composite", "text"),
        ("with_enums", "text"),
        ("with_class", "text"),
        ("other", "text"),
        ("wider", "text"),
    ] {
        assert_eq!(format_of(Cluster::provider(), &r, table), format, "{table}");
    }
    r.replay_until_in_sync();
    r.assert_in_sync();
    assert_eq!(r.subscriber.value("select more from other"), "more");
}

fn indexes(database: &Database) -> Vec<String> {
    database.column("select indexdef from pg_indexes where tablename = 't' order by 1")
}

/// The server describes an index only as long as it exists, though the query that asks for it still sees its row.
#[test]
fn indexes_that_are_dropped_and_created_meanwhile_stay_what_they_are() {
    const INDEXES: usize = 100;
    let each = |statement: &str| (0..INDEXES).map(|n| statement.replace('#', &n.to_string())).collect::<Vec<_>>();
    let create = each("create index i# on t (id)").join("; ");
    let r = Replication::new().with_table("t", "id int primary key");
    r.provider.sql("insert into t select generate_series(1, 100)");
    let r = r.up();
    r.subscriber.sql(&create);
    let before = indexes(&r.subscriber);
    let operator = r.subscriber.session();
    std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            for _ in 0..8 {
                for statement in each("drop index i#") {
                    operator.sql(&statement);
                }
                operator.sql(&create);
            }
        });
        while !work.is_finished() {
            r.londiste.run("subscriber resync t");
            r.wait_until_ok();
        }
    });
    r.assert_in_sync();
    assert_eq!(indexes(&r.subscriber), before);
    assert!(!r.londiste.log().contains("CRITICAL"), "{}", r.londiste.log());
}
