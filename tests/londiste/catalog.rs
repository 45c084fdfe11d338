//! What a copy drops comes back as it was.

use rlondiste::pg::catalog::{self, Dependent, KeySource};
use rlondiste::pg::{Db, FqName, Role};
use rlondiste::task::Abort;

use crate::support::{Cluster, Database};

/// Runs the work with a session on the database.
fn with<T>(database: &Database, work: impl AsyncFnOnce(&Db) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let abort = Abort::new();
        let db = Db::open(Role::Subscriber, database.conninfo(), "test", &abort).await.unwrap();
        work(&db).await
    })
}

fn dependents(database: &Database, table: &str) -> Vec<Dependent> {
    with(database, async |db: &Db| catalog::dependent_objects(db, &FqName::parse(table)).await.unwrap())
}

fn names(dependents: &[Dependent]) -> Vec<&str> {
    dependents.iter().map(|d| d.name.as_str()).collect()
}

/// All that the server knows of a table's indexes, constraints and rules.
fn described(database: &Database) -> Vec<Vec<String>> {
    database.rows(
        "select c.relname, pg_get_indexdef(c.oid), i.indisclustered, i.indisreplident, i.indisprimary,
                c.reloptions, t.spcname, obj_description(c.oid)
         from pg_class c join pg_index i on i.indexrelid = c.oid left join pg_tablespace t on t.oid = c.reltablespace
         where i.indrelid = 't'::regclass
         union all
         select conname, pg_get_constraintdef(oid), condeferrable, condeferred, convalidated, null, null,
                obj_description(oid, 'pg_constraint')
         from pg_constraint where conrelid = 't'::regclass
         union all
         select rulename, pg_get_ruledef(oid), false, false, false, null, ev_enabled::text, null
         from pg_rewrite where ev_class = 't'::regclass order by 1, 2",
    )
}

#[test]
fn what_is_dropped_comes_back_as_it_was() {
    let database = Cluster::subscriber().database();
    database.sql(
        "create table other (id int primary key);
         create table t (
             id int, code text collate \"C\", amount numeric, span int4range, \"Odd \"\"name\" text, other int references other,
             constraint t_pkey primary key (id) with (fillfactor = 70),
             constraint amount_pos check (amount > 0),
             constraint late unique (code) deferrable initially deferred,
             constraint no_overlap exclude using gist (span with &&)
         );
         comment on constraint t_pkey on t is 'it''s the key';
         create index t_part on t using btree (lower(code) desc nulls last) where amount > 5;
         create unique index t_code on t (id, code);
         create index \"Odd index\" on t (\"Odd \"\"name\") with (fillfactor = 60);
         comment on index \"Odd index\" is 'odd\\';
         alter table t cluster on \"Odd index\";
         alter table t alter code set not null;
         alter table t replica identity using index t_code;
         alter table t add constraint not_checked check (id > 0) not valid;
         create rule \"the rule\" as on delete to t do also notify gone;
         alter table t disable rule \"the rule\"",
    );
    let before = described(&database);
    let found = dependents(&database, "t");
    let expected = [
        "t_pkey",
        "late",
        "no_overlap",
        "amount_pos",
        "not_checked",
        "public.t_part",
        "public.t_code",
        "public.Odd index",
        "the rule",
    ];
    assert_eq!(names(&found), expected);
    with(&database, async |db: &Db| {
        let tx = db.begin("begin", "begin").await.unwrap();
        for dependent in found.iter().rev() {
            tx.batch("drop", &dependent.drop_sql).await.unwrap();
        }
        for dependent in &found {
            tx.batch("create", &dependent.create_sql).await.unwrap();
        }
        tx.commit("commit").await.unwrap();
    });
    assert_eq!(described(&database), before);
    assert_eq!(names(&dependents(&database, "t")), expected);
}

