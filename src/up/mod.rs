//! What takes both programs, and the doctor's checks: replay with a ticker of its own, and the commands that set replication up as a
//! whole and take it away.

mod command;
mod down;
mod ini_file;
mod replay;
mod request;
mod schema;
mod set_up;
mod survey;

pub(crate) use self::command::up;
pub(crate) use self::down::down;
pub(crate) use self::ini_file::IniFile;
pub(crate) use self::replay::replay;
pub(crate) use self::request::{Doing, SchemaCopy, Up};
