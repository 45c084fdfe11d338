//! Transactions in two phases.

use crate::support::{Cluster, Replication, wait_until};

#[test]
fn prepared_transactions_are_replayed_when_they_are_committed() {
    let cluster = Cluster::builder().name("prepared").conf("max_prepared_transactions = 2").start();
    let r = Replication::between(&cluster, Cluster::subscriber()).with_table("t", "id int primary key, v text").up();
    r.provider.sql("insert into t values (1, 'a'), (2, 'b'), (3, 'c')");
    r.assert_in_sync();
    let writer = r.provider.session();
    writer.sql("begin; update t set v = 'x' where id = 1; delete from t where id = 2; prepare transaction 'kept'");
    writer.sql("begin; update t set v = 'y' where id = 3; prepare transaction 'undone'");
    r.provider.sql("insert into t values (4, 'd')");
    let rows = || r.subscriber.value("select string_agg(id || v, ' ' order by id) from t");
    wait_until("what was committed since is there", || if rows().contains("4d") { Ok(()) } else { Err(rows()) });
    assert_eq!(rows(), "1a 2b 3c 4d");

    drop(writer);
    cluster.restart();
    r.provider.sql("rollback prepared 'undone'");
    r.provider.sql("commit prepared 'kept'");
    r.assert_in_sync();
    assert_eq!(rows(), "1x 3c 4d");
}
