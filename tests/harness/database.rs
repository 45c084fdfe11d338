use crate::support::Cluster;

#[test]
fn databases_have_names_of_their_own_and_go_away() {
    let (one, two) = (Cluster::provider().database(), Cluster::provider().database());
    assert_ne!(one.name(), two.name());
    assert_eq!(one.value("select current_database()"), one.name());
    let name = one.name().to_owned();
    let _open = one.session();
    drop(one);
    let left = Cluster::provider().value(&format!("select count(*) from pg_database where datname = '{name}'"));
    assert_eq!(left, "0");
}

#[test]
fn errors_carry_sqlstate_and_hint() {
    let database = Cluster::provider().database();
    let error = database.error("do $$ begin raise 'no' using errcode = '22000', hint = 'Yes.'; end $$");
    assert_eq!(error.to_string(), "no (22000) HINT: Yes.");
}

#[test]
fn session_sees_notices_and_notifications() {
    let database = Cluster::provider().database();
    let session = database.session();
    session.sql("listen news; notify news, 'today'; do $$ begin raise warning 'careful'; end $$");
    assert_eq!(session.take_notices(), ["WARNING: careful"]);
    session.sql("select 1");
    assert_eq!(session.take_notifications(), ["news:today"]);
}

#[test]
fn open_transaction_of_a_session_is_invisible_to_others() {
    let database = Cluster::provider().database();
    database.sql("create table t (a int)");
    let session = database.session();
    session.sql("begin; insert into t values (1), (null)");
    assert_eq!(database.value("select count(*) from t"), "0");
    session.sql("commit");
    assert_eq!(database.column("select a from t order by a"), ["1", "NULL"]);
}
