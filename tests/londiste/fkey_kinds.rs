//! A foreign key that is dropped for a copy comes back as it was.

use crate::support::{Cluster, Replication, wait_until};

#[test]
fn key_that_is_not_valid_or_not_enforced_comes_back_so() {
    let r = Replication::new().with_table("t", "id int primary key");
    r.subscriber.sql(
        "create table child (id int primary key, t_id int); insert into child values (1, 77);
         alter table child add constraint unchecked foreign key (t_id) references t deferrable not valid",
    );
    if Cluster::subscriber().binaries().major() >= 18 {
        r.subscriber.sql(
            "create table loose (id int primary key, t_id int); insert into loose values (1, 77);
             alter table loose add constraint hint foreign key (t_id) references t on delete cascade deferrable not enforced",
        );
    }
    let sql = "select conname, convalidated, pg_get_constraintdef(oid) from pg_constraint
               where contype = 'f' and connamespace = 'public'::regnamespace order by 1";
    let before = r.subscriber.rows(sql);
    assert!(!before.is_empty());
    let r = r.up();
    wait_until("the foreign keys are back", || {
        let now = r.subscriber.rows(sql);
        if now == before { Ok(()) } else { Err(format!("{now:?}\n{}", r.londiste.log())) }
    });
    let shown = r.londiste.run("subscriber fkeys").stdout;
    assert!(!shown.contains("pending") && !shown.contains("failed"), "{shown}");
    r.provider.sql("insert into t values (1)");
    r.assert_in_sync();
}
