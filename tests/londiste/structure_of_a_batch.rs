//! What a batch itself does to a table is no change of its structure by somebody else.

use crate::support::{Replication, wait_until};

/// The server marks an index that was created while rows changed, for transactions that are older. TRUNCATE takes the mark away, in the
/// row of the index in the catalog.
#[test]
fn truncate_of_a_table_with_an_index_that_was_created_under_load_is_applied() {
    let r = Replication::new()
        .with_schema("create table t (id int primary key, v int); create table u (id int primary key)")
        .up();
    r.provider.sql("insert into t values (1, 1); insert into u values (1)");
    r.replay_until_in_sync();
    let marked = "select count(*) from pg_index where indexrelid = to_regclass('on_v') and indcheckxmin";
    wait_until("an index is marked", || {
        r.subscriber.sql("drop index if exists on_v");
        let older = r.subscriber.session();
        older.sql("begin isolation level repeatable read; select * from t");
        // The old version of the row, which `older` sees, is in one chain with the new one.
        r.subscriber.sql("update t set v = v + 1; create index on_v on t (v)");
        older.sql("rollback");
        if r.subscriber.value(marked) == "1" { Ok(()) } else { Err("it is not") }
    });
    r.provider.sql("begin; truncate t; insert into t values (2, 2), (3, 3); insert into u values (2); commit");
    r.assert_in_sync();
    assert_eq!(r.subscriber.value(marked), "0");
    assert!(!r.londiste.log().contains("the batch is applied again"), "{}", r.londiste.log());
}
