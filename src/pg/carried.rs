//! Settings that a session behind a pooler gets after its login.

use super::db::Db;
use super::pinned::Scope;
use super::sql::Sql;

impl Db {
    /// Behind a pooler, runs a `set local` at the beginning of each transaction, behind the pinned settings. Does nothing on a direct
    /// connection, where a setting lasts as long as the session.
    pub(crate) fn pin_in_transactions(&mut self, set_local: &Sql) {
        if let Scope::Transaction(pins) = &mut self.pins().scope {
            *pins = format!("{pins}; {}", set_local.as_str());
        }
    }
}
