//! rlondiste.
