//! `subscriber fkeys`, `triggers`, `restore-triggers`.

use super::log_lines::log;
use crate::support::{Replication, wait_until};

const TABLES: &str = "
    create table customers (id int primary key);
    create table orders (id int primary key, customer_id int references customers);
    create function f() returns trigger language plpgsql as 'begin return new; end';
    create trigger t1 after insert on orders for each row execute procedure f();
    create trigger t2 before update on orders for each row execute procedure f();
";

fn offered() -> Replication {
    let r = Replication::new().with_schema(TABLES);
    r.install();
    r.londiste.run("provider add --all");
    r
}

#[track_caller]
fn shows(r: &Replication, command: &str, stdout: &str) {
    let args = ["subscriber"].into_iter().chain(command.split(' '));
    r.londiste.program(args).stdout(stdout).stderr("").run();
}

#[track_caller]
fn logs(r: &Replication, command: &str, lines: &[&str], status: i32) {
    let args = ["subscriber"].into_iter().chain(command.split(' '));
    r.londiste.program(args).stdout("").stderr(log(lines)).status(status).run();
}

const FKEYS: &str = "\
active fkeys
from_table       to_table          fkey_name                fkey_def
---------------  ---------------   ---------------          ---------------
public.orders    public.customers  orders_customer_id_fkey  alter table only public.orders add constraint \
orders_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id)


";

#[test]
fn without_common_tables_there_is_nothing_to_show() {
    let r = offered();
    logs(&r, "fkeys", &["INFO No tables, no fkeys"], 0);
    logs(&r, "triggers", &["INFO No tables, no fkeys"], 0);
}

#[test]
fn fkeys_are_shown_pending_and_active() {
    let r = offered();
    r.londiste.run("subscriber add --all");
    shows(&r, "fkeys", FKEYS);
    shows(&r, "fkeys active", FKEYS);
    shows(&r, "fkeys pending", "");
    r.subscriber.sql("select londiste.subscriber_drop_table_fkey('public.orders', 'orders_customer_id_fkey')");
    shows(&r, "fkeys", &FKEYS.replace("active", "pending"));
    shows(&r, "fkeys active", "");
    let json = r.londiste.program(["subscriber", "fkeys", "--json"]).run().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["active_fkeys"], serde_json::json!([]));
    assert_eq!(json["pending_fkeys"][0]["fkey_name"], "orders_customer_id_fkey");
}

/// The section for these triggers of `orders`.
fn section(heading: &str, triggers: &[&str]) -> String {
    let definitions = [
        "public.orders    t1               CREATE TRIGGER t1 AFTER INSERT ON public.orders FOR EACH ROW EXECUTE FUNCTION public.f()",
        "public.orders    t2               CREATE TRIGGER t2 BEFORE UPDATE ON public.orders FOR EACH ROW EXECUTE FUNCTION public.f()",
    ];
    let mut text = format!(
        "{heading} triggers\ntable_name       trigger_name     trigger_def\n\
         ---------------  ---------------  ---------------\n"
    );
    for line in definitions.iter().filter(|line| triggers.iter().any(|t| line.contains(&format!(" {t} ")))) {
        text.push_str(line);
        text.push('\n');
    }
    text + "\n\n"
}

/// The definition as servers before 11 write it.
fn as_of(r: &Replication, text: &str) -> String {
    if r.subscriber.major() < 11 { text.replace("EXECUTE FUNCTION", "EXECUTE PROCEDURE") } else { text.to_owned() }
}

#[test]
fn triggers_are_put_aside_by_add_and_restored_by_name() {
    let r = offered();
    r.londiste.run("subscriber add --all");
    shows(&r, "triggers", &as_of(&r, &section("pending", &["t1", "t2"])));
    logs(&r, "restore-triggers orders t1", &[], 0);
    shows(&r, "triggers", &as_of(&r, &(section("pending", &["t2"]) + &section("active", &["t1"]))));
    logs(&r, "restore-triggers orders t1", &["INFO Trigger t1 on public.orders is already active."], 0);
    logs(&r, "restore-triggers orders nix", &["INFO Trigger nix not found on public.orders"], 0);
    logs(&r, "restore-triggers public.orders", &[], 0);
    shows(&r, "triggers", &as_of(&r, &section("active", &["t1", "t2"])));
    logs(&r, "restore-triggers orders", &["INFO No pending triggers found for public.orders."], 0);
    logs(&r, "restore-triggers nix", &["ERROR Table public.nix is not in the subscriber queue."], 1);
}

#[test]
fn triggers_stay_with_expect_sync_and_come_back_with_remove() {
    let r = offered();
    r.londiste.run("subscriber add orders --expect-sync");
    shows(&r, "triggers", &as_of(&r, &section("active", &["t1", "t2"])));
    r.londiste.run("subscriber remove orders");
    r.londiste.run("subscriber add orders");
    r.londiste.run("subscriber remove orders");
    let names = "select tgname from pg_trigger where not tgisinternal order by 1";
    assert_eq!(r.subscriber.column(names), ["t1", "t2"]);
}

