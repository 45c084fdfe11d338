//! What takes both programs, and the doctor's checks: replay with a ticker of its own.

mod replay;

pub(crate) use self::replay::replay;
