//! `londiste.fence.pass`: by this value, in the setting `londiste.pass`, replication writes to a database that the fence of a
//! switchover has closed.

use crate::error::Result;
use crate::pg::{Db, Sql, sql};

const ACTION: &str = "get the pass of the fence";

/// Whether there is a pass for this session. A schema without the function (Londiste 2.1, an older rlondiste), a standby, and a role
/// that may not call it have no fence that the session could pass.
const CAN_ASK: &str = "select exists (
    select from pg_catalog.pg_proc p
           join pg_catalog.pg_namespace n on n.oid = p.pronamespace
     where n.nspname = 'londiste' and p.proname = 'fence_pass' and not pg_catalog.pg_is_in_recovery()
       and pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_function_privilege(p.oid, 'execute'))";

/// Lets the session write to a database that is closed. To be called after the last installation of the schema by this session, and
/// outside of a transaction.
pub(crate) async fn show(db: &mut Db) -> Result<()> {
    if !db.query_one(ACTION, CAN_ASK, &[]).await?.get::<_, bool>(0) {
        return Ok(());
    }
    if !db.is_pooled() {
        let sql = "select pg_catalog.set_config('londiste.pass', londiste.fence_pass(), false) is null";
        return db.query_one(ACTION, sql, &[]).await.map(drop);
    }
    let pass: String = db.query_one(ACTION, "select londiste.fence_pass()", &[]).await?.get(0);
    // Takes no snapshot, so that one can be set by the statement behind it.
    let set: Sql = sql!("set local londiste.pass = {pass}", pass = Sql::literal(&pass));
    db.pin_in_transactions(&set);
    Ok(())
}