/// Whatever `lock_timeout` is: the other tables must not wait for it.
#[test]
fn foreign_key_that_cannot_be_dropped_holds_up_no_other_table() {
    let schema = "create table parent (id int primary key);
        create table child (id int primary key, parent_id int references parent);
        create table other (id int primary key)";
    let mut r = Replication::new().with_schema(schema);
    r.londiste.configure("lock_timeout", "3600");
    r.install();
    let held = r.subscriber.session();
    held.sql("begin; lock table child in access share mode");
    r.start();
    r.add("--all");
    r.londiste.wait_for_log("copy of public.child has to wait: could not drop a foreign key on subscriber");
    wait_until("the other table is ok", || {
        match r.subscriber.column("select table_name from londiste.subscriber_table where merge_state = 'ok'") {
            tables if tables == ["public.other"] => Ok(()),
            tables => Err(format!("{tables:?}")),
        }
    });
    r.provider.sql("insert into other values (1)");
    r.replay_until_in_sync();
    assert_eq!(r.subscriber.value("select count(*) from other"), "1");
    held.sql("commit");
    r.wait_until_ok();
    r.assert_in_sync();
}

/// A trigger is the user's unless it calls a function of replication, whatever its name: on the subscriber it would write a
/// second time what replay brings.
#[test]
fn triggers_with_names_like_those_of_replication_are_put_aside_too() {
    let names = ["x_logger", "x_logger_i", "db1-londiste-queue_logger", "db1-londiste-queue_logger_u", "_londiste_x"];
    let schema = "create table t (id int primary key, v text); create table twice (nr serial primary key, id int);
        create function f() returns trigger language plpgsql as
            $$ begin insert into twice (id) values (new.id); return null; end $$";
    let r = Replication::new().with_schema(schema);
    for database in [&r.provider, &r.subscriber] {
        for name in names {
            database.sql(&format!("create trigger \"{name}\" after insert on t for each row execute procedure f()"));
        }
    }
    r.provider.sql("insert into t values (1, 'a')");
    r.install();
    r.start();
    r.add("--all");
    r.wait_until_ok();
    r.provider.sql("insert into t values (2, 'b')");
    r.assert_in_sync();
    assert_eq!(r.subscriber.value("select count(*) from twice"), (2 * names.len()).to_string());
    r.londiste.run("subscriber remove t");
    let back = "select tgname from pg_trigger where tgrelid = 't'::regclass and not tgisinternal order by tgname collate \"C\"";
    let mut expected = names;
    expected.sort_unstable();
    assert_eq!(r.subscriber.column(back), expected);
}

/// On the provider, foreign keys are checked at the end of a statement; its events one by one may be refused.
#[test]
fn statements_that_change_both_ends_of_a_foreign_key() {
    let statements = [
        // A row that others refer to goes, and comes again.
        "with gone as (delete from parent where id = 1 returning id) insert into parent select id, 'x', 'x' from gone",
        // Two of them change a unique value, and one gets another child.
        "with gone as (delete from parent where id in (1, 2) returning *)
             insert into parent select id, v, (select max(g.u) from gone g where g.id <> gone.id) from gone;
         insert into child values (3, 1)",
        // Another one is gone for good beside them, with its children.
        "with leaf as (delete from child where parent = 2), gone as (delete from parent where id in (1, 2) returning *)
             insert into parent select id, 'again', u from gone where id = 1",
        // A parent goes before its children.
        "insert into parent values (8, 'h', 'h'); insert into child values (8, 8)",
        "with gone as (delete from parent where id = 8 returning id) delete from child using gone where child.parent = gone.id",
        // Children come before their parent.
        "with leaf as (insert into child values (9, 9) returning parent) insert into parent select parent, 'i', 'i' from leaf",
        // Two rows come that refer to each other.
        "insert into tree values (1, 2), (2, 1)",
        "with gone as (delete from tree returning *) insert into tree select id, above from gone",
        // A row goes while another comes that refers to it: the foreign key acts on that one too.
        "insert into person values (1, null, 'a'), (2, 1, 'b')",
        "with gone as (delete from person where id = 1 returning *) insert into person select 3, id, 'c' from gone",
    ];
    for apply in ["set", "row"] {
        let mut r = Replication::new()
            .with_table("parent", "id int primary key, v text, u text unique")
            .with_table("child", "id int primary key, parent int not null references parent")
            .with_table("tree", "id int primary key, above int not null references tree")
            .with_table("person", "id int primary key, by int references person on delete set null, nick text unique");
        r.londiste.configure("apply", apply);
        let r = r.up();
        r.provider
            .sql("insert into parent values (1, 'a', 'a'), (2, 'b', 'b'); insert into child values (1, 1), (2, 2)");
        r.assert_in_sync();
        for sql in statements {
            r.provider.sql(sql);
            r.assert_in_sync();
        }
        // All of that again, in one batch.
        r.londiste.stop();
        r.provider.sql("delete from child; delete from parent; delete from tree; delete from person");
        r.provider
            .sql("insert into parent values (1, 'a', 'a'), (2, 'b', 'b'); insert into child values (1, 1), (2, 2)");
        for sql in statements {
            r.provider.sql(sql);
        }
        r.londiste.start();
        r.assert_in_sync();
        assert_eq!(r.subscriber.value("select v from parent where id = 1"), "again", "{apply}");
        // What the subscriber really refuses stops replay, and tells the event.
        r.subscriber.sql("insert into child values (99, 1)");
        r.provider.sql("delete from child where parent = 1; delete from parent where id = 1");
        wait_until("replay says what is refused", || {
            let log = r.londiste.log();
            let says = log.contains("cannot apply event") && log.contains("key id=1") && log.contains("(23503)");
            if says { Ok(()) } else { Err(log) }
        });
    }
}