#[test]
fn what_cannot_come_back_alone_stays() {
    let database = Cluster::subscriber().database();
    database.sql(
        "create table grouped (id int primary key, a text, b text);
         create view v as select id, a from grouped group by id;
         create table parent (id int primary key, constraint positive check (id > 0));
         create table child (constraint own check (id < 100)) inherits (parent)",
    );
    assert_eq!(names(&dependents(&database, "grouped")), Vec::<&str>::new());
    assert_eq!(names(&dependents(&database, "parent")), ["parent_pkey"]);
    assert_eq!(names(&dependents(&database, "child")), ["own"]);
    assert_eq!(names(&dependents(&database, "nix")), Vec::<&str>::new());
    if database.major() < 11 {
        return; // No primary keys on partitioned tables.
    }
    database.sql(
        "create table root (id int, constraint root_pkey primary key (id)) partition by range (id);
         create table leaf partition of root for values from (0) to (100);
         create index leaf_only on leaf (id)",
    );
    assert_eq!(names(&dependents(&database, "root")), Vec::<&str>::new());
    assert_eq!(names(&dependents(&database, "leaf")), ["public.leaf_only"]);
}

#[test]
fn columns_and_keys_are_read() {
    let database = Cluster::subscriber().database();
    let generated = if database.major() >= 12 { "generated always as (a * 2) stored" } else { "" };
    database.sql(&format!(
        "create table t (gone int, b text not null, a int generated always as identity, n numeric(10,2), g int {generated},
                         primary key (b, a));
         alter table t drop column gone;
         create table u (a int not null, b int not null, c int, unique (a, b), unique (c));
         create unique index u_b on u (b);
         create unique index u_partial on u (a) where c > 0;
         create table n (a int unique, b int not null);
         create table no_columns ()"
    ));
    let names: Vec<FqName> = ["t", "u", "n", "no_columns", "nix"].iter().map(|n| FqName::parse(n)).collect();
    let found = with(&database, async |db: &Db| catalog::structures(db, &names).await.unwrap());
    assert_eq!(found.len(), 4);
    let t = &found[&names[0]];
    let shown: Vec<String> = t
        .columns
        .iter()
        .map(|c| {
            let key = c.key_position;
            format!(
                "{} {} {} null:{} gen:{} id:{} key:{key}",
                c.attnum,
                c.name,
                c.type_name,
                !c.not_null,
                c.is_generated(),
                c.identity.is_some()
            )
        })
        .collect();
    let has_generated = database.major() >= 12;
    assert_eq!(
        shown,
        [
            "2 b text null:false gen:false id:false key:1",
            "3 a integer null:false gen:false id:true key:2",
            "4 n numeric(10,2) null:true gen:false id:false key:0",
            &format!("5 g integer null:true gen:{has_generated} id:false key:0"),
        ]
    );
    let key = |name: &FqName| found[name].key().iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(",");
    assert_eq!((t.key_source, key(&names[0]).as_str()), (KeySource::Primary, "b,a"));
    assert_eq!((found[&names[1]].key_source, key(&names[1]).as_str()), (KeySource::UniqueIndex, "b"));
    assert_eq!((found[&names[2]].key_source, key(&names[2]).as_str()), (KeySource::None, ""));
    assert!(found[&names[3]].columns.is_empty());
}

#[test]
fn triggers_are_read() {
    let database = Cluster::subscriber().database();
    database.sql(
        "create table c (id int primary key);
         create function f() returns trigger language plpgsql as 'begin return null; end';
         create trigger late after insert on c for each row execute procedure f();
         create constraint trigger deferred after insert on c initially deferred for each row execute procedure f();
         alter table c disable trigger late",
    );
    with(&database, async |db: &Db| {
        let triggers = catalog::triggers(db, &[FqName::parse("c")]).await.unwrap();
        let shown: Vec<String> =
            triggers.iter().map(|t| format!("{} after:{} row:{} {}", t.name, t.after, t.each_row, t.enabled)).collect();
        assert_eq!(shown, ["deferred after:false row:true O", "late after:true row:true D"]);
    });
}
